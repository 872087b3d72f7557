"""How late the generator itself was, by worker and stage, and which threshold may have failed by that alone (pure).

Over a long run a percentile of all lateness says little of a short time: of one worker among many, of the minutes of
a peak, of three seconds in which a worker stood still. What those seconds hold is in the response times all the same.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.histogram import Histogram
from loadsim.metrics.judge import LATENESS_OF_AN_IDLE_MACHINE, Late, MeasuredStage, Result, chosen_stages, holds
from loadsim.metrics.snapshot import Snapshot, Totals
from loadsim.metrics.thresholds import Check

_STALL: Final = 0.1
_STALLS_KEPT: Final = 1000
_AROUND: Final = 1.0
"""Seconds around a window in which a stall may have held up what is counted in it."""
_PERCENT: Final = 1.0
_LEAST_LATE: Final = 0.3
"""Seconds of a stage that must have been late, at least: one hiccup is not a short stage's p99."""


class _Stall(NamedTuple):
    """A snapshot's interval in which a worker was late by as much as *seconds*."""

    seconds: float
    begin: float
    end: float


class OwnDelay:
    """The lateness of a run's workers; its memory does not grow with the run's length."""

    def __init__(self, stage_ends: Sequence[float]) -> None:
        """Make it without any.

        Args:
            stage_ends: when each stage ends, in seconds of the run.
        """
        self._ends = tuple(stage_ends)
        self._by_worker: dict[int, Histogram] = {}
        self._by_stage: dict[int, Histogram] = {}
        self._stalls: list[_Stall] = []  # a heap: the shortest goes where there are too many

    def __len__(self) -> int:
        return len(self._stalls)

    def take(self, snapshot: Snapshot, since: float) -> None:
        """Take in a snapshot that counts from *since* on, in seconds of the run; it is of the stage of its middle."""
        late = snapshot.times.get("lateness")
        if late is None:
            return
        stage = min(bisect_right(self._ends, (since + snapshot.elapsed) / 2), len(self._ends) - 1)
        self._by_worker.setdefault(snapshot.shard, Histogram()).add_sparse(late)
        self._by_stage.setdefault(stage, Histogram()).add_sparse(late)
        if late.max >= _STALL:
            heapq.heappush(self._stalls, _Stall(late.max, since, snapshot.elapsed))
            if len(self._stalls) > _STALLS_KEPT:
                heapq.heappop(self._stalls)

    def latest(self, stages: Sequence[MeasuredStage]) -> Iterator[Late]:
        """Yield the worst of several workers, and of the measured of several *stages*, by p99 over its time.

        Of a stage of less than half a minute it is a lower percentile, beyond which there are 0.3 s.
        """
        found = [
            Late(f" of worker {shard}", late.percentile(100 - _PERCENT) or 0.0)
            for shard, late in self._by_worker.items()
        ]
        if len(found) > 1:
            yield max(found, key=lambda each: each.seconds)
        found = []
        for index, stage in enumerate(stages):
            beyond = max(_PERCENT, 100 * _LEAST_LATE / stage.seconds) if stage.seconds else 100.0
            if stage.measure and beyond < 100 and index in self._by_stage:
                seconds = self._by_stage[index].percentile(100 - beyond) or 0.0
                found.append(Late(f" during '{stage.name}'", seconds))
        if len(stages) > 1 and found:
            yield max(found, key=lambda each: each.seconds)

    def own_doing(
        self, result: Result, totals: Totals, stages: Sequence[MeasuredStage], call_timeout: float
    ) -> str | None:
        """Say why a threshold that does not hold may have failed by the generator alone; None: it has not.

        Times are less by as much as the generator was late (of a recovery, the window is all its time), and calls
        that it noticed too late to have been answered have not timed out: if the check would hold then, nobody can
        tell whose failure it is.
        """
        check = result.check
        if result.ok or result.actual is None or check.subject not in ("calls", "recovery") or check.drift:
            return None
        if check.op not in ("<", "<=") and not (check.op == "==" and check.value == 0):
            return None  # the more the better: lateness is no help
        if check.value_kind == "duration":
            late = self._late(result, totals, stages)
            if late <= LATENESS_OF_AN_IDLE_MACHINE or not holds(check, max(result.actual - late, 0.0)):
                return None
            return (
                f"'{result.text}' may have failed by the generator alone: of the {result.actual * 1e3:.1f} ms "
                f"{late * 1e3:.1f} ms may be its own lateness"
            )
        if check.aggregate != "errors":
            return None
        late = self._longest(result, check, stages)
        if late < call_timeout / 2 or not _holds_without_timeouts(result, totals, stages):
            return None
        return (
            f"'{result.text}' may have failed by the generator alone: a worker stood still for {late * 1e3:.1f} ms, "
            f"and calls time out after {call_timeout:g} s"
        )

    def _late(self, result: Result, totals: Totals, stages: Sequence[MeasuredStage]) -> float:
        """Return how late the generator was, in seconds, as the check has it of response times."""
        check = result.check
        if result.window is not None:
            return self._longest(result, check, stages)
        late = self._of_stages(check, stages)
        if check.aggregate == "mean":
            return late.mean or 0.0
        calls = _calls(check, totals, stages)
        # Of few calls a percentile is the slowest one, whichever moment it was due in.
        if check.quantile is None or calls.response.n * (1 - check.quantile) < 1:
            return late.max
        return late.percentile(check.quantile * 100) or 0.0

    def _longest(self, result: Result, check: Check, stages: Sequence[MeasuredStage]) -> float:
        """Return the longest lateness in the window that was judged, in seconds; without one, in the stages."""
        if result.window is None:
            return self._of_stages(check, stages).max
        begin, end = result.window[0] - _AROUND, result.window[1] + _AROUND
        return max((each.seconds for each in self._stalls if each.begin < end and each.end > begin), default=0.0)

    def _of_stages(self, check: Check, stages: Sequence[MeasuredStage]) -> Histogram:
        late = Histogram()
        for index in chosen_stages(check, stages):
            late.merge(self._by_stage.get(index, Histogram()))
        return late


def _calls(check: Check, totals: Totals, stages: Sequence[MeasuredStage]) -> CallNumbers:
    return totals.select(
        action=None if check.action == "all" else check.action,
        tag_class=check.tag_class,
        stages=chosen_stages(check, stages),
    )


def _holds_without_timeouts(result: Result, totals: Totals, stages: Sequence[MeasuredStage]) -> bool:
    """Tell whether the errors would be few enough without those; of a window it is only known that there are some."""
    check, calls = result.check, _calls(result.check, totals, stages)
    if result.window is not None or not calls.timeout:
        return calls.timeout > 0
    left = calls.errors - calls.timeout
    return holds(check, left / calls.sent if check.value_kind == "share" else float(left))
