"""The part of a charge point that connects: one connection after the other, and how each of them ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from loadsim.charge_point.company import Company
from loadsim.charge_point.context import Context
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.incidents import count_lost, count_refused, count_stray
from loadsim.charge_point.linked import SILENT, Leaving, Linked
from loadsim.charge_point.preflight import Finding
from loadsim.charge_point.reconnect import wait_before_try
from loadsim.charge_point.routine import Routine
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.link.link import Link
from loadsim.link.transport import ConnectFailed, Slowness, Transport
from loadsim.ocpp.frame import Call
from loadsim.ocpp.rpc import AskedBadly, Provoked, Stray

# A CSMS may have one unanswered CALL (section 4.1.1); more than these are a flood, and only counted.
_MOST_ANSWERS_AT_A_TIME: Final = 32


class Connecting(Linked, ABC):
    """A charge point as far as its connections go; what it does with them is its dialect's."""

    __slots__ = (
        "_answering",
        "_beside",
        "_nursery",
        "connections",
        "fleet",
        "n",
        "password",
    )

    def __init__(
        self, context: Context, settings: ChargePointSettings, identity: str, number: int, fleet: str, n: int
    ) -> None:
        super().__init__(context, settings, identity, number)
        self.fleet = fleet
        self.n = n
        self.password: str | bytes | None = None
        """For basic auth, where it has one of its own; bytes are an AuthorizationKey that the CSMS has set."""
        self.connections = 0
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
        """Do what a charge point does when a connection has been opened, until it is done or cancelled."""

    @abstractmethod
    def _go_on(self) -> Routine:
        """Return what it does from then on, as long as the connection is open."""

    @abstractmethod
    def _disconnected(self) -> None:
        """Take in that the connection has ended, or is about to."""

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
        self._interrupted = False
        try:
            with trio.CancelScope() as self._doing:
                link = await self._connect(nursery, retry)
                if link is not None:
                    await self._behave()
            if link is None:
                return
            routine = self._routine = self._go_on()
            while not self._interrupted:
                if trio.current_time() < routine.at:
                    self._doing = None  # asleep it needs none
                    rang = await routine.alarm.sleep_until(routine.at, self.context.recorder.lateness)
                    routine.woken(rang=rang)
                else:
                    with trio.CancelScope() as self._doing:
                        await routine.act()
        finally:
            self._routine = None
            if link is not None:
                self._disconnected()
        leaving = SILENT if self.is_silent and not self._is_abrupt else self._leaving
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

    async def _hang_up(self, link: Link, leaving: Leaving | None) -> None:
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
        if self.link is link:
            self._interrupt()

    async def _answer(self, link: Link, call: Call | AskedBadly, received_at: float) -> None:
        preflight = self.context.preflight
        try:
            if preflight is not None and self.identity not in preflight.untried:
                await preflight.begun.wait()  # what it sets off belongs to the run
            if link.answer_is_news:  # it came before this call, read in one go with it: that it is a boot, perhaps
                await trio.lowlevel.checkpoint()
            await self._obey(link, call, received_at)
        finally:
            self._answering -= 1
