"""What a central system says of id tags (OCPP 1.6, sections 4.1 and 7.27)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

from msgspec import UNSET

from loadsim.v16.messages.formats import DATE_TIME_PATTERN, format_date_time, parse_date_time
from loadsim.v16.messages.types import AuthorizationStatus, IdTagInfo

if TYPE_CHECKING:
    from loadsim.v16.central.settings import CentralSettings

_DATE_TIME: Final = re.compile(DATE_TIME_PATTERN)
_REJECTING: Final = ("Authorize", "StartTransaction")


class Share:
    """Pick an exact share of what comes by: of the first n, ``round(n * share)`` are picked."""

    __slots__ = ("_seen", "_share")

    def __init__(self, share: float) -> None:
        self._share = share
        self._seen = 0

    def pick(self) -> bool:
        """Say whether the next one is picked."""
        before = round(self._seen * self._share)
        self._seen += 1
        return round(self._seen * self._share) > before


class Tags:
    """The id tags that a central system knows. A tag is a CiString: case does not count."""

    def __init__(self, settings: CentralSettings) -> None:
        self._statuses = None if settings.tags is None else _lower(settings.tags)
        self._parents = _lower(settings.parents)
        self._expiries = {tag: parse_expiry(text) for tag, text in _lower(settings.expiries).items()}
        self._rejected = {action: Share(settings.reject) for action in _REJECTING}

    def judge(self, tag: str, now: datetime) -> IdTagInfo:
        """Say what is known of *tag*; an accepted one is Expired from its expiry on."""
        return self._info(tag, self._status(tag, now))

    def admit(self, action: str, tag: str, now: datetime, *, in_use: bool = False) -> IdTagInfo:
        """Judge *tag* for *action*: of the good ones those *in_use* are ConcurrentTx, and a share is Blocked."""
        status = self._status(tag, now)
        if status == "Accepted":
            if in_use:
                status = "ConcurrentTx"
            elif self._rejected[action].pick():
                status = "Blocked"
        return self._info(tag, status)

    def _status(self, tag: str, now: datetime) -> str:
        key = tag.lower()
        status = "Accepted" if self._statuses is None else self._statuses.get(key, "Invalid")
        expiry = self._expiries.get(key)
        return "Expired" if status == "Accepted" and expiry is not None and expiry <= now else status

    def _info(self, tag: str, status: str) -> IdTagInfo:
        key = tag.lower()
        expiry = self._expiries.get(key)
        return IdTagInfo(
            status=cast("AuthorizationStatus", status),
            expiry_date=UNSET if expiry is None else format_date_time(expiry),
            parent_id_tag=self._parents.get(key, UNSET),
        )


def parse_expiry(text: str) -> datetime:
    """Read the moment from which a tag is Expired, in UTC.

    Raises:
        ValueError: *text* is no date-time of RFC 3339 with an offset.
    """
    if not _DATE_TIME.match(text):
        raise ValueError("expected a date-time of RFC 3339, such as 2030-12-31T23:59:59Z")
    try:
        return parse_date_time(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("expected a moment of the years 1 to 9999 in UTC") from error


def _lower(by_tag: Mapping[str, str]) -> dict[str, str]:
    return {tag.lower(): value for tag, value in by_tag.items()}
