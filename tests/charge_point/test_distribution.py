"""Durations and energies that are spread: the inverse of their distribution functions."""

from __future__ import annotations

import math
from statistics import fmean, median, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.charge_point.distribution import Distribution, fixed, uniform
from loadsim.charge_point.draws import Draws

units = st.floats(0.0, 1.0, exclude_max=True)
amounts = st.floats(0.0, 1e6)
distributions = st.one_of(
    st.builds(fixed, amounts),
    st.tuples(amounts, amounts).map(lambda pair: uniform(min(pair), max(pair))),
    st.builds(
        lambda a, b, ends: Distribution(kind="normal", a=a, b=b, least=min(ends), most=max(ends)),
        amounts,
        st.floats(0.0, 1e5),
        st.tuples(amounts, st.one_of(amounts, st.just(math.inf))),
    ),
    st.builds(lambda a, b: Distribution(kind="lognormal", a=a, b=b), st.floats(0.1, 1e6), st.floats(0.0, 2.0)),
)


@given(distributions, units, units)
def test_what_is_drawn_is_finite_and_grows_with_the_number_it_is_drawn_by(
    distribution: Distribution, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    assert 0.0 <= distribution.draw(low) <= distribution.draw(high) * (1 + 1e-9) + 1e-9 < math.inf


@given(st.floats(0.0, 1e4), st.floats(0.1, 1e4), amounts, amounts, units)
def test_a_normal_one_never_leaves_its_bounds(a: float, b: float, one: float, other: float, unit: float) -> None:
    least, most = sorted((one, other))
    assert least <= Distribution(kind="normal", a=a, b=b, least=least, most=most).draw(unit) <= most


def drawn(distribution: Distribution, count: int = 20_000) -> list[float]:
    draws = Draws(1, "fleet", 0, "test")
    return [distribution.draw(draws.uniform()) for _ in range(count)]


def test_a_uniform_one_has_its_mean_and_its_ends() -> None:
    values = drawn(uniform(100.0, 300.0))
    assert fmean(values) == pytest.approx(200.0, rel=0.01)
    assert 100.0 <= min(values) < 101.0
    assert 299.0 < max(values) < 300.0


def test_a_normal_one_that_is_hardly_cut_off_has_its_mean_and_deviation() -> None:
    values = drawn(Distribution(kind="normal", a=1000.0, b=100.0))
    assert fmean(values) == pytest.approx(1000.0, rel=0.01)
    assert stdev(values) == pytest.approx(100.0, rel=0.03)


def test_a_normal_one_is_cut_off_and_not_piled_up_at_its_bounds() -> None:
    values = drawn(Distribution(kind="normal", a=1000.0, b=500.0, least=800.0, most=1200.0))
    assert min(values) >= 800.0
    assert max(values) <= 1200.0
    assert sum(value < 801.0 or value > 1199.0 for value in values) < 200
    assert fmean(values) == pytest.approx(1000.0, rel=0.01)


def test_a_normal_one_all_of_which_is_out_of_bounds_is_at_the_nearer_end() -> None:
    assert Distribution(kind="normal", a=0.0, b=1.0, least=1000.0, most=2000.0).draw(0.5) == 1000.0
    assert Distribution(kind="normal", a=5000.0, b=1.0, least=1000.0, most=2000.0).draw(0.5) == 2000.0


def test_a_lognormal_one_has_its_median_and_the_deviation_of_its_logarithm() -> None:
    values = drawn(Distribution(kind="lognormal", a=1500.0, b=0.4))
    assert median(values) == pytest.approx(1500.0, rel=0.02)
    assert stdev(math.log(value) for value in values) == pytest.approx(0.4, rel=0.03)


def test_without_a_deviation_it_is_what_it_is() -> None:
    assert {drawn(Distribution(kind=kind, a=7.0), 3)[0] for kind in ("fixed", "normal", "lognormal")} == {7.0}
