"""One charge point: its identity, its connections one after the other, and calls that are timed and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import msgspec
import trio

from loadsim.charge_point.context import Context
from loadsim.charge_point.dialect import Dialect, Reply
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.reconnect import wait_before_try
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.charge_point.tags import TagPool
from loadsim.link.link import CallFailed, Link
from loadsim.link.transport import ConnectFailed, ConnectionLost
from loadsim.link.websocket import EXHAUSTED
from loadsim.metrics.calls import CallSeries
from loadsim.ocpp import frame
from loadsim.ocpp.action import Action, InvalidPayload, Verdict, encode_payload
from loadsim.ocpp.frame import Call
from loadsim.ocpp.rpc import AskedBadly, Rpc, Stray

# A CSMS may have one unanswered CALL (section 4.1.1); more than these are a flood, and only counted.
_MOST_ANSWERS_AT_A_TIME: Final = 32

State = Literal["", "booting", "online", "backing_off"]


class ChargePoint:
    """A simulated charge point. `live` is its life; everything else serves its dialect's behaviours."""

    __slots__ = (
        "_answering",
        "_csms_time",
        "_doing",
        "_linked_at_stop",
        "_living",
        "_online_since",
        "_rpc",
        "_state",
        "_turn",
        "connections",
        "context",
        "dialect",
        "fleet",
        "identity",
        "link",
        "memory",
        "n",
        "number",
        "password",
        "settings",
        "stopped_at",
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
            password: for basic auth, where it has one of its own.
            tags: the id tags of the drivers that come to it.
        """
        self.context = context
        self.dialect = dialect
        self.settings = settings
        self.identity = identity
        self.number = number
        self.fleet = fleet
        self.n = n
        self.password = password
        self.tags = tags
        self.link: Link | None = None
        self.connections = 0
        self._csms_time: tuple[str, float] | None = None
        self.memory: Any = dialect.memory()
        """What the dialect must remember: registration, configuration."""
        self.stopped_at: float | None = None
        """When `stop` was called, in seconds of the run: what falls due later is not due."""
        self._rpc = Rpc(f"{context.run_id}{number:x}-", any_id_answers=settings.framing == "object")
        self._turn = trio.Lock()
        self._state: State = ""
        self._online_since = 0.0
        self._linked_at_stop = False
        self._doing: trio.CancelScope | None = None
        self._living: trio.CancelScope | None = None
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
        self._csms_time = csms_time, self.context.clock.elapsed

    def now(self) -> datetime:
        """Return the time of day in UTC as this charge point knows it: its CSMS's, once it was told.

        A CSMS may name a time at either end of the calendar: there the clock stands still.
        """
        if self._csms_time is None:
            return self.context.clock.wall()
        text, at = self._csms_time
        told = datetime.fromisoformat(text.upper())
        try:
            return told.astimezone(UTC) + timedelta(seconds=self.context.clock.elapsed - at)
        except OverflowError:
            return (datetime.min if told.year == 1 else datetime.max).replace(tzinfo=UTC)

    # Its life.

    async def live(self) -> None:
        """Be online until `stop`; connections that break are made again."""
        self.stopped_at = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._do_for_life)
                await self._keep_connected()
        finally:
            self._enter("")

    def stop(self) -> None:
        """Let nothing more fall due; the open call is awaited, then the connection is closed."""
        if self.stopped_at is None:
            ended_at = self.context.ended_at
            self.stopped_at = self.context.clock.elapsed if ended_at is None else ended_at
            self._linked_at_stop = self.linked
        for scope in (self._living, self._doing):
            if scope is not None:
                scope.cancel()

    def abandon(self) -> None:
        """Give up the open call too: the end of the run does not wait for it any longer."""
        self.stop()
        if self.link is not None:
            self.link.fail_open_call("open_at_end given up at the end of the run")

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self.stopped_at is not None

    @property
    def _over_at(self) -> float | None:
        """When things ceased to fall due, in seconds of the run; None while they still do."""
        return self.context.ended_at if self.stopped_at is None else self.stopped_at

    @property
    def linked(self) -> bool:
        """Whether there is a connection that has not ended."""
        return self.link is not None and self.link.lost is None

    async def _do_for_life(self) -> None:
        if self.stopping:
            return  # stopped before it could begin
        with trio.CancelScope() as self._living:
            await self.dialect.living(self)

    async def _keep_connected(self) -> None:
        jitter = self.draws("reconnect")
        backoff = self.settings.reconnect
        failures = 0
        while not self.stopping:
            async with trio.open_nursery() as nursery:
                await self._connection(nursery)
                nursery.cancel_scope.cancel()
            if self.stopping:
                return
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
        if link.lost is None:
            await self._turn.acquire()  # the open call, of whichever behaviour, has its answer first
            self._turn.release()
        self.link = None
        if link.lost is None:
            self.context.recorder.counters["connections.closed"] += 1
            await link.transport.aclose()
        else:
            self._count_lost(link.lost)
            await link.transport.abort()
        self.context.connections -= 1

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
                self._count_refused(failed)
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
        if self.settings.ping is not None:
            nursery.start_soon(self._ping, link, self.settings.ping)
        return link

    async def _read(self, nursery: trio.Nursery, link: Link) -> None:
        def asked(call: Call | AskedBadly) -> None:
            if self._answering < _MOST_ANSWERS_AT_A_TIME:
                self._answering += 1
                nursery.start_soon(self._answer, link, call)
            else:
                self.context.recorder.counters["commands.overflow.received"] += 1
                self.context.recorder.counters["commands.overflow.ignored"] += 1

        await link.read(asked, self._stray)
        if self._doing is not None:
            self._doing.cancel()

    async def _ping(self, link: Link, every: float) -> None:
        try:
            while True:
                await trio.sleep(every)
                await link.transport.ping()
        except ConnectionLost:
            return  # the reader says so too

    # Calls of its own.

    async def call(
        self,
        action: Action,
        request: msgspec.Struct,
        *,
        due: float,
        tag_class: str = "",
        expected: Callable[[Any], bool] | None = None,
        allowed: Callable[[ChargePoint], bool] | None = None,
    ) -> Any:
        """Send a request that fell due at *due* (seconds of the run), wait for the answer, count and time it.

        Args:
            action: the row of the request.
            request: its Struct.
            due: when its behaviour wanted it.
            tag_class: counts it under a class of tags as well.
            expected: whether the answer is the one that was expected.
            allowed: asked when it is this call's turn; False means the charge point may not send it now.

        Returns:
            The answer's Struct.

        Raises:
            CallFailed: no valid answer, or not sent at all (cause "skipped_offline").
        """
        context = self.context
        if self._over_at is not None and due > self._over_at:
            await trio.sleep_forever()  # not due any more; the end of this task comes soon
        series = context.recorder.series(context.stage_at(due), action.name, tag_class)
        series.planned += 1
        try:
            if self._turn.locked():
                await self._turn.acquire()
            else:  # mostly; without the checkpoint that would cost a pass through the scheduler
                await trio.lowlevel.checkpoint_if_cancelled()
                self._turn.acquire_nowait()
            if self._over_at is not None:
                self._turn.release()
                await trio.sleep_forever()
        except trio.Cancelled:
            self._never_sent(series, due)
            raise
        try:
            link = self.link
            if link is None or link.lost is not None or (allowed is not None and not allowed(self)):
                series.skipped_offline += 1
                raise CallFailed("skipped_offline", "not online", at=self.context.clock.elapsed)
            return await self._send(link, action, request, series, due, expected)
        finally:
            self._turn.release()

    async def _send(
        self,
        link: Link,
        action: Action,
        request: msgspec.Struct,
        series: CallSeries,
        due: float,
        expected: Callable[[Any], bool] | None,
    ) -> Any:
        clock = self.context.clock
        sent = clock.elapsed
        series.sent += 1
        self.context.open_calls += 1
        try:
            payload, at, text = await link.call(
                action.name, encode_payload(request), timeout=self.settings.call_timeout
            )
            try:
                response = action.decode_response(payload)
            except InvalidPayload as error:
                raise CallFailed("malformed", str(error), at=at, frame=text) from error
        except CallFailed as failed:
            ended = failed.at - clock.trio_time(0.0)
            setattr(series, failed.cause, getattr(series, failed.cause) + 1)
            series.response.append(ended - due)
            shown = failed.frame or encode_payload(request)
            self.context.recorder.example(ended, self.identity, action.name, failed.cause, failed.detail, shown)
            raise
        finally:
            self.context.open_calls -= 1
        ended = at - clock.trio_time(0.0)
        series.response.append(ended - due)
        series.service.append(ended - sent)
        self._judge(series, action.verdict(response))
        if expected is not None and not expected(response):
            series.unexpected += 1
        return response

    @staticmethod
    def _judge(series: CallSeries, verdict: Verdict) -> None:
        if verdict is Verdict.ACCEPTED:
            series.accepted += 1
        elif verdict is Verdict.REJECTED:
            series.rejected += 1
        else:
            series.pending += 1

    def leave_unsent(self, action: Action, dues: Iterable[float], tag_class: str = "") -> None:
        """Count calls that fell due and will not be sent: the charge point stops, or lost its connection."""
        over_at = self._over_at
        for due in dues:
            if over_at is not None and due > over_at:
                continue  # nothing falls due any more
            series = self.context.recorder.series(self.context.stage_at(due), action.name, tag_class)
            series.planned += 1
            self._never_sent(series, due)

    def _never_sent(self, series: CallSeries, due: float) -> None:
        # Of a charge point that stops, what counts is how it was then: its link ends while its tasks do.
        linked = self._linked_at_stop if self.stopping else self.linked
        if self._over_at is not None and linked:
            series.waiting_at_end += 1
            drained_at = self.context.drained_at
            series.response.append((self.context.clock.elapsed if drained_at is None else drained_at) - due)
        else:
            series.skipped_offline += 1

    # Calls of the CSMS.

    async def _answer(self, link: Link, call: Call | AskedBadly) -> None:
        """Answer a call from the CSMS; in a task of its own, so that the reader never waits for it."""
        try:
            if isinstance(call, AskedBadly):
                await self._refuse(link, call)
            else:
                await self._obey(link, call)
        except (ConnectionLost, CallFailed):
            return  # counted where the connection ends, and where the call failed
        finally:
            self._answering -= 1

    async def _refuse(self, link: Link, call: AskedBadly) -> None:
        if self.dialect.answers(self):
            await link.send(frame.encode_error(call.id, "FormationViolation", call.reason))

    async def _obey(self, link: Link, call: Call) -> None:
        counters = self.context.recorder.counters
        action = self.dialect.actions.get(call.action)
        name = call.action if action is not None else "unknown"
        counters[f"commands.{name}.received"] += 1
        reply = self._reply(call, action)
        if reply is None:
            counters[f"commands.{name}.ignored"] += 1
            return
        if not isinstance(reply, Reply):
            counters[f"commands.{name}.refused"] += 1
            await link.send(frame.encode_error(call.id, *reply))
            return
        if action is not None and action.verdict(reply.response) is Verdict.REJECTED:
            counters[f"commands.{name}.refused"] += 1
        await link.send(frame.encode_result(call.id, encode_payload(reply.response)))
        if reply.then is not None:
            await reply.then(self)

    def _reply(self, call: Call, action: Action | None) -> Reply | tuple[str, str] | None:
        """Return a reply, a CALLERROR's code and description, or None: not to be answered at all."""
        if not self.dialect.answers(self):
            return None
        command = self.dialect.commands.get(call.action)
        if action is None or command is None:
            return "NotImplemented", f"{call.action[:50]} is not implemented"
        try:
            return command(self, action.decode_request(call.payload))
        except InvalidPayload as error:
            return error.code, str(error)

    # Bookkeeping.

    def online(self) -> None:
        """Say that the socket is open and the boot accepted."""
        self._online_since = self.context.clock.elapsed
        self._enter("online")

    def _enter(self, state: State) -> None:
        states = self.context.states
        if self._state:
            states[self._state] -= 1
        self._state = state
        if state:
            states[state] += 1

    def _count_refused(self, failed: ConnectFailed) -> None:
        recorder = self.context.recorder
        recorder.counters[f"connections.refused.{failed.outcome}"] += 1
        if failed.outcome in EXHAUSTED:
            recorder.counters[f"generator.exhausted.{failed.outcome}"] += 1
        recorder.example(self.context.clock.elapsed, self.identity, "connect", failed.outcome, failed.detail)

    def _count_lost(self, lost: ConnectionLost) -> None:
        recorder = self.context.recorder
        recorder.counters[f"connections.lost.{lost.code}"] += 1
        recorder.example(self.context.clock.elapsed, self.identity, "connection", str(lost.code), str(lost))

    def _stray(self, stray: Stray, text: str | bytes) -> None:
        recorder = self.context.recorder
        recorder.counters[f"strays.{stray.kind}"] += 1
        recorder.example(self.context.clock.elapsed, self.identity, "stray", stray.kind, stray.reason, text)
