"""The charge points of one shard: started and stopped by the plan, drained at its end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.context import Context
from loadsim.charge_point.tags import TagClassPool, TagPool
from loadsim.dialects import DIALECTS
from loadsim.scenario.load_profile import online_intervals
from loadsim.scenario.plan import FleetPlan, Plan
from loadsim.scenario.shard import members

_TICK: Final = 0.010
_DRAIN_POLL: Final = 0.005
_LAST_LOOK: Final = 0.02
_CLOSING_TIME: Final = 5.0
_CLOSING_TIME_EACH: Final = 0.002


class Member(NamedTuple):
    """One charge point of the plan: its fleet, its number there and in the run, and when it is online."""

    fleet: FleetPlan
    n: int
    number: int
    intervals: tuple[tuple[float, float], ...]


class Fleet:
    """Shard *shard* of *workers*: each charge point in a task of its own, all in one nursery."""

    def __init__(self, plan: Plan, context: Context, *, shard: int = 0, workers: int = 1) -> None:
        self._plan = plan
        self._context = context
        self._members = list(shard_members(plan, shard, workers))
        self._tags = {fleet.name: tag_pool(plan, fleet) for fleet in plan.fleets}
        self._charge_points: dict[int, ChargePoint] = {}
        self._ending = trio.Event()
        self.ended = trio.Event()
        """Set when nothing is measured any more: connections are being closed."""
        self.online_end = 0
        """Charge points online just before the end."""
        self.started = 0
        """Charge points that are planned to be online by now, or were."""

    @property
    def gauges(self) -> dict[str, int]:
        """The state of the fleet now, as the catalogue's gauges."""
        states = self._context.states
        most_online, self._context.most_online = self._context.most_online, states["online"]
        return {
            "charge_points.online_peak": max(most_online, states["online"]),
            "charge_points.started": self.started,
            "charge_points.online": states["online"],
            "charge_points.booting": states["booting"],
            "charge_points.backing_off": states["backing_off"],
            "charge_points.online_end": self.online_end,
        }

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._context.clock.elapsed

    @property
    def connections(self) -> int:
        """Connections open now."""
        return self._context.connections

    def end(self) -> None:
        """End the run now, as at its planned end."""
        self._ending.set()

    async def run(self, *, graceful_stop: float) -> None:
        """Follow the plan to its end; then await open calls for at most *graceful_stop* seconds, and close."""
        async with trio.open_nursery() as nursery:
            with trio.move_on_at(self._context.clock.trio_time(self._plan.duration)):
                async with trio.open_nursery() as schedule:
                    schedule.start_soon(self._measure_lateness)
                    schedule.start_soon(self._start_charge_points, nursery)
                    schedule.start_soon(self._stop_charge_points)
                    await self._ending.wait()
                    schedule.cancel_scope.cancel()
            await self._drain(graceful_stop)
            nursery.cancel_scope.cancel()

    async def _start_charge_points(self, nursery: trio.Nursery) -> None:
        context = self._context
        for member in sorted(self._members, key=lambda member: member.intervals[0][0]):
            due = member.intervals[0][0]
            if due > context.clock.elapsed:
                await context.sleep_until(due)
            else:
                context.recorder.lateness.append(context.clock.elapsed - due)
            self.started += 1
            nursery.start_soon(self._simulate, member)
            if self.started % 50 == 0:
                await trio.lowlevel.checkpoint()  # a jump of thousands must let the first ones connect

    async def _stop_charge_points(self) -> None:
        """Take charge points offline that the plan wants offline before the end of the run."""
        stops = sorted(
            (until, member.number)
            for member in self._members
            for _, until in member.intervals
            if until < self._plan.duration
        )
        for until, number in stops:
            await self._context.sleep_until(until)
            if number in self._charge_points:
                self._charge_points[number].stop()

    async def _simulate(self, member: Member) -> None:
        fleet = member.fleet
        identity = fleet.identity(member.n)
        charge_point = ChargePoint(
            self._context,
            DIALECTS["1.6"],
            fleet.settings,
            identity=identity.id,
            number=member.number,
            fleet=fleet.name,
            n=member.n,
            password=identity.password,
            tags=self._tags[fleet.name],
        )
        for since, until in member.intervals:
            await self._context.sleep_until(since)
            if self._context.ended_at is not None or self._context.clock.elapsed >= until:
                continue  # over: at the end of the run, or because the last answer of the interval before came late
            self._charge_points[member.number] = charge_point
            await charge_point.live(since)
            del self._charge_points[member.number]

    async def _measure_lateness(self) -> None:
        """Record how late a 10 ms ticker wakes up; ticks that a stall swallowed are counted too."""
        clock, lateness = self._context.clock, self._context.recorder.lateness
        due = trio.current_time()
        while True:
            due += _TICK
            now = trio.current_time()
            if due > now:
                await trio.sleep_until(due)
                now = trio.current_time()
            lateness.append(now - due)
            if clock.elapsed > self._plan.duration:
                return

    async def _drain(self, graceful_stop: float) -> None:
        """End the run: nothing more falls due, open calls are awaited, then connections close with 1000.

        The charge points are stopped only after the open calls have ended: waking and closing thousands at
        once would delay the answers that are still under way, and count that as the CSMS's time.
        """
        context = self._context
        context.ended_at = min(context.clock.elapsed, self._plan.duration)
        self.online_end = context.states["online"]
        due = sum(member.intervals[0][0] <= context.ended_at for member in self._members)
        context.recorder.counters["generator.due"] += due
        context.recorder.counters["generator.behind"] += due - self.started
        longest = max((fleet.settings.call_timeout for fleet in self._plan.fleets), default=math.inf)
        with trio.move_on_after(min(longest, graceful_stop)):
            while context.open_calls:  # noqa: ASYNC110 - the hot path counts; it need not wake anyone
                await trio.sleep(_DRAIN_POLL)
        context.drained_at = context.clock.elapsed
        charge_points = list(self._charge_points.values())
        for charge_point in charge_points:
            charge_point.give_up()
        self.ended.set()
        await trio.sleep(_LAST_LOOK)  # who watches the generator's health looks before the closing begins
        for charge_point in charge_points:
            charge_point.stop()
        with trio.move_on_after(_CLOSING_TIME + _CLOSING_TIME_EACH * len(charge_points)):
            while self._charge_points:  # noqa: ASYNC110 - see above
                await trio.sleep(_DRAIN_POLL)


def shard_members(plan: Plan, shard: int, workers: int) -> Iterator[Member]:
    """Yield the charge points of a shard that are online at some time."""
    before = [0]
    for fleet in plan.fleets:
        before.append(before[-1] + fleet.count)
    for index, n in members(plan, shard, workers):
        fleet = plan.fleets[index]
        intervals = online_intervals(plan.stages, fleet.name, n, fleet.count)
        if intervals:
            yield Member(fleet, n, before[index] + n, intervals)


def tag_pool(plan: Plan, fleet: FleetPlan) -> TagPool | None:
    """Return the tags of a fleet's drivers; None when it has none."""
    classes = [
        TagClassPool(tags.name, tags.expect, fleet.tags[tags.name], tags.count, tags.tag)
        for tags in plan.tag_classes
        if fleet.tags.get(tags.name, 0) > 0
    ]
    return TagPool(classes) if classes else None
