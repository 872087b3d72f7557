"""The integral of how many charge points are online, stage by stage."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.metrics.online_time import OnlineTime, share_online

STEADY = settings(derandomize=True, deadline=None)


def test_seconds_belong_to_the_stage_in_which_they_pass() -> None:
    time = OnlineTime((10.0, 10.0, 30.0))
    time.change(4.0, 2)
    time.change(12.0, -1)

    assert time.drain(20.0) == {0: 12.0, 2: 12.0}
    assert time.drain(29.0) == {2: 9.0}
    assert time.drain(29.0) == {}


def test_nothing_is_counted_before_the_start_nor_after_the_end() -> None:
    time = OnlineTime((10.0,))
    time.change(-3.0, 1)

    assert time.drain(12.0) == {0: 10.0}
    assert time.drain(20.0) == {}


def test_a_run_that_ends_early_counts_up_to_its_end() -> None:
    time = OnlineTime((10.0, 20.0))
    time.change(0.0, 3)
    time.end(12.0)
    time.change(13.0, -1)

    assert time.drain(15.0) == {0: 30.0, 1: 6.0}


@STEADY
@given(
    st.lists(st.floats(0.1, 20), min_size=1, max_size=4),
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), max_size=20),
    st.lists(st.floats(0, 60), max_size=5),
)
def test_it_is_the_sum_of_what_each_was_online(
    durations: list[float], online: list[tuple[float, float]], drains: list[float]
) -> None:
    ends = [sum(durations[: n + 1]) for n in range(len(durations))]
    intervals = [(min(pair), max(pair)) for pair in online]
    time = OnlineTime(ends)
    events = [(since, 1) for since, _ in intervals] + [(until, -1) for _, until in intervals]
    events += [(at, 0) for at in drains]
    measured: dict[int, float] = {}

    for at, by in [*sorted(events), (100.0, 0)]:
        if by:
            time.change(at, by)
        for stage, seconds in time.drain(at).items():
            measured[stage] = measured.get(stage, 0.0) + seconds

    for stage, (begin, end) in enumerate(zip([0.0, *ends], ends, strict=False)):
        each = (max(0.0, min(until, end) - max(since, begin)) for since, until in intervals)
        assert measured.get(stage, 0.0) == pytest.approx(sum(each), abs=1e-9)


@given(st.integers(3, 60), st.integers(0, 2**32))
def test_who_is_online_all_the_time_is_so_for_100_percent(count: int, seed: int) -> None:
    draws = random.Random(seed)
    time = OnlineTime((7.3, 100.1))
    time.change(0.0, count)
    seconds = 0.0
    for tick in range(1, 202):
        seconds += time.drain(tick / 2 + draws.random() / 100).get(1, 0.0)

    assert share_online(seconds, count * (100.1 - 7.3)) == 1.0
    assert share_online(seconds - 1e-3, count * (100.1 - 7.3)) != 1.0  # a millisecond of one of them is seen
    assert share_online(0.0, 0.0) is None
