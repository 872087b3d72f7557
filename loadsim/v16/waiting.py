"""Waits for a moment of the charge point's clock, which the CSMS may set meanwhile (OCPP 1.6, section 4.6)."""

from __future__ import annotations

import math
from datetime import datetime

import trio

from loadsim.charge_point.alarm import Alarm
from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.memory import memory_of


async def until(charge_point: ChargePoint, moment: datetime) -> None:
    """Wait until it is *moment* by the charge point's clock, however often that is set."""
    alarm = Alarm()
    while await due_at(charge_point, moment, alarm) is None:
        pass  # the clock was set: it is another wait now


async def due_at(charge_point: ChargePoint, moment: datetime | None, alarm: Alarm) -> float | None:
    """Wait until it is *moment* (None: never) by the charge point's clock, or until there is reason to look again.

    Returns:
        When it came to be *moment*, in seconds of the run. None: the alarm rang, or the clock was set.
    """
    context, memory = charge_point.context, memory_of(charge_point)
    await trio.lowlevel.checkpoint()
    due = context.clock.elapsed
    if memory.clock_alarms is None:
        memory.clock_alarms = []
    memory.clock_alarms.append(alarm)
    try:
        # More than once where the clock, in whole microseconds, is not quite there, or stands still at its end.
        while left := _left(charge_point, moment):
            due = context.clock.elapsed + left
            at = context.clock.trio_time(due)
            if await alarm.sleep_until(at):
                return None
            context.recorder.lateness.append(trio.current_time() - at)
    finally:
        memory.clock_alarms.remove(alarm)
    return due


def clock_was_set(charge_point: ChargePoint) -> None:
    """Have all that depends on the charge point's clock look at it again."""
    memory = memory_of(charge_point)
    for alarm in memory.clock_alarms or ():
        alarm.ring()
    if memory.profiles:
        memory.ring()  # sessions: what they may draw changes at moments of the clock, too


def _left(charge_point: ChargePoint, moment: datetime | None) -> float:
    """Return the seconds until *moment*, by the clock as it is now; 0 when it has come."""
    if moment is None:
        return math.inf
    return max(0.0, (moment - charge_point.now()).total_seconds())
