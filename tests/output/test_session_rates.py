"""Sessions an hour: the plan and the deed are of the same time, and that is the last minute."""

from collections import Counter

import pytest

from loadsim.output.session_rates import RecentSessions, plans_sessions, sessions_planned
from tests.output.builders import plan, stage

PEAK = plan(session=True, stages=(stage("quiet", 100.0, 500), stage("peak", 1000.0, 500, sessions=0.5)))


def fed(until: float, *, started: float, from_csms: float = 0.0) -> RecentSessions:
    """Feed half-second snapshots, with so many sessions a second."""
    recent = RecentSessions(PEAK)
    for half in range(1, int(until * 2) + 1):
        at = half / 2
        counters = Counter({"sessions.started": int(at * started), "sessions.from_csms": int(at * from_csms)})
        recent.take(at, counters)
    return recent


def test_what_was_done_is_held_against_the_plan_of_the_same_minute() -> None:
    assert fed(300.0, started=0.4, from_csms=0.1).rates() == pytest.approx((0.5, 0.4, 0.1), rel=0.03)


def test_a_minute_that_begins_before_the_peak_has_less_planned() -> None:
    rates = fed(130.0, started=1.0).rates()

    assert rates is not None
    assert rates.planned == pytest.approx(0.25, rel=0.03)  # half of the minute: 30 s at 0.5 a second
    assert rates.done == pytest.approx(1.0, rel=0.03)


def test_the_first_seconds_say_nothing() -> None:
    assert fed(4.5, started=1.0).rates() is None
    assert fed(5.0, started=1.0).rates() is not None


def test_a_young_run_is_measured_from_its_beginning() -> None:
    rates = fed(20.0, started=2.0).rates()

    assert rates is not None
    assert rates.done == pytest.approx(2.0)
    assert rates.planned == 0.0


def test_nothing_is_planned_after_an_early_end() -> None:
    rates = fed(160.0, started=0.0).rates(ended_at=130.0)

    assert rates is not None
    assert rates.planned == pytest.approx(0.25, rel=0.03)


def test_its_memory_does_not_grow_with_the_run() -> None:
    assert len(fed(1000.0, started=1.0)._samples) <= 62


def test_only_fleets_that_have_sessions_count() -> None:
    without = plan(session=False, stages=PEAK.stages)

    assert plans_sessions(PEAK)
    assert not plans_sessions(without)
    assert not plans_sessions(plan(session=True))
    assert (sessions_planned(PEAK, 110.0), sessions_planned(without, 110.0)) == (5.0, 0.0)
