"""Plain data against the model: pydantic's findings said in our own words, at their places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from loadsim.scenario.model import ELSEWHERE, LATER, ScenarioModel
from loadsim.scenario.model_fields import described
from loadsim.scenario.model_part import Part
from loadsim.scenario.model_spread import Spread
from loadsim.scenario.places import KeyPath, Places, unknown
from loadsim.units import shown

_ROUNDS = 4
_Grammar = TypeVar("_Grammar", bound=Part)


def validate(places: Places) -> tuple[ScenarioModel | None, list[int]]:
    """Report what is wrong, one value at a time; return a model of the rest.

    The rest still gets the checks of more than one key, so that all mistakes show at once. With it come the
    numbers, in the file, of the stages that are left. The model is None when too little is left.
    """
    return validate_as(places, ScenarioModel, {"version": 1, "name": "unnamed", "fleets": {}, "stages": []})


def validate_as(
    places: Places, grammar: type[_Grammar], least: Mapping[str, Any]
) -> tuple[_Grammar | None, list[int]]:
    """Validate as ``validate`` does, against any *grammar*; *least* are its keys that must not be missing."""
    data = places.root.plain()
    stages = data.get("stages")
    kept = list(range(len(stages))) if isinstance(stages, list) else []
    for number in range(_ROUNDS):
        try:
            return grammar.model_validate(data), kept
        except ValidationError as error:
            found = error.errors(include_url=False)
        if number == 0:
            for detail in found:
                _report(places, detail, grammar)
        # Backwards, so that the numbers of list items before stay right.
        for path in sorted({_culprit(detail) for detail in found}, key=_order, reverse=True):
            _prune(data, path, kept)
        data = {**least, **data}
    return None, kept


def _report(places: Places, detail: ErrorDetails, grammar: type[Part]) -> None:
    path, kind = detail["loc"], detail["type"]
    if kind == "extra_forbidden":
        _unknown_key(places, path, grammar)
    elif kind == "missing":
        places.report_missing(path)
    elif path[-1] == "[key]":
        places.report(path[:-1], str(detail.get("ctx", {}).get("error", "is no name")), key=True)
    else:
        places.report(path, _message(detail))


def _message(detail: ErrorDetails) -> str:
    kind, got = detail["type"], described(detail["input"])
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return f"expected a mapping (key: value), got {got}"
    if kind == "list_type":
        return f"expected a list, got {got}"
    return f"expected something else, got {got}"


def _unknown_key(places: Places, path: KeyPath, grammar: type[Part]) -> None:
    key = str(path[-1])
    if any(_matches(path, later) for later in LATER):
        places.report(path, f"{shown(key)} is not in this version", key=True)
        return
    if grammar is ScenarioModel and path in ELSEWHERE:
        places.report(path, f"unknown key {shown(key)}; its place is {ELSEWHERE[path]}", key=True)
        return
    places.report(path, unknown("key", str(key), _fields_at(path[:-1], grammar)), key=True)


def _matches(path: KeyPath, pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(want in ("*", part) for part, want in zip(path, pattern, strict=True))


def _fields_at(path: KeyPath, grammar: type[Part]) -> list[str]:
    model = grammar
    for part in path:
        for name, field in model.model_fields.items():
            if part == (field.alias or name):
                model = _part_in(field.annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _part_in(annotation: Any) -> type[Part] | None:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    if isinstance(annotation, Spread):
        return annotation.model
    return next((part for part in map(_part_in, get_args(annotation)) if part is not None), None)


def _culprit(detail: ErrorDetails) -> KeyPath:
    """Return what has to go: the value, or the mapping that lacks a key."""
    path = detail["loc"]
    return path[:-1] if detail["type"] == "missing" or path[-1:] == ("[key]",) else path


def _order(path: KeyPath) -> tuple[tuple[int, str], ...]:
    return tuple((part, "") if isinstance(part, int) else (-1, part) for part in path)


def _prune(data: Any, path: KeyPath, kept: list[int]) -> None:
    """Take *path* out of *data*, or the value that was written short for what *path* is in."""
    parent: Any = None
    last: Any = None
    node = data
    for step in path:
        key: Any = step
        if not isinstance(node, (dict, list)) or (isinstance(node, list) and not isinstance(key, int)):
            break
        if key not in (node if isinstance(node, dict) else range(len(node))):
            return
        parent, last, node = node, key, node[key]
    if parent is data.get("stages") and isinstance(last, int):
        del kept[last]
    if parent is not None:
        del parent[last]
