"""The hot path of measuring: append and count now, fold with numpy once a tick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from loadsim.metrics.calls import CallSeries
from loadsim.metrics.histogram import pack
from loadsim.metrics.online_time import OnlineTime
from loadsim.metrics.snapshot import CENTISECOND, Example, Health, Snapshot
from loadsim.metrics.traffic import Traffic

_EXAMPLES_PER_CAUSE: Final = 20
_FRAME_LENGTH: Final = 500


class Recorder:
    """What a shard has seen since its last tick; memory is bounded by what one tick brings."""

    def __init__(self, shard: int = 0, *, stage_ends: Sequence[float] = ()) -> None:
        """Make one of nothing.

        Args:
            shard: whose it is.
            stage_ends: when each stage ends, in seconds of the run: by stage is told how long charge points were
                online.
        """
        self.shard = shard
        self.online_time = OnlineTime(stage_ends)
        self.counters: Counter[str] = Counter()
        self.traffic = Traffic()
        self.lateness: list[float] = []
        self.connect: list[float] = []
        self.handshake: list[float] = []
        self.gc_pause: list[float] = []
        self.recoveries: dict[str, Counter[int]] = {}
        self._at_rest = False
        self._times: dict[str, list[float]] = {}
        self._series: dict[tuple[int, str, str], CallSeries] = {}
        self._examples: list[Example] = []
        self._examples_seen: Counter[tuple[str, str]] = Counter()

    def series(self, stage: int, action: str, tag_class: str = "") -> CallSeries:
        """Return where calls that fell due in *stage* are counted."""
        key = stage, action, tag_class  # as it is, for a CallKey each call takes twice as long to make
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = CallSeries()
        return series

    def time(self, name: str) -> list[float]:
        """Return where seconds are appended to the histogram *name* of the catalogue."""
        samples = self._times.get(name)
        if samples is None:
            samples = self._times[name] = []
        return samples

    def recovered(self, fault: str, seconds: float) -> None:
        """Record that a charge point which *fault* took offline is back after so many *seconds*."""
        self.counters[f"faults.{fault}.back"] += 1
        self.recoveries.setdefault(fault, Counter())[round(seconds / CENTISECOND)] += 1

    def example(
        self, at: float, charge_point: str, what: str, cause: str, detail: str, frame: str | bytes = ""
    ) -> None:
        """Keep a failure as an example; the first few of a kind are kept, the rest is only counted."""
        self._examples_seen[what, cause] += 1
        if self._examples_seen[what, cause] > _EXAMPLES_PER_CAUSE:
            return
        cut = frame[:_FRAME_LENGTH]
        shown = cut.decode(errors="backslashreplace") if isinstance(cut, bytes) else cut
        self._examples.append(
            Example(
                at=at,
                charge_point=charge_point,
                what=what,
                cause=cause,
                detail=detail[:_FRAME_LENGTH],
                frame=shown,
            )
        )

    def rest(self) -> None:
        """Note that there is no load any more: however late the generator is from now on holds up nothing."""
        self._at_rest = True

    def fold(
        self,
        elapsed: float,
        *,
        gauges: dict[str, int],
        health: Health | None = None,
        final: bool = False,
        open_transactions: Iterable[int] = (),
    ) -> Snapshot:
        """Close the interval: return its numbers and begin the next."""
        self.counters.update(self.traffic.drain())
        times = {}
        if self._at_rest:
            self.lateness.clear()
            self.gc_pause.clear()
        of_its_own = {name: getattr(self, name) for name in ("lateness", "connect", "handshake", "gc_pause")}
        for name, samples in (*of_its_own.items(), *self._times.items()):
            if samples:
                times[name] = pack(samples)
                samples.clear()
        deltas = (series.drain(key) for key, series in self._series.items())
        snapshot = Snapshot(
            shard=self.shard,
            elapsed=elapsed,
            calls=tuple(delta for delta in deltas if delta is not None),
            counters=dict(self.counters),
            times=times,
            gauges=gauges,
            health=health,
            examples=tuple(self._examples),
            final=final,
            open_transactions=tuple(map(str, open_transactions)),
            recoveries={fault: dict(times) for fault, times in self.recoveries.items()},
            online_seconds=self.online_time.drain(elapsed),
        )
        self.recoveries.clear()
        self.counters.clear()
        self._examples.clear()
        return snapshot
