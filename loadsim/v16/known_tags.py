"""The id tags that a charge point knows: its local list and its authorization cache (OCPP 1.6, section 3.5; pure)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from sys import intern
from types import MappingProxyType
from typing import Final, NamedTuple, get_args

from msgspec import UNSET

from loadsim.v16.messages.formats import parse_date_time
from loadsim.v16.messages.local_list import AuthorizationData, UpdateStatus, UpdateType
from loadsim.v16.messages.types import AuthorizationStatus, IdTagInfo

MOST_CACHED: Final = 100
"""Tags in the cache of one charge point, of which there are thousands."""


class Known(NamedTuple):
    """What is known of a tag; *expiry_date* is a dateTime as it came."""

    status: AuthorizationStatus
    expiry_date: str | None = None
    parent_id_tag: str | None = None

    def status_at(self, now: datetime) -> AuthorizationStatus:
        """Return the status at *now*: what was valid may have expired since."""
        if self.status == "Accepted" and self.expiry_date is not None and parse_date_time(self.expiry_date) <= now:
            return "Expired"
        return self.status


# Most tags have neither expiry nor parent: all that know such a one share one tuple.
_PLAIN: Final = MappingProxyType({status: Known(status) for status in get_args(AuthorizationStatus)})


class KnownTags:
    """The local authorization list and the authorization cache of one charge point; tags are CiStrings."""

    __slots__ = ("_cached", "_listed", "_version")

    def __init__(self) -> None:
        self._cached: dict[str, Known] = {}  # the one heard of longest ago first
        self._listed: dict[str, Known] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """The version of the list; 0 is an empty one (section 5.10)."""
        return self._version if self._listed else 0

    def listed(self, id_tag: str) -> Known | None:
        """Return the list's entry for a tag."""
        return self._listed.get(id_tag.lower())

    def cached(self, id_tag: str) -> Known | None:
        """Return the cache's entry for a tag."""
        return self._cached.get(id_tag.lower())

    def remember(self, id_tag: str, info: IdTagInfo, now: datetime) -> None:
        """Keep in the cache what the CSMS said of a tag (section 3.5.1).

        A full cache first loses what is not valid, then the oldest.
        """
        tag = intern(id_tag.lower())
        self._cached.pop(tag, None)
        if len(self._cached) >= MOST_CACHED:
            self._cached = {each: entry for each, entry in self._cached.items() if entry.status_at(now) == "Accepted"}
            if len(self._cached) >= MOST_CACHED:
                del self._cached[next(iter(self._cached))]
        self._cached[tag] = _known(info)

    def clear_cache(self) -> None:
        """Forget what the CSMS said of tags, but not the list."""
        self._cached = {}

    def update_list(
        self, version: int, update_type: UpdateType, changes: Sequence[AuthorizationData], *, most: int
    ) -> UpdateStatus:
        """Replace the list, or change it (section 5.15); it holds at most *most* tags.

        What fails changes nothing: a tag that comes twice, a full list that says nothing of a tag, too many tags,
        a version that an empty list or no list at all would have.
        """
        if update_type == "Differential" and version <= self.version:
            return "VersionMismatch"
        updated = dict(self._listed) if update_type == "Differential" else {}
        seen = set()
        for change in changes:
            tag = intern(change.id_tag.lower())
            if tag in seen or (change.id_tag_info is UNSET and update_type == "Full"):
                return "Failed"
            seen.add(tag)
            if change.id_tag_info is UNSET:
                updated.pop(tag, None)
            else:
                updated[tag] = _listed(change.id_tag_info)
        if len(updated) > most or (updated and version < 1) or version < 0:
            return "Failed"
        self._listed, self._version = updated, version
        for tag in updated.keys() & self._cached.keys():
            del self._cached[tag]  # section 3.5.3: what is listed is not cached
        return "Accepted"


def _known(info: IdTagInfo) -> Known:
    if info.expiry_date is UNSET and info.parent_id_tag is UNSET:
        return _PLAIN[info.status]
    expiry_date = None if info.expiry_date is UNSET else info.expiry_date
    return Known(info.status, expiry_date, None if info.parent_id_tag is UNSET else intern(info.parent_id_tag))


def _listed(info: IdTagInfo) -> Known:
    entry = _known(info)
    # Section 3.5.2: valid. What runs elsewhere when a list is used is nothing that a list could say.
    return entry._replace(status="Accepted") if entry.status == "ConcurrentTx" else entry
