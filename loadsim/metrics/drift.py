"""Whether response times grow: the percentile of the last third of a time over that of its first (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from loadsim.metrics.histogram import Histogram
from loadsim.metrics.snapshot import Snapshot
from loadsim.metrics.stretches import Stretch, selects
from loadsim.metrics.thresholds import Check


class Drift:
    """Response times of the first and of the last third of some stretches, taken together.

    A call belongs to the third in which the middle of its snapshot lies; one that ended after its stretch, to the end
    of that.
    """

    def __init__(self, check: Check, stretches: Sequence[Stretch]) -> None:
        """Make it with no times yet; *check* is of a drift."""
        self._check = check
        self._stretches = tuple(stretches)
        self._third = sum(stretch.end - stretch.begin for stretch in stretches) / 3
        self._first, self._last = Histogram(), Histogram()
        self.ends_at = max((stretch.end for stretch in stretches), default=0.0)
        """When the last third is over, in seconds of the run: what is known before is of a part of it."""

    def take(self, snapshot: Snapshot, since: float) -> None:
        """Take in a snapshot that counts from *since* on, in seconds of the run."""
        before = 0.0
        for begin, end, stages in self._stretches:
            if snapshot.elapsed > begin:
                at = before + min(max((since + snapshot.elapsed) / 2, begin), end) - begin
                third = self._first if at < self._third else self._last if at >= 2 * self._third else None
                if third is not None:
                    for delta in snapshot.calls:
                        if delta.stage in stages and selects(self._check, delta):
                            third.add_sparse(delta.response)
            before += end - begin

    @property
    def value(self) -> float | None:
        """By which share the percentile has grown; None unless both thirds have samples, the first above 0 s."""
        assert self._check.quantile is not None
        percent = self._check.quantile * 100
        first, last = self._first.percentile(percent), self._last.percentile(percent)
        return last / first - 1 if first and last is not None else None
