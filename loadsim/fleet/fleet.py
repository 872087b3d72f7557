"""The charge points of one shard: started and stopped by the plan, drained at its end."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, takewhile
from typing import Final

import trio

from loadsim.charge_point.arrival import Arrival, draw_arrival
from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.context import Context
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.preflight import Finding, Preflight
from loadsim.dialects import DIALECTS
from loadsim.fleet.faults import Faults
from loadsim.fleet.members import Member, first_numbers, is_first, shard_members, tag_pool
from loadsim.fleet.vacancies import Vacancies
from loadsim.scenario.load_profile import planned_online
from loadsim.scenario.plan import FleetPlan, Plan
from loadsim.scenario.session_arrivals import session_arrivals

_TICK: Final = 0.010
_DRAIN_POLL: Final = 0.005
_TRACEBACKS_SHOWN: Final = 3
_LAST_LOOK: Final = 0.02
_CLOSING_TIME: Final = 5.0
_CLOSING_TIME_EACH: Final = 0.002


class Fleet:
    """Shard *shard* of *workers*: each charge point in a task of its own, all in one nursery."""

    def __init__(self, plan: Plan, context: Context, *, shard: int = 0, workers: int = 1) -> None:
        self._plan = plan
        self._context = context
        self._members = list(shard_members(plan, shard, workers))
        # Sorted before the run begins: 19,000 take 5 ms.
        self._starts = sorted(self._members, key=lambda member: member.intervals[0][0])
        self._stops = sorted(
            (until, member.number)
            for member in self._members
            for _, until in member.intervals
            if until < plan.duration
        )
        self._tags = {fleet.name: tag_pool(plan, fleet.tags) for fleet in plan.fleets}
        for fleet in plan.fleets:
            DIALECTS["1.6"].prepare(fleet.settings)
        self._charge_points: dict[int, ChargePoint] = {}
        self._vacancies: list[Vacancies] = []
        context.on_freed = self._connector_freed
        self._shard, self._workers = shard, workers
        self._ended_early = False
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
            "transactions.running": self._context.charging,
            "outbox.waiting": self._context.backlog.messages,
        }

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._context.clock.elapsed

    @property
    def connections(self) -> int:
        """Connections open now."""
        return self._context.connections

    @property
    def open_transactions(self) -> list[int]:
        """The CSMS's ids of the transactions that charge points still know; there once they are accounted for."""
        return self._context.open_transactions

    @property
    def preflight(self) -> Preflight | None:
        """The trial of the first charge points; None once the run has begun."""
        return self._context.preflight

    def begin(self, wall: datetime) -> None:
        """Begin the run, whose time of day is *wall* now."""
        self._context.begin(wall)

    def end(self) -> None:
        """End the run now: as at its planned end, after the stops of the transactions that are open."""
        self._ended_early = True
        self._ending.set()

    async def run(self, *, graceful_stop: float) -> None:
        """Follow the plan to its end; then await open calls for at most *graceful_stop* seconds, and close.

        Where the run is still to begin (`Context.preflight`), the first charge points are tried before.
        """
        async with trio.open_nursery() as nursery:
            if self._context.preflight is not None and not await self._try_first(nursery, self._context.preflight):
                nursery.cancel_scope.cancel()
                return
            with trio.move_on_at(self._context.clock.trio_time(self._plan.duration)):
                async with trio.open_nursery() as schedule:
                    schedule.start_soon(self._measure_lateness)
                    schedule.start_soon(self._start_charge_points, nursery)
                    schedule.start_soon(self._stop_charge_points)
                    schedule.start_soon(Faults(self._plan, self._context, self._members, self._charge_points).run)
                    for fleet in self._plan.fleets:
                        if fleet.settings.session is not None:
                            schedule.start_soon(self._bring_drivers, fleet)
                    await self._ending.wait()
                    schedule.cancel_scope.cancel()
            await self._drain(graceful_stop)
            nursery.cancel_scope.cancel()

    async def _try_first(self, nursery: trio.Nursery, preflight: Preflight) -> bool:
        """Have the first charge points come and boot, and wait for the run to begin; False: it is not to."""
        first = [member for member in self._members if is_first(member)]
        preflight.expect(member.fleet.identity(member.n).id for member in first)
        for member in first:
            self._start(member, nursery)
        await preflight.wait_for_begin(self._ending)
        if self._context.preflight is None:
            return True
        self._context.ended_at = 0.0
        self._context.recorder.counters["generator.due"] += self.started
        await self._hang_up()
        return False

    def _start(self, member: Member, nursery: trio.Nursery) -> None:
        self.started += 1
        nursery.start_soon(self._simulate, member, name="charge point")  # without it trio makes up a name for each

    async def _start_charge_points(self, nursery: trio.Nursery) -> None:
        context = self._context
        tried = self.started > 0
        for member in self._starts:
            if tried and is_first(member):
                continue
            due = member.intervals[0][0]
            if due > context.clock.elapsed:
                await context.sleep_until(due)
            else:
                context.recorder.lateness.append(context.clock.elapsed - due)
            self._start(member, nursery)
            if self.started % 50 == 0:
                await trio.lowlevel.checkpoint()  # a jump of thousands must let the first ones connect

    async def _stop_charge_points(self) -> None:
        """Take charge points offline that the plan wants offline before the end of the run."""
        for until, number in self._stops:
            await self._context.sleep_until(until)
            if number in self._charge_points:
                self._charge_points[number].stop()

    async def _simulate(self, member: Member) -> None:
        """Be online whenever the plan wants it."""
        charge_point = self._make(member)
        try:
            for since, until in member.intervals:
                await self._context.sleep_until(since)
                if self._context.ended_at is not None or self._context.clock.elapsed >= until:
                    continue  # over: at the run's end, or because the last answer of the interval before came late
                self._charge_points[member.number] = charge_point
                await charge_point.live(since)
                del self._charge_points[member.number]
        except* Exception as broken:  # noqa: BLE001 - a mistake of ours ends this one, and not the others with it
            self._report_broken(charge_point, broken)
        finally:
            self._charge_points.pop(member.number, None)
            charge_point.dialect.settle(charge_point)

    def _make(self, member: Member) -> ChargePoint:
        fleet = member.fleet
        identity = fleet.identity(member.n)
        return ChargePoint(
            self._context,
            DIALECTS["1.6"],
            fleet.settings,
            identity=identity.id,
            number=member.number,
            fleet=fleet.name,
            n=member.n,
            fleet_size=fleet.count,
            password=identity.password,
            tags=self._tags[fleet.name],
        )

    def _report_broken(self, charge_point: ChargePoint, broken: BaseException) -> None:
        """Count a charge point that ended in a mistake of loadsim's own: its figures are not whole, and the run's."""
        recorder = self._context.recorder
        recorder.counters["generator.broken"] += 1
        if recorder.counters["generator.broken"] <= _TRACEBACKS_SHOWN:
            traceback.print_exception(broken)  # the worker's stderr is loadsim.log
        error = broken
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        what = type(error).__name__
        recorder.example(self._context.clock.elapsed, charge_point.identity, "loadsim", what, str(error))
        if self._context.preflight is not None:
            self._context.preflight.failed(Finding(charge_point.identity, "loadsim", what, str(error)))

    async def _bring_drivers(self, fleet: FleetPlan) -> None:
        """Have drivers come as the stages want it, whatever became of those before (an open load).

        A driver who finds no free connector at the charge point goes to the next ones of the shard. Those who were
        due when the run ended, and had not come, are counted: the generator had no time for them.
        """
        context, settings = self._context, fleet.settings.session
        assert settings is not None
        tags = tag_pool(self._plan, settings.tags or fleet.tags)
        vacancies = Vacancies([member.number for member in self._members if member.fleet is fleet])
        self._vacancies.append(vacancies)
        if tags is None:
            return
        full_since = -1
        waiting: float | None = None
        drivers = self._drivers(fleet)
        try:
            for due, number, draws in drivers:
                waiting = due
                if due > context.clock.elapsed:
                    await context.sleep_until(due)
                else:
                    context.recorder.lateness.append(context.clock.elapsed - due)
                    await trio.lowlevel.checkpoint()  # which is where the run's end is noticed
                waiting = None
                arrival = draw_arrival(settings, tags, draws, due)
                self._count_driver("due", due)
                # Nobody need look again before a connector is freed, but for those for whom one is reserved.
                worth_a_look = context.reservations or context.connectors_freed != full_since
                if worth_a_look and self._find_connector(arrival, number, vacancies):
                    continue
                full_since = context.connectors_freed
                self._count_driver("no_free_connector", due)
        finally:
            ended_at = min(context.clock.elapsed, self._plan.duration)
            late = [] if waiting is None else [waiting]
            for due in takewhile(lambda due: due <= ended_at, chain(late, (each[0] for each in drivers))):
                self._count_driver("due", due)
                context.recorder.counters["sessions.behind"] += 1

    def _count_driver(self, what: str, due: float) -> None:
        """Count a driver, and in the stage in which it was *due* as well."""
        counters = self._context.recorder.counters
        counters[f"sessions.{what}"] += 1
        counters[f"sessions.{what}.{self._context.stage_at(due)}"] += 1

    def _drivers(self, fleet: FleetPlan) -> Iterator[tuple[float, int, Draws]]:
        """Yield when each driver is due, at which charge point (by its number in the run), and what to draw from.

        Every worker draws all arrivals of the fleet, each to one of the charge points that are to be online then,
        and takes those whose charge point is one of its own.
        """
        first = next(number for number, each in first_numbers(self._plan) if each is fleet)
        arrivals = session_arrivals(self._plan.stages, fleet.name, Draws(self._plan.seed, fleet.name, 0, "sessions"))
        for index, due in enumerate(arrivals):
            draws = Draws(self._plan.seed, fleet.name, index, "session")
            number = first + draws.below(planned_online(self._plan.stages, fleet.name, due))
            if number % self._workers == self._shard:
                yield due, number, draws

    def _find_connector(self, arrival: Arrival, number: int, vacancies: Vacancies) -> bool:
        for candidate in vacancies.after(number):
            charge_point = self._charge_points.get(candidate)
            if charge_point is not None and charge_point.dialect.arrive(charge_point, arrival):
                return True
            if not self._context.reservations:  # else it may be reserved for another
                vacancies.full(candidate)
        return False

    def _connector_freed(self, number: int) -> None:
        for vacancies in self._vacancies:
            vacancies.freed(number)

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
        context.recorder.online_time.end(context.ended_at)
        self.online_end = context.states["online"]
        due = sum(member.intervals[0][0] <= context.ended_at for member in self._members)
        context.recorder.counters["generator.due"] += due
        context.recorder.counters["generator.behind"] += due - self.started
        if self._ended_early:
            await self._leave_in_good_order(graceful_stop)
        longest = max((fleet.settings.call_timeout for fleet in self._plan.fleets), default=math.inf)
        with trio.move_on_after(min(longest, graceful_stop)):
            while context.open_calls:  # noqa: ASYNC110 - the hot path counts; it need not wake anyone
                await trio.sleep(_DRAIN_POLL)
        context.drained_at = context.clock.elapsed
        await self._hang_up()

    async def _hang_up(self) -> None:
        """Give up what is still open, and close all connections."""
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

    async def _leave_in_good_order(self, graceful_stop: float) -> None:
        """Have the open transactions stopped: the run is ended by somebody who will look at the CSMS next."""
        async with trio.open_nursery() as watch:
            watch.start_soon(self._give_up_after, graceful_stop)
            with trio.move_on_after(graceful_stop):
                async with trio.open_nursery() as nursery:
                    for charge_point in list(self._charge_points.values()):
                        if charge_point.dialect.leaving is not None:
                            nursery.start_soon(charge_point.dialect.leaving, charge_point)
            watch.cancel_scope.cancel()

    async def _give_up_after(self, seconds: float) -> None:
        """Give up the calls that are open then: cancelling who waits for one does not end it."""
        await trio.sleep(seconds)
        for charge_point in list(self._charge_points.values()):
            charge_point.give_up()
