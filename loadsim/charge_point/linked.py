"""The part of a charge point that knows what state its connection is in, and how it ends before its time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Final, Literal, NamedTuple

import trio

from loadsim.charge_point.caller import Caller
from loadsim.charge_point.context import Context
from loadsim.charge_point.malformed import DUPLICATE, LARGE, malformed
from loadsim.charge_point.routine import Routine
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.link.transport import ConnectionLost
from loadsim.ocpp.rpc import Rpc

State = Literal["", "booting", "online", "backing_off"]


class Leaving(NamedTuple):
    """Why a connection is to end before the charge point is stopped.

    *away* is seconds until it connects again after a reboot; None is a drop, after which it does as its schedule has
    it. *why* is told of the open call, which ends with the connection; with None the call has its answer first.
    """

    how: Literal["close", "abort", "reset"]
    why: str | None
    away: float | None = None


SILENT: Final = Leaving("abort", "taken offline while the connection was half open")
_DROPPED: Final = "a planned fault dropped the connection"
_NO_POWER: Final = "the charge point lost its power, or was reset"


class Linked(Caller):
    """A charge point as far as it has a connection: what that makes of it, and how it is made to end."""

    __slots__ = (
        "_counts_online",
        "_doing",
        "_interrupted",
        "_leaving",
        "_online_since",
        "_routine",
        "_rpc",
        "_state",
        "number",
    )

    def __init__(self, context: Context, settings: ChargePointSettings, identity: str, number: int) -> None:
        super().__init__(context, settings, identity)
        self.number = number
        self._rpc = Rpc(f"{context.run_id}{number:x}-", any_id_answers=settings.framing == "object")
        self._state: State = ""
        self._online_since = 0.0
        self._counts_online = False
        self._doing: trio.CancelScope | None = None
        self._routine: Routine | None = None
        self._interrupted = False
        self._leaving: Leaving | None = None

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
        self._leave(Leaving("abort" if abrupt else "close", _NO_POWER if abrupt else None, seconds))

    def drop(self, how: Literal["close", "reset"]) -> None:
        """End the connection at once, with a closing handshake or a TCP reset, and connect again by the schedule.

        The open call ends with it; the registration, transactions, and what waits to be sent are kept.
        """
        self._leave(Leaving(how, _DROPPED))

    def _leave(self, leaving: Leaving) -> None:
        if self.trouble is not None:
            self.trouble.hits.hung_up()
        self._leaving = leaving
        why = SILENT.why if leaving.why is None and self.is_silent else leaving.why
        if why is not None and self.link is not None:  # its behaviours end when the open call has
            self.link.fail_open_call(f"connection_lost {why}")
        self._interrupt()

    def _interrupt(self) -> None:
        """End what the charge point is doing with its connection, or while it has none."""
        self._interrupted = True
        if self._doing is not None:
            self._doing.cancel()
        if self._routine is not None:
            self._routine.alarm.ring()

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

    # Bookkeeping.

    @property
    def online_since(self) -> float:
        """When the charge point last came online, in seconds of the run."""
        return self._online_since

    def online(self) -> None:
        """Say that the socket is open and the boot accepted."""
        self._online_since = self.context.clock.elapsed
        self._enter("online")
        self.context.connector_freed(self.number)  # those of a charge point that was away can be found again
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
