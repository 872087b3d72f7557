"""Ramps: when each charge point is online, how many are planned, and which stage it is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loadsim.scenario.load_profile import (
    online_intervals,
    planned_online,
    planned_online_seconds,
    stage_at,
    stage_ends,
    stage_times,
)
from loadsim.scenario.plan import Stage

COUNT = 12
STEADY = settings(derandomize=True, deadline=None, max_examples=200)


def stage(duration: float, online: int, *, jump: bool = False) -> Stage:
    return Stage(name="s", duration=duration, online={"a": online}, jump=jump)


profiles = st.lists(
    st.builds(
        stage,
        st.integers(1, 50).map(float) | st.floats(0.1, 1000),
        st.integers(0, COUNT),
        jump=st.booleans(),
    )
    | st.builds(stage, st.just(0.0), st.integers(0, COUNT), jump=st.just(True)),
    min_size=1,
    max_size=6,
)


def test_a_ramp_starts_charge_points_evenly_the_first_at_once() -> None:
    starts = [online_intervals([stage(10, 5), stage(20, 5)], "a", n, 5) for n in range(5)]

    assert starts == [((0.0, 30.0),), ((2.0, 30.0),), ((4.0, 30.0),), ((6.0, 30.0),), ((8.0, 30.0),)]


def test_a_ramp_down_ends_them_evenly_the_last_come_first() -> None:
    stages = [stage(10, 4, jump=True), stage(20, 0)]

    assert [online_intervals(stages, "a", n, 4) for n in range(4)] == [
        ((0.0, 25.0),),
        ((0.0, 20.0),),
        ((0.0, 15.0),),
        ((0.0, 10.0),),
    ]


def test_a_jump_is_there_at_once() -> None:
    stages = [stage(10, 1, jump=True), stage(10, 3, jump=True), stage(10, 0, jump=True), stage(10, 1)]

    assert [online_intervals(stages, "a", n, 3) for n in range(3)] == [
        ((0.0, 20.0), (30.0, 40.0)),
        ((10.0, 20.0),),
        ((10.0, 20.0),),
    ]


def test_a_charge_point_that_no_stage_reaches_is_never_online() -> None:
    assert online_intervals([stage(10, 5)], "a", 5, 6) == ()


def test_a_fleet_that_no_stage_names_is_never_online() -> None:
    assert online_intervals([stage(10, 5)], "b", 0, 6) == ()
    assert planned_online([stage(10, 5)], "b", 5.0) == 0


def test_a_valley_of_no_length_does_not_interrupt_a_charge_point() -> None:
    stages = [stage(10, 2, jump=True), stage(0, 1, jump=True), stage(10, 2, jump=True)]

    assert online_intervals(stages, "a", 1, 2) == ((0.0, 20.0),)


def test_at_the_end_of_a_ramp_down_nobody_is_left() -> None:
    stages = [stage(10, 4, jump=True), stage(20, 0)]

    assert planned_online(stages, "a", 29.9) == 0


@pytest.mark.parametrize("n", [-1, 5])
def test_a_charge_point_that_does_not_exist_is_an_error(n: int) -> None:
    with pytest.raises(ValueError, match="of a fleet of 5"):
        online_intervals([stage(10, 5)], "a", n, 5)


@pytest.mark.parametrize(
    ("elapsed", "index"), [(-1.0, 0), (0.0, 0), (9.9, 0), (10.0, 2), (29.9, 2), (30.0, 2), (99.0, 2)]
)
def test_the_stage_after_some_time_is_the_last_from_the_end_on(elapsed: float, index: int) -> None:
    assert stage_at([stage(10, 1), stage(0, 1, jump=True), stage(20, 1)], elapsed) == index


@STEADY
@given(profiles)
def test_intervals_are_disjoint_in_order_and_within_the_run(stages: list[Stage]) -> None:
    end = sum(each.duration for each in stages)
    for n in range(COUNT):
        times = [time for interval in online_intervals(stages, "a", n, COUNT) for time in interval]
        assert all(before < after for before, after in itertools.pairwise(times))
        assert all(0 <= time <= end + 1e-9 for time in times)


@STEADY
@given(profiles, st.floats(0, 1, exclude_max=True))
def test_as_many_are_online_as_planned(stages: list[Stage], part: float) -> None:
    assume(sum(each.duration for each in stages) > 0)
    elapsed = part * sum(each.duration for each in stages)

    online = sum(
        since <= elapsed < until for n in range(COUNT) for since, until in online_intervals(stages, "a", n, COUNT)
    )

    assert abs(online - planned_online(stages, "a", elapsed)) <= 1


@STEADY
@given(st.integers(0, COUNT), st.integers(0, COUNT), st.lists(st.floats(0, 20), min_size=2, max_size=20))
def test_a_ramp_never_turns_back(low: int, high: int, times: list[float]) -> None:
    stages = [stage(5, low, jump=True), stage(15, high)]
    planned = [planned_online(stages, "a", elapsed) for elapsed in sorted(times)]

    assert planned == sorted(planned, reverse=high < low)
    assert all(min(low, high) <= each <= max(low, high) for each in planned)


@STEADY
@given(profiles)
def test_after_the_end_the_last_value_is_planned(stages: list[Stage]) -> None:
    end = sum(each.duration for each in stages)

    assert planned_online(stages, "a", end + 1) == stages[-1].online["a"]


@STEADY
@given(profiles, st.floats(-0.1, 1.1), st.floats(-0.1, 1.1))
def test_the_seconds_planned_online_are_those_of_all_the_intervals(
    stages: list[Stage], first: float, second: float
) -> None:
    duration = sum(each.duration for each in stages)
    begin, end = sorted((first * duration, second * duration))

    seconds = sum(
        max(0.0, min(until, end) - max(since, begin))
        for n in range(COUNT)
        for since, until in online_intervals(stages, "a", n, COUNT)
    )

    assert planned_online_seconds(stages, "a", begin, end) == pytest.approx(seconds, rel=1e-9, abs=1e-6 * duration)


def test_the_seconds_planned_online_of_a_ramp_are_known_to_the_step() -> None:
    stages = [stage(10, 5), stage(10, 5), stage(10, 0)]

    assert planned_online_seconds(stages, "a", 0.0, 10.0) == pytest.approx(10 + 8 + 6 + 4 + 2)
    assert planned_online_seconds(stages, "a", 10.0, 20.0) == pytest.approx(50)
    assert planned_online_seconds(stages, "a", 20.0, 30.0) == pytest.approx(8 + 6 + 4 + 2)
    assert planned_online_seconds(stages, "b", 0.0, 30.0) == 0.0


def test_stages_follow_each_other() -> None:
    stages = [stage(10, 1), stage(0, 1, jump=True), stage(20, 1)]

    assert stage_ends(stages) == (10.0, 10.0, 30.0)
    assert stage_times(stages) == ((0.0, 10.0), (10.0, 10.0), (10.0, 30.0))
