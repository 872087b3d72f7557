"""The part of a charge point that connects: one connection after the other, and how each of them ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from typing import Final, Literal, NamedTuple

import trio

from loadsim.charge_point.caller import Caller
from loadsim.charge_point.company import Company
from loadsim.charge_point.context import Context
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.incidents import count_lost, count_refused, count_stray
from loadsim.charge_point.malformed import DUPLICATE, LARGE, malformed
from loadsim.charge_point.preflight import Finding
from loadsim.charge_point.reconnect import wait_before_try
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.link.link import Link
from loadsim.link.transport import ConnectFailed, ConnectionLost, Slowness, Transport
from loadsim.ocpp.frame import Call
from loadsim.ocpp.rpc import AskedBadly, Provoked, Rpc, Stray

# A CSMS may have one unanswered CALL (section 4.1.1); more than these are a flood, and only counted.
_MOST_ANSWERS_AT_A_TIME: Final = 32

State = Literal["", "booting", "online", "backing_off"]


class _Leaving(NamedTuple):
    """Why a connection is to end before the charge point is stopped.

    *away* is seconds until it connects again after a reboot; None is a drop, after which it does as its schedule has
    it. *why* is told of the open call, which ends with the connection; with None the call has its answer first.
    """

    how: Literal["close", "abort", "reset"]
    why: str | None
    away: float | None = None


_SILENT: Final = _Leaving("abort", "taken offline while the connection was half open")
_DROPPED: Final = "a planned fault dropped the connection"
_NO_POWER: Final = "the charge point lost its power, or was reset"


class Connecting(Caller, ABC):
    """A charge point as far as its connections go; what it does with them is its dialect's."""

    __slots__ = (
        "_answering",
        "_beside",
        "_counts_online",
        "_doing",
        "_leaving",
        "_nursery",
        "_online_since",
        "_rpc",
        "_state",
        "connections",
        "fleet",
        "n",
        "number",
        "password",
    )

    def __init__(
        self, context: Context, settings: ChargePointSettings, identity: str, number: int, fleet: str, n: int
    ) -> None:
        super().__init__(context, settings, identity)
        self.number = number
        self.fleet = fleet
        self.n = n
        self.password: str | bytes | None = None
        """For basic auth, where it has one of its own; bytes are an AuthorizationKey that the CSMS has set."""
        self.connections = 0
        self._rpc = Rpc(f"{context.run_id}{number:x}-", any_id_answers=settings.framing == "object")
        self._state: State = ""
        self._online_since = 0.0
        self._counts_online = False
        self._doing: trio.CancelScope | None = None
        self._leaving: _Leaving | None = None
        self._nursery: trio.Nursery | None = None
        self._beside: Company | None = None
        self._answering = 0

    # What a connector asks of it (link.transport.ConnectRequest).

    @property
    def subprotocol(self) -> str:
        """What to offer at the handshake."""
        return self.settings.subprotocol

    @property
    def slowness(self) -> Slowness | None:
        """How slow the way to the CSMS is, where a planned fault has made it so."""
        return None if self.trouble is None else self.trouble.slowness

    def draws(self, purpose: str) -> Draws:
        """Return this charge point's own random stream for *purpose*, from its beginning."""
        return Draws(self.context.seed, self.fleet, self.n, purpose)

    # What it does with a connection.

    @abstractmethod
    def _behave(self) -> Awaitable[None]:
        """Do what a charge point does while a connection is open, until cancelled."""

    @abstractmethod
    async def _say_last_words(self) -> None:
        """End what was begun, before the charge point hangs up."""

    @abstractmethod
    def _linked(self) -> None:
        """Begin what goes on beside all behaviours as long as the connection is open."""

    @abstractmethod
    async def _obey(self, link: Link, call: Call | AskedBadly, received_at: float) -> None:
        """Answer a call from the CSMS."""

    @abstractmethod
    def _came_late(self, text: str) -> None:
        """Take in an answer that came after its call had ended."""

    # How connections end.

    @property
    def linked(self) -> bool:
        """Whether there is a connection that has not ended, and is not just being ended without a last word."""
        return super().linked and (self._leaving is None or self._leaving.why is None)

    @property
    def reachable(self) -> bool:
        """Whether it has a connection, and is not about to end it."""
        return self.linked and self._leaving is None and not self.over

    @property
    def is_silent(self) -> bool:
        """Whether its connection is half open on purpose."""
        return self.link is not None and self.link.transport.held

    @property
    def is_online(self) -> bool:
        """Whether the socket is open and the boot accepted."""
        return self._state == "online" and self.reachable

    def reboot(self, seconds: float, *, abrupt: bool = False) -> None:
        """Hang up, be away for *seconds* and connect again; *abrupt* is without a closing handshake."""
        self._leave(_Leaving("abort" if abrupt else "close", _NO_POWER if abrupt else None, seconds))

    def drop(self, how: Literal["close", "reset"]) -> None:
        """End the connection at once, with a closing handshake or a TCP reset, and connect again by the schedule.

        The open call ends with it; the registration, transactions, and what waits to be sent are kept.
        """
        self._leave(_Leaving(how, _DROPPED))

    def _leave(self, leaving: _Leaving) -> None:
        if self.trouble is not None:
            self.trouble.hits.hung_up()
        self._leaving = leaving
        why = _SILENT.why if leaving.why is None and self.is_silent else leaving.why
        if why is not None and self.link is not None:  # its behaviours end when the open call has
            self.link.fail_open_call(f"connection_lost {why}")
        if self._doing is not None:
            self._doing.cancel()

    async def send_malformed(self, kind: str, uniform: float, begins: Callable[[], None]) -> None:
        """Send a message of *kind* between two calls; *begins* is called when it goes out, if it does.

        *uniform*, from [0, 1), chooses among the variants of the kind. Of large messages a few go out at a time.
        """
        async with self.context.large_messages if kind in LARGE else nullcontext():
            await self._turn.take()
            try:
                link = self.link
                message_id = self._rpc.last_id if kind == DUPLICATE else self._rpc.new_id()
                if link is None or not self.reachable or self.is_silent or message_id is None:
                    return
                built = malformed(kind, message_id, uniform)
                self._rpc.provoke(built.message_id, nameless=built.nameless)
                begins()
                traffic = self.context.recorder.traffic
                traffic.messages_sent += 1
                traffic.bytes_sent += len(built.message)  # all of them are ASCII
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._give_up_sending, nursery.cancel_scope)
                    with suppress(ConnectionLost):  # the reader says so too
                        await link.transport.send_raw(built.message, frames=built.frames)
                    nursery.cancel_scope.cancel()
            finally:
                self._turn.release()

    async def _give_up_sending(self, sending: trio.CancelScope) -> None:
        """End the connection, in the middle of a malformed message, when it cannot be sent in the time of a call."""
        await trio.sleep(self.settings.call_timeout)
        if self.trouble is not None and not self.over:
            self.trouble.hits.gave_up()
        sending.cancel()

    # One connection after the other.

    async def _keep_connected(self, nursery: trio.Nursery) -> None:
        jitter = self.draws("reconnect")
        failures = 0
        retry = False
        while not self.stopping:
            if self._leaving is not None and self._leaving.away is not None:
                away, self._leaving, failures, retry = self._leaving.away, None, 0, False
                self._enter("booting")
                with trio.CancelScope() as self._doing:
                    await self.context.sleep_until(self.context.clock.elapsed + away)
                continue
            self._leaving = None
            if self._cut_off_until > self.context.clock.elapsed:  # it was rebooted meanwhile, and tries in vain
                failures += 1
                await self._back_off(failures, jitter)
                continue
            try:
                await self._connection(nursery, retry)
            finally:
                if self.link is not None:  # ended at once, in the middle of it
                    await self.link.transport.abort()
            if self._beside is not None:
                self._beside.dismiss()
                await self._beside.gone()
                self._beside = None
            if self.context.preflight is not None and not self.stopping:
                with trio.CancelScope() as self._doing:
                    await self.context.preflight.begun.wait()
            if self.stopping:
                return
            if self._leaving is not None and self._leaving.away is not None:
                continue
            # A CSMS that closes what it just opened must see a growing wait too.
            online = self.context.clock.elapsed - self._online_since
            lasted = self._state == "online" and online >= self.settings.reconnect.first
            failures = 1 if lasted else failures + 1
            retry = True
            await self._back_off(failures, jitter)

    @property
    def _cut_off_until(self) -> float:
        return 0.0 if self.trouble is None else self.trouble.cut_off_until

    async def _back_off(self, failures: int, jitter: Draws) -> None:
        """Wait before the next try; the schedule begins when a fault lets it."""
        self._enter("backing_off")
        with trio.CancelScope() as self._doing:
            begin = max(self.context.clock.elapsed, self._cut_off_until)
            wait = wait_before_try(self.settings.reconnect, failures, jitter.uniform())
            await self.context.sleep_until(begin + wait, in_crowd=True)

    async def _connection(self, nursery: trio.Nursery, retry: bool) -> None:
        """Connect, behave until the connection is lost or the charge point is stopped, hang up."""
        self._enter("booting")
        link = None
        with trio.CancelScope() as self._doing:
            link = await self._connect(nursery, retry)
            if link is not None:
                await self._behave()
        if link is None:
            return
        leaving = _SILENT if self.is_silent and not self._is_abrupt else self._leaving
        if link.lost is None and (leaving is None or leaving.why is None):
            await self._turn.take()  # the open call, of whichever behaviour, has its answer first
            self._turn.release()
            await self._say_last_words()
        self.link = None
        if link.lost is None:
            self.context.recorder.counters["connections.closed"] += 1
            await self._hang_up(link, leaving)
        else:
            count_lost(self.context, self.identity, link.lost)
            if self.context.preflight is not None:
                self.context.preflight.failed(Finding(self.identity, "boot", "connection_lost", str(link.lost)))
            await link.transport.abort()
        self.context.connections -= 1

    @property
    def _is_abrupt(self) -> bool:
        return self._leaving is not None and self._leaving.how != "close"

    async def _hang_up(self, link: Link, leaving: _Leaving | None) -> None:
        """End a connection that holds, as *leaving* has it; None: the charge point is stopped."""
        if self._beside is not None and leaving is not None and leaving.how != "close":
            self._beside.dismiss()
        if leaving is not None and leaving.why is not None:
            link.fail_open_call(f"connection_lost {leaving.why}")
        if leaving is None or leaving.how == "close":
            await link.transport.aclose()
        elif leaving.how == "reset":
            await link.transport.reset()
        else:
            await link.transport.abort()

    async def _open(self, nursery: trio.Nursery) -> Transport:
        context = self.context
        if context.preflight is not None:
            return await context.preflight.connect(context.connector, nursery, self)
        return await context.connector.connect(nursery, self)

    async def _connect(self, nursery: trio.Nursery, retry: bool) -> Link | None:
        recorder = self.context.recorder
        async with self.context.throttle:
            if self.context.ended_at is not None:
                await trio.sleep_forever()  # no connection is due any more; `stop` comes soon
            recorder.counters["connections.attempted"] += 1
            if retry:
                recorder.counters["connections.retried"] += 1
            self.context.connections += 1
            try:
                transport = await self._open(nursery)
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
        self._rpc.connected()
        link = Link(transport, self._rpc, recorder.traffic, framing=self.settings.framing)
        self.link = link
        link.listen(nursery, self)
        self._linked()
        return link

    def spawn_beside(self, task: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run *task* in the background until the connection has ended that there is; it never raises."""
        if self._nursery is not None:
            if self._beside is None:
                self._beside = Company()
            self._beside.start(self._nursery, task, *args)

    # What its link tells it (link.link.Listener).

    def asked(self, link: Link, call: Call | AskedBadly) -> None:
        """See Listener.asked."""
        if self._answering < _MOST_ANSWERS_AT_A_TIME:
            self._answering += 1
            self.spawn_beside(self._answer, link, call, link.last_traffic)
        else:
            self.context.recorder.counters["commands.overflow.received"] += 1
            self.context.recorder.counters["commands.overflow.ignored"] += 1

    def strayed(self, link: Link, stray: Stray, text: str | bytes) -> None:
        """See Listener.strayed."""
        if isinstance(stray, Provoked):
            return
        if self._leaving is not None and self._leaving.why is not None:
            return  # the open call has ended; what is read until the connection is closed counts as not received
        count_stray(self.context, self.identity, stray, text)
        if stray.kind == "late" and isinstance(text, str):
            self._came_late(text)

    def ended(self, link: Link) -> None:
        """See Listener.ended."""
        self._broke(link)
        if self._doing is not None and self.link is link:
            self._doing.cancel()

    async def _answer(self, link: Link, call: Call | AskedBadly, received_at: float) -> None:
        preflight = self.context.preflight
        try:
            if preflight is not None and self.identity not in preflight.untried:
                await preflight.begun.wait()  # what it sets off belongs to the run
            await self._obey(link, call, received_at)
        finally:
            self._answering -= 1

    # Bookkeeping.

    @property
    def online_since(self) -> float:
        """When the charge point last came online, in seconds of the run."""
        return self._online_since

    def online(self) -> None:
        """Say that the socket is open and the boot accepted."""
        self._online_since = self.context.clock.elapsed
        self._enter("online")
        self.context.connectors_freed += 1  # those of a charge point that was away can be found again
        self.context.most_online = max(self.context.most_online, self.context.states["online"])
        if self.trouble is not None and not self.over:
            self.trouble.hits.online(self._online_since)

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
