"""What falls due in a shard: one queue and one task, however many sleep.

A task that sleeps in a cancel scope of its own pays 0.9 kB for the scope, and a behaviour that is nothing but a sleep
between two calls pays 5 kB for its task. A timer in the queue takes 0.1 kB (docs/design/0025-small-charge-points.md).
The time-out of a call, which nearly never comes, took a quarter of all the CPU of a call as a scope; as a timer that
is set and unset it takes next to nothing (docs/design/0024-cheap-calls.md).

What is due soon is in a heap, what is due later in a list for each quarter of a second: a list can be cleared of what
was unset on its own, while to clear a heap of 60,000 at once stops the shard for 25 ms
(docs/design/0027-pauses-and-the-conductor.md).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Final

import trio

TASK: Final = "timers"
_AT_A_TIME: Final = 100
_MOST_CLEARED_AHEAD: Final = 500
"""Entries, a few hundred microseconds' work. Without clearing ahead each call that was answered would cost a wake-up
at the deadline that it had."""
_SLOTS_A_SECOND: Final = 4
"""A power of two, so that a slot begins at a moment that a float can tell."""
_LEAST_PRUNED: Final = 10_000
"""Entries. To go through so many takes 4 ms of CPU; seldom, as most of them are of timers that are set."""
_PRUNED_AT_A_TIME: Final = 50
"""Entries, 20 us, for each one that is put."""


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


_Entry = tuple[float, int, Timer]
"""When the queue is to look at the timer, and a number that keeps the order of those of one moment."""


class _Timers:
    """The timers of one run of trio, the earliest first; those of one moment in the order in which they were set."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        """What belongs to slots that have begun."""
        self._slots: dict[int, list[_Entry]] = {}
        """What belongs to later ones."""
        self._beginnings: list[int] = []
        """The keys of the slots, as a heap."""
        self._begun = -1
        """The last slot that has begun."""
        self._in_slots = 0
        self._prune_at = _LEAST_PRUNED
        self._pruning: Iterator[list[_Entry]] | None = None
        self._numbers = count()
        self._running = False
        self._sleep: trio.CancelScope | None = None

    def __len__(self) -> int:
        return len(self._heap) + self._in_slots

    def put(self, at: float, timer: Timer) -> None:
        if self._in_slots >= self._prune_at or self._pruning is not None:
            self._prune_some()
        timer.queued_at = at
        entry = at, next(self._numbers), timer
        number = int(at * _SLOTS_A_SECOND)
        if number <= self._begun:
            heappush(self._heap, entry)
        else:
            slot = self._slots.get(number)
            if slot is None:
                slot = self._slots[number] = []
                heappush(self._beginnings, number)
            slot.append(entry)
            self._in_slots += 1
        if not self._running:
            self._running = True
            trio.lowlevel.spawn_system_task(self._run, name=TASK)
        elif self._sleep is not None and at < self._sleep.deadline:
            self._sleep.deadline = at

    def _prune_some(self) -> None:
        """Forget entries of timers that were unset, or have an earlier one, slot by slot: they may be hours ahead."""
        if self._pruning is None:
            self._pruning = iter(list(self._slots.values()))
        seen = 0
        for slot in self._pruning:
            seen += len(slot)
            self._prune(slot)
            if seen >= _PRUNED_AT_A_TIME:
                return
        self._pruning = None
        self._prune_at = 2 * self._in_slots + _LEAST_PRUNED

    def _prune(self, slot: list[_Entry]) -> None:
        kept: dict[Timer, _Entry] = {}
        for entry in slot:
            at, _, timer = entry
            if at == timer.queued_at:
                if timer.due_at < math.inf:
                    kept[timer] = entry  # one that is set to a time again and again may have many for it
                else:
                    timer.queued_at = math.inf
        self._in_slots -= len(slot) - len(kept)
        slot[:] = kept.values()

    async def _run(self) -> None:
        try:
            while self._heap or self._beginnings:
                with trio.CancelScope(deadline=self._next_look()) as self._sleep:
                    await trio.sleep_forever()
                self._sleep = None
                while self._let_fall_due(trio.current_time()):
                    await trio.lowlevel.checkpoint()  # thousands of one moment are no reason to hold up the others
        finally:
            self._running = False

    def _next_look(self) -> float:
        first = self._heap[0][0] if self._heap else math.inf
        return min(first, self._beginnings[0] / _SLOTS_A_SECOND) if self._beginnings else first

    def _let_fall_due(self, now: float) -> bool:
        """Let what is due fall due, up to so many; tell whether there is more."""
        while self._beginnings and self._beginnings[0] <= now * _SLOTS_A_SECOND:
            self._begin(heappop(self._beginnings))
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

    def _begin(self, number: int) -> None:
        """Take what is still to fall due in a slot into the heap; what was put off goes to its own slot."""
        self._begun = number
        slot = self._slots.pop(number)
        self._in_slots -= len(slot)
        entries = slot.copy()
        slot.clear()  # it may be in line to be pruned, which is done in between
        for entry in entries:
            at, _, timer = entry
            if at != timer.queued_at:
                continue
            if timer.due_at == at:
                heappush(self._heap, entry)
                continue
            timer.queued_at = math.inf
            if timer.due_at < math.inf:
                self.put(timer.due_at, timer)

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
