"""What falls due in a shard: one queue and one task, however many sleep.

A task that sleeps in a cancel scope of its own pays 0.9 kB for the scope, and a behaviour that is nothing but a sleep
between two calls pays 5 kB for its task. A timer in the queue takes 0.1 kB (docs/design/0025-small-charge-points.md).
The time-out of a call, which nearly never comes, took a quarter of all the CPU of a call as a scope; as a timer that
is set and unset it takes next to nothing (docs/design/0024-cheap-calls.md).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

import trio

TASK: Final = "timers"
_AT_A_TIME: Final = 100
_MOST_CLEARED_AHEAD: Final = 500
"""Entries, a few hundred microseconds' work. Without clearing ahead each call that was answered would cost a wake-up
at the deadline that it had."""
_LEAST_PRUNED: Final = 10_000
"""Entries. To go through so many takes 4 ms; seldom, as most of them are of timers that are set."""


class Timer(ABC):
    """Something that falls due at a time of trio's clock, once `set`; it may be set again, earlier or later."""

    __slots__ = ("due_at", "queued_at")

    def __init__(self) -> None:
        """Begin unset."""
        self.due_at = math.inf
        """In trio's time; infinity: it is not set."""
        self.queued_at = math.inf
        """When the queue looks at it next; infinity: it is not in the queue, which alone changes this."""

    @abstractmethod
    def fall_due(self) -> None:
        """Do what is due; a plain function that neither waits nor raises. The timer is unset by now."""

    def broke(self, mistake: Exception) -> None:
        """Take in that `fall_due` raised *mistake* all the same: whoever it belongs to is to raise it.

        Raised here, in the task that all timers share, it ends the whole run.
        """
        raise mistake

    def set(self, at: float) -> None:
        """Let it fall due at *at*, in trio's time, and at no other time; infinity is never."""
        self.due_at = at
        if at < self.queued_at:  # else the entry that is there comes up first, and is moved
            _timers_of_this_run().put(at, self)

    def unset(self) -> None:
        """Let it not fall due."""
        self.due_at = math.inf


class _Timers:
    """The timers of one run of trio, the earliest first; those of one moment in the order in which they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._pruned_at = _LEAST_PRUNED
        self._running = False
        self._sleep: trio.CancelScope | None = None

    def put(self, at: float, timer: Timer) -> None:
        if len(self._heap) >= self._pruned_at:
            self._prune()
        timer.queued_at = at
        heappush(self._heap, (at, next(self._numbers), timer))
        if not self._running:
            self._running = True
            trio.lowlevel.spawn_system_task(self._run, name=TASK)
        elif self._sleep is not None and at < self._sleep.deadline:
            self._sleep.deadline = at

    def _prune(self) -> None:
        """Forget the entries of timers that were unset, or have an earlier one: they may be hours ahead."""
        kept: dict[Timer, tuple[float, int, Timer]] = {}
        for entry in self._heap:
            at, _, timer = entry
            if at == timer.queued_at:
                if timer.due_at < math.inf:
                    kept[timer] = entry  # one that is set to a time again and again may have many for it
                else:
                    timer.queued_at = math.inf
        if len(kept) < len(self._heap):
            self._heap[:] = kept.values()
            heapify(self._heap)
        self._pruned_at = 2 * len(self._heap) + _LEAST_PRUNED

    async def _run(self) -> None:
        try:
            while self._heap:
                with trio.CancelScope(deadline=self._heap[0][0]) as self._sleep:
                    await trio.sleep_forever()
                self._sleep = None
                while self._let_fall_due(trio.current_time()):
                    await trio.lowlevel.checkpoint()  # thousands of one moment are no reason to hold up the others
        finally:
            self._running = False

    def _let_fall_due(self, now: float) -> bool:
        """Let what is due fall due, up to so many; tell whether there is more."""
        for _ in range(_AT_A_TIME):
            if not self._heap or self._heap[0][0] > now:
                self._clear_ahead()
                return False
            at, _, timer = heappop(self._heap)
            if at != timer.queued_at:
                continue  # it was set to an earlier time after this one
            timer.queued_at = math.inf
            if timer.due_at > now:
                timer.set(timer.due_at)
            else:
                timer.due_at = math.inf
                try:
                    timer.fall_due()
                except Exception as mistake:  # noqa: BLE001 - it is one charge point's, not the end of all others
                    timer.broke(mistake)
        return True

    def _clear_ahead(self) -> None:
        """Take away what would come up only to be put off or forgotten, up to so many."""
        heap = self._heap
        for _ in range(_MOST_CLEARED_AHEAD):
            if not heap:
                return
            at, _, timer = heap[0]
            if at == timer.queued_at:
                if timer.due_at == at:
                    return  # the first that has to be waited for
                timer.queued_at = math.inf
                heappop(heap)
                if timer.due_at < math.inf:
                    self.put(timer.due_at, timer)
            else:
                heappop(heap)


_TIMERS: Final = trio.lowlevel.RunVar[_Timers]("timers")


def _timers_of_this_run() -> _Timers:
    try:
        return _TIMERS.get()
    except LookupError:
        timers = _Timers()
        _TIMERS.set(timers)
        return timers
