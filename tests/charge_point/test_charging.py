"""How a car charges: exact over every step of its curve, whatever the limit does meanwhile."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.charge_point.charging import Charge

# The staircase again, by hand: up to which share of the energy, which share of the power.
STEPS = ((0.80, 1.0), (0.85, 0.85), (0.90, 0.65), (0.95, 0.45), (1.0, 0.25))
SMALL = 2000

watts = st.floats(100.0, 350_000.0)
wishes = st.floats(0.0, 100_000.0)
limits = st.one_of(st.just(0.0), st.just(math.inf), st.floats(1.0, 350_000.0))
pieces = st.lists(st.tuples(st.floats(0.0, 3600.0), limits), max_size=6)


def integrated(
    power: float, wanted: float, delivered: float, seconds: float, limit: float, steps: int = 2000
) -> float:
    """Return the energy delivered after *seconds*, in small steps; what the code under test never does."""
    width = seconds / SMALL
    for _ in range(SMALL):
        share = delivered / wanted if wanted else 1.0
        part = next((part for end, part in STEPS if share < end), 0.0)
        delivered = min(delivered + min(part * power, limit) * width / 3600, wanted)
    return delivered


@settings(deadline=None, max_examples=60)
@given(watts, wishes, pieces)
def test_the_energy_under_piecewise_limits_is_that_of_a_numeric_integration(
    power: float, wanted: float, spans: list[tuple[float, float]]
) -> None:
    charge, expected, error = Charge(power, wanted), 0.0, 1e-6
    for seconds, limit in spans:
        expected = integrated(power, wanted, expected, seconds, limit)
        error += 6 * power * seconds / SMALL / 3600  # a step too long at each edge of the staircase
        charge.advance(seconds, limit)
        assert charge.delivered == pytest.approx(expected, abs=error)


@given(watts, wishes, pieces)
def test_what_is_delivered_never_falls_nor_exceeds_what_is_wanted_and_is_what_advance_says(
    power: float, wanted: float, spans: list[tuple[float, float]]
) -> None:
    charge = Charge(power, wanted)
    told = 0.0
    for seconds, limit in spans:
        before = charge.delivered
        assert 0.0 <= charge.draws(limit) <= min(power, limit)
        flown = charge.advance(seconds, limit)
        told += flown
        assert flown >= 0.0
        assert before + flown == pytest.approx(charge.delivered)
        assert charge.delivered <= wanted
        assert flown <= min(power, limit) * seconds / 3600 * (1 + 1e-9) + 1e-9
    assert told == pytest.approx(charge.delivered)


@given(watts, st.floats(1.0, 100_000.0), limits, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_the_time_to_an_energy_is_the_time_after_which_it_is_delivered(
    power: float, wanted: float, limit: float, begun: float, share: float
) -> None:
    charge = Charge(power, wanted)
    charge.delivered = begun * wanted
    target = charge.delivered + share * (wanted - charge.delivered)
    seconds = charge.seconds_to(target, limit)
    if seconds == math.inf:
        assert limit == 0
        return
    charge.advance(seconds, limit)

    assert charge.delivered == pytest.approx(target, abs=1e-6)


@given(watts, st.floats(1.0, 100_000.0), limits, st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=8))
def test_it_does_not_matter_how_often_one_looks(
    power: float, wanted: float, limit: float, spans: list[float]
) -> None:
    often, once = Charge(power, wanted), Charge(power, wanted)
    for seconds in spans:
        often.advance(seconds, limit)
    once.advance(math.fsum(spans), limit)

    assert often.delivered == pytest.approx(once.delivered, abs=1e-6)


def test_a_full_car_draws_nothing_and_more_than_it_wants_never_comes() -> None:
    charge = Charge(11_000.0, 1000.0)
    charge.advance(math.inf, math.inf)

    assert (charge.full, charge.delivered, charge.draws(math.inf)) == (True, 1000.0, 0.0)
    assert charge.advance(3600.0, math.inf) == 0.0
    assert charge.seconds_to(1000.0, 0.0) == 0.0
    assert charge.seconds_to(1001.0, 11_000.0) == math.inf


def test_a_car_that_wants_nothing_is_full_at_once() -> None:
    assert Charge(11_000.0, 0.0).full
    assert Charge(11_000.0, 0.0).seconds_to(0.0, 11_000.0) == 0.0


def test_power_falls_towards_the_end() -> None:
    charge, drawn = Charge(10_000.0, 1000.0), []
    while not charge.full:
        drawn.append(charge.draws(math.inf))
        charge.advance(5.0, math.inf)

    assert drawn == sorted(drawn, reverse=True)
    assert set(drawn) == {10_000.0, 8_500.0, 6_500.0, 4_500.0, 2_500.0}
