"""A plan's demand stage by stage: what is expected in all of it, and in its busiest stretch (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import msgspec

from loadsim.scenario.demand.csms_calls import CsmsDemand
from loadsim.scenario.demand.flow import FleetDemand, Flow
from loadsim.scenario.load_profile import planned_online, planned_online_in_all, stage_times
from loadsim.scenario.plan import FaultPlan, FleetPlan, Plan, Stage

_STRETCHES: Final = 24
_STRETCHES_IN_ALL: Final = 2_400
"""More than a hundred stages are short beside the run, and looked at less closely: a plan is there in seconds."""
_SHORTEST: Final = 2.0
_JUST: Final = 1e-9


class StageDemand(msgspec.Struct, frozen=True, kw_only=True):
    """One stage: *flow* is all of it, *busiest* the stretch of it with the most calls a second.

    *online* is the most charge points that are to be online at a time in it.
    """

    stage: Stage
    begin: float
    online: int
    flow: Flow
    busiest: Flow


class Surge(msgspec.Struct, frozen=True, kw_only=True):
    """Connects that come close together: *count* of them in *seconds* from *at* on, 0 is at once."""

    what: str
    at: float
    count: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Connects a second; infinite where all come at once."""
        return self.count / self.seconds if self.seconds else math.inf


def demands(plan: Plan) -> tuple[StageDemand, ...]:
    """Return what each stage of *plan* asks for."""
    fleets = {fleet.name: FleetDemand(plan, fleet) for fleet in plan.fleets}
    csms = CsmsDemand(plan, fleets)
    most = dict.fromkeys(fleets, 0)
    result = []
    for stage, (begin, end) in zip(plan.stages, stage_times(plan.stages), strict=True):
        flows = []
        stretches = max(1, min(_STRETCHES, _STRETCHES_IN_ALL // len(plan.stages), int((end - begin) // _SHORTEST)))
        for first, last in _split(begin, end, stretches):
            of_fleets = {name: fleet.between(first, last, most[name]) for name, fleet in fleets.items()}
            flow = csms.between(first, last, of_fleets)
            for each in of_fleets.values():
                flow.add(each)
            for name, fleet in fleets.items():
                most[name] = max(most[name], fleet.online_before(last))
                flow.add(_reconnects(plan, fleet, first, last, flow.seconds))
            flows.append(flow)
        whole = Flow(end - begin)
        for flow in flows:
            whole.add(flow)
        busiest = max(flows, key=lambda flow: flow.all_calls / flow.seconds)
        online = max(planned_online_in_all(plan, moment) for moment in (begin, max(begin, end - _JUST)))
        result.append(StageDemand(stage=stage, begin=begin, online=online, flow=whole, busiest=busiest))
    return tuple(result)


def most_online(plan: Plan) -> int:
    """Return the most charge points that are to be online at a time."""
    return max(planned_online_in_all(plan, moment) for moment in _edges(plan))


def surges(plan: Plan) -> list[Surge]:
    """Return where many connect close together, the steepest first: ramps, jumps, and what comes after faults."""
    found = []
    times = stage_times(plan.stages)
    for stage, (begin, end) in zip(plan.stages, times, strict=True):
        count = 0
        for fleet in plan.fleets:
            before = planned_online(plan.stages, fleet.name, begin - _JUST) if begin else 0
            count += max(0, planned_online(plan.stages, fleet.name, end - _JUST) - before)
        if count:
            found.append(Surge(what=stage.name, at=begin, count=count, seconds=0.0 if stage.jump else end - begin))
    for fault in plan.faults:
        if fault.at is not None:
            found += _surge_after(plan, fault, fault.at)
    return sorted(found, key=lambda surge: surge.per_second, reverse=True)


def _surge_after(plan: Plan, fault: FaultPlan, at: float) -> Iterator[Surge]:
    counts = [
        (fleet, round(planned_online(plan.stages, fleet.name, at) * fault.share)) for fleet in _hit(plan, fault)
    ]
    count = sum(count for _, count in counts)
    if count and _breaks(fault):
        waits = [_first_wait(fleet) for fleet, count in counts if count]
        first, last = min(low for low, _ in waits), max(high for _, high in waits)
        yield Surge(what=fault.name, at=at + fault.duration + first, count=count, seconds=last - first)


def _breaks(fault: FaultPlan) -> bool:
    """Tell whether *fault* surely ends connections: a silent or slow one need not."""
    return fault.do == "drop" or (fault.do == "csms" and fault.how == "restart")


def _hit(plan: Plan, fault: FaultPlan) -> list[FleetPlan]:
    return [fleet for fleet in plan.fleets if fault.fleet in (None, fleet.name)]


def _first_wait(fleet: FleetPlan) -> tuple[float, float]:
    backoff = fleet.settings.reconnect
    return backoff.first * (1 - backoff.jitter), backoff.first * (1 + backoff.jitter)


def _reconnects(plan: Plan, demand: FleetDemand, begin: float, end: float, seconds: float) -> Flow:
    """Return what a fleet does to come back from the faults that break its connections."""
    flow, fleet = Flow(seconds), demand.fleet
    first, last = _first_wait(fleet)
    for fault in plan.faults:
        if fleet not in _hit(plan, fault) or not _breaks(fault):
            continue
        if fault.at is not None:
            back = fault.at + fault.duration
            hit = planned_online(plan.stages, fleet.name, fault.at) * fault.share
            part = _part(back + first, back + last, begin, end)
        else:
            during = max(0.0, min(end, fault.end) - max(begin, fault.begin))
            hit = (fault.rate or 0.0) * during * fault.share * planned_online(plan.stages, fleet.name, begin)
            part = 1.0
        count = hit * part
        flow.connect(fleet, count, count * demand.boots if fleet.settings.boot_on_reconnect else 0.0)
    return flow


def _part(first: float, last: float, begin: float, end: float) -> float:
    """Return the share of what is spread from *first* to *last* that falls into a stretch."""
    if last <= first:
        return 1.0 if begin <= first < end else 0.0
    return max(0.0, min(end, last) - max(begin, first)) / (last - first)


def _split(begin: float, end: float, parts: int) -> Iterator[tuple[float, float]]:
    step = (end - begin) / parts
    for number in range(parts):
        yield begin + step * number, end if number == parts - 1 else begin + step * (number + 1)


def _edges(plan: Plan) -> Iterator[float]:
    yield 0.0
    for begin, end in stage_times(plan.stages):
        yield from (begin, max(begin, end - _JUST))
