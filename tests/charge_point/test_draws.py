"""Draws are reproducible, uniform, and independent of each other by purpose."""

from __future__ import annotations

import math
import sys
from itertools import pairwise

import numpy as np
import pytest

from loadsim.charge_point.draws import Draws


def test_the_same_key_gives_the_same_draws_for_ever() -> None:
    draws = Draws(42, "street_ac", 7, "authorize")

    assert [draws.uniform() for _ in range(4)] == [
        0.12006313609087282,
        0.7791691399211029,
        0.7636078101833637,
        0.7863145662199841,
    ]


def test_the_mixer_is_splitmix64() -> None:
    draws = Draws(0, "", 0, "")
    draws._state = 1234567  # the test vector of Vigna's splitmix64.c

    first = [6457827717110365317, 3203168211198807973]
    assert [draws.uniform() for _ in first] == [(value >> 11) * 2.0**-53 for value in first]


@pytest.mark.parametrize(
    "other", [(43, "a", 1, "tags"), (42, "b", 1, "tags"), (42, "a", 2, "tags"), (42, "a", 1, "arrivals")]
)
def test_each_part_of_the_key_changes_the_draws(other: tuple[int, str, int, str]) -> None:
    assert Draws(*other).uniform() != Draws(42, "a", 1, "tags").uniform()


def chi_square(samples: list[float], bins: int) -> float:
    counts, _ = np.histogram(samples, bins=bins, range=(0, 1))
    expected = len(samples) / bins
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_long_stream_is_uniform(seed: int) -> None:
    draws = Draws(seed, "fleet", 0, "purpose")

    # 99 degrees of freedom: 148 is the 99.9th percentile.
    assert chi_square([draws.uniform() for _ in range(20_000)], 100) < 148


def test_the_first_draws_of_many_charge_points_are_uniform() -> None:
    assert chi_square([Draws(1, "fleet", n, "purpose").uniform() for n in range(20_000)], 100) < 148


def test_two_purposes_of_a_charge_point_are_independent() -> None:
    first = [Draws(1, "fleet", n, "tags").uniform() for n in range(10_000)]
    second = [Draws(1, "fleet", n, "arrivals").uniform() for n in range(10_000)]

    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_draws_that_follow_each_other_are_independent() -> None:
    draws = Draws(1, "fleet", 0, "purpose")
    pairs = np.array(list(pairwise(draws.uniform() for _ in range(10_000))))

    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.03


def test_exponential_waits_have_the_mean_and_spread_of_their_rate() -> None:
    draws = Draws(1, "fleet", 0, "purpose")
    waits = [draws.exponential(0.5) for _ in range(20_000)]

    assert np.mean(waits) == pytest.approx(2.0, rel=0.03)
    assert np.std(waits) == pytest.approx(2.0, rel=0.03)


def test_at_rate_0_nothing_ever_comes() -> None:
    assert Draws(1, "fleet", 0, "purpose").exponential(0.0) == math.inf


def test_a_choice_follows_the_weights() -> None:
    draws = Draws(1, "fleet", 0, "purpose")
    counts = np.bincount([draws.choice([0.7, 0.7, 1.0]) for _ in range(10_000)], minlength=3)

    assert counts[0] / 10_000 == pytest.approx(0.7, abs=0.02)
    assert counts[1] == 0
    assert counts[2] / 10_000 == pytest.approx(0.3, abs=0.02)


def test_below_and_between_keep_their_bounds() -> None:
    draws = Draws(1, "fleet", 0, "purpose")

    assert {draws.below(3) for _ in range(200)} == {0, 1, 2}
    assert all(5 <= draws.between(5, 6) < 6 for _ in range(200))


def test_a_stream_takes_less_than_120_bytes() -> None:
    draws = Draws(1, "fleet", 0, "purpose")
    draws.uniform()

    assert sys.getsizeof(draws) + sys.getsizeof(draws._state) < 120
