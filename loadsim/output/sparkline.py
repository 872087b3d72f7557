"""How a percentile went lately: one value a slice of time and action, in bounded memory, drawn as a sparkline."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.histogram import Histogram

_LEVELS: Final = "▁▂▃▄▅▆▇█"
_SLICES: Final = 30
_LONGEST_SLICE: Final = 10.0
_SHORTEST_SLICE: Final = 2.0


class RecentPercentiles:
    """The 95th percentile of each action's response times, a value for each slice of the last minutes.

    A slice lasts 10 seconds, less in a run shorter than the 30 slices that are kept. Its percentile is taken
    from what the merged histogram gained, so nothing has to be recorded twice.
    """

    def __init__(self, run_seconds: float) -> None:
        self.slice_seconds = min(max(run_seconds / _SLICES, _SHORTEST_SLICE), _LONGEST_SLICE)
        self._ends_at = self.slice_seconds
        self._slices = 0
        self._before: dict[str, NDArray[np.int64]] = {}
        """Bucket counts at the last slice's end, by action; int64, as long as the histogram was."""
        self._values: dict[str, deque[float | None]] = {}

    def take(self, elapsed: float, actions: Mapping[str, CallNumbers]) -> None:
        """Close the slice if *elapsed* seconds of the run have passed its end."""
        if elapsed < self._ends_at:
            return
        for name, numbers in actions.items():
            self._close_slice(name, numbers.response)
        self._slices += 1
        while self._ends_at <= elapsed:
            self._ends_at += self.slice_seconds

    def latest(self, action: str, slices: int = _SLICES) -> list[float | None]:
        """Return the last slices' percentiles in seconds, the oldest first; None for a slice without samples."""
        return list(self._values.get(action, ()))[-slices:]

    @property
    def slices(self) -> int:
        """Slices that are kept at most."""
        return _SLICES

    def _close_slice(self, name: str, now: Histogram) -> None:
        before = self._before.get(name)
        gained = now.counts.copy()
        if before is not None:
            gained[: before.size] -= before
        self._before[name] = now.counts.copy()
        slice_only = Histogram()
        slice_only.counts, slice_only.n, slice_only.max = gained, int(gained.sum()), now.max
        values = self._values.get(name)
        if values is None:
            # An action that comes later has a gap for each slice before, so that all rows end at the same time.
            values = self._values[name] = deque([None] * min(self._slices, _SLICES), maxlen=_SLICES)
        values.append(slice_only.percentile(95))


def sparkline(values: Sequence[float | None]) -> str:
    """Draw *values*, a block each and a blank where there is none.

    The scale begins at 0 and ends at the largest value or at twice the median, whichever is more: a steady
    row stays half high, whatever its noise, and what doubles stands out.
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    top = max(*known, 2 * statistics.median(known), 1e-9)
    return "".join(
        " " if value is None else _LEVELS[min(int(value / top * len(_LEVELS)), len(_LEVELS) - 1)] for value in values
    )
