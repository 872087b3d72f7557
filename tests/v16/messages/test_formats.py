"""Formats: date-time and uri exactly as their RFCs have them, times written and read, multiples of 0.1."""

import itertools
import math
import re
from datetime import UTC, datetime, timedelta, timezone

import hypothesis
import pytest
from hypothesis import strategies as st

from loadsim.v16.messages.formats import (
    DATE_TIME_PATTERN,
    URI_PATTERN,
    check_tenths,
    format_date_time,
    parse_date_time,
)
from loadsim.v16.messages.types import ChargingSchedule, ChargingSchedulePeriod
from tests.v16.messages.oracle import is_date_time, is_uri
from tests.v16.messages.strategies import DATE_TIMES, NO_DATE_TIMES, NO_TENTHS, NO_URIS, TENTHS, URIS

many = hypothesis.settings(max_examples=500, derandomize=True, deadline=None)
fewer = hypothesis.settings(many, max_examples=150)
offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
dates = st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32)


def edited(texts: tuple[str, ...], letters: str) -> st.SearchStrategy[str]:
    """Draw one of *texts* with a few characters exchanged."""
    edits = st.lists(st.tuples(st.integers(0, 40), st.text(letters, max_size=2)), max_size=3)

    def edit(text: str, changes: list[tuple[int, str]]) -> str:
        for at, letter in changes:
            text = text[:at] + letter + text[at + 1 :]
        return text

    return st.builds(edit, st.sampled_from(texts), edits)


def matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def test_the_samples_are_what_they_are_called() -> None:
    assert all(map(is_date_time, DATE_TIMES))
    assert not any(map(is_date_time, NO_DATE_TIMES))
    assert all(map(is_uri, URIS))
    assert not any(map(is_uri, NO_URIS))


@many
@hypothesis.given(edited((*DATE_TIMES, *NO_DATE_TIMES), "0123456789TtZz+-:. \n\u0660"))
def test_a_date_time_is_what_rfc_3339_says(text: str) -> None:
    assert matches(DATE_TIME_PATTERN, text) == is_date_time(text)


@many
@hypothesis.given(*dates)
def test_a_date_time_has_a_day_that_exists(year: int, month: int, day: int) -> None:
    text = f"{year:04}-{month:02}-{day:02}T00:00:00Z"

    assert matches(DATE_TIME_PATTERN, text) == is_date_time(text)


def test_the_twenty_ninth_of_february_exists_in_leap_years_alone() -> None:
    for year in range(10_000):
        text = f"{year:04}-02-29T00:00:00Z"
        assert matches(DATE_TIME_PATTERN, text) == is_date_time(text)


@fewer
@hypothesis.given(edited((*URIS, *NO_URIS), "a1:/?#[]@%. \u00e4\\{"))
def test_a_uri_is_what_rfc_3986_says(text: str) -> None:
    assert matches(URI_PATTERN, text) == is_uri(text)


@many
@hypothesis.given(
    st.lists(st.sampled_from(["0", "a1", "ffff", "12345", "", "1.2.3.4", "1.2.3.256", ":"]), max_size=9)
)
def test_an_ipv6_address_is_what_rfc_3986_says(groups: list[str]) -> None:
    text = f"http://[{':'.join(groups)}]/"

    assert matches(URI_PATTERN, text) == is_uri(text)


def test_an_ipv6_address_has_eight_groups_or_one_gap() -> None:
    for left, right in itertools.product(range(10), repeat=2):
        for end in ("", ":192.0.2.1"):
            groups = ":".join(["f"] * left) + "::" + ":".join(["f"] * right) + end
            for address in (groups, groups.replace("::", ":")):
                text = f"http://[{address}]"
                assert matches(URI_PATTERN, text) == is_uri(text), text


@pytest.mark.timeout(10)
def test_a_long_text_that_is_nearly_a_uri_takes_no_long_time() -> None:
    for text in (
        "a" * 100_000,
        "http://" + "a:" * 50_000 + " ",
        "http://a/" + "%20/" * 50_000 + "%",
        "a:/" + "/" * 99_999 + " ",
    ):
        assert not matches(URI_PATTERN, text)


@hypothesis.given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=offsets))
@many
def test_a_time_is_written_as_rfc_3339_and_read_back_to_the_millisecond(moment: datetime) -> None:
    text = format_date_time(moment)

    assert is_date_time(text)
    assert matches(DATE_TIME_PATTERN, text)
    assert timedelta(0) <= moment.astimezone(UTC) - parse_date_time(text) < timedelta(milliseconds=1)


def test_a_time_is_written_in_utc() -> None:
    moment = datetime(2025, 2, 17, 12, 0, 0, 123_999, timezone(timedelta(hours=1)))

    assert format_date_time(moment) == "2025-02-17T11:00:00.123Z"


def test_a_naive_time_is_not_written() -> None:
    with pytest.raises(ValueError, match="naive"):
        format_date_time(datetime(2025, 2, 17))


@many
@hypothesis.given(edited(DATE_TIMES, "0123456789TtZz+-:."))
def test_every_accepted_time_can_be_read(text: str) -> None:
    if matches(DATE_TIME_PATTERN, text):
        assert parse_date_time(text).utcoffset() is not None


def test_small_letters_are_read_as_the_large_ones() -> None:
    assert parse_date_time("2025-02-17t12:00:00.5z") == datetime(2025, 2, 17, 12, 0, 0, 500_000, UTC)


@many
@hypothesis.given(st.integers(-(10**14), 10**14))
def test_a_tenth_is_counted_in_decimal(hundredths: int) -> None:
    number = hundredths / 100
    if hundredths % 10 == 0:
        check_tenths(number, "limit")
    else:
        with pytest.raises(ValueError, match="limit"):
            check_tenths(number, "limit")


def test_the_samples_of_tenths_are_what_they_are_called() -> None:
    for number in TENTHS:
        check_tenths(number, "limit")
    for number in (*NO_TENTHS, math.inf, -math.inf, math.nan):
        with pytest.raises(ValueError, match="limit"):
            check_tenths(number, "limit")


def test_a_limit_that_could_not_be_sent_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="limit"):
        ChargingSchedulePeriod(start_period=0, limit=21.45)
    with pytest.raises(ValueError, match="minChargingRate"):
        ChargingSchedule(charging_rate_unit="A", charging_schedule_period=(), min_charging_rate=0.05)
