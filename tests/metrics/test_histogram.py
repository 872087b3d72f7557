"""The histogram against exact values, and against HdrHistogram's published layout."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.metrics.histogram import LARGEST, Histogram, bucket_indices, highest_equivalent, pack

durations = st.floats(0, 3600) | st.floats(0, 1) | st.floats(1e-6, 1e-2) | st.just(0.0)
samples = st.lists(durations, max_size=200)


def hdr_counts_array_index(value: int) -> int:
    """HdrHistogram's countsArrayIndex, for a lowest value of 1 and 3 significant digits (AbstractHistogram.java)."""
    sub_bucket_half_count_magnitude, sub_bucket_mask = 10, 2047
    bucket_index = (value | sub_bucket_mask).bit_length() - 11
    sub_bucket_index = value >> bucket_index
    return ((bucket_index + 1) << sub_bucket_half_count_magnitude) + sub_bucket_index - 1024


def exact_percentile(values: list[float], percent: float) -> float:
    """The smallest value that at least *percent* of the values do not exceed."""
    rank = max(1, math.ceil(round(len(values) * percent / 100, 9)))
    return sorted(values)[rank - 1]


@settings(deadline=None)
@given(st.lists(st.integers(0, LARGEST), min_size=1))
def test_the_layout_is_hdr_histograms(values: list[int]) -> None:
    assert bucket_indices(np.array(values)).tolist() == [hdr_counts_array_index(value) for value in values]


@pytest.mark.parametrize("value", [0, 1, 2047, 2048, 2049, 4095, 4096, 2**30 - 1, 2**30, LARGEST])
def test_the_edges_of_the_layout_are_hdr_histograms(value: int) -> None:
    assert bucket_indices(np.array([value])).tolist() == [hdr_counts_array_index(value)]


@settings(deadline=None)
@given(st.integers(0, LARGEST))
def test_a_bucket_is_at_most_a_thousandth_wide_and_ends_where_it_says(value: int) -> None:
    index = hdr_counts_array_index(value)
    highest = highest_equivalent(index)

    assert hdr_counts_array_index(highest) == index
    assert hdr_counts_array_index(highest + 1) == index + 1
    assert value <= highest <= value * 1.001


@settings(deadline=None)
@given(st.lists(durations, min_size=1, max_size=300), st.sampled_from([1, 50, 90, 95, 99, 99.9, 99.99, 100]))
def test_a_percentile_is_the_exact_one_to_a_thousandth(values: list[float], percent: float) -> None:
    exact = exact_percentile(values, percent)
    measured = Histogram.of(values).percentile(percent)

    assert measured is not None
    assert exact - 0.51e-6 <= measured <= exact * 1.001 + 0.51e-6


@settings(deadline=None)
@given(st.lists(durations, min_size=1, max_size=300))
def test_mean_and_maximum_are_exact(values: list[float]) -> None:
    histogram = Histogram.of(values)

    assert histogram.mean == pytest.approx(math.fsum(values) / len(values), rel=1e-12, abs=1e-300)
    assert histogram.max == max(values)
    assert histogram.n == len(values)


def test_a_percentile_never_exceeds_the_maximum() -> None:
    histogram = Histogram.of([1.0001])

    assert histogram.percentile(100) == histogram.percentile(1) == 1.0001


@settings(deadline=None)
@given(samples, samples)
def test_two_workers_count_as_one(a: list[float], b: list[float]) -> None:
    assert Histogram.of(a) + Histogram.of(b) == Histogram.of(a + b)


@settings(deadline=None)
@given(samples, samples, samples)
def test_the_order_of_merging_does_not_matter(a: list[float], b: list[float], c: list[float]) -> None:
    x, y, z = map(Histogram.of, (a, b, c))

    assert (x + y) + z == x + (y + z) == (z + y) + x


@settings(deadline=None)
@given(samples, samples)
def test_merging_leaves_the_other_as_it_was(a: list[float], b: list[float]) -> None:
    x, y = Histogram.of(a), Histogram.of(b)
    x.merge(y)
    x.record([1.0])

    assert y == Histogram.of(b)


@settings(deadline=None)
@given(samples, samples)
def test_what_travels_packed_arrives_whole(a: list[float], b: list[float]) -> None:
    arrived = Histogram.of(a)
    arrived.add_sparse(Histogram.of(b).sparse())

    assert arrived == Histogram.of(a + b)
    assert arrived.n == int(arrived.counts.sum()) == len(a) + len(b)


@settings(deadline=None)
@given(
    st.lists(durations | st.floats(-10, 1e9) | st.integers(0, 1 << 33).map(lambda n: (n + 0.5) / 1e6), max_size=60)
)
def test_few_values_are_packed_as_many_are(values: list[float]) -> None:
    packed, usual = pack(values), Histogram.of(values).sparse()

    assert (packed.indices, packed.counts, packed.max) == (usual.indices, usual.counts, usual.max)
    assert packed.total == pytest.approx(usual.total)


@settings(deadline=None)
@given(samples)
def test_the_same_values_in_parts_give_the_same_histogram(values: list[float]) -> None:
    parts = Histogram()
    for value in values:
        parts.record([value])

    assert parts == Histogram.of(values)


@settings(deadline=None)
@given(st.lists(st.floats(3600, 1e7), min_size=1), samples)
def test_above_an_hour_the_count_is_kept_and_maximum_and_mean_are_exact(
    longer: list[float], more: list[float]
) -> None:
    histogram = Histogram.of(longer + more)

    assert histogram.n == int(histogram.counts.sum()) == len(longer) + len(more)
    assert histogram.max == max(longer)
    assert histogram.mean == pytest.approx(math.fsum(longer + more) / histogram.n)
    top = histogram.percentile(100)
    assert top is not None
    assert 3600 <= top <= histogram.max or top == pytest.approx(3600)


def test_an_empty_histogram_has_no_percentile_and_no_mean() -> None:
    empty = Histogram.of([])
    empty.merge(Histogram())
    empty.add_sparse(Histogram().sparse())

    assert (empty.n, empty.max, empty.mean, empty.percentile(99)) == (0, 0.0, None, None)


def test_a_negative_duration_counts_as_zero() -> None:
    histogram = Histogram.of([-1.0, -1e-9])

    assert (histogram.n, histogram.percentile(100), histogram.total) == (2, 0.0, 0.0)


def test_the_median_of_an_even_number_is_the_lower_one_as_hdr_histogram_has_it() -> None:
    assert Histogram.of([0.001, 0.002]).percentile(50) == 0.001


@pytest.mark.parametrize(
    ("count", "percent", "rank"), [(1000, 99.9, 999), (1000, 99, 990), (100, 95, 95), (20, 95, 19)]
)
def test_a_rank_is_not_one_too_high_for_what_a_float_cannot_hold(count: int, percent: float, rank: int) -> None:
    assert Histogram.of([n * 1e-6 for n in range(1, count + 1)]).percentile(percent) == pytest.approx(rank * 1e-6)
