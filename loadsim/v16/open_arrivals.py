"""Calls that fall due by rate, whatever the CSMS does: an open arrival process that a slow answer does not thin."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from typing import ClassVar, Final, Generic, TypeVar

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import Arrivals
from loadsim.link.link import CallFailed
from loadsim.ocpp.action import Action
from loadsim.timers import Timer

_LEFT_AT_A_TIME: Final = 500

T = TypeVar("T")


class OpenArrivals(Timer, ABC, Generic[T]):
    """Sends what falls due until the charge point stops; a failed call is counted, and the next is due anyway.

    What has fallen due by the time the charge point stops, and is not sent, is left unsent in the books. There is a
    task only while something is due: between two drivers a charge point sleeps for minutes.
    """

    __slots__ = ("_awake", "_due", "_times", "charge_point")

    action: ClassVar[Action]

    def __init__(self, charge_point: ChargePoint, times: Iterator[float]) -> None:
        """Begin; *times* yields when each falls due, in seconds of the run, never falling, without end."""
        super().__init__()
        self.charge_point = charge_point
        self._times = times
        self._due = next(times)
        self._awake = False
        charge_point.run_at_stop(self._stop)
        if self._due_at > trio.current_time():
            self._sleep()
        else:  # as where the charge point comes late, for the last answer of its life before came late
            self._wake(slept=False)

    @abstractmethod
    def arrived(self) -> T:
        """Say what the next one is about; called once for each, in their order."""

    @abstractmethod
    async def send(self, due: float, arrived: T) -> None:
        """Make one such call.

        Raises:
            CallFailed: no valid answer.
        """

    def tag_class(self, arrived: T) -> str:
        """Return the class of tags under which one is counted as well."""
        return ""

    def fall_due(self) -> None:
        """Send, in a task of its own."""
        if not self.charge_point.stopping:  # else nothing is spawned, and `_stop`, which is to come, accounts for it
            self._wake(slept=True)

    def broke(self, mistake: Exception) -> None:
        """See Timer.broke."""
        self.charge_point.fail(mistake)

    @property
    def _due_at(self) -> float:
        return self.charge_point.context.clock.trio_time(self._due)

    def _sleep(self) -> None:
        self._awake = False
        self.set(self._due_at)

    def _wake(self, *, slept: bool) -> None:
        self._awake = True
        self.charge_point.spawn(self._send_what_is_due, slept)

    async def _send_what_is_due(self, slept: bool) -> None:
        charge_point = self.charge_point
        if slept:
            charge_point.context.recorder.lateness.append(trio.current_time() - self._due_at)
        in_hand = False
        try:
            while True:  # absolute, from the plan: slow answers must not thin the load
                in_hand = True
                with suppress(CallFailed):
                    await self.send(self._due, self.arrived())
                self._due = next(self._times)
                in_hand = False
                if charge_point.stopping:
                    return
                if self._due_at > trio.current_time():
                    self._sleep()
                    return
                await trio.lowlevel.checkpoint()  # what cannot be sent at all must not hold up the others
        finally:
            if in_hand:  # cancelled while it waited for its turn, which `call` has counted
                self._due = next(self._times)
            if charge_point.stopping:
                await self._leave_unsent()

    async def _stop(self) -> None:
        self.unset()
        if not self._awake:
            await self._leave_unsent()

    async def _leave_unsent(self) -> None:
        end, left = self.charge_point.stopped_at, 0
        while end is not None and self._due <= end:
            self.charge_point.leave_unsent(self.action, [self._due], self.tag_class(self.arrived()))
            self._due = next(self._times)
            left += 1
            if left % _LEFT_AT_A_TIME == 0:  # a long backlog must not hold up the others, nor the snapshots
                with trio.CancelScope(shield=True):
                    await trio.lowlevel.checkpoint()


def arrival_times(arrivals: Arrivals, since: float, draws: Draws) -> Iterator[float]:
    """Return when each falls due, in seconds of the run, beginning after *since*, without end.

    Even arrivals begin at a random point of the first gap, so that charge points do not send in phase.
    """
    return _Even(arrivals, since, draws) if arrivals.spacing == "even" else _Poisson(arrivals, since, draws)


class _Even(Iterator[float]):
    """Arrivals with one gap between each two."""

    __slots__ = ("_first", "_gap", "_number")

    def __init__(self, arrivals: Arrivals, since: float, draws: Draws) -> None:
        self._gap = 1 / arrivals.rate
        self._first = since + draws.uniform() * self._gap
        self._number = -1

    def __next__(self) -> float:
        self._number += 1
        return self._first + self._number * self._gap


class _Poisson(Iterator[float]):
    """Arrivals that know nothing of each other."""

    __slots__ = ("_draws", "_due", "_rate")

    def __init__(self, arrivals: Arrivals, since: float, draws: Draws) -> None:
        self._rate = arrivals.rate
        self._due = since
        self._draws = draws

    def __next__(self) -> float:
        if self._due == math.inf:
            raise StopIteration
        self._due += self._draws.exponential(self._rate)
        return self._due
