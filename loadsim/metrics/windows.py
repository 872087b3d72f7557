"""A check held against every window of a length, one beginning after the other; the worst is what counts (pure).

Windows slide by steps of a second, from the beginning of a stretch to its end; more than `MOST_STEPS` a window are
made longer ones. What a step has counted is added to a window when it comes in and subtracted when it goes out: both
are exact. Snapshots are too fine to be cut: calls belong to the step in which the middle of their snapshot lies,
seconds online are shared out. What ended after the stretch, of calls that fell due in it, belongs to its last window:
a stall at the end of a stage must be in one. Only counts that must not be too many go on sliding instead, as long as
calls of the stretch end: in its last window those of a longer time would be counted.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadsim.metrics.calls import CallDelta
from loadsim.metrics.catalogue import CAUSES, COUNTS
from loadsim.metrics.histogram import Histogram
from loadsim.metrics.online_time import share_online
from loadsim.metrics.snapshot import Snapshot
from loadsim.metrics.stretches import Stretch, selects
from loadsim.metrics.thresholds import Check

MOST_STEPS: Final = 1200
"""Steps in a window, at most: what bounds its memory."""
_ROUNDING: Final = 1e-6
_NONE: Final[NDArray[np.int32]] = np.zeros(0, dtype=np.int32)
_ANSWERED: Final = ("accepted", "rejected", "pending")
_ENDED: Final = (*_ANSWERED, *CAUSES)
# Of calls that ended in a window others than those that were sent in it: errors are of those that ended.
_COUNTED: Final = {
    "errors": (CAUSES, _ENDED),
    "rejected": (("rejected",), _ANSWERED),
    "accepted": (("accepted",), _ANSWERED),
    "unexpected": (("unexpected",), _ANSWERED),
    "rate": (("sent",), ("sent",)),
}


Span = tuple[float, float]


class Worst(NamedTuple):
    """The worst window: its value in the check's own unit, and when it was, in seconds of the run."""

    value: float
    begin: float
    end: float


class SlidingWindows:
    """Every window of one check, over all stretches."""

    def __init__(
        self,
        check: Check,
        over: float,
        stretches: Sequence[Stretch],
        planned_online: Callable[[float, float], float],
        stage_times: Sequence[Span] = (),
    ) -> None:
        """Make it with no windows yet.

        Args:
            check: what is judged; it must have windows.
            over: the length of a window in seconds.
            stretches: where windows may lie; a window is inside one of them.
            planned_online: seconds that charge points are to be online, summed, between two moments of the run.
            stage_times: when each stage begins and ends, in seconds of the run.
        """
        self._check = check
        self._slides = [_Slide(check, over, stretch, planned_online, stage_times) for stretch in stretches]

    def take(self, snapshot: Snapshot, since: float) -> None:
        """Take in a snapshot that counts from *since* on, in seconds of the run."""
        for slide in self._slides:
            slide.take(snapshot, since)

    def advance(self, until: float) -> None:
        """Judge the windows that end by *until*: everything up to there has been taken in."""
        for slide in self._slides:
            slide.advance(until)

    def worst(self, ended_at: float | None = None) -> Worst | None:
        """Return the worst window so far; None when none had samples. *ended_at*: the end, if the run has ended.

        A window in which nothing was sent has a rate, 0; but when none had anything that is no rate.
        """
        if self._check.aggregate == "rate" and not any(slide.has_sent for slide in self._slides):
            return None
        found = [worst for slide in self._slides for worst in slide.found(ended_at)]
        return worst_of(self._check, found)


def worst_of(check: Check, found: Sequence[Worst]) -> Worst | None:
    """Return that which is the farthest on the wrong side of the limit, or the nearest to it; None of none."""
    if not found:
        return None
    if check.op in ("<", "<="):
        return max(found, key=lambda worst: worst.value)
    if check.op in (">", ">="):
        return min(found, key=lambda worst: worst.value)
    return max(found, key=lambda worst: abs(worst.value - check.value))


class _Step:
    """What one step adds; what times are of lies in a histogram, packed once the step is over."""

    __slots__ = ("buckets", "counts", "online", "part", "times", "whole")

    def __init__(self) -> None:
        self.part = 0
        self.whole = 0
        self.online = 0.0
        self.times: Histogram = Histogram()
        self.buckets: NDArray[np.int32] = _NONE
        self.counts: NDArray[np.int32] = _NONE

    def pack(self) -> None:
        """Keep of the times only the buckets in which there are some."""
        if self.times.n:
            self.buckets = np.flatnonzero(self.times.counts).astype(np.int32)
            self.counts = self.times.counts[self.buckets].astype(np.int32)
            packed = Histogram()
            packed.n, packed.total, packed.max = self.times.n, self.times.total, self.times.max
            self.times = packed


class _Slide:
    """The windows in one stretch."""

    def __init__(
        self,
        check: Check,
        over: float,
        stretch: Stretch,
        planned_online: Callable[[float, float], float],
        stage_times: Sequence[Span],
    ) -> None:
        self._check, self._over, self._stretch = check, over, stretch
        self._stage_times = dict(enumerate(stage_times))
        self._planned_online = planned_online
        self._length = min(max(int(over), 1), MOST_STEPS)
        """Steps in a window."""
        self._step = over / self._length
        self._steps = self._steps_until(stretch.end)
        """Steps in the stretch; what comes later is kept as one more."""
        part, whole = _COUNTED.get(check.aggregate, ((), ()))
        self._part = [COUNTS.index(name) for name in part]
        self._whole = [COUNTS.index(name) for name in whole]
        self._is_online = check.subject == "online"
        self._has_times = not (self._part or self._is_online)
        self._goes_on = check.value_kind == "count" and check.op in ("<", "<=", "==")
        """Whether windows slide on after the stretch."""
        self._ahead: defaultdict[int, _Step] = defaultdict(_Step)
        self._window: deque[_Step] = deque()
        self._buckets = np.zeros(0, dtype=np.int64)
        self._done = 0
        self.has_sent = False
        self._worst: Worst | None = None

    def take(self, snapshot: Snapshot, since: float) -> None:
        if self._is_online:
            for stage, seconds in snapshot.online_seconds.items():
                if stage in self._stretch.stages:
                    begin, end = self._stage_times.get(stage, (self._stretch.begin, self._stretch.end))
                    self._share_out(seconds, max(since, begin), min(snapshot.elapsed, end))
            return
        if snapshot.elapsed <= self._stretch.begin:
            return
        middle = (since + snapshot.elapsed) / 2
        number = math.floor((middle - self._stretch.begin) / self._step)
        number = max(number, self._done)
        if not self._goes_on:
            number = min(number, self._steps)  # what is later comes behind the last
        for delta in snapshot.calls:
            if delta.stage in self._stretch.stages and selects(self._check, delta):
                self._add(self._ahead[number], delta)

    def _add(self, step: _Step, delta: CallDelta) -> None:
        if self._has_times:
            step.times.add_sparse(delta.response)
        step.part += sum(delta.counts[index] for index in self._part)
        step.whole += sum(delta.counts[index] for index in self._whole)
        self.has_sent = self.has_sent or step.part > 0

    def _share_out(self, seconds: float, since: float, until: float) -> None:
        """Spread *seconds* evenly over the steps that lie between."""
        since, until = max(since, self._stretch.begin), min(until, self._stretch.end)
        length = until - since
        if length <= 0:
            return
        first = math.floor((since - self._stretch.begin) / self._step)
        for number in range(max(first, self._done), self._steps):
            begin = self._stretch.begin + number * self._step
            part = min(until, begin + self._step) - max(since, begin)
            if part <= 0:
                break
            self._ahead[number].online += seconds * part / length

    def advance(self, until: float) -> None:
        steps = self._steps_until(until)
        for _ in range(self._done, steps if self._goes_on else min(steps, self._steps)):
            step = self._ahead.pop(self._done, None) or _Step()
            self._done += 1
            step.pack()
            self._count(step, 1)
            self._window.append(step)
            if len(self._window) > self._length:
                self._count(self._window.popleft(), -1)
            worst = self._judge()
            if worst is not None:
                self._worst = worst_of(self._check, [worst] if self._worst is None else [self._worst, worst])

    def _steps_until(self, at: float) -> int:
        return max(0, math.floor((at - self._stretch.begin) / self._step + _ROUNDING))

    def _count(self, step: _Step, sign: int) -> None:
        if not step.buckets.size:
            return
        if step.buckets[-1] >= self._buckets.size:
            self._buckets = np.concatenate(
                (self._buckets, np.zeros(int(step.buckets[-1]) + 1 - self._buckets.size, dtype=np.int64))
            )
        self._buckets[step.buckets] += sign * step.counts

    def found(self, ended_at: float | None) -> Iterator[Worst]:
        """Yield the worst window so far, and the last one once the stretch is over, with what ended after it."""
        if self._worst is not None:
            yield self._worst
        last = self._steps if ended_at is None else min(self._steps, self._steps_until(ended_at))
        if self._goes_on:
            if ended_at is not None and self._done >= last and len(self._window) == self._length:
                yield from self._sliding_on()
            return
        late = [step for number, step in sorted(self._ahead.items()) if number >= last]
        # A rate is of what was sent in its time; who is online is so without delay.
        if late and self._done >= last and not self._is_online and self._check.aggregate != "rate":
            closing = self._judge(late)
            if closing is not None:
                yield closing

    def _sliding_on(self) -> Iterator[Worst]:
        """Yield the windows of counts that end after the newest one."""
        steps = dict(enumerate(self._window, start=self._done - self._length)) | self._ahead
        for number in sorted(self._ahead):
            inside = [step for each, step in steps.items() if number - self._length < each <= number]
            if any(step.whole for step in inside):
                end = self._stretch.begin + (number + 1) * self._step
                yield Worst(float(sum(step.part for step in inside)), end - self._over, end)

    def _judge(self, late: Sequence[_Step] = ()) -> Worst | None:
        """Judge the newest window, with what came *late*; None while it is too short, or has no samples."""
        end = self._stretch.begin + self._done * self._step
        if len(self._window) < self._length:
            return None
        value = self._value([*self._window, *late], late, end)
        return None if value is None else Worst(value, end - self._over, end)

    def _value(self, steps: Sequence[_Step], late: Sequence[_Step], end: float) -> float | None:
        check = self._check
        if self._is_online:
            planned = self._planned_online(end - self._over, end)
            return share_online(math.fsum(step.online for step in steps), planned)
        if self._has_times:
            return _time(check, self._times(late))
        part, whole = sum(step.part for step in steps), sum(step.whole for step in steps)
        if check.aggregate == "rate":
            return part / self._over
        if not whole:
            return None
        return part / whole if check.value_kind == "share" else float(part)

    def _times(self, late: Sequence[_Step]) -> Histogram:
        times = Histogram()
        times.n = sum(step.times.n for step in self._window)
        times.total = math.fsum(step.times.total for step in self._window)
        times.max = max(step.times.max for step in self._window)
        times.counts = self._buckets.copy() if late else self._buckets
        for step in late:
            times.merge(step.times)
        return times


def _time(check: Check, times: Histogram) -> float | None:
    if check.aggregate == "mean":
        return times.mean
    if check.aggregate == "max":
        return times.max if times.n else None
    assert check.quantile is not None
    return times.percentile(check.quantile * 100)
