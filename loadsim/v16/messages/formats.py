"""Formats and numbers that JSON Schema asserts and msgspec has no word for: date-time, uri, multiples of 0.1."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

# A pattern opens with a comment that names it, for msgspec quotes it when it refuses a text.

_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_DATE: Final = (
    r"(?:[0-9]{4}-(?:"
    r"(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
DATE_TIME_PATTERN: Final = (
    rf"(?#a date-time of RFC 3339)\A(?!0000){_DATE}[Tt]{_TIME}:[0-5][0-9](?:\.[0-9]+)?(?:[Zz]|[+-]{_TIME})\Z"
)
"""RFC 3339, section 5.6, with an offset and a day that exists; no leap second, no year 0."""

_H16: Final = r"[0-9A-Fa-f]{1,4}"
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LS32: Final = rf"(?:{_H16}:{_H16}|{_OCTET}(?:\.{_OCTET}){{3}})"
_IPV6: Final = "|".join(
    (
        rf"(?:{_H16}:){{6}}{_LS32}",
        rf"::(?:{_H16}:){{5}}{_LS32}",
        *(rf"(?:(?:{_H16}:){{0,{left}}}{_H16})?::(?:{_H16}:){{{4 - left}}}{_LS32}" for left in range(5)),
        rf"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
        rf"(?:(?:{_H16}:){{0,6}}{_H16})?::",
    )
)
_PLAIN: Final = r"A-Za-z0-9\-._~!$&'()*+,;="  # unreserved and sub-delims, for use inside brackets
_ESCAPED: Final = r"%[0-9A-Fa-f]{2}"
_PCHAR: Final = rf"(?:[{_PLAIN}:@]|{_ESCAPED})"
_TAIL: Final = rf"(?:[{_PLAIN}:@/?]|{_ESCAPED})*"
_HOST: Final = rf"(?:\[(?:{_IPV6}|[vV][0-9A-Fa-f]+\.[{_PLAIN}:]+)\]|(?:[{_PLAIN}]|{_ESCAPED})*)"
_AUTHORITY: Final = rf"(?:(?:[{_PLAIN}:]|{_ESCAPED})*@)?{_HOST}(?::[0-9]*)?"
URI_PATTERN: Final = (
    rf"(?#a URI of RFC 3986)\A[A-Za-z][A-Za-z0-9+\-.]*:"
    rf"(?://{_AUTHORITY}(?:/{_PCHAR}*)*|/(?:{_PCHAR}+(?:/{_PCHAR}*)*)?|{_PCHAR}+(?:/{_PCHAR}*)*|)"
    rf"(?:\?{_TAIL})?(?:\#{_TAIL})?\Z"
)
"""RFC 3986, appendix A: a URI with its scheme, no relative reference."""


def format_date_time(moment: datetime) -> str:
    """Write *moment* as OCPP's dateTime: RFC 3339 in UTC, cut to milliseconds.

    Raises:
        ValueError: *moment* is naive.
    """
    if moment.tzinfo is None:
        raise ValueError("a dateTime needs an offset, and this datetime is naive")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat("T", "milliseconds")[:23] + "Z"  # a keyword takes as long as half of the rest


def parse_date_time(text: str) -> datetime:
    """Read a dateTime that a message carried; digits beyond the microsecond are cut off.

    Raises:
        ValueError: *text* is no dateTime.
    """
    return datetime.fromisoformat(text.upper())


def check_tenths(number: float, name: str) -> None:
    """Refuse a *number* that is no multiple of 0.1 in decimal (``fmod`` would refuse 21.4).

    Raises:
        ValueError: *number* has a second decimal, or is NaN or infinite.
    """
    if round(number, 1) != number or number in (math.inf, -math.inf):  # round() rounds in decimal, exactly
        raise ValueError(f"Not a multiple of 0.1: `{name}` is {number}")
