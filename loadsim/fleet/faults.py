"""The plan's faults over the charge points of one shard: which are hit, and when.

Both depend on the plan alone, so any number of workers does the same. A fault at a moment hits an exact share of the
charge points that are planned to be online then; one that has a rate hits each of an exact share of the fleet at
moments of its own, of which only the next is kept in a heap: who is not hit costs nothing.

Planned is who is hit; whether anything happens depends on the charge point (`loadsim.charge_point.trouble`): one
that has no connection just then is not hit, and is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Final

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.context import Context
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.hits import Hit
from loadsim.charge_point.quota import chosen
from loadsim.charge_point.trouble import be_slow, drop, fall_silent, send_malformed, unwatch, watch
from loadsim.fleet.members import Member
from loadsim.scenario.load_profile import planned_online
from loadsim.scenario.plan import MALFORMED_KINDS, FaultPlan, Plan

AFTERMATH: Final = 1.0
"""Seconds after the end of a CSMS's fault in which a connection that breaks is still its doing."""
_AHEAD: Final = 0.25
"""Seconds before the planned moment from which on a CSMS's fault may begin: its clock is not the shard's."""
_AT_A_TIME: Final = 25


class Faults:
    """The faults of *plan* over the *members* of a shard; *charge_points* are those of them that live, by number."""

    def __init__(
        self,
        plan: Plan,
        context: Context,
        members: Sequence[Member],
        charge_points: Mapping[int, ChargePoint],
    ) -> None:
        self._plan = plan
        self._context = context
        self._members = members
        self._charge_points = charge_points

    async def run(self) -> None:
        """Let them happen, until cancelled at the end of the run."""
        async with trio.open_nursery() as nursery:
            for fault in self._plan.faults:
                if fault.at is None:
                    nursery.start_soon(self._strike_by_rate, fault)
                elif fault.at < self._plan.duration:
                    strike = self._strike_online if fault.do == "csms" else self._strike_planned
                    nursery.start_soon(strike, fault, fault.at)

    async def _strike_planned(self, fault: FaultPlan, at: float) -> None:
        """Hit the chosen ones of those that are planned to be online, all at one moment."""
        plan, context = self._plan, self._context
        online = {fleet.name: planned_online(plan.stages, fleet.name, at) for fleet in plan.fleets}
        struck = []
        for index, member in enumerate(self._of(fault)):
            if self._is_chosen(fault, member, online[member.fleet.name]):
                struck.append(member)
            if index % _AT_A_TIME == 0:
                await trio.lowlevel.checkpoint()  # thousands are no reason to hold up the others
        await context.sleep_until(at)
        for index, member in enumerate(struck, start=1):
            self._strike(fault, member, at, 0)
            if index % _AT_A_TIME == 0:
                await trio.lowlevel.checkpoint()
        if struck:  # thousands of drops take this machine a second, by which the last ones' recoveries are longer
            context.recorder.lateness.append(context.clock.elapsed - at)

    async def _strike_by_rate(self, fault: FaultPlan) -> None:
        """Hit each of the chosen ones as a Poisson process of its own has it."""
        assert fault.rate is not None
        context, end = self._context, min(fault.end, self._plan.duration)
        heap: list[tuple[float, int, int, Member, Draws]] = []
        for index, member in enumerate(self._of(fault)):
            draws = Draws(self._plan.seed, member.fleet.name, member.n, f"fault {fault.name}")
            due = fault.begin + draws.exponential(fault.rate)
            if due < end and self._is_chosen(fault, member, member.fleet.count):  # which takes longer to say
                heap.append((due, member.number, 0, member, draws))
            if index % _AT_A_TIME == 0:
                await trio.lowlevel.checkpoint()
        heapify(heap)
        while heap:
            due, number, occurrence, member, draws = heap[0]
            if due > context.clock.elapsed:
                await context.sleep_until(due)
            else:
                context.recorder.lateness.append(context.clock.elapsed - due)
                await trio.lowlevel.checkpoint()
            self._strike(fault, member, due, occurrence)
            due += draws.exponential(fault.rate)
            if due < end:
                heapreplace(heap, (due, number, occurrence + 1, member, draws))
            else:
                heappop(heap)

    async def _strike_online(self, fault: FaultPlan, at: float) -> None:
        """Watch those that are online at the moment of a fault that the CSMS does itself, until it is over."""
        context = self._context
        watched: dict[int, tuple[ChargePoint, Hit]] = {}
        for moment in (max(at - _AHEAD, 0.0), at):
            await context.sleep_until(moment)
            for index, (number, charge_point) in enumerate(list(self._charge_points.items()), start=1):
                concerned = fault.fleet in (None, charge_point.fleet) and number not in watched
                hit = watch(charge_point, fault.name, at) if concerned else None
                if hit is not None:
                    watched[number] = charge_point, hit
                if index % _AT_A_TIME == 0:
                    await trio.lowlevel.checkpoint()
        await context.sleep_until(at + fault.duration + AFTERMATH)
        for charge_point, hit in watched.values():
            unwatch(charge_point, hit)

    def _of(self, fault: FaultPlan) -> Iterator[Member]:
        return (member for member in self._members if fault.fleet in (None, member.fleet.name))

    def _is_chosen(self, fault: FaultPlan, member: Member, size: int) -> bool:
        """Tell whether a charge point is of the share that a fault hits, of the first *size* of its fleet."""
        if member.n >= size:
            return False
        key = f"{self._plan.seed} {fault.name} {member.fleet.name}"
        return fault.share == 1.0 or chosen(member.n, size, key, fault.share) is not None

    def _strike(self, fault: FaultPlan, member: Member, moment: float, occurrence: int) -> None:
        """Do to one charge point what the fault does, for the *occurrence*-th time (from 0)."""
        charge_point = self._charge_points.get(member.number)
        if charge_point is None:
            return
        until, stream = moment + fault.duration, f"fault {fault.name} {occurrence}"
        if fault.do == "drop":
            gently = fault.how == "close"
            drop(charge_point, fault.name, moment, how="close" if gently else "reset", away=fault.duration)
        elif fault.do == "silent":
            fall_silent(charge_point, fault.name, moment, until=until)
        elif fault.do == "slow":
            be_slow(
                charge_point,
                fault.name,
                moment,
                until=until,
                latency=fault.latency,
                bandwidth=fault.bandwidth,
                stream=stream,
            )
        elif fault.do == "malformed":
            draws, kinds = charge_point.draws(stream), fault.kinds or MALFORMED_KINDS
            kind = kinds[draws.below(len(kinds))]
            send_malformed(charge_point, fault.name, kind=kind, uniform=draws.uniform())
