"""What the keys of a planned call must be together, and whether a request can be made of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from loadsim.ocpp.action import InvalidPayload
from loadsim.scenario.model_calls import CallModel
from loadsim.scenario.places import KeyPath, Places, unknown
from loadsim.units import duration_text, shown
from loadsim.v16.messages import BY_NAME
from loadsim.v16.orders import SAMPLE, fill, make_request

SENT_BY_CSMS: Final = tuple(action.name for action in BY_NAME.values() if action.sender != "charge_point")
WITH_TAGS: Final = ("RemoteStartTransaction", "ReserveNow")
"""The requests that carry an id tag."""

_WHEN: Final = ("at", "rate", "each", "on")
# Keys that only make sense beside one of others.
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "share": ("at",),
    "over": ("at",),
    "arrivals": ("rate", "each"),
    "after": ("on",),
    "from": ("rate", "each", "on"),
    "until": ("rate", "each", "on"),
    "during": ("rate", "each", "on"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a plan of calls can refer to.

    *stages* and *duration* are those of the run, None where there is none. *identities* says whether a glob
    matches any, None where it cannot be known.
    """

    tag_classes: Collection[str]
    stages: Collection[str] | None = None
    duration: float | None = None
    matches: Callable[[str], bool] | None = None


def any_matches(identities: Callable[[], Iterable[str]]) -> Callable[[str], bool]:
    """Return a function that says whether a glob matches one of *identities*."""
    return lambda glob: any(fnmatchcase(identity, glob) for identity in identities())


def check_calls(calls: Sequence[CallModel], places: Places, path: KeyPath, around: Around) -> None:
    """Report what is wrong with the planned *calls*, which stand at *path*."""
    followed, node, _ = places.find(path)
    if len(followed) < len(path) or node.kind != "list":
        return  # which was reported
    # Items that are no mapping were reported, and are not among the calls.
    kept = [number for number, item in node.children.items() if item.kind == "mapping"]
    names: set[str] = set()
    for number, call in zip(kept, calls, strict=True):
        place: KeyPath = (*path, number)
        name = call.name or default_name(int(number))
        if name in names:
            places.report((*place, "name"), f"two calls are named {shown(name)}", key=True)
        names.add(name)
        _check_when(call, places, place, around)
        _check_references(call, places, place, around)
        _check_request(call, places, place)


def default_name(number: int) -> str:
    """Return the name of a call that has none, by its number from 0."""
    return f"call-{number + 1}"


def _check_when(call: CallModel, places: Places, path: KeyPath, around: Around) -> None:
    keys = places.keys(*path)
    when = [key for key in _WHEN if key in keys]
    if len(when) > 1:
        places.report((*path, when[1]), f"give either {when[0]} or {when[1]}", key=True)
        return
    if not when:
        if not places.broken(*path):
            places.report(path, "expected one of at, rate, each and on, to say when")
        return
    for key, beside in _BESIDE.items():
        if key in keys and when[0] not in beside:
            places.report((*path, key), f"goes with {' or '.join(beside)}, not with {when[0]}", key=True)
            return
    for key in ("from", "until"):
        if key in keys and "during" in keys:
            places.report((*path, key), f"give either during or {key}", key=True)
            return
    _check_moments(call, places, path, around.duration)


def _check_moments(call: CallModel, places: Places, path: KeyPath, duration: float | None) -> None:
    if call.begin is not None and call.until is not None and call.until <= call.begin:
        places.report((*path, "until"), "expected 'until' to be after 'from'")
    if duration is None or places.broken("stages"):
        return
    if call.at is not None and call.at >= duration:
        places.report((*path, "at"), f"the run ends before, after {duration_text(duration)}")
    elif call.at is not None and call.over is not None and call.at + call.over > duration:
        places.report((*path, "over"), f"the run ends before, after {duration_text(duration)}")
    if call.begin is not None and call.begin >= duration:
        places.report((*path, "from"), f"the run ends before, after {duration_text(duration)}")


def _check_references(call: CallModel, places: Places, path: KeyPath, around: Around) -> None:
    if call.during is not None and around.stages is None:
        places.report((*path, "during"), "there are no stages here; give from and until", key=True)
    elif call.during is not None and around.stages is not None and call.during not in around.stages:
        places.report((*path, "during"), unknown("stage", call.during, around.stages))
    if call.to is not None and around.matches is not None and not around.matches(call.to):
        places.report((*path, "to"), f"no charge point matches {shown(call.to)}")
    if call.tags == [] and not places.broken(*path, "tags"):
        places.report((*path, "tags"), "expected at least one tag class")
    for number, name in enumerate(call.tags or ()):
        if name not in around.tag_classes:
            _, node, _ = places.find((*path, "tags"))
            place = (*path, "tags", number) if node.kind == "list" else (*path, "tags")
            places.report(place, unknown("tag class", name, around.tag_classes))
    if call.tags is not None and call.send in SENT_BY_CSMS and call.send not in WITH_TAGS:
        places.report((*path, "tags"), f"{call.send} carries no id tag; only {' and '.join(WITH_TAGS)} do", key=True)


def _check_request(call: CallModel, places: Places, path: KeyPath) -> None:
    if call.send is None:
        places.report_missing((*path, "send"))
        return
    if call.send not in SENT_BY_CSMS:
        if call.send in BY_NAME:
            places.report((*path, "send"), f"{call.send} is for the charge point to send")
        else:
            places.report((*path, "send"), unknown("action", call.send, SENT_BY_CSMS))
        return
    if places.broken(*path, "with"):
        return
    try:
        make_request(call.send, fill(call.send, plain(call.payload or {}), SAMPLE))
    except (InvalidPayload, ValueError) as error:
        place = (*path, "with") if "with" in places.keys(*path) else (*path, "send")
        places.report(place, f"{call.send}: {error}", key="with" in places.keys(*path))


def plain(payload: Mapping[str, object]) -> dict[str, object]:
    """Return *payload* as JSON has it: text from a variable is text."""
    return {key: _plain(value) for key, value in payload.items()}


def _plain(value: object) -> object:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return plain(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value
