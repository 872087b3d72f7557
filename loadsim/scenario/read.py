"""A scenario file, read and checked: everything that is wrong with it at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from loadsim.errors import Mistake, ScenarioError
from loadsim.scenario.check_sessions import ConfigurationProblem
from loadsim.scenario.checks import Found, check
from loadsim.scenario.cross_checks import cross_check
from loadsim.scenario.document import Document
from loadsim.scenario.files import read_file
from loadsim.scenario.model_fields import described
from loadsim.scenario.overrides import apply_overrides
from loadsim.scenario.places import Places
from loadsim.scenario.resolve import resolve
from loadsim.scenario.scenario import Scenario
from loadsim.scenario.shape import validate

LARGEST = 256 * 1024
"""Bytes of a scenario; ids and tags by the thousand belong into files of their own."""

_NOT_YAML = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")
_WANTED = "version, name, fleets and stages"


def read_scenario(
    path: Path,
    environ: Mapping[str, str],
    *,
    actions: Collection[str],
    configuration: ConfigurationProblem | None = None,
    overrides: Sequence[str] = (),
) -> Scenario:
    """Read the scenario in *path*.

    Args:
        path: the file.
        environ: the values of variables.
        actions: the names of OCPP actions that a threshold can be about.
        configuration: says what is wrong with the name and value of a configuration key; without it all are taken.
        overrides: values in place of those in the file, as ``key=value``.

    Raises:
        ScenarioError: it cannot be read or has mistakes; the error holds all of them.
    """
    document, text = read_document(path, environ)
    applied = apply_overrides(document, overrides, environ)
    found = Found()
    places = root_of(document, _WANTED)
    model, kept = validate(places) if places is not None else (None, [])
    if places is not None and model is not None:
        check(model, places, path, kept, actions, configuration, found)
    if document.mistakes or model is None or places is None:
        raise ScenarioError(tidy(document, found.password or ""))
    scenario = Scenario(
        path=path,
        text=text,
        model=model,
        identities=found.identities,
        tags=found.tags,
        password=found.password,
        overrides=applied,
    )
    cross_check(resolve(scenario, seed=0), model, places)
    return replace(scenario, warnings=tuple(_tidied(document.file, document.warnings, found.password or "")))


def read_document(path: Path, environ: Mapping[str, str]) -> tuple[Document, str]:
    """Read the YAML file in *path*; return the document, its mistakes in it, and its text.

    Raises:
        ScenarioError: it cannot be read.
    """
    try:
        text = read_file(path, LARGEST)
    except ValueError as error:
        raise ScenarioError([Mistake(str(path), 0, 0, str(error))]) from None
    document = Document(str(path), text, environ)
    strange = _NOT_YAML.search(text)
    if strange is not None:
        document.mistakes.clear()
        line = text.count("\n", 0, strange.start()) + 1
        column = strange.start() - text.rfind("\n", 0, strange.start())
        document.report((line, column), f"the character U+{ord(strange[0]):04X} cannot stand in YAML; remove it")
    return document, text


def root_of(document: Document, wanted: str) -> Places | None:
    """Return the places of a document that is a mapping with the keys *wanted*, or report that it is none."""
    root = document.root
    if root is None or (root.kind == "scalar" and root.value is None and not root.broken):
        if not document.mistakes:
            document.mistakes.append(Mistake(document.file, 0, 0, f"is empty; expected {wanted}"))
        return None
    places = Places(document, root)
    if root.kind != "mapping":
        places.report((), f"expected a mapping with {wanted}, got {described(root.plain())}")
        return None
    return places


def tidy(document: Document, secret: str = "") -> list[Mistake]:
    """Return the mistakes of *document* in the order of the file, the same one once, and no *secret* in them."""
    return _tidied(document.file, document.mistakes, secret)


def _tidied(file: str, mistakes: Sequence[Mistake], secret: str) -> list[Mistake]:
    once: dict[Mistake, None] = {}
    for mistake in sorted(mistakes, key=lambda each: (each.file != file, each.file, each.line, each.column)):
        message = mistake.message.replace(secret, "***") if len(secret) > 3 else mistake.message
        once[replace(mistake, message=message)] = None
    return list(once)
