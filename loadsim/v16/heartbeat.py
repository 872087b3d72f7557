"""Heartbeat (OCPP 1.6, section 4.6): when the interval has passed without traffic."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.routine import Routine
from loadsim.link.link import CallFailed
from loadsim.v16.memory import is_accepted, may_send_triggered, memory_of
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import HeartbeatRequest, HeartbeatResponse
from loadsim.v16.security import set_clock

HEARTBEAT: Final = BY_NAME["Heartbeat"]
_REQUEST: Final = HeartbeatRequest()


class Heartbeats(Routine):
    """Beats while connected.

    The first beat comes at a random point of the interval, so that a fleet that came online together does
    not beat in phase. From then on a beat falls due when the interval has passed without traffic, or, where
    the settings say so, a fixed interval after the last one fell due.
    """

    __slots__ = ("_charge_point", "_first", "_last")

    def __init__(self, charge_point: ChargePoint) -> None:
        """Begin to beat on the connection that there is."""
        memory = memory_of(charge_point)
        super().__init__(memory.alarm)
        memory.heartbeats = self
        spread = charge_point.draws(f"heartbeat {charge_point.connections}").uniform()
        self._charge_point = charge_point
        self._first = True
        self._last = trio.current_time() - interval(charge_point) * spread
        self.at = self._last + interval(charge_point)

    @property
    def _regardless(self) -> bool:
        return self._charge_point.settings.heartbeat.regardless_of_traffic

    def woken(self, *, rang: bool) -> None:
        """See whether a beat is due: there may have been traffic, or another interval was set."""
        if rang:  # a shorter interval may have passed already
            self.at = max(self._last + interval(self._charge_point), trio.current_time())
        if not (self._first or self._regardless):
            self.at = _quiet_until(self._charge_point)

    async def act(self) -> None:
        """Beat."""
        charge_point = self._charge_point
        due = self.at - charge_point.context.clock.trio_time(0.0)
        self._last, self._first, self.at = self.at, False, math.inf
        with suppress(CallFailed):  # counted; the next beat is due all the same
            await send_heartbeat(charge_point, due, is_accepted)
        if not charge_point.linked:
            await trio.sleep_forever()  # no beat is due any more; the end of this task comes soon
        self.at = self._last + interval(charge_point) if self._regardless else _quiet_until(charge_point)

    def end(self) -> None:
        """Account for the beats that fell due behind an open call, or in the moment in which it all ends."""
        charge_point, now = self._charge_point, trio.current_time()
        zero = charge_point.context.clock.trio_time(0.0)
        if self._regardless:
            while (last := self._last + interval(charge_point)) <= now:
                self._last = last
                charge_point.leave_unsent(HEARTBEAT, [last - zero])
        elif self.at < math.inf:  # else one has begun, and is counted
            due = self._last + interval(charge_point) if self._first else _quiet_until(charge_point)
            if due <= now:
                charge_point.leave_unsent(HEARTBEAT, [due - zero])


def interval(charge_point: ChargePoint) -> float:
    """Return the seconds between beats: the fleet's own, else the CSMS's."""
    return charge_point.settings.heartbeat.every or memory_of(charge_point).heartbeat_interval


async def send_heartbeat(
    charge_point: ChargePoint, due: float, allowed: Callable[[ChargePoint], bool] = may_send_triggered
) -> None:
    """Send one Heartbeat and set the clock by its answer.

    Raises:
        CallFailed: no valid answer.
    """
    response: HeartbeatResponse = await charge_point.call(HEARTBEAT, _REQUEST, due=due, allowed=allowed)
    set_clock(charge_point, response.current_time)


def _quiet_until(charge_point: ChargePoint) -> float:
    """Return when the interval will have passed without traffic, in trio's time."""
    link = charge_point.link
    quiet_since = link.last_traffic if link is not None else trio.current_time()
    return quiet_since + interval(charge_point)
