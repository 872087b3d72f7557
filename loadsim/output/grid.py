"""A run cut into windows of equal width: snapshots go into theirs, and each is given out once, when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, Generic, Protocol, TypeVar

from loadsim.metrics.snapshot import Snapshot

_TICK: Final = 0.25  # a snapshot's end is a little after its tick, never as much as this
_LATEST_WAIT: Final = 2.0


class TakesSnapshots(Protocol):
    """A window of a grid."""

    def take(self, snapshot: Snapshot) -> None:
        """Take in an interval."""
        ...


W = TypeVar("W", bound=TakesSnapshots)


class Grid(Generic[W]):
    """The windows that are not over yet; *width* in seconds of the run, the first begins at 0.

    Its memory does not grow with the run's length: a window that no worker has anything for any more is given out,
    and what comes later than that goes into the next one.
    """

    def __init__(self, width: float, make: Callable[[int], W]) -> None:
        self._width = width
        self._make = make
        self._open: dict[int, W] = {}
        self._closed = -1
        self._told: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._open)

    def take(self, snapshot: Snapshot) -> None:
        """Put an interval into the window in which it ended; one that began after a window's end is not of that."""
        since = self._told.get(snapshot.shard, -_TICK)
        self._told[snapshot.shard] = snapshot.elapsed
        slack = min(_TICK, max(snapshot.elapsed - since, 0.0) / 2)
        index = max(int((snapshot.elapsed - slack) // self._width), self._closed + 1)
        if index not in self._open:
            self._open[index] = self._make(index)
        self._open[index].take(snapshot)

    def over(self, reached: float, elapsed: float) -> Iterator[W]:
        """Give out the windows that are over, in their order.

        Args:
            reached: up to when every worker has reported, in seconds of the run.
            elapsed: the time of the run: a worker that says nothing is not waited for much longer.
        """
        for index in sorted(self._open):
            end = (index + 1) * self._width
            if reached < end - _TICK and elapsed < end + _LATEST_WAIT:
                return
            yield self._close(index)

    def rest(self) -> Iterator[W]:
        """Give out what is left, in its order: nothing more comes."""
        for index in sorted(self._open):
            yield self._close(index)

    def _close(self, index: int) -> W:
        self._closed = index
        return self._open.pop(index)


class Standing:
    """How the charge points of each worker stood when it last said so."""

    def __init__(self) -> None:
        self._gauges: dict[int, Mapping[str, int]] = {}

    def take(self, gauges: Mapping[int, Mapping[str, int]]) -> None:
        """Take in the gauges of the workers that have reported."""
        self._gauges |= gauges

    def of_all_but(self, lost: Collection[int]) -> Counter[str]:
        """Return the sums over all workers but those that are *lost*, and their charge points with them."""
        result: Counter[str] = Counter()
        for shard, gauges in self._gauges.items():
            if shard not in lost:
                result.update(gauges)
        return result
