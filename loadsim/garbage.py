"""The collector's policy of a process with many connections: small collections often, and survivors never again.

A full collection of a worker with 10,000 charge points takes about a second, which would be counted as the
CSMS's; one of the embedded CSMS takes as long. So automatic collection is off. Whenever enough new objects have come
together they are collected, and the survivors are frozen: a pause is as long as what is new, not as long as what is
there.

And where collections find nothing, which is how it is while charge points just talk, fewer and fewer of them
are made; what is new is frozen unseen. One that finds something makes the next ones look again.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import deque
from typing import Any, Final

import trio

_NEW_OBJECTS: Final = 10_000
_TOO_MANY: Final = 40_000
"""New objects that are frozen unseen: they would take 10 ms."""
_LOOK_EVERY: Final = 0.05
_AT_LEAST_EVERY: Final = 2
"""Looks. In so long, a reconnect storm of 19,000 charge points leaves some 20,000 new objects: 5 ms."""
_WORTH_LOOKING: Final = 50
"""Memory blocks freed; a collection that finds nothing frees none, give or take ten."""
_MOST_UNSEEN: Final = 16


class GarbagePolicy:
    """Collects by hand and appends every pause, in seconds, to *pauses*."""

    def __init__(self, pauses: list[float] | deque[float]) -> None:
        self._pauses = pauses
        self._began = 0.0

    def __enter__(self) -> GarbagePolicy:
        gc.disable()
        gc.collect()
        gc.freeze()
        gc.callbacks.append(self._time)
        return self

    def __exit__(self, *_: object) -> None:
        gc.unfreeze()
        gc.enable()
        gc.callbacks.remove(self._time)

    async def run(self) -> None:
        """Collect when there is enough to look at, until cancelled."""
        unseen, left, looks = 1, 0, 0
        while True:
            await trio.sleep(_LOOK_EVERY)
            looks += 1
            # The count goes down for each frozen object that is let go, and a charge point that gets a message
            # replaces old objects by new ones: left alone, 10,000 counted were once 260,000, and 490 ms. So time
            # counts as well. To list them (gc.get_objects) ten times a second took nine times as long as collecting.
            new = gc.get_count()[0]
            if new < _NEW_OBJECTS and looks < _AT_LEAST_EVERY:
                continue
            looks = 0
            if left or new > _TOO_MANY:
                left = max(left - 1, 0)
            else:
                before = sys.getallocatedblocks()  # what gc.collect() returns leaves out cycles of generators
                gc.collect(0)  # all that is not frozen is young
                freed = before - sys.getallocatedblocks()
                unseen = 1 if freed >= _WORTH_LOOKING else min(unseen * 2, _MOST_UNSEEN)
                left = unseen - 1
            gc.freeze()

    def _time(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._pauses.append(time.perf_counter() - self._began)
