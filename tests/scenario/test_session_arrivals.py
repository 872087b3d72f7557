"""Arrivals of charging sessions: as many as planned, when planned, the same for everybody who draws them."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.charge_point.draws import Draws
from loadsim.scenario.plan import Stage
from loadsim.scenario.session_arrivals import planned_sessions, session_arrivals

STEADY = settings(derandomize=True, deadline=None, max_examples=150)
Spacing = Literal["poisson", "even"]


def stage(duration: float, rate: float | None, spacing: Spacing = "poisson", *, jump: bool = False) -> Stage:
    sessions = {} if rate is None else {"a": rate}
    return Stage(name="s", duration=duration, online={}, sessions=sessions, arrivals=spacing, jump=jump)


def arrivals(stages: list[Stage], fleet: str = "a", seed: int = 1) -> list[float]:
    return list(session_arrivals(stages, fleet, Draws(seed, fleet, -1, "sessions")))


def rate_at(stages: list[Stage], elapsed: float) -> float:
    """The planned rate, straight from the words of the grammar: what the code under test never asks for."""
    begin, rate = 0.0, 0.0
    for each in stages:
        last = each.sessions.get("a", rate)
        if begin <= elapsed < begin + each.duration:
            return last if each.jump else rate + (last - rate) * (elapsed - begin) / each.duration
        begin, rate = begin + each.duration, last
    return 0.0


def integral(stages: list[Stage], until: float) -> float:
    """Sum the rate up in small steps, by the midpoint of each; stages begin and end at whole seconds."""
    steps = 20 * math.ceil(until)
    width = until / steps
    return math.fsum(rate_at(stages, (step + 0.5) * width) * width for step in range(steps))


rates = st.none() | st.just(0.0) | st.floats(0.001, 20.0)
spacings: st.SearchStrategy[Spacing] = st.sampled_from(["poisson", "even"])
durations = st.integers(1, 40).map(float)
profiles = st.lists(
    st.builds(stage, durations, rates, spacings, jump=st.booleans())
    | st.builds(stage, st.just(0.0), rates, spacings, jump=st.just(True)),
    min_size=1,
    max_size=6,
)
even_profiles = profiles.map(lambda stages: [stage_as(each, "even") for each in stages])


def stage_as(each: Stage, spacing: Spacing) -> Stage:
    return stage(each.duration, each.sessions.get("a"), spacing, jump=each.jump)


def test_even_arrivals_are_at_equal_distances_half_a_distance_from_the_ends() -> None:
    assert arrivals([stage(10, 0.5, "even", jump=True)]) == [1.0, 3.0, 5.0, 7.0, 9.0]


def test_even_arrivals_carry_the_remainder_over_the_border_of_stages() -> None:
    stages = [stage(3, 0.1, "even", jump=True), stage(4, 0.1, "even"), stage(10, 0.2, "even", jump=True)]

    assert arrivals(stages) == pytest.approx([5.0, 11.0, 16.0])


def test_an_arrival_due_at_the_very_border_comes_once() -> None:
    stages = [stage(5, 0.1, "even", jump=True), stage(5, 0.1, "even")]

    assert arrivals(stages) == [5.0]


def test_a_ramp_from_nothing_comes_ever_faster() -> None:
    # 0 to 2 a second over 8 s: t**2 / 8 are planned after t seconds, so arrival k is at sqrt(8 * (k + 1/2)).
    assert arrivals([stage(8, 2.0, "even")]) == pytest.approx([math.sqrt(8 * (k + 0.5)) for k in range(8)])


def test_a_ramp_to_nothing_comes_ever_slower() -> None:
    stages = [stage(0, 2.0, "even", jump=True), stage(8, 0.0, "even")]

    assert arrivals(stages) == pytest.approx([8 - math.sqrt(8 * (7.5 - k)) for k in range(8)])


def test_at_a_rate_of_0_nothing_arrives() -> None:
    stages = [stage(100, None), stage(100, 0.0, "even"), stage(0, 5.0, jump=True), stage(100, 0.0, jump=True)]

    assert arrivals(stages) == []
    assert planned_sessions(stages, "a", 1000.0) == 0.0


def test_a_stage_without_a_rate_keeps_the_last_one() -> None:
    assert len(arrivals([stage(10, 3.0, "even", jump=True), stage(10, None, "even")])) == 60


def test_a_fleet_that_no_stage_names_gets_no_session() -> None:
    assert arrivals([stage(100, 5.0)], "b") == []


def test_a_fleet_without_arrivals_for_a_while_has_them_again_afterwards() -> None:
    stages = [stage(10, 1.0, jump=True), stage(1000, 0.0, jump=True), stage(10, 1.0, jump=True)]
    times = arrivals(stages)

    assert [time for time in times if 10 < time < 1010] == []
    assert min(times) < 10 < 1010 < max(times)


def test_arrivals_are_the_same_for_all_who_draw_them_and_others_for_another_seed_or_fleet() -> None:
    stages = [Stage(name="s", duration=100.0, online={}, sessions={"a": 1.0, "b": 1.0})]

    assert arrivals(stages, seed=7) == arrivals(stages, seed=7)
    assert arrivals(stages, seed=7) != arrivals(stages, seed=8)
    assert arrivals(stages, "a") != arrivals(stages, "b")


@STEADY
@given(profiles, st.integers(0, 1000))
def test_arrivals_are_in_order_and_within_the_run(stages: list[Stage], seed: int) -> None:
    times = arrivals(stages, seed=seed)

    assert all(before <= after for before, after in itertools.pairwise(times))
    assert all(0 <= time <= sum(each.duration for each in stages) for time in times)


@STEADY
@given(profiles, st.floats(0, 1))
def test_the_planned_number_is_the_sum_of_the_rate(stages: list[Stage], part: float) -> None:
    until = max(1.0, round(part * sum(each.duration for each in stages)))

    assert planned_sessions(stages, "a", until) == pytest.approx(integral(stages, until), rel=1e-3, abs=1e-3)


@STEADY
@given(even_profiles, st.floats(0, 1))
def test_even_arrivals_are_as_many_as_planned_to_the_nearest_whole_number(stages: list[Stage], part: float) -> None:
    elapsed = part * sum(each.duration for each in stages)
    came = sum(time <= elapsed for time in arrivals(stages))

    assert abs(came - planned_sessions(stages, "a", elapsed)) <= 0.5 + 1e-6


@STEADY
@given(even_profiles)
def test_arrival_k_comes_when_k_and_a_half_are_planned(stages: list[Stage]) -> None:
    for k, time in enumerate(arrivals(stages)):
        assert planned_sessions(stages, "a", time) == pytest.approx(k + 0.5, abs=1e-6)


@STEADY
@given(profiles, st.integers(0, 10**6))
def test_mixed_with_poisson_stages_even_ones_still_have_their_number(stages: list[Stage], seed: int) -> None:
    times, begin = arrivals(stages, seed=seed), 0.0
    for each in stages:
        end = begin + each.duration
        if each.arrivals == "even":
            came = sum(begin < time < end for time in times)
            planned = planned_sessions(stages, "a", end) - planned_sessions(stages, "a", begin)
            assert abs(came - planned) <= 1 + 1e-6
        begin = end


@pytest.mark.parametrize("seed", range(30))
def test_as_many_arrive_in_each_stage_as_a_poisson_process_brings(seed: int) -> None:
    stages = [
        stage(600, 1.0),
        stage(300, 4.0, jump=True),
        stage(400, 0.5),
        stage(200, 2.0, "even", jump=True),
        stage(500, 3.0),
    ]
    times, begin = arrivals(stages, seed=seed), 0.0
    for each in stages:
        end = begin + each.duration
        planned = planned_sessions(stages, "a", end) - planned_sessions(stages, "a", begin)
        came = sum(begin <= time < end for time in times)
        # Four standard deviations: 1 in 16,000 for each of 120 counts; the seeds are fixed.
        assert abs(came - planned) < 4 * math.sqrt(planned)
        begin = end


def distance_from_uniform(values: list[float]) -> float:
    """Kolmogorov and Smirnov's distance, times the root of the count: above 1.95 in 1 of 1,000 samples."""
    ordered, count = sorted(values), len(values)
    gaps = (max((k + 1) / count - value, value - k / count) for k, value in enumerate(ordered))
    return max(gaps) * math.sqrt(count)


@pytest.mark.parametrize("seed", range(10))
def test_poisson_arrivals_at_a_constant_rate_are_anywhere_alike(seed: int) -> None:
    times = arrivals([stage(2000, 2.0, jump=True)], seed=seed)

    assert distance_from_uniform([time / 2000 for time in times]) < 1.95


@pytest.mark.parametrize("seed", range(10))
def test_the_waits_between_poisson_arrivals_are_exponential(seed: int) -> None:
    times = arrivals([stage(2000, 2.0, jump=True)], seed=seed)
    waits = [after - before for before, after in itertools.pairwise(times)]

    assert distance_from_uniform([-math.expm1(-2.0 * wait) for wait in waits]) < 1.95


@pytest.mark.parametrize("seed", range(10))
def test_poisson_arrivals_on_a_ramp_are_where_the_rate_is(seed: int) -> None:
    times = arrivals([stage(2000, 4.0)], seed=seed)

    assert distance_from_uniform([(time / 2000) ** 2 for time in times]) < 1.95
