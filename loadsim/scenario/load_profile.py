"""When a charge point is to be online: piecewise linear stages, turned into times (pure).

Over a stage the planned number N of a fleet goes linearly from the stage before's value to its own; with
``jump`` it is there at once. Charge point n (from 0) is online while N > n, so the same ones come first and
leave last. A ramp of c charge points over d seconds starts, or ends, one every
d / c seconds, the first at once.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from loadsim.scenario.plan import Plan, Stage

# A clock's zero is subtracted from its time: what begins with a stage must not fall into the one before.
_ROUNDING = 1e-6


def online_intervals(stages: Sequence[Stage], fleet: str, n: int, count: int) -> tuple[tuple[float, float], ...]:
    """Return when charge point *n* of *count* is online, as (from, until) in seconds since the start.

    Raises:
        ValueError: *n* is not in 0 .. *count* - 1.
    """
    if not 0 <= n < count:
        raise ValueError(f"charge point {n} of a fleet of {count}")
    intervals: list[tuple[float, float]] = []
    since: float | None = None
    end = 0.0
    for begin, last, stage, value in _walk(stages, fleet):
        end = begin + stage.duration
        if since is None and n < value:
            # Online at last <= n: the moment N passes n, the stage's beginning for the first of the ramp.
            since = begin if stage.jump else begin + stage.duration * (n - last) / (value - last)
            if intervals and intervals[-1][1] >= since:  # N only touched n
                since = intervals.pop()[0]
        elif since is not None and n >= value:
            # The last that came leaves at once, the last to leave a step before the stage's end.
            until = begin if stage.jump else begin + stage.duration * (last - n - 1) / (last - value)
            if until > since:
                intervals.append((since, until))
            since = None
    if since is not None and end > since:
        intervals.append((since, end))
    return tuple(intervals)


def planned_online(stages: Sequence[Stage], fleet: str, elapsed: float) -> int:
    """Return how many charge points of *fleet* are to be online after *elapsed* seconds.

    From the end on it is the last stage's value.
    """
    value = 0
    for begin, last, stage, value in _walk(stages, fleet):
        if begin <= elapsed < begin + stage.duration:
            if stage.jump:
                return value
            step = (value - last) * (elapsed - begin) / stage.duration
            moved = math.floor(abs(step)) + 1
            return min(value, last + moved) if value >= last else max(value, last - moved)
        if elapsed < begin:
            return last
    return value


def planned_online_in_all(plan: Plan, elapsed: float) -> int:
    """Return how many charge points of all fleets are to be online after *elapsed* seconds."""
    return sum(planned_online(plan.stages, fleet.name, elapsed) for fleet in plan.fleets)


def planned_online_seconds(stages: Sequence[Stage], fleet: str, begin: float, end: float) -> float:
    """Return for how many seconds, summed, charge points of *fleet* are to be online from *begin* to *end*.

    It is the integral of `planned_online`, exact; nothing is planned before the start, nor after the last stage.
    """
    return _online_seconds_until(stages, fleet, end) - _online_seconds_until(stages, fleet, begin)


def planned_online_seconds_in_all(plan: Plan, begin: float, end: float) -> float:
    """Return for how many seconds, summed, charge points of all fleets are to be online from *begin* to *end*."""
    return sum(planned_online_seconds(plan.stages, fleet.name, begin, end) for fleet in plan.fleets)


def stage_times(stages: Sequence[Stage]) -> tuple[tuple[float, float], ...]:
    """Return when each stage begins and ends, in seconds since the start."""
    ends = stage_ends(stages)
    return tuple(zip((0.0, *ends), ends, strict=False))


def stage_ends(stages: Sequence[Stage]) -> tuple[float, ...]:
    """Return when each stage ends, in seconds since the start."""
    return tuple(accumulate(stage.duration for stage in stages))


def stage_at(stages: Sequence[Stage], elapsed: float) -> int:
    """Return the index of the stage that *elapsed* seconds fall in: the last one at or after the end."""
    return stage_finder(stages)(elapsed)


def stage_finder(stages: Sequence[Stage]) -> Callable[[float], int]:
    """Return `stage_at` for *stages*: it is asked once a call, and costs the same however many there are."""
    ends = [end - _ROUNDING for end in stage_ends(stages)]
    last = len(stages) - 1
    return lambda elapsed: min(bisect_right(ends, elapsed), last)


def _online_seconds_until(stages: Sequence[Stage], fleet: str, elapsed: float) -> float:
    seconds = 0.0
    for begin, last, stage, value in _walk(stages, fleet):
        if elapsed <= begin:
            break
        lasted = min(elapsed - begin, stage.duration)
        if stage.jump or value == last:
            seconds += value * lasted
            continue
        # One comes or leaves every gap seconds, the first at once: of those so far, number j did j gaps ago.
        steps = abs(value - last)
        gap = stage.duration / steps
        moved = min(steps, math.floor(lasted / gap) + 1)
        change = moved * lasted - gap * (moved * (moved - 1) / 2)
        seconds += last * lasted + (change if value > last else -change)
    return seconds


def _walk(stages: Sequence[Stage], fleet: str) -> Iterator[tuple[float, int, Stage, int]]:
    """Yield (beginning, value before, stage, value at its end) of each stage."""
    begin, last = 0.0, 0
    for stage in stages:
        value = stage.online.get(fleet, last)
        yield begin, last, stage, value
        begin, last = begin + stage.duration, value
