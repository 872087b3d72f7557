"""A gate in front of all that a CSMS reads and writes: shut while it is stalled."""

from __future__ import annotations

import trio


class Gate:
    """Holds up what comes to it while it is *shut*, and lets it through afterwards in the order it came.

    *held* counts what it has held up.
    """

    __slots__ = ("_closings", "_waiting", "held", "shut")

    def __init__(self) -> None:
        self.shut = False
        self.held = 0
        self._closings = 0
        self._waiting = trio.lowlevel.ParkingLot()

    def close(self) -> None:
        """Let nothing through, until ``open`` was called as often."""
        self._closings += 1
        self.shut = True

    async def open(self) -> None:
        """Take one ``close`` back; with the last one, let through what waits."""
        self._closings -= 1
        try:
            # One after the other, since tasks that wake together run in any order. Only those that wait by now: who
            # comes back at once would keep it going for ever.
            for _ in range(len(self._waiting)):
                if self._closings:
                    return
                self._waiting.unpark()
                await trio.lowlevel.checkpoint()
        finally:
            if not self._closings:
                self.shut = False
                self._waiting.unpark_all()

    async def passed(self, *, count: bool = True) -> None:
        """Wait until it is open; *count* says whether it is one thing more that was held up."""
        if self.shut:
            self.held += count
            await self._waiting.park()
