"""One interval of one worker's numbers: frozen, mergeable, fit for a pipe."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from loadsim.metrics.calls import CallDelta, CallKey, CallNumbers
from loadsim.metrics.histogram import Histogram, SparseHistogram

CENTISECOND: Final = 0.01
"""Seconds to which the time of a recovery is told."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One failure as it happened: *at* in seconds since the start, *frame* as received, cut short."""

    at: float
    charge_point: str
    what: str
    cause: str
    detail: str
    frame: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The worker itself: *cpu* is the share of one core over *cpu_window* seconds, memory in bytes."""

    cpu: float
    cpu_window: float
    rss: int
    rss_empty: int
    descriptors: int
    descriptor_limit: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in worker *shard* since its last snapshot; *elapsed* is its end, in seconds of the run.

    *gauges* hold the state at *elapsed*. *final* is the worker's last word: its books are closed, and
    *open_transactions* are the CSMS's ids of those that its charge points still know, as text: any integer is one,
    also one of more than 64 bits. *recoveries*, by fault, count the charge points that came back after so many
    hundredths of a second: a histogram's relative error would be too much for a figure that a server can check.
    *online_seconds* are those that charge points spent online while the plan wanted them to, by the stage's index.
    """

    shard: int
    elapsed: float
    calls: tuple[CallDelta, ...] = ()
    counters: dict[str, int] = {}
    times: dict[str, SparseHistogram] = {}
    gauges: dict[str, int] = {}
    health: Health | None = None
    examples: tuple[Example, ...] = ()
    final: bool = False
    open_transactions: tuple[str, ...] = ()
    recoveries: dict[str, dict[int, int]] = {}
    online_seconds: dict[int, float] = {}


class Totals:
    """Snapshots merged. Addition only, so that any number of workers counts as one."""

    def __init__(self) -> None:
        self.calls: defaultdict[CallKey, CallNumbers] = defaultdict(CallNumbers)
        self.counters: Counter[str] = Counter()
        self.times: defaultdict[str, Histogram] = defaultdict(Histogram)
        self.gauges: dict[int, dict[str, int]] = {}
        self.health: dict[int, Health] = {}
        self.open_transactions: set[str] = set()
        self.recoveries: dict[str, Counter[int]] = {}
        self.online_seconds: dict[int, float] = {}

    def add(self, snapshot: Snapshot) -> None:
        """Merge one interval of one worker."""
        for delta in snapshot.calls:
            self.calls[CallKey(delta.stage, delta.action, delta.tag_class)].add(delta)
        self.counters.update(snapshot.counters)
        for name, sparse in snapshot.times.items():
            self.times[name].add_sparse(sparse)
        self.open_transactions.update(snapshot.open_transactions)
        for fault, times in snapshot.recoveries.items():
            self.recoveries.setdefault(fault, Counter()).update(times)
        for stage, seconds in snapshot.online_seconds.items():
            self.online_seconds[stage] = self.online_seconds.get(stage, 0.0) + seconds
        self.gauges[snapshot.shard] = snapshot.gauges
        if snapshot.health is not None:
            self.health[snapshot.shard] = snapshot.health

    def gauge(self, name: str) -> int:
        """Return the sum of a gauge over the workers, each at its last snapshot."""
        return sum(gauges.get(name, 0) for gauges in self.gauges.values())

    def time(self, name: str) -> Histogram:
        """Return a histogram of seconds; empty when nothing was recorded."""
        return self.times.get(name, Histogram())

    def group(self, by: Callable[[CallKey], str | None]) -> dict[str, CallNumbers]:
        """Merge calls into named groups, in sorted order; *by* gives None for what is left out."""
        groups: defaultdict[str, CallNumbers] = defaultdict(CallNumbers)
        for key, numbers in sorted(self.calls.items()):
            name = by(key)
            if name is not None:
                groups[name].merge(numbers)
        return dict(sorted(groups.items()))

    def select(
        self, *, action: str | None = None, tag_class: str | None = None, stages: Iterable[int] | None = None
    ) -> CallNumbers:
        """Merge the calls of an action, a tag class and some stages; None selects all."""
        wanted = None if stages is None else frozenset(stages)
        result = CallNumbers()
        for key, numbers in self.calls.items():
            if (
                action in (None, key.action)
                and tag_class in (None, key.tag_class)
                and (wanted is None or key.stage in wanted)
            ):
                result.merge(numbers)
        return result

    def with_prefix(self, prefix: str) -> dict[str, int]:
        """Return the counters whose name begins with *prefix*, without it, sorted."""
        return {
            name.removeprefix(prefix): count
            for name, count in sorted(self.counters.items())
            if name.startswith(prefix)
        }
