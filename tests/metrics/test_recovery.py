"""How long a fault's charge points took to come back: exact, and null where they did not."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.metrics.recorder import Recorder
from loadsim.metrics.recovery import Recovery, recovery, time_until
from loadsim.metrics.snapshot import Totals

STEADY = settings(derandomize=True, deadline=None)


def recovered(*seconds: float, hit: int, offline: int, gone: int = 0) -> Recovery:
    recorder = Recorder()
    for each in seconds:
        recorder.recovered("outage", each)
    recorder.counters["faults.outage.hit"] += hit
    recorder.counters["faults.outage.offline"] += offline
    recorder.counters["faults.outage.gone"] += gone
    totals = Totals()
    totals.add(recorder.fold(10.0, gauges={}))
    return recovery(totals, "outage")


def test_the_time_until_a_share_is_back_is_that_of_the_charge_point_that_completes_it() -> None:
    of_ten = recovered(*range(1, 11), hit=12, offline=10)

    assert [of_ten.time_until(share) for share in (0.5, 0.95, 1.0)] == [5.0, 10.0, 10.0]
    assert of_ten.time_until_all == 10.0
    assert of_ten.missing == 0


def test_who_never_came_back_counts_among_the_slowest() -> None:
    of_ten = recovered(*range(1, 6), hit=10, offline=10)

    assert [of_ten.time_until(share) for share in (0.5, 0.51, 0.95, 1.0)] == [5.0, None, None, None]
    assert of_ten.time_until_all is None
    assert of_ten.missing == 5


def test_who_was_taken_offline_by_the_plan_is_not_waited_for() -> None:
    of_ten = recovered(1.0, 2.0, 3.0, hit=4, offline=4, gone=1)

    assert of_ten.time_until_all == 3.0
    assert of_ten.missing == 0


def test_a_fault_that_took_nobody_offline_is_over_at_once_but_one_that_hit_nobody_has_no_time() -> None:
    assert recovered(hit=5, offline=0).time_until_all == 0.0
    assert recovered(hit=5, offline=0).time_until(0.5) is None
    assert recovered(hit=0, offline=0).time_until_all is None
    assert recovered(hit=2, offline=2, gone=2).time_until_all is None


def test_a_fault_of_which_nothing_was_counted_has_hit_nobody() -> None:
    nothing = recovery(Totals(), "outage")

    assert (nothing.hit, nothing.offline, nothing.missing, nothing.time_until_all) == (0, 0, 0, None)


@STEADY
@given(st.lists(st.integers(0, 500), max_size=30), st.integers(0, 10), st.floats(0.01, 1.0))
def test_it_is_the_value_at_its_rank_of_all_of_them(back: list[int], missing: int, share: float) -> None:
    of = len(back) + missing
    rank = math.ceil(share * of - 1e-9)
    expected = None if not of or rank > len(back) else sorted(back)[rank - 1] / 100

    assert time_until(Counter(back), of, share) == (None if expected is None else pytest.approx(expected))
