"""What a run needs, of the CSMS and of this machine, before anything is sent; plain numbers by name, for JSON.

Calls are expected values (`loadsim.scenario.demand`); descriptors, ports and memory are those that the run is held to
before it begins (`loadsim.preflight`); the run folder is an upper bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadsim.errors import PreflightFailed
from loadsim.limits import easy_ports, free_memory, raise_descriptor_limit
from loadsim.output.csv_windows import WINDOW
from loadsim.preflight import (
    DESCRIPTORS_OF_ITS_OWN,
    charge_point_bytes,
    check_machine,
    cores,
    csms_descriptors,
    ephemeral_ports,
    memory_needed,
    warnings_of,
)
from loadsim.scenario.demand import Flow, StageDemand, assumed_interval, demands, most_online, surges
from loadsim.scenario.plan import FaultPlan, Plan

SCHEMA: Final = 1

_DAY: Final = 86_400.0
_ROW_BYTES: Final = {"windows": 200, "sessions": 160, "commands": 160, "generator": 120, "connections": 170}
"""Bytes of a row at most, with figures of a large run: those of `scenarios/evening.yaml` take half of it."""
_CURVE_BYTES: Final = 5_000 * 48  # faults.csv is by the second for an hour, and by the minute after that
_ELSEWHERE_BYTES: Final = 3_000_000
"""summary.json, errors.jsonl (500 failures at most), the scenario and the rest; no longer in longer runs."""
_OTHER_ACTIONS: Final = 2
"""Actions that a plan does not know of: what the CSMS asks for by itself."""


def needs_of(plan: Plan, workers: int) -> dict[str, Any]:
    """Return what *plan* needs with so many *workers*; seconds, bytes, and numbers a second."""
    stages, problem = demands(plan), None
    try:
        check_machine(plan, workers)
    except PreflightFailed as failed:
        problem = str(failed)
    online, addresses = most_online(plan), max(1, len(plan.target.source_addresses))
    each = math.ceil(plan.charge_points / workers)
    least = memory_needed(plan, workers)
    idle, busy = charge_point_bytes(plan)
    return {
        "schema": SCHEMA,
        "name": plan.name,
        "description": plan.description,
        "target": plan.target.shown_url or "embedded",
        "duration_s": plan.duration,
        "charge_points": {"in_all": plan.charge_points, "online_max": online},
        "stages": [_stage(stage) for stage in stages],
        "messages": {
            "per_second_max": _rounded(max((_messages(stage.busiest) for stage in stages), default=0.0)),
            "in_all": round(2 * sum(stage.flow.all_calls for stage in stages)),
        },
        "connects": {
            "per_second_cap": plan.target.connect_rate,
            "in_flight_cap": plan.target.connect_in_flight * workers,
            "surges": [
                {
                    "what": surge.what,
                    "at_s": _rounded(surge.at),
                    "count": surge.count,
                    "seconds": _rounded(surge.seconds),
                    "per_second": None if math.isinf(surge.per_second) else _rounded(surge.per_second),
                }
                for surge in surges(plan)
            ],
        },
        "faults": [_fault(plan, fault) for fault in plan.faults],
        "workers": {"count": workers, "charge_points_each": each, "cores": cores()},
        "descriptors": {
            "worker": each + DESCRIPTORS_OF_ITS_OWN,
            "embedded_csms": None if plan.embedded is None else csms_descriptors(online, plan.embedded.processes),
            "embedded_csms_processes": None if plan.embedded is None else plan.embedded.processes,
            "limit": raise_descriptor_limit(),
        },
        "ports": {
            "needed": math.ceil(online / addresses),
            "there_are": ephemeral_ports(),
            "easy": easy_ports(ephemeral_ports()),
            "source_addresses": addresses,
        },
        "memory_bytes": {
            "least": least,
            "most": least + plan.charge_points * (busy - idle),
            "free": free_memory(),
        },
        "disk_bytes": _disk(plan, workers, stages),
        "assumed": _assumed(plan),
        "warnings": warnings_of(plan),
        "problem": problem,
    }


def _stage(demand: StageDemand) -> dict[str, Any]:
    busiest, drivers, seconds = demand.busiest, demand.flow.drivers, demand.flow.seconds
    return {
        "name": demand.stage.name,
        "begin_s": _rounded(demand.begin),
        "seconds": _rounded(seconds),
        "measure": demand.stage.measure,
        "online": demand.online,
        "connects": round(demand.flow.connects),
        "sessions": _rounded(drivers.arrived),
        "sessions_per_second": round(sum(demand.stage.sessions.values()), 9),
        "charging": round(busiest.drivers.charging / busiest.seconds),
        "calls_per_second": _rates(busiest.calls, busiest.seconds),
        "csms_calls_per_second": _rates(busiest.commands, busiest.seconds),
        "messages_per_second": _rounded(_messages(busiest)),
        "calls": {action: _rounded(count) for action, count in sorted(demand.flow.calls.items()) if count > 0},
        "csms_calls": {
            action: _rounded(count) for action, count in sorted(demand.flow.commands.items()) if count > 0
        },
    }


def _messages(flow: Flow) -> float:
    """Return the messages a second, both ways: a call and its answer are two."""
    return 2 * flow.all_calls / flow.seconds


def _rates(counts: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Return numbers a second, the largest first; what hardly ever happens is left out."""
    rates = {action: _rounded(count / seconds) for action, count in counts.items()}
    return {action: rate for action, rate in sorted(rates.items(), key=lambda each: -each[1]) if rate}


def _fault(plan: Plan, fault: FaultPlan) -> dict[str, Any]:
    return {
        "name": fault.name,
        "do": fault.do,
        "how": fault.how or None,
        "fleet": fault.fleet,
        "share": fault.share,
        "at_s": fault.at,
        "begin_s": fault.begin if fault.at is None else fault.at,
        "end_s": (min(fault.end, plan.duration) if fault.at is None else fault.at + fault.duration),
        "per_charge_point_and_second": fault.rate,
        "lasts_s": fault.duration,
    }


def _disk(plan: Plan, workers: int, stages: Sequence[StageDemand]) -> dict[str, Any]:
    """Return the bytes that the run folder takes at most, and how many each further day of the run adds."""
    actions = {action for stage in stages for action, count in stage.flow.calls.items() if count}
    commands = {action for stage in stages for action, count in stage.flow.commands.items() if count}
    rows = {
        "windows": (len(actions) + _OTHER_ACTIONS) / WINDOW,
        "sessions": 1 / WINDOW if any(stage.flow.drivers.arrived for stage in stages) else 0.0,
        "commands": len(commands) / WINDOW,
        "generator": workers / WINDOW,
        "connections": 1.0,
    }
    each = {f"{name}.csv": rows[name] * size for name, size in _ROW_BYTES.items()}
    grows = sum(each.values())
    fixed = _ELSEWHERE_BYTES + len(plan.faults) * _CURVE_BYTES
    return {
        "at_most": round(fixed + grows * plan.duration),
        "a_day": round(grows * _DAY),
        "files": {name: round(size * plan.duration) for name, size in each.items()},
    }


def _assumed(plan: Plan) -> list[str]:
    """Say what is not known before the run."""
    notes = []
    if plan.embedded is None:
        unknown = [fleet for fleet in plan.fleets if fleet.settings.heartbeat.every is None]
        if unknown:
            notes.append(
                f"the CSMS sets the heartbeat interval: {assumed_interval(plan, unknown[0]):g} s are taken here"
            )
        if any(fleet.settings.session is not None and fleet.settings.session.rfid < 1 for fleet in plan.fleets):
            notes.append("the CSMS starts the drivers who wait for RemoteStartTransaction")
        notes.append("what the CSMS asks of charge points by itself is not known, and not counted")
    if any(fleet.settings.configuration.get("LocalPreAuthorize") == "true" for fleet in plan.fleets):
        notes.append("with LocalPreAuthorize fewer Authorize are sent than stand here: known cards are not asked for")
    return notes


def _rounded(value: float) -> float:
    return round(value, 3)
