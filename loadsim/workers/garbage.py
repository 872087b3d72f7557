"""The garbage collector's policy in a worker: small collections often, and what survives is never looked at again.

A full collection of a worker with 10,000 charge points takes about a second, which would be counted as the
CSMS's. So automatic collection is off. Whenever enough new objects have come together they are collected, and
the survivors are frozen: a pause is as long as what is new, not as long as what is there.

And where collections find nothing, which is how it is while charge points just talk, fewer and fewer of them
are made; what is new is frozen unseen. One that finds something makes the next ones look again.
"""

from __future__ import annotations

import gc
import sys
import time
from typing import Any, Final

import trio

_NEW_OBJECTS: Final = 10_000
_LOOK_EVERY: Final = 0.1
_WORTH_LOOKING: Final = 500
_MOST_UNSEEN: Final = 16


class GarbagePolicy:
    """Collects by hand and appends every pause, in seconds, to *pauses*."""

    def __init__(self, pauses: list[float]) -> None:
        self._pauses = pauses
        self._began = 0.0

    def __enter__(self) -> GarbagePolicy:
        gc.callbacks.append(self._time)
        gc.disable()
        gc.collect()
        gc.freeze()
        return self

    def __exit__(self, *_: object) -> None:
        gc.unfreeze()
        gc.enable()
        gc.callbacks.remove(self._time)

    async def run(self) -> None:
        """Collect when there is enough to look at, until cancelled."""
        unseen, left = 1, 0
        while True:
            await trio.sleep(_LOOK_EVERY)
            # gc.get_count() is no help: it also counts down for each frozen object that goes, and a charge point
            # that gets a message replaces old objects by new ones. 10,000 counted were once 260,000, and 490 ms.
            if len(gc.get_objects(generation=0)) < _NEW_OBJECTS:
                continue
            if left:
                left -= 1
            else:
                before = sys.getallocatedblocks()  # what gc.collect() returns leaves out cycles of generators
                gc.collect()
                freed = before - sys.getallocatedblocks()
                unseen = 1 if freed >= _WORTH_LOOKING else min(unseen * 2, _MOST_UNSEEN)
                left = unseen - 1
            gc.freeze()

    def _time(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._pauses.append(time.perf_counter() - self._began)
