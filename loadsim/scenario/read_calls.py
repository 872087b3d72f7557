"""A file with a plan of calls, for an embedded CSMS that runs alone: read and checked as a scenario is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from loadsim.errors import ScenarioError
from loadsim.scenario.check_calls import Around, check_calls
from loadsim.scenario.model_calls import CallsModel
from loadsim.scenario.places import Places
from loadsim.scenario.plan import PlannedCall, TagClass
from loadsim.scenario.read import read_document, root_of, tidy
from loadsim.scenario.resolve_calls import planned_calls
from loadsim.scenario.shape import validate_as


def read_calls(path: Path, environ: Mapping[str, str], tag_classes: Sequence[TagClass]) -> tuple[PlannedCall, ...]:
    """Read the plan of calls in *path*; *tag_classes* are those that it can draw id tags from.

    Raises:
        ScenarioError: it cannot be read or has mistakes; the error holds all of them.
    """
    document, _ = read_document(path, environ)
    places = root_of(document, "calls")
    model = None
    if places is not None and _is_scenario(places):
        places.report((), "this is a scenario; its calls stand under csms.embedded.calls")
    elif places is not None:
        model, _ = validate_as(places, CallsModel, {"calls": []})
        if model is not None:
            around = Around(tag_classes=[each.name for each in tag_classes])
            check_calls(model.calls, places, ("calls",), around)
            if not model.calls and not places.broken("calls"):
                places.report(("calls",), "expected at least one call, such as {send: ClearCache, each: 1/h}")
    if document.mistakes or model is None:
        raise ScenarioError(tidy(document))
    return planned_calls(model.calls, tag_classes, {})


def _is_scenario(places: Places) -> bool:
    keys = places.keys()
    return "calls" not in keys and any(key in keys for key in ("fleets", "stages", "csms"))
