"""One charge point: its identity, its connections one after the other, and calls that are timed and counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Literal

import trio

from loadsim.charge_point.answering import answer
from loadsim.charge_point.caller import Caller
from loadsim.charge_point.context import Context, moved_on
from loadsim.charge_point.dialect import Dialect
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.incidents import count_lost, count_refused, count_stray
from loadsim.charge_point.pings import start_pings
from loadsim.charge_point.preflight import Finding
from loadsim.charge_point.reconnect import wait_before_try
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.charge_point.tags import TagPool
from loadsim.link.link import Link
from loadsim.link.transport import ConnectFailed, Slowness
from loadsim.ocpp.frame import Call
from loadsim.ocpp.rpc import AskedBadly, Rpc, Stray

# A CSMS may have one unanswered CALL (section 4.1.1); more than these are a flood, and only counted.
_MOST_ANSWERS_AT_A_TIME: Final = 32

State = Literal["", "booting", "online", "backing_off"]


class ChargePoint(Caller):
    """A simulated charge point. `live` is its life; everything else serves its dialect's behaviours."""

    __slots__ = (
        "_answering",
        "_counts_online",
        "_csms_time",
        "_doing",
        "_living",
        "_nursery",
        "_online_since",
        "_rebooting",
        "_rpc",
        "_state",
        "_tasks",
        "connections",
        "dialect",
        "fleet",
        "fleet_size",
        "lives",
        "living_since",
        "memory",
        "n",
        "number",
        "password",
        "ping_interval",
        "pinging",
        "slowness",
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
        super().__init__(context, settings, identity)
        self.dialect = dialect
        self.number = number
        self.fleet = fleet
        self.n = n
        self.fleet_size = fleet_size
        self.password: str | bytes | None = password
        """For basic auth, where it has one of its own; bytes are an AuthorizationKey that the CSMS has set."""
        self.ping_interval = settings.ping
        """Seconds between WebSocket pings; None: none are sent."""
        self.pinging: trio.CancelScope | None = None
        self.slowness: Slowness | None = None
        """How slow its way to the CSMS is; a connection that it makes meanwhile is so from the start."""
        self.tags = tags
        self.connections = 0
        self._csms_time: tuple[str, float] | None = None
        self.memory: Any = dialect.memory()
        """What the dialect must remember: registration, configuration."""
        self.lives = 0
        self.living_since = 0.0
        self._rpc = Rpc(f"{context.run_id}{number:x}-", any_id_answers=settings.framing == "object")
        self._state: State = ""
        self._online_since = 0.0
        self._counts_online = False
        self._doing: trio.CancelScope | None = None
        self._living: trio.CancelScope | None = None
        self._nursery: trio.Nursery | None = None
        self._tasks: set[trio.CancelScope] | None = None
        self._rebooting: tuple[float, bool] | None = None
        self._answering = 0

    # What a connector asks of it (link.transport.ConnectRequest).

    @property
    def subprotocol(self) -> str:
        """What to offer at the handshake."""
        return self.settings.subprotocol

    def draws(self, purpose: str) -> Draws:
        """Return this charge point's own random stream for *purpose*, from its beginning."""
        return Draws(self.context.seed, self.fleet, self.n, purpose)

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
        self._rebooting = None
        self.lives += 1
        self.living_since = self.context.clock.elapsed if since is None else since
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._do_for_life)
                await self._keep_connected()
        finally:
            self._nursery = None
            self._enter("")
            if self.context.ended_at is None:
                self.dialect.gone(self)

    def spawn(self, task: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run *task* in the background until `stop`, across connections; it never raises."""
        if self._nursery is not None and not self.stopping:
            self._nursery.start_soon(self._run_until_stop, task, args)

    async def _run_until_stop(self, task: Callable[..., Awaitable[None]], args: tuple[object, ...]) -> None:
        if self._tasks is None:
            self._tasks = set()
        with trio.CancelScope() as scope:
            self._tasks.add(scope)
            if self.stopping:  # since it was spawned; it begins all the same, for it may have to tidy up
                scope.cancel()
            try:
                await task(*args)
            finally:
                self._tasks.discard(scope)

    def reboot(self, seconds: float, *, abrupt: bool = False) -> None:
        """Hang up, be away for *seconds* and connect again; *abrupt* is without a closing handshake."""
        self._rebooting = seconds, abrupt
        if self._doing is not None:
            self._doing.cancel()

    def stop(self) -> None:
        """Let nothing more fall due; the open call is awaited, then the connection is closed."""
        if self.stopped_at is None:
            ended_at = self.context.ended_at
            self.stopped_at = self.context.clock.elapsed if ended_at is None else ended_at
            self._linked_at_stop = self.linked
            self._count_online(False)  # however long it takes to go: the plan does not want it online any more
        for scope in (self._living, self._doing, *(self._tasks or ())):
            if scope is not None:
                scope.cancel()

    def give_up(self) -> None:
        """Give up the open call: the end of the run does not wait for it any longer."""
        if self.link is not None:
            self.link.fail_open_call("open_at_end given up at the end of the run")

    @property
    def online_since(self) -> float:
        """When the charge point last came online, in seconds of the run."""
        return self._online_since

    async def _do_for_life(self) -> None:
        if self.stopping:
            return  # stopped before it could begin
        with trio.CancelScope() as self._living:
            if self.context.preflight is not None:
                await self.context.preflight.begun.wait()
            await self.dialect.living(self)

    async def _keep_connected(self) -> None:
        jitter = self.draws("reconnect")
        backoff = self.settings.reconnect
        failures = 0
        while not self.stopping:
            if self._rebooting is not None:
                away, self._rebooting, failures = self._rebooting[0], None, 0
                self._enter("booting")
                with trio.CancelScope() as self._doing:
                    await self.context.sleep_until(self.context.clock.elapsed + away)
                continue
            async with trio.open_nursery() as nursery:
                try:
                    await self._connection(nursery)
                finally:
                    if self.link is not None:  # ended at once, in the middle of it
                        await self.link.transport.abort()
                nursery.cancel_scope.cancel()
            if self.context.preflight is not None and not self.stopping:
                with trio.CancelScope() as self._doing:
                    await self.context.preflight.begun.wait()
            if self.stopping:
                return
            if self._rebooting is not None:
                continue
            # A CSMS that closes what it just opened must see a growing wait too.
            lasted = self._state == "online" and self.context.clock.elapsed - self._online_since >= backoff.first
            failures = 1 if lasted else failures + 1
            self._enter("backing_off")
            with trio.CancelScope() as self._doing:
                wait = wait_before_try(backoff, failures, jitter.uniform())
                await self.context.sleep_until(self.context.clock.elapsed + wait)

    async def _connection(self, nursery: trio.Nursery) -> None:
        """Connect, behave until the connection is lost or the charge point is stopped, hang up."""
        self._enter("booting")
        link = None
        with trio.CancelScope() as self._doing:
            link = await self._connect(nursery)
            if link is not None:
                await self.dialect.connected(self)
        if link is None:
            return
        abrupt = self._rebooting is not None and self._rebooting[1]
        if link.lost is None and not abrupt:
            await self._turn.take()  # the open call, of whichever behaviour, has its answer first
            self._turn.release()
            await self._say_last_words()
        self.link = None
        if link.lost is None:
            self.context.recorder.counters["connections.closed"] += 1
            if abrupt:
                nursery.cancel_scope.cancel()  # nothing is read any more: an answer in the buffer is no late one
                link.fail_open_call("connection_lost the charge point lost its power, or was reset")
                await link.transport.abort()
            else:
                await link.transport.aclose()
        else:
            count_lost(self.context, self.identity, link.lost)
            if self.context.preflight is not None:
                self.context.preflight.failed(Finding(self.identity, "boot", "connection_lost", str(link.lost)))
            await link.transport.abort()
        self.context.connections -= 1

    async def _say_last_words(self) -> None:
        """Let a charge point that is taken offline by the plan, in the middle of the run, end what it has begun."""
        if self.stopping and self.context.ended_at is None and self.dialect.leaving is not None:
            await self.dialect.leaving(self)

    async def _connect(self, nursery: trio.Nursery) -> Link | None:
        recorder = self.context.recorder
        async with self.context.throttle:
            if self.context.ended_at is not None:
                await trio.sleep_forever()  # no connection is due any more; `stop` comes soon
            recorder.counters["connections.attempted"] += 1
            self.context.connections += 1
            try:
                transport = await self.context.connector.connect(nursery, self)
            except ConnectFailed as failed:
                self.context.connections -= 1
                count_refused(self.context, self.identity, failed)
                if self.context.preflight is not None:
                    self.context.preflight.failed(Finding(self.identity, "connect", failed.outcome, failed.detail))
                return None
            except trio.Cancelled:
                self.context.connections -= 1
                recorder.counters["connections.abandoned"] += 1
                raise
        recorder.counters["connections.opened"] += 1
        recorder.connect.append(transport.connect_seconds)
        recorder.handshake.append(transport.handshake_seconds)
        self.connections += 1
        link = Link(transport, self._rpc, recorder.counters, framing=self.settings.framing)
        self.link = link
        nursery.start_soon(self._read, nursery, link)
        start_pings(self, nursery.start_soon)
        return link

    async def _read(self, nursery: trio.Nursery, link: Link) -> None:
        def asked(call: Call | AskedBadly) -> None:
            if self._answering < _MOST_ANSWERS_AT_A_TIME:
                self._answering += 1
                nursery.start_soon(self._answer, link, call, link.last_traffic)
            else:
                self.context.recorder.counters["commands.overflow.received"] += 1
                self.context.recorder.counters["commands.overflow.ignored"] += 1

        def stray(stray: Stray, text: str | bytes) -> None:
            count_stray(self.context, self.identity, stray, text)
            if stray.kind == "late" and isinstance(text, str):
                self.dialect.late(self, text)

        await link.read(asked, stray)
        if self._doing is not None:
            self._doing.cancel()

    async def _answer(self, link: Link, call: Call | AskedBadly, received_at: float) -> None:
        preflight = self.context.preflight
        try:
            if preflight is not None and self.identity not in preflight.untried:
                await preflight.begun.wait()  # what it sets off belongs to the run
            await answer(self, link, call, received_at)
        finally:
            self._answering -= 1

    # Bookkeeping.

    def online(self) -> None:
        """Say that the socket is open and the boot accepted."""
        self._online_since = self.context.clock.elapsed
        self._enter("online")
        self.context.connectors_freed += 1  # those of a charge point that was away can be found again
        self.context.most_online = max(self.context.most_online, self.context.states["online"])

    def _enter(self, state: State) -> None:
        states = self.context.states
        if self._state:
            states[self._state] -= 1
        self._state = state
        if state:
            states[state] += 1
        self._count_online(state == "online" and not self.stopping)

    def _count_online(self, online: bool) -> None:
        if online != self._counts_online:
            self._counts_online = online
            self.context.recorder.online_time.change(self.context.clock.elapsed, 1 if online else -1)
