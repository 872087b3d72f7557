"""The time-outs of all links of a shard, swept in the order of their deadlines by one task.

A cancel scope for each call took a quarter of the CPU of all that loadsim does for one
(docs/design/0024-cheap-calls.md), and nearly no call times out.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import Final, Protocol

import trio

_MOST_CLEARED_AHEAD: Final = 500
"""Entries, a few hundred microseconds' work. Without clearing ahead each call that was answered would cost a wake-up
at the deadline that it had."""


class Watched(Protocol):
    """What may have a deadline now and then."""

    entered_at: float
    """The deadline under which it is entered in Deadlines, which alone write it; infinity: it is not."""

    @property
    def deadline(self) -> float:
        """The deadline that it has now, in trio's seconds; infinity: none."""

    def expire(self) -> None:
        """Take in that the deadline has passed; never raises, never waits."""


class Deadlines:
    """Deadlines to the exact moment, of which each costs next to nothing when it is not reached.

    Each of those watched is entered once at most, under a deadline that is not later than the one it has: entering
    is due only when it is not entered yet (or, seldom, has an earlier deadline than that of its entry). An entry that
    comes to the top is dropped when there is no deadline any more, and entered again when there is a later one.
    """

    __slots__ = ("_entered", "_entries", "_sleep", "_sweeping")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Watched]] = []
        self._entered = 0  # tells entries of one deadline apart, in their order
        self._sweeping = False
        self._sleep: trio.CancelScope | None = None

    def enter(self, watched: Watched, deadline: float) -> None:
        """Call *expire* at *deadline*, in trio's seconds, if that is still its deadline then.

        Only to be called when it is earlier than `entered_at`.
        """
        watched.entered_at = deadline
        self._entered += 1
        heappush(self._entries, (deadline, self._entered, watched))
        if not self._sweeping:
            self._sweeping = True
            trio.lowlevel.spawn_system_task(self._sweep, name="deadlines of calls")
        elif self._sleep is not None and deadline < self._sleep.deadline:
            self._sleep.deadline = deadline

    async def _sweep(self) -> None:
        try:
            while self._entries:
                with trio.CancelScope(deadline=self._entries[0][0]) as self._sleep:
                    await trio.sleep_forever()
                self._expire(trio.current_time())
        finally:
            self._sleep = None
            self._sweeping = False

    def _expire(self, now: float) -> None:
        entries = self._entries
        ahead = 0
        while entries and ahead < _MOST_CLEARED_AHEAD:
            at, _, watched = entries[0]
            if at != watched.entered_at:  # it was entered again under an earlier deadline
                heappop(entries)
                continue
            deadline = watched.deadline
            if deadline <= now:
                heappop(entries)
                watched.entered_at = math.inf
                watched.expire()
            elif deadline > at:
                heappop(entries)
                watched.entered_at = math.inf
                if deadline < math.inf:
                    self.enter(watched, deadline)
                ahead += at > now
            else:
                return  # the first that has to be waited for


_OF_THIS_RUN: Final[trio.lowlevel.RunVar[Deadlines]] = trio.lowlevel.RunVar("deadlines")


def deadlines_of_this_run() -> Deadlines:
    """Return the one that all links of a trio run, which is a shard, share."""
    try:
        return _OF_THIS_RUN.get()
    except LookupError:
        deadlines = Deadlines()
        _OF_THIS_RUN.set(deadlines)
        return deadlines
