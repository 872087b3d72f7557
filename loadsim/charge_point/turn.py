"""Whose turn it is to call: one at a time, in the order of asking (OCPP-J 1.6, section 4.1.1).

A trio.Lock does the same. It takes 360 bytes more, of every charge point, for a queue that is empty mostly.
"""

from __future__ import annotations

from collections import deque

import trio


class Turn:
    """One turn, and those who wait for it."""

    __slots__ = ("_taken", "_waiting")

    def __init__(self) -> None:
        self._taken = False
        self._waiting: deque[trio.lowlevel.Task] | None = None

    async def take(self) -> None:
        """Wait for the turn; a checkpoint only where it is another's, for a pass through the scheduler costs."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._taken:
            self._taken = True
            return
        if self._waiting is None:
            self._waiting = deque()
        waiting, task = self._waiting, trio.lowlevel.current_task()

        def give_up(_: object) -> trio.lowlevel.Abort:
            waiting.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        waiting.append(task)
        await trio.lowlevel.wait_task_rescheduled(give_up)  # whoever releases it hands it over

    def release(self) -> None:
        """Hand the turn to the one who has waited longest, if anybody waits."""
        if self._waiting:
            trio.lowlevel.reschedule(self._waiting.popleft())
        else:
            self._taken = False
            self._waiting = None
