"""What a charge point does again and again while it is online, and sleeps between."""

from __future__ import annotations

import math

from loadsim.charge_point.alarm import Alarm


class Routine:
    """Something to do at *at*, in trio's time; this one has nothing to do.

    No coroutine that sleeps until it is cancelled: a scope in which it could be, and the frames that lead to it, took
    0.9 kB of every charge point. Who sleeps is the charge point's own task, outside any scope, until *alarm* rings.
    """

    __slots__ = ("alarm", "at")

    def __init__(self, alarm: Alarm | None = None) -> None:
        self.alarm = Alarm() if alarm is None else alarm
        self.at = math.inf

    def woken(self, *, rang: bool) -> None:
        """Look again at when there is something to do: the time has come, or the alarm *rang* before."""

    async def act(self) -> None:
        """Do what is due, and say when there is something to do next; cancelled when the connection ends."""
