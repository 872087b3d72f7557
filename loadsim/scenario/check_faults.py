"""What the keys of a fault must be together, and what it refers to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from loadsim.scenario.model_faults import HOW, FaultModel, default_fault_name
from loadsim.scenario.places import KeyPath, Places, unknown
from loadsim.scenario.timeline import Timeline
from loadsim.units import duration_text, shown

_HOME: Final[Mapping[str, tuple[str, ...]]] = {
    "how": ("drop", "csms"),
    "latency": ("slow", "csms delay"),
    "bandwidth": ("slow",),
    "kinds": ("malformed",),
    "status": ("csms refuse",),
    "fleet": ("drop", "silent", "slow", "malformed"),
    "share": ("drop", "silent", "slow", "malformed"),
    "rate": ("drop", "silent", "slow", "malformed"),
    "for": ("drop", "silent", "slow", "csms"),
}
"""Keys, and what of ``do`` (and ``how``) they belong to; the others go with every fault."""
_EVERYBODY: Final = frozenset({"fleet", "share", "rate"})


def check_faults(faults: Sequence[FaultModel], places: Places, timeline: Timeline) -> None:
    """Report what is wrong with the *faults* of a scenario."""
    followed, node, _ = places.find(("faults",))
    if not followed or node.kind != "list":
        return  # which was reported, or there are none
    # Items that are no mapping were reported, and are not among the faults.
    kept = [number for number, item in node.children.items() if item.kind == "mapping"]
    names: set[str] = set()
    for number, fault in zip(kept, faults, strict=True):
        path: KeyPath = ("faults", number)
        name = fault.name or default_fault_name(int(number))
        if name in names:
            places.report((*path, "name"), f"two faults are named {shown(name)}")
        names.add(name)
        _check_when(fault, places, path, timeline)
        if fault.fleet is not None and fault.fleet not in places.keys("fleets"):
            places.report((*path, "fleet"), unknown("fleet", fault.fleet, places.keys("fleets")))
        _check_what(fault, places, path)


def fault_names(places: Places) -> list[str]:
    """Return the faults' names as written, right or wrong, so that one mistake does not cause others."""
    followed, node, _ = places.find(("faults",))
    if not followed or node.kind != "list":
        return []
    names = []
    for number, fault in node.children.items():
        name = fault.children.get("name")
        names.append(default_fault_name(int(number)) if name is None else str(name.value))
    return names


def _check_when(fault: FaultModel, places: Places, path: KeyPath, timeline: Timeline) -> None:
    keys = places.keys(*path)
    for other in ("rate", "during"):
        if "at" in keys and other in keys:
            places.report((*path, other), f"give either at or {other}", key=True)
            return
    if not {"at", "rate", "during"} & set(keys):
        if not places.broken(*path):
            places.report(path, "expected at, rate or during, to say when")
        return
    if fault.during is not None and fault.during not in timeline.names:
        places.report((*path, "during"), unknown("stage", fault.during, timeline.names))
    elif fault.during is not None:
        window = timeline.window(fault.during)
        if window is not None and window[0] == window[1]:
            cure = "nothing can happen in it" if "rate" in keys else f"write 'at: {fault.during}' for its moment"
            places.report((*path, "during"), f"the stage {shown(fault.during)} takes 0s; {cure}")
        elif "rate" not in keys:
            _check_moment(fault.during, fault.during, 0.0, places, (*path, "during"), timeline)
    if fault.at is not None:
        _check_moment(fault.at.text, fault.at.stage, fault.at.offset, places, (*path, "at"), timeline)


def _check_moment(
    text: str, stage: str | None, offset: float, places: Places, path: KeyPath, timeline: Timeline
) -> None:
    if stage is not None and stage not in timeline.names:
        places.report(path, unknown("stage", stage, timeline.names))
        return
    window, end = timeline.window(stage), timeline.duration
    if window is None or end is None or window[0] + offset < end:
        return
    where = "is after the run's end at" if window[0] + offset > end else "is the run's end, at"
    places.report(path, f"{shown(text, 80)[1:-1]} {where} {duration_text(end)}")


def _check_what(fault: FaultModel, places: Places, path: KeyPath) -> None:
    keys = places.keys(*path)
    if fault.do is None:
        places.report_missing((*path, "do"))
        return
    if fault.do == "csms" and "url" in places.keys("csms"):
        places.report((*path, "do"), "only the embedded CSMS can be told to, and csms.url is another one")
        return
    ways = HOW.get(fault.do, ())
    if ways and fault.how is not None and fault.how not in ways:
        places.report((*path, "how"), f"expected {_either(ways)} with do: {fault.do}, got {shown(fault.how)}")
        return
    for key, home in _HOME.items():
        if key in keys and not _at_home(fault, home, keys):
            places.report((*path, key), _homeless(key, fault.do, home), key=True)
    if fault.do == "csms" and "how" not in keys:
        places.report(path, f"do: csms needs how: {_either(ways)}")
    _check_duration(fault, places, path)
    _check_amounts(fault, places, path)


def _at_home(fault: FaultModel, home: Sequence[str], keys: Sequence[str]) -> bool:
    if fault.do in home:
        return True
    kind, _, way = next((each for each in home if each.startswith(f"{fault.do} ")), "").partition(" ")
    # Without a how that is known, which is told, any key of csms may be right.
    return bool(kind) and (fault.how == way or fault.how is None)


def _homeless(key: str, do: str, home: Sequence[str]) -> str:
    if key in _EVERYBODY:
        return f"{key} does not go with do: csms, which hits the CSMS and so everybody, at one moment"
    if key == "for":
        return f"for does not go with do: {do}, which is one message"
    return f"{key} belongs to do: {' and '.join(home)}"


def _check_duration(fault: FaultModel, places: Places, path: KeyPath) -> None:
    if fault.do in {"drop", "malformed"}:
        return
    if "for" not in places.keys(*path):
        places.report(path, f"do: {fault.do} needs for, how long it lasts")
    elif fault.duration == 0:
        places.report((*path, "for"), "expected more than 0s")


def _check_amounts(fault: FaultModel, places: Places, path: KeyPath) -> None:
    keys = places.keys(*path)
    nothing = fault.latency == (0.0, 0.0)
    if fault.do == "slow" and "latency" not in keys and "bandwidth" not in keys:
        places.report(path, "do: slow needs latency, or bandwidth, or both")
    elif fault.do == "slow" and nothing and "bandwidth" not in keys:
        places.report((*path, "latency"), "expected more than 0s, or bandwidth beside it")
    elif fault.do == "csms" and fault.how == "delay" and "latency" not in keys:
        places.report(path, "do: csms, how: delay needs latency, what every answer takes more")
    elif fault.do == "csms" and nothing:
        places.report((*path, "latency"), "expected more than 0s")
    if fault.kinds is None or places.broken(*path, "kinds"):
        return
    if not fault.kinds:
        places.report((*path, "kinds"), "expected at least one kind; leave kinds out for all of them")
    for number, kind in enumerate(fault.kinds):
        if kind in fault.kinds[:number]:
            places.report((*path, "kinds", number), f"the kind {shown(kind)} stands here twice")


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
