"""Heartbeat (OCPP 1.6, section 4.6): when the interval has passed without traffic."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.link.link import CallFailed
from loadsim.v16.memory import is_accepted, may_send_triggered, memory_of
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import HeartbeatRequest, HeartbeatResponse
from loadsim.v16.security import set_clock

HEARTBEAT: Final = BY_NAME["Heartbeat"]
_REQUEST: Final = HeartbeatRequest()


async def heartbeat(charge_point: ChargePoint) -> None:
    """Beat while connected, until cancelled.

    The first beat comes at a random point of the interval, so that a fleet that came online together does
    not beat in phase. From then on a beat falls due when the interval has passed without traffic, or, where
    the settings say so, a fixed interval after the last one fell due.
    """
    zero = charge_point.context.clock.trio_time(0.0)
    regardless = charge_point.settings.heartbeat.regardless_of_traffic
    spread = charge_point.draws(f"heartbeat {charge_point.connections}").uniform()
    last = trio.current_time() - interval(charge_point) * spread
    at = last + interval(charge_point)
    first = True
    try:
        while True:
            while trio.current_time() < at:
                if await _rang(charge_point, at):  # a shorter interval may have passed already
                    at = max(last + interval(charge_point), trio.current_time())
                if not (first or regardless):
                    at = _quiet_until(charge_point)
            last, first = at, False
            with suppress(CallFailed):  # counted; the next beat is due all the same
                await send_heartbeat(charge_point, at - zero, is_accepted)
            if not charge_point.linked:
                await trio.sleep_forever()  # no beat is due any more; the end of this task comes soon
            at = last + interval(charge_point) if regardless else _quiet_until(charge_point)
    finally:
        while regardless and (last := last + interval(charge_point)) <= trio.current_time():
            charge_point.leave_unsent(HEARTBEAT, [last - zero])  # fell due behind an open call


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


async def _rang(charge_point: ChargePoint, at: float) -> bool:
    """Sleep until *at*; tell whether a ChangeConfiguration of the interval ended the sleep."""
    rang = await memory_of(charge_point).alarm.sleep_until(at)
    if not rang:
        charge_point.context.recorder.lateness.append(trio.current_time() - at)
    return rang
