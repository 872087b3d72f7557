"""The stretches of a run that a check is held against: measured stages that follow each other (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from loadsim.metrics.calls import CallDelta
from loadsim.metrics.thresholds import Check


class Stretch(NamedTuple):
    """An unbroken part of a run, in its seconds, and the stages that it is of, by index."""

    begin: float
    end: float
    stages: frozenset[int]


class StageTime(NamedTuple):
    """A stage, as far as thresholds are concerned: when it is planned, in seconds of the run, and if it counts."""

    name: str
    begin: float
    end: float
    measure: bool


def measured_stretches(stages: Sequence[StageTime], stage: str | None, after: float = 0.0) -> list[Stretch]:
    """Return what counts of a run, or of the *stage* of that name, from *after* seconds of the run on.

    A stage that is not measured parts what is before it from what is after it; stages of no length are of no stretch.
    """
    stretches: list[Stretch] = []
    for index, each in enumerate(stages):
        begin = max(each.begin, after)
        if not each.measure or stage not in (None, each.name) or begin >= each.end:
            continue
        if stretches and stretches[-1].end == begin:
            last = stretches.pop()
            stretches.append(Stretch(last.begin, each.end, last.stages | {index}))
        else:
            stretches.append(Stretch(begin, each.end, frozenset({index})))
    return stretches


def selects(check: Check, delta: CallDelta) -> bool:
    """Tell whether *check* is of these calls; the stage is not looked at."""
    return check.action in ("all", delta.action) and check.tag_class in (None, delta.tag_class)
