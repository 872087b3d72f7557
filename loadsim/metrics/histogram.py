"""A log-linear histogram of durations in HdrHistogram's bucket layout: 1 us to 1 h, error at most 0.1 %."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

# HdrHistogram with 3 significant digits: 2,048 sub-buckets of which the upper half serves each doubling.
_HALF_MAGNITUDE: Final = 10
_SUB_BUCKETS: Final = 1 << (_HALF_MAGNITUDE + 1)
LARGEST: Final = 3600 * 1_000_000
"""In microseconds. Longer durations count in the last bucket; `Histogram.max` and the mean stay exact."""
_FEW: Final = 40
"""Durations that are packed faster one by one: numpy takes as long for one of them as for 40, and in a tick most keys
of calls have a handful."""


class SparseHistogram(msgspec.Struct, frozen=True, array_like=True):
    """A histogram on its way between processes: little-endian int32 indices and int64 counts, and totals."""

    indices: bytes
    counts: bytes
    total: float
    max: float


def bucket_indices(microseconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place each value in its bucket, as HdrHistogram's countsArrayIndex does.

    Args:
        microseconds: shape (n,), from 0 to LARGEST.
    """
    # frexp is exact below 2**53: value = m * 2**e with m in [0.5, 1), so e is the bit length.
    exponent = np.frexp(microseconds.astype(np.float64))[1].astype(np.int64)
    shift = np.maximum(exponent - (_HALF_MAGNITUDE + 1), 0)
    indices: NDArray[np.int64] = (shift << _HALF_MAGNITUDE) + (microseconds >> shift)
    return indices


def bucket_index(microseconds: int) -> int:
    """Place one value, from 0 to LARGEST, in its bucket."""
    shift = max(microseconds.bit_length() - (_HALF_MAGNITUDE + 1), 0)
    return (shift << _HALF_MAGNITUDE) + (microseconds >> shift)


def highest_equivalent(index: int) -> int:
    """Return the largest number of microseconds that falls into bucket *index*."""
    if index < _SUB_BUCKETS:
        return index
    shift = (index >> _HALF_MAGNITUDE) - 1
    low = (index - (shift << _HALF_MAGNITUDE)) << shift
    return low + (1 << shift) - 1


def pack(seconds: Sequence[float]) -> SparseHistogram:
    """Make a packed histogram of *seconds*: `Histogram.of(seconds).sparse()`, cheaper when they are few."""
    if len(seconds) > _FEW:
        return Histogram.of(seconds).sparse()
    values = [max(value, 0.0) for value in seconds]
    counts = Counter(bucket_index(round(min(value * 1e6, LARGEST))) for value in values)
    indices = sorted(counts)
    return SparseHistogram(
        struct.pack(f"<{len(indices)}i", *indices),
        struct.pack(f"<{len(indices)}q", *(counts[index] for index in indices)),
        sum(values, 0.0),
        max(values, default=0.0),
    )


class Histogram:
    """Counts of durations in seconds; `counts` is int64, only as long as the largest value asks for."""

    __slots__ = ("counts", "max", "n", "total")

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.n = 0
        self.total = 0.0
        self.max = 0.0

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Histogram:
        """Make a histogram of *seconds*."""
        histogram = cls()
        histogram.record(seconds)
        return histogram

    def record(self, seconds: Iterable[float]) -> None:
        """Count durations; a negative one (a clock set back) counts as 0."""
        values = np.maximum(np.fromiter(seconds, dtype=np.float64), 0.0)
        if not values.size:
            return
        microseconds = np.minimum(np.rint(values * 1e6), LARGEST).astype(np.int64)
        self._add_counts(np.bincount(bucket_indices(microseconds)))
        self.n += values.size
        self.total += float(values.sum())
        self.max = max(self.max, float(values.max()))

    def merge(self, other: Histogram) -> None:
        """Add another histogram to this one."""
        self._add_counts(other.counts)
        self.n += other.n
        self.total += other.total
        self.max = max(self.max, other.max)

    def percentile(self, percent: float) -> float | None:
        """Return the duration that *percent* of the values do not exceed; None without values.

        The largest value of the bucket in which the percentile lies, as HdrHistogram reports it, but never
        more than the exact maximum.
        """
        if not self.n:
            return None
        rank = max(1, int(np.ceil(self.n * percent / 100 - 1e-9)))
        index = int(np.searchsorted(np.cumsum(self.counts), rank))
        return min(highest_equivalent(index) / 1e6, self.max)

    @property
    def mean(self) -> float | None:
        """The exact mean in seconds; None without values."""
        return self.total / self.n if self.n else None

    def sparse(self) -> SparseHistogram:
        """Pack for the way to another process."""
        indices = np.flatnonzero(self.counts)
        return SparseHistogram(
            indices.astype("<i4").tobytes(),
            self.counts[indices].astype("<i8").tobytes(),
            self.total,
            self.max,
        )

    def add_sparse(self, sparse: SparseHistogram) -> None:
        """Add a packed histogram."""
        indices = np.frombuffer(sparse.indices, dtype="<i4")
        if not indices.size:
            return
        counts = np.frombuffer(sparse.counts, dtype="<i8")
        self._grow(int(indices[-1]) + 1)
        self.counts[indices] += counts  # no index comes twice
        self.n += int(counts.sum())
        self.total += sparse.total
        self.max = max(self.max, sparse.max)

    def _add_counts(self, counts: NDArray[np.int64]) -> None:
        self._grow(counts.size)
        self.counts[: counts.size] += counts

    def _grow(self, size: int) -> None:
        if size > self.counts.size:
            grown = np.zeros(size, dtype=np.int64)
            grown[: self.counts.size] = self.counts
            self.counts = grown

    def __add__(self, other: Histogram) -> Histogram:
        result = Histogram()
        result.merge(self)
        result.merge(other)
        return result

    def __eq__(self, other: object) -> bool:
        """Compare bucket by bucket; the totals are sums of floats, equal only up to their rounding."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return (
            self.max == other.max
            and np.array_equal(np.trim_zeros(self.counts, "b"), np.trim_zeros(other.counts, "b"))
            and bool(np.isclose(self.total, other.total))
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Histogram(n={self.n}, max={self.max})"
