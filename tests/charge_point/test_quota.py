"""Exact shares of a fleet."""

from __future__ import annotations

from collections import Counter
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.charge_point.quota import chosen, position

sizes = st.integers(1, 600)
keys = st.text(max_size=20)


@given(sizes, keys)
def test_the_order_holds_everyone_once(size: int, key: str) -> None:
    assert sorted(position(n, size, key) for n in range(size)) == list(range(size))


@given(sizes, keys, st.floats(0, 1))
def test_a_share_is_exact(size: int, key: str, share: float) -> None:
    assert sum(chosen(n, size, key, share) == 0 for n in range(size)) == round(share * size)


@given(sizes, keys, st.floats(0, 0.5), st.floats(0, 0.49))
def test_two_shares_are_exact_and_have_no_one_in_common(size: int, key: str, one: float, other: float) -> None:
    counts = Counter(chosen(n, size, key, one, other) for n in range(size))

    assert counts[0] == round(one * size)
    assert counts[1] == min(round(other * size), size - counts[0])


def test_shares_that_fill_the_fleet_leave_nobody_out() -> None:
    assert Counter(chosen(n, 3, "key", 0.5, 0.5) for n in range(3)) == {0: 2, 1: 1}


def test_the_same_are_chosen_for_the_same_key_and_others_for_another() -> None:
    def failing(key: str) -> set[int]:
        return {n for n in range(1000) if chosen(n, 1000, key, 0.05) is not None}

    assert failing("42 update 1") == failing("42 update 1")
    assert len(failing("42 update 1") & failing("42 update 2")) < 20  # 2.5 by chance


@pytest.mark.parametrize("size", [2, 10, 100])
def test_everyone_has_the_same_chance(size: int) -> None:
    means = [fmean(position(n, size, str(key)) for key in range(1000)) for n in range(size)]

    assert all(abs(mean - (size - 1) / 2) < 0.06 * size for mean in means)  # 6 standard errors


@pytest.mark.parametrize("n", [-1, 5])
def test_a_number_beyond_the_fleet_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="is not within"):
        position(n, 5, "key")
