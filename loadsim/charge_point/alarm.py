"""A wait that somebody else may end early."""

from __future__ import annotations

import math

import trio

from loadsim.timers import Timer


class Alarm(Timer):
    """Lets one task sleep until a time of trio's clock; `ring` ends the sleep at once."""

    __slots__ = ("_rung", "_sleeper")

    def __init__(self) -> None:
        super().__init__()
        self._sleeper: trio.lowlevel.Task | None = None
        self._rung = False

    async def sleep_until(self, at: float = math.inf, lateness: list[float] | None = None) -> bool:
        """Sleep until *at*, or until the alarm rings; tell whether it rang.

        How late the wake-up was, in seconds, is appended to *lateness*; not of one that the alarm rang for.

        Raises:
            RuntimeError: another task sleeps already.
        """
        if self._sleeper is not None:
            raise RuntimeError("an alarm wakes one task")
        self._rung = False
        self._sleeper = trio.lowlevel.current_task()
        self.set(at)
        await trio.lowlevel.wait_task_rescheduled(self._give_up)
        if lateness is not None and not self._rung:
            lateness.append(trio.current_time() - at)
        return self._rung

    def ring(self) -> None:
        """End the sleep now; without effect when nobody sleeps."""
        if self._sleeper is not None:
            self._rung = True
            self.unset()
            self.fall_due()

    def fall_due(self) -> None:
        """Wake who sleeps: it is the time."""
        if self._sleeper is not None:
            trio.lowlevel.reschedule(self._sleeper)
            self._sleeper = None

    def _give_up(self, _: object) -> trio.lowlevel.Abort:
        self._sleeper = None
        self.unset()
        return trio.lowlevel.Abort.SUCCEEDED
