"""Doubts about the thresholds of a scenario: those that will have no samples, and so fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loadsim.metrics.thresholds import Check, parse
from loadsim.scenario.places import Places
from loadsim.scenario.plan import FaultPlan, FleetPlan, Plan
from loadsim.scenario.resolve_settings import SAMPLE_INTERVAL_KEY
from loadsim.scenario.session_arrivals import planned_sessions
from loadsim.scenario.warn_faults import hits_nobody, planned_hits
from loadsim.units import duration_text, format_duration, format_things, shown

_CLOCK_ALIGNED: Final = "ClockAlignedDataInterval"
_STARTS: Final = frozenset({"RemoteStartTransaction"})
_BROUGHT_BY: Final[Mapping[str, frozenset[str]]] = {
    "Authorize": _STARTS,
    "StartTransaction": _STARTS,
    "StopTransaction": _STARTS,
    "MeterValues": _STARTS | {"TriggerMessage", "ChangeConfiguration"},
    "DataTransfer": frozenset(),
    "DiagnosticsStatusNotification": frozenset({"GetDiagnostics", "TriggerMessage"}),
    "FirmwareStatusNotification": frozenset({"UpdateFirmware", "TriggerMessage"}),
}
"""Actions that not every charge point sends by itself, and which calls of the CSMS make it."""
_WITHOUT_TAGS: Final = frozenset(
    {
        "BootNotification",
        "DataTransfer",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "MeterValues",
        "StatusNotification",
    }
)
_FAILS: Final = "and a check without samples fails"


def warn_of_thresholds(plan: Plan, places: Places) -> None:
    """Tell of checks that will have no samples."""
    for index, threshold in enumerate(plan.thresholds):
        check = parse(threshold.check)
        doubt = _of_recovery(plan, check) if check.subject == "recovery" else _of_calls(plan, check)
        if doubt is not None:
            places.warn(("thresholds", index, "check"), doubt)


def _of_recovery(plan: Plan, check: Check) -> str | None:
    fault = next(each for each in plan.faults if each.name == check.fault)
    if fault.rate == 0:
        return f"the fault {shown(fault.name)} has a rate of 0 and hits nobody, {_FAILS}"
    if hits_nobody(plan, fault) is not None:
        return f"the fault {shown(fault.name)} hits nobody, or hardly ever, {_FAILS}"
    if fault.do == "csms" and fault.how in ("refuse", "delay"):
        return f"{_harmless(fault)} takes nobody offline who is online: this check would hold, whatever the CSMS does"
    return _of_least_recovery(plan, fault, check)


def _of_least_recovery(plan: Plan, fault: FaultPlan, check: Check) -> str | None:
    """Tell of a limit that the fault's own length, and the cap on connects, leave no time for."""
    if check.op not in ("<", "<=") or not (fault.do in ("drop", "silent") or fault.how == "restart"):
        return None
    least, why = fault.duration, f"the fault {shown(fault.name)} lasts {duration_text(fault.duration)}"
    hits, cap = planned_hits(plan, fault), plan.target.connect_rate
    if cap is not None and fault.at is not None and fault.do != "silent" and hits > 1:
        least += (hits - 1) / cap  # the first one need not wait
        back = format_things(hits, "charge point")
        why += f", and csms.connect.rate lets {back} back in {format_duration((hits - 1) / cap)}"
    if check.value > least or (check.op == "<=" and check.value == least):
        return None
    return f"this check cannot hold: {why}"


def _harmless(fault: FaultPlan) -> str:
    what = "refusing handshakes" if fault.how == "refuse" else "delaying answers"
    return f"the fault {shown(fault.name)}, {what},"


def _of_calls(plan: Plan, check: Check) -> str | None:
    if check.subject != "calls" or check.action is None:
        return None
    stage = next((each for each in plan.stages if each.name == check.stage), None)
    if stage is not None and stage.duration == 0:
        return f"the stage {shown(stage.name)} takes 0s, so that no call falls due in it, {_FAILS}"
    if check.tag_class is not None and check.action in _WITHOUT_TAGS:
        return f"{check.action} is counted in no tag class, {_FAILS}"
    if check.tag_class is not None and not any(_carried(fleet, check.tag_class) for fleet in plan.fleets):
        return f"nobody carries a tag of the class {shown(check.tag_class)}, {_FAILS}"
    if check.action in _BROUGHT_BY and not any(_sends(plan, fleet, check.action) for fleet in plan.fleets):
        return _unless_asked(plan, check.action)
    return None


def _unless_asked(plan: Plan, action: str) -> str | None:
    asked = _BROUGHT_BY[action]
    if plan.embedded is not None and any(call.send in asked for call in plan.embedded.calls):
        return None
    unless = " unless the CSMS asks for it" if plan.embedded is None and asked else ""
    return f"no charge point of this scenario sends {action}{unless}, {_FAILS}"


def _carried(fleet: FleetPlan, tag_class: str) -> bool:
    session = fleet.settings.session
    shares = [fleet.tags] if fleet.settings.authorize is not None or session is None else []
    if session is not None:
        shares.append(session.tags or fleet.tags)
    return any(each.get(tag_class) for each in shares)


def _sends(plan: Plan, fleet: FleetPlan, action: str) -> bool:
    settings = fleet.settings
    come = planned_sessions(plan.stages, fleet.name, plan.duration) if settings.session is not None else 0.0
    if action == "Authorize":
        return bool(come) or settings.authorize is not None
    if action == "DataTransfer":
        return settings.data_transfer is not None
    if action == "MeterValues":
        sampled = bool(come) and settings.configuration.get(SAMPLE_INTERVAL_KEY) != "0"
        return sampled or settings.configuration.get(_CLOCK_ALIGNED, "0") != "0"
    return action in ("StartTransaction", "StopTransaction") and bool(come)
