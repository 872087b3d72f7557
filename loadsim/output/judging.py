"""A run's thresholds, held against its numbers while they come: as a whole, in windows, by thirds; which end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from loadsim.metrics.drift import Drift
from loadsim.metrics.judge import MeasuredStage, Result, evaluate, holds
from loadsim.metrics.own_delay import OwnDelay
from loadsim.metrics.snapshot import Snapshot, Totals
from loadsim.metrics.stretches import StageTime, measured_stretches
from loadsim.metrics.thresholds import Check, parse
from loadsim.metrics.transactions import TransactionFaults
from loadsim.metrics.windows import SlidingWindows
from loadsim.scenario.load_profile import planned_online_seconds_in_all, stage_ends, stage_times
from loadsim.scenario.plan import Plan

_IN_STEP: Final = 1.0
"""Seconds that one worker's numbers may be ahead of another's: two of the intervals in which they come."""


class Judging:
    """What thresholds need of snapshots beyond totals; bounded by the lengths of their windows."""

    def __init__(self, plan: Plan, *, workers: int) -> None:
        """Make it with nothing taken in.

        Args:
            plan: the run.
            workers: how many there are; a window is judged once all that are left have told of it.
        """
        self.checks: tuple[Check, ...] = tuple(parse(threshold.check) for threshold in plan.thresholds)
        self.own_delay = OwnDelay(stage_ends(plan.stages))
        self._plan = plan
        self._call_timeout = min((fleet.settings.call_timeout for fleet in plan.fleets), default=0.0)
        self._since: dict[int, float] = dict.fromkeys(range(workers), 0.0)
        """Up to when each worker has told, in seconds of the run; without those that are lost."""
        self._windows: dict[int, SlidingWindows] = {}
        self._drifts: dict[int, Drift] = {}
        self._aborted: dict[int, Result] = {}
        self._judged_until = 0.0
        spans = stage_times(plan.stages)
        times = [
            StageTime(stage.name, begin, end, stage.measure)
            for stage, (begin, end) in zip(plan.stages, spans, strict=True)
        ]
        for number, (threshold, check) in enumerate(zip(plan.thresholds, self.checks, strict=True)):
            stretches = measured_stretches(times, check.stage, threshold.after)
            if check.drift:
                self._drifts[number] = Drift(check, stretches)
            elif threshold.over is not None and check.has_windows:
                self._windows[number] = SlidingWindows(check, threshold.over, stretches, self._planned_online, spans)

    @property
    def measured_until(self) -> float:
        """Up to when all workers have told, in seconds of the run."""
        return min(self._since.values(), default=0.0)

    @property
    def aborted(self) -> Result | None:
        """What ended the run; None if it was no threshold."""
        return next(iter(self._aborted.values()), None)

    def take(self, snapshot: Snapshot, ended_at: float | None) -> None:
        """Take in one worker's interval; *ended_at* is when the run ended, if it has."""
        since = self._since.get(snapshot.shard, 0.0)
        for windows in self._windows.values():
            windows.take(snapshot, since)
        for drift in self._drifts.values():
            drift.take(snapshot, since)
        self.own_delay.take(snapshot, since)
        self._since[snapshot.shard] = max(since, snapshot.elapsed)
        self._advance(ended_at)

    def lose(self, shard: int, ended_at: float | None) -> None:
        """Wait no longer for a worker that is gone."""
        if len(self._since) > 1:  # after the last one nothing comes any more
            self._since.pop(shard, None)
        self._advance(ended_at)

    def judge(
        self,
        totals: Totals,
        stages: Sequence[MeasuredStage],
        *,
        ended_at: float | None,
        faults: TransactionFaults | None = None,
    ) -> list[Result]:
        """Hold every threshold against what is known so far, in the plan's order."""
        return [
            self._aborted.get(number) or self._judge(number, totals, stages, ended_at, faults)
            for number in range(len(self.checks))
        ]

    def look_for_abort(self, totals: Totals, stages: Sequence[MeasuredStage]) -> Result | None:
        """Return the result of a threshold that ends the run now; it is kept as it is. The run goes on so far."""
        until = self.measured_until
        if self._aborted or until == self._judged_until:
            return self.aborted
        if max(self._since.values(), default=0.0) - until > _IN_STEP:
            return None  # the numbers that have come are of a longer time from one worker than from another
        self._judged_until = until
        for number, threshold in enumerate(self._plan.thresholds):
            drift = self._drifts.get(number)
            if not threshold.abort or until < max(threshold.after, drift.ends_at if drift else 0.0):
                continue
            result = self._judge(number, totals, stages, None, None)
            if result.actual is not None and not result.ok:
                self._aborted[number] = replace(result, aborted_at=until)
                break
        return self.aborted

    def own_doing(self, results: Sequence[Result], totals: Totals, stages: Sequence[MeasuredStage]) -> list[str]:
        """Say which thresholds of *results* may have failed by the generator alone, and why; none is right."""
        told = (
            self.own_delay.own_doing(self._in_its_time(result), totals, stages, self._call_timeout)
            for result in results
        )
        return [why for why in told if why is not None]

    def _in_its_time(self, result: Result) -> Result:
        """Give a recovery its time for a window: from the fault's moment, or any, until all were back."""
        if result.check.subject != "recovery" or result.actual is None:
            return result
        at = next(fault.at for fault in self._plan.faults if fault.name == result.check.fault)
        window = (0.0, self.measured_until) if at is None else (at, at + result.actual)
        return replace(result, window=window)

    def _judge(
        self,
        number: int,
        totals: Totals,
        stages: Sequence[MeasuredStage],
        ended_at: float | None,
        faults: TransactionFaults | None,
    ) -> Result:
        check = self.checks[number]
        if number in self._drifts:
            value = self._drifts[number].value
            return Result(check, value, holds(check, value))
        if number not in self._windows:
            return evaluate(check, totals, stages, faults)
        over, worst = self._plan.thresholds[number].over, self._windows[number].worst(ended_at)
        if worst is None:
            return Result(check, None, False, over)
        return Result(check, worst.value, holds(check, worst.value), over, (worst.begin, worst.end))

    def _advance(self, ended_at: float | None) -> None:
        until = self.measured_until if ended_at is None else min(self.measured_until, ended_at)
        for windows in self._windows.values():
            windows.advance(until)

    def _planned_online(self, begin: float, end: float) -> float:
        return planned_online_seconds_in_all(self._plan, begin, end)
