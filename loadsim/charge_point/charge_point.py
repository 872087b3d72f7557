"""One charge point: what it is, how long it lives, and what goes on as long as it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import trio

from loadsim.charge_point.answering import answer
from loadsim.charge_point.company import Company
from loadsim.charge_point.connecting import Connecting
from loadsim.charge_point.context import Context, moved_on
from loadsim.charge_point.dialect import Dialect
from loadsim.charge_point.pings import Pings, start_pings
from loadsim.charge_point.preflight import Preflight
from loadsim.charge_point.routine import Routine
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.charge_point.tags import TagPool
from loadsim.link.link import Link
from loadsim.ocpp.frame import Call
from loadsim.ocpp.rpc import AskedBadly


class ChargePoint(Connecting):
    """A simulated charge point. `live` is its life; everything else serves its dialect's behaviours."""

    __slots__ = (
        "_at_stop",
        "_csms_time",
        "_tasks",
        "dialect",
        "fleet_size",
        "lives",
        "living_since",
        "memory",
        "ping_interval",
        "pinging",
        "tags",
    )

    def __init__(
        self,
        context: Context,
        dialect: Dialect,
        settings: ChargePointSettings,
        *,
        identity: str,
        number: int,
        fleet: str = "",
        n: int = 0,
        fleet_size: int = 1,
        password: str | None = None,
        tags: TagPool | None = None,
    ) -> None:
        """Make a charge point that is not connected yet.

        Args:
            context: what it shares with the other charge points of its shard.
            dialect: the version of OCPP it speaks.
            settings: what it has in common with the other charge points of its fleet.
            identity: as the CSMS knows it.
            number: distinct within the run; begins its message ids and picks its source address.
            fleet: the name of its fleet; with *n* and the seed it keys the random draws.
            n: its number within the fleet, from 0.
            fleet_size: how many charge points the fleet has.
            password: for basic auth, where it has one of its own.
            tags: the id tags of the drivers that come to it.
        """
        super().__init__(context, settings, identity, number, fleet, n)
        self.dialect = dialect
        self.fleet_size = fleet_size
        self.password = password
        self.ping_interval = settings.ping
        """Seconds between WebSocket pings; None: none are sent."""
        self.pinging: Pings | None = None
        self.tags = tags
        self._csms_time: tuple[str, float] | None = None
        self.memory: Any = dialect.memory()
        """What the dialect must remember: registration, configuration."""
        self.lives = 0
        self.living_since = 0.0
        self._at_stop: list[Callable[[], Awaitable[None]]] | None = None
        self._tasks: Company | None = None

    def adopt_clock(self, csms_time: str) -> None:
        """Set the clock by the CSMS's: *csms_time*, RFC 3339 with an offset, is now."""
        # Kept as text: it comes with every Heartbeat, and few timestamps are asked for.
        self._csms_time = csms_time, trio.current_time()

    def now(self) -> datetime:
        """Return the time of day in UTC as this charge point knows it: its CSMS's, once it was told."""
        if self._csms_time is None:
            return self.context.clock.wall()
        text, at = self._csms_time
        return moved_on(text, trio.current_time() - at)

    # Its life.

    async def live(self, since: float | None = None) -> None:
        """Be online until `stop`; connections that break are made again.

        *since* is when this was to begin, in seconds of the run, and what falls due by a schedule counts from
        there; None is now.
        """
        self.stopped_at = None
        self._leaving = None
        self.lives += 1
        self.living_since = self.context.clock.elapsed if since is None else since
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                try:
                    if self.context.preflight is not None:
                        self.spawn(self._begin_with_the_run, self.context.preflight)
                    else:
                        await self.dialect.living(self)
                    await self._keep_connected(nursery)
                finally:
                    self._nursery = None  # it may be closed before this task goes on, and timers still fall due
        finally:
            self._tasks = self._beside = self._at_stop = None
            self._enter("")
            if self.trouble is not None:
                self.trouble.end(gone=self._went_before_the_end)
                self.trouble = None
            if self.context.ended_at is None:
                self.dialect.gone(self)

    def spawn(self, task: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run *task* in the background until `stop`, across connections; it never raises."""
        if self._nursery is not None and not self.stopping:
            if self._tasks is None:
                self._tasks = Company()
            self._tasks.start(self._nursery, task, *args)

    def start(self, task: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run *task* in the background, which ends by itself soon after `stop`; it never raises.

        A scope to cancel it with, as `spawn` has, takes as long as the task itself: 4 us.
        """
        if self._nursery is not None and not self.stopping:
            self._nursery.start_soon(task, *args)

    @property
    def alive(self) -> bool:
        """Whether `live` has not come to its end, be it by a mistake: else `spawn` starts nothing."""
        return self._nursery is not None

    def fail(self, mistake: Exception) -> None:
        """End the life of this charge point, and no other, with a mistake of loadsim's own."""
        if self._nursery is not None:
            self._nursery.start_soon(_raise, mistake)

    def run_at_stop(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run *task* when `stop` is called, once; it never raises."""
        if self._at_stop is None:
            self._at_stop = []
        self._at_stop.append(task)

    def stop(self) -> None:
        """Let nothing more fall due; the open call is awaited, then the connection is closed."""
        if self.stopped_at is None:
            ended_at = self.context.ended_at
            self.stopped_at = self.context.clock.elapsed if ended_at is None else ended_at
            self._linked_at_stop = self.linked
            self._count_online(False)  # however long it takes to go: the plan does not want it online any more
        if self.is_silent and self.link is not None and self.context.ended_at is None:
            self.link.fail_open_call("connection_lost taken offline while the connection was half open")
        self._interrupt()
        if self._tasks is not None:
            self._tasks.dismiss()
        if self._nursery is not None:
            tasks, self._at_stop = self._at_stop or (), None
            for task in tasks:
                self._nursery.start_soon(task)

    def give_up(self) -> None:
        """Give up the open call: the end of the run does not wait for it any longer."""
        if self.link is not None:
            self.link.fail_open_call("open_at_end given up at the end of the run")

    @property
    def _went_before_the_end(self) -> bool:
        ended_at = self.context.ended_at
        return ended_at is None or (self.stopped_at is not None and self.stopped_at < ended_at)

    async def _begin_with_the_run(self, preflight: Preflight) -> None:
        await preflight.begun.wait()
        await self.dialect.living(self)

    async def _say_last_words(self) -> None:
        """Let a charge point that is taken offline by the plan, in the middle of the run, end what it has begun."""
        if self.stopping and self.context.ended_at is None and self.dialect.leaving is not None:
            await self.dialect.leaving(self)

    def _behave(self) -> Awaitable[None]:
        return self.dialect.connected(self)

    def _go_on(self) -> Routine:
        return self.dialect.routine(self)

    def _disconnected(self) -> None:
        self.dialect.disconnected(self)

    def _linked(self) -> None:
        start_pings(self)

    async def _obey(self, link: Link, call: Call | AskedBadly, received_at: float) -> None:
        await answer(self, link, call, received_at)

    def _came_late(self, text: str) -> None:
        self.dialect.late(self, text)


async def _raise(mistake: Exception) -> None:
    raise mistake
