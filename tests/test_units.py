"""Quantities with a unit: what is read, what is refused, and that writing is the inverse of reading."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim import units

STEADY = settings(derandomize=True, deadline=None, max_examples=300)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        ("2d", 172800.0),
        ("1.5s", 1.5),
        ("1d2h3m4s5ms", 93784.005),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "30", "-5s", "5 s", "30m1h", "5s5s", "1e3s", "\uff15s", "5S", "5us", "1" * 16 + "s"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a duration such as '30s', '5m' or '1h30m', got "):
        units.parse_duration(text)


@pytest.mark.parametrize("read", [units.parse_duration, units.parse_share, units.parse_rate])
def test_a_bare_number_is_said_to_lack_its_unit(read: object) -> None:
    assert callable(read)

    with pytest.raises(ValueError, match=r"got '30'; the unit is missing"):
        read("30")


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.1%", 0.001), ("100%", 1.0), ("0%", 0.0)])
def test_a_share_is_read_between_0_and_1(text: str, share: float) -> None:
    assert units.parse_share(text) == share


def test_a_share_above_100_percent_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 100%, got '101%'"):
        units.parse_share("101%")


@pytest.mark.parametrize(
    ("text", "rate"), [("200/s", 200.0), ("60/m", 1.0), ("1500/h", 1500 / 3600), ("0.5/h", 0.5 / 3600), ("0/s", 0.0)]
)
def test_a_rate_is_read_per_second(text: str, rate: float) -> None:
    assert units.parse_rate(text) == rate


@pytest.mark.parametrize("text", ["5/w", "/s", "5/", "5 /s", "-1/s", "5/hh"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a rate such as '200/s' or '0\.5/h'"):
        units.parse_rate(text)


@STEADY
@given(st.floats(0, 1e9, allow_subnormal=False).filter(lambda x: x == 0 or x > 1e-9))
def test_a_duration_written_reads_back_the_same(seconds: float) -> None:
    assert units.parse_duration(units.duration_text(round(seconds, 9))) == round(seconds, 9)


@STEADY
@given(st.integers(0, 10**12))
def test_milliseconds_are_written_without_a_fraction(milliseconds: int) -> None:
    text = units.duration_text(milliseconds / 1000)

    assert "." not in text
    assert units.parse_duration(text) == milliseconds / 1000


@STEADY
@given(st.floats(1e-4, 1) | st.just(0.0) | st.integers(0, 10000).map(lambda n: n / 10000))
def test_a_share_written_reads_back_the_same(share: float) -> None:
    assert units.parse_share(units.share_text(share)) == share


@STEADY
@given(st.floats(1e-4, 1e6) | st.integers(0, 10**6).map(lambda n: n / 3600))
def test_a_rate_written_reads_back_the_same(rate: float) -> None:
    assert units.parse_rate(units.rate_text(rate)) == rate


@pytest.mark.parametrize(
    ("rate", "text"), [(200.0, "200/s"), (0.5 / 3600, "0.5/h"), (1.0, "1/s"), (1 / 60, "1/m"), (0.0, "0/s")]
)
def test_a_rate_is_written_in_its_shortest_unit(rate: float, text: str) -> None:
    assert units.rate_text(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0ms"),
        (0.0004, "0.4ms"),
        (0.041, "41ms"),
        (0.9996, "1.0s"),
        (1.24, "1.2s"),
        (59.96, "1m00s"),
        (90.0, "1m30s"),
        (7500.0, "2h05m"),
        (-0.041, "-41ms"),
    ],
)
def test_a_duration_is_rounded_for_people(seconds: float, text: str) -> None:
    assert units.format_duration(seconds) == text


def test_shares_counts_and_bytes_are_rounded_for_people() -> None:
    assert units.format_share(0.0201) == "2.01%"
    assert units.format_count(4987) == "4,987"
    assert [units.format_bytes(n) for n in (512, 5100, 210e6, 1.25e9, 999.6, 5e15)] == [
        "512 B",
        "5.1 kB",
        "210 MB",
        "1.2 GB",
        "1.0 kB",
        "5000 TB",
    ]


def test_text_in_a_message_is_cut_and_its_control_characters_escaped() -> None:
    assert units.shown("a\x1b[31m") == r"'a\x1b[31m'"
    assert units.shown("x" * 100, 5) == "'xxxxx...'"
