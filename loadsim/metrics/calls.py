"""What is counted of calls: per action, stage and tag class while they happen, and merged."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from loadsim.metrics.catalogue import CAUSES, COUNTS
from loadsim.metrics.histogram import Histogram, SparseHistogram, pack


class CallKey(NamedTuple):
    """Calls that are counted together; *stage* is the index of the stage in which they fell due."""

    stage: int
    action: str
    tag_class: str = ""


class CallDelta(msgspec.Struct, frozen=True, array_like=True):
    """The calls of one key in one interval; *counts* in the order of COUNTS."""

    stage: int
    action: str
    tag_class: str
    counts: tuple[int, ...]
    response: SparseHistogram
    service: SparseHistogram


_counts_of: Final[Callable[[object], tuple[int, ...]]] = attrgetter(*COUNTS)
_NOTHING: Final = (0,) * len(COUNTS)


class _Counts:
    """The counters themselves; all start at 0."""

    __slots__ = COUNTS

    def __init__(self) -> None:
        for name in COUNTS:
            setattr(self, name, 0)

    planned: int
    sent: int
    accepted: int
    rejected: int
    pending: int
    unexpected: int
    timeout: int
    callerror: int
    malformed: int
    connection_lost: int
    open_at_end: int
    waiting_at_end: int
    skipped_offline: int


class CallSeries(_Counts):
    """The hot path: a behaviour adds to the counters and appends raw seconds; `drain` empties it."""

    __slots__ = ("response", "service")

    def __init__(self) -> None:
        super().__init__()
        self.response: list[float] = []
        self.service: list[float] = []

    def drain(self, key: tuple[int, str, str]) -> CallDelta | None:
        """Fold what was recorded under *key* (see CallKey) since the last time; None when nothing was."""
        counts = _counts_of(self)
        if counts == _NOTHING and not self.response:
            return None
        delta = CallDelta(*key, counts, pack(self.response), pack(self.service))
        self.__init__()  # type: ignore[misc] # begins anew in place: charge points hold on to it
        return delta


class CallNumbers(_Counts):
    """Merged numbers of calls; response and service times in seconds."""

    __slots__ = ("response", "service")

    def __init__(self) -> None:
        super().__init__()
        self.response = Histogram()
        self.service = Histogram()

    @property
    def answered(self) -> int:
        """Valid answers, of whatever verdict."""
        return self.accepted + self.rejected + self.pending

    @property
    def errors(self) -> int:
        """Sent calls that ended without a valid answer."""
        return sum(getattr(self, cause) for cause in CAUSES)

    @property
    def rejection_rate(self) -> float | None:
        """Rejected of answered; None without answers."""
        return self.rejected / self.answered if self.answered else None

    def add(self, delta: CallDelta) -> None:
        """Add one interval."""
        for name, count in zip(COUNTS, delta.counts, strict=True):
            if count:
                setattr(self, name, getattr(self, name) + count)
        self.response.add_sparse(delta.response)
        self.service.add_sparse(delta.service)

    def merge(self, other: CallNumbers) -> None:
        """Add other numbers."""
        for name in COUNTS:
            if count := getattr(other, name):
                setattr(self, name, getattr(self, name) + count)
        self.response.merge(other.response)
        self.service.merge(other.service)

    def open_books(self) -> list[str]:
        """Name each book that does not close once a run has ended; none is right."""
        books = {
            "planned = sent + waiting_at_end + skipped_offline": (
                self.planned,
                self.sent + self.waiting_at_end + self.skipped_offline,
            ),
            "sent = answered + errors + open_at_end": (
                self.sent,
                self.answered + self.errors + self.open_at_end,
            ),
            "responses = ended + open_at_end + waiting_at_end": (
                self.response.n,
                self.answered + self.errors + self.open_at_end + self.waiting_at_end,
            ),
            "service times = answered": (self.service.n, self.answered),
        }
        return [f"{book}: {left} != {right}" for book, (left, right) in books.items() if left != right]
