"""Drift: the last third of a time against its first."""

from __future__ import annotations

import pytest

from loadsim.metrics.drift import Drift
from loadsim.metrics.snapshot import Snapshot
from loadsim.metrics.stretches import Stretch
from loadsim.metrics.thresholds import parse
from tests.metrics.test_windows import calls


def drift(*stretches: Stretch, check: str = "all p95 drift < 10%") -> Drift:
    return Drift(parse(check), stretches or (Stretch(0.0, 30.0, frozenset({0})),))


def take(watched: Drift, since: float, until: float, *seconds: float, stage: int = 0) -> None:
    watched.take(Snapshot(shard=0, elapsed=until, calls=(calls(seconds, stage=stage),)), since)


def test_it_is_the_growth_from_the_first_third_to_the_last() -> None:
    watched = drift()
    take(watched, 9.0, 9.5, 0.1)
    take(watched, 10.0, 10.5, 5.0)
    take(watched, 19.0, 19.5, 5.0)
    take(watched, 20.0, 20.5, 0.125)

    assert watched.value == pytest.approx(0.25, rel=1e-2)


def test_times_that_shrink_are_a_drift_below_zero() -> None:
    watched = drift()
    take(watched, 0.0, 0.5, 0.2)
    take(watched, 25.0, 25.5, 0.1)

    assert watched.value == pytest.approx(-0.5, rel=1e-2)


def test_a_third_without_samples_leaves_no_value() -> None:
    first, last = drift(), drift()
    take(first, 0.0, 0.5, 0.2)
    take(last, 25.0, 25.5, 0.2)

    assert (first.value, last.value, drift().value) == (None, None, None)


def test_what_ends_after_the_stage_belongs_to_its_last_third() -> None:
    watched = drift()
    take(watched, 0.0, 0.5, 0.1)
    take(watched, 40.0, 40.5, 0.3)
    take(watched, 25.0, 25.5, 9.0, stage=1)

    assert watched.value == pytest.approx(2.0, rel=1e-2)


def test_thirds_are_of_the_measured_time_alone() -> None:
    """Measured is 0 to 10 s and 70 to 90 s: the thirds are 0 to 10 s, 70 to 80 s and 80 to 90 s."""
    watched = drift(Stretch(0.0, 10.0, frozenset({0})), Stretch(70.0, 90.0, frozenset({2, 3})))
    take(watched, 5.0, 5.5, 0.1)
    take(watched, 30.0, 30.5, 50.0, stage=1)
    take(watched, 71.0, 71.5, 9.0, stage=2)
    take(watched, 81.0, 81.5, 0.2, stage=3)

    assert watched.value == pytest.approx(1.0, rel=1e-2)
