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


@pytest.mark.parametrize(
    "read",
    [
        units.parse_duration,
        units.parse_share,
        units.parse_rate,
        units.parse_energy,
        units.parse_power,
        units.parse_size,
        units.parse_bandwidth,
    ],
)
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


@pytest.mark.parametrize(
    ("text", "watt_hours"), [("8kWh", 8000.0), ("500Wh", 500.0), ("0.1kWh", 100.0), ("7.77kWh", 7770.0), ("0Wh", 0.0)]
)
def test_an_energy_is_read_in_watt_hours(text: str, watt_hours: float) -> None:
    assert units.parse_energy(text) == watt_hours


@pytest.mark.parametrize("text", ["8kW", "8 kWh", "8KWh", "-8kWh", "kWh", "8MWh", "1e3Wh"])
def test_what_is_no_energy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected an energy such as '8kWh' or '500Wh', got "):
        units.parse_energy(text)


@pytest.mark.parametrize(("text", "watts"), [("11kW", 11000.0), ("3680W", 3680.0), ("7.4kW", 7400.0)])
def test_a_power_is_read_in_watts(text: str, watts: float) -> None:
    assert units.parse_power(text) == watts


@pytest.mark.parametrize("text", ["11kWh", "11 kW", "11kw", "-1W", "W", "32A"])
def test_what_is_no_power_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a power such as '11kW' or '3680W', got "):
        units.parse_power(text)


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
@given(st.floats(1e-15, 1e6) | st.integers(0, 10**6).map(lambda n: n / 3600))
def test_a_rate_written_reads_back_the_same(rate: float) -> None:
    assert units.parse_rate(units.rate_text(rate)) == rate


@pytest.mark.parametrize(("text", "size"), [("200B", 200), ("16kB", 16_000), ("1.5kB", 1500), ("0B", 0)])
def test_a_size_is_read_in_bytes(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["200b", "1 kB", "-1B", "B", "1MB", "1KiB", "200"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a size such as '200B' or '16kB', got "):
        units.parse_size(text)


@pytest.mark.parametrize("text", ["0.5B", "1.2345kB"])
def test_a_size_is_of_whole_bytes(text: str) -> None:
    with pytest.raises(ValueError, match="expected a whole number of bytes, got "):
        units.parse_size(text)


@STEADY
@given(st.integers(0, 10**9))
def test_a_size_written_reads_back_the_same(size: int) -> None:
    assert units.parse_size(units.size_text(size)) == size


@pytest.mark.parametrize(
    ("text", "bytes_per_second"),
    [
        ("64kbit/s", 8000.0),
        ("1Mbit/s", 125_000.0),
        ("1.5Mbit/s", 187_500.0),
        ("9600bit/s", 1200.0),
        ("8kB/s", 8000.0),
        ("2MB/s", 2_000_000.0),
        ("500B/s", 500.0),
        ("0bit/s", 0.0),
    ],
)
def test_a_bandwidth_is_read_in_bytes_a_second(text: str, bytes_per_second: float) -> None:
    assert units.parse_bandwidth(text) == bytes_per_second


@pytest.mark.parametrize("text", ["64kb/s", "64 kbit/s", "-1bit/s", "bit/s", "1Gbit/s", "64kbps", "64k/s", "1KB/s"])
def test_what_is_no_bandwidth_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a bandwidth such as '64kbit/s' or '8kB/s', got "):
        units.parse_bandwidth(text)


def test_a_size_in_the_place_of_a_bandwidth_is_told_what_is_missing() -> None:
    with pytest.raises(ValueError, match=r"got '64kbit'; a second of it is '64kbit/s'"):
        units.parse_bandwidth("64kbit")


@STEADY
@given(st.floats(1e-6, 1e12) | st.integers(0, 10**9).map(lambda bits: bits / 8))
def test_a_bandwidth_written_reads_back_the_same(bytes_per_second: float) -> None:
    assert units.parse_bandwidth(units.bandwidth_text(bytes_per_second)) == bytes_per_second


@pytest.mark.parametrize(
    ("bytes_per_second", "text"),
    [(8000.0, "64kbit/s"), (187_500.0, "1.5Mbit/s"), (100.0, "800bit/s"), (125.0, "1kbit/s"), (0.0, "0bit/s")],
)
def test_a_bandwidth_is_written_in_the_unit_that_links_are_sold_in(bytes_per_second: float, text: str) -> None:
    assert units.bandwidth_text(bytes_per_second) == text


@pytest.mark.parametrize(
    ("bytes_per_second", "text"),
    [(8000.0, "64 kbit/s"), (187_500.0, "1.5 Mbit/s"), (0.0, "0 bit/s"), (124.99, "1.0 kbit/s"), (5e9, "40 Gbit/s")],
)
def test_a_bandwidth_is_rounded_for_people(bytes_per_second: float, text: str) -> None:
    assert units.format_bandwidth(bytes_per_second) == text


@STEADY
@given(st.floats(1e-6, 1e9) | st.integers(0, 10**6).map(float))
def test_an_energy_and_a_power_written_read_back_the_same(number: float) -> None:
    assert units.parse_energy(units.energy_text(number)) == number
    assert units.parse_power(units.power_text(number)) == number


@pytest.mark.parametrize(("watts", "text"), [(11000.0, "11kW"), (999.5, "999.5W"), (3680.0, "3.68kW"), (0.0, "0W")])
def test_a_power_is_written_in_kilowatts_from_one_on(watts: float, text: str) -> None:
    assert units.power_text(watts) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (200.0, "200/s"),
        (0.5 / 3600, "0.5/h"),
        (0.1 / 86400, "0.1/d"),
        (1.0, "1/s"),
        (1 / 60, "1/m"),
        (0.0, "0/s"),
    ],
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
    assert [units.format_things(n, "driver") for n in (0, 1, 4987)] == ["0 drivers", "1 driver", "4,987 drivers"]
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
