"""Whether an id tag may charge, as far as the charge point knows itself (OCPP 1.6, section 3.5)."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.configuration import flag, integer
from loadsim.v16.known_tags import Known, KnownTags
from loadsim.v16.memory import memory_of
from loadsim.v16.messages.local_list import SendLocalListRequest, UpdateStatus
from loadsim.v16.messages.types import AuthorizationStatus, IdTagInfo

NO_LIST: Final = -1
"""The version of the list of a charge point that has none (section 5.10)."""


def remember(charge_point: ChargePoint, id_tag: str, info: IdTagInfo) -> None:
    """Keep what the CSMS said of a tag in the authorization cache (sections 3.5.1 and 3.5.3: not of a listed one)."""
    if flag(charge_point, "AuthorizationCacheEnabled") and _listed(charge_point, id_tag) is None:
        _tags(charge_point).remember(id_tag, info, charge_point.now())


def known(charge_point: ChargePoint, id_tag: str) -> IdTagInfo | None:
    """Return what the local list says of a tag, else the cache; Expired is what was valid until then."""
    entry = _entry(charge_point, id_tag)
    if entry is None:
        return None
    return IdTagInfo(
        status=entry.status_at(charge_point.now()),
        expiry_date=UNSET if entry.expiry_date is None else entry.expiry_date,
        parent_id_tag=UNSET if entry.parent_id_tag is None else entry.parent_id_tag,
    )


def may_start_at_once(charge_point: ChargePoint, id_tag: str) -> bool:
    """Tell whether a tag need not be asked for (section 9.1.13: LocalPreAuthorize)."""
    return flag(charge_point, "LocalPreAuthorize") and _status(charge_point, id_tag) == "Accepted"


def may_start_offline(charge_point: ChargePoint, id_tag: str) -> bool:
    """Tell whether a tag may charge while nobody can be asked (sections 3.5.4, 9.1.1 and 9.1.12).

    One that is known not to be valid may not. One that is valid may by LocalAuthorizeOffline; without that it is
    as good as unknown, and AllowOfflineTxForUnknownId decides.
    """
    status = _status(charge_point, id_tag)
    if status == "Accepted" and flag(charge_point, "LocalAuthorizeOffline"):
        return True
    return status in (None, "Accepted") and flag(charge_point, "AllowOfflineTxForUnknownId")


def parent_of(charge_point: ChargePoint, id_tag: str) -> str | None:
    """Return the group that a tag is known to belong to (section 3.10)."""
    entry = _entry(charge_point, id_tag)
    return None if entry is None else entry.parent_id_tag


def conflicts(charge_point: ChargePoint, id_tag: str, info: IdTagInfo) -> bool:
    """Tell whether the local list holds a tag for valid that is not, or the other way round (section 3.5.2)."""
    entry = _listed(charge_point, id_tag)
    if entry is None:
        return False
    return (entry.status_at(charge_point.now()) == "Accepted") != (info.status in ("Accepted", "ConcurrentTx"))


def clear_cache(charge_point: ChargePoint) -> bool:
    """Empty the cache; False if there is none (errata 3.23)."""
    tags = memory_of(charge_point).known_tags
    if tags is not None:
        tags.clear_cache()
    return flag(charge_point, "AuthorizationCacheEnabled")


def list_version(charge_point: ChargePoint) -> int:
    """Return the version of the local list; 0 is an empty one, -1 none."""
    if not _has_list(charge_point):
        return NO_LIST
    tags = memory_of(charge_point).known_tags
    return 0 if tags is None else tags.version


def update_list(charge_point: ChargePoint, request: SendLocalListRequest) -> UpdateStatus:
    """Replace the local list, or change it (section 5.15)."""
    if not _has_list(charge_point):
        return "NotSupported"
    changes = () if request.local_authorization_list is UNSET else request.local_authorization_list
    if len(changes) > integer(charge_point, "SendLocalListMaxLength"):
        return "Failed"
    most = integer(charge_point, "LocalAuthListMaxLength")
    return _tags(charge_point).update_list(request.list_version, request.update_type, changes, most=most)


def _has_list(charge_point: ChargePoint) -> bool:
    supported = "LocalAuthListManagement" in charge_point.settings.profiles
    return supported and flag(charge_point, "LocalAuthListEnabled")


def _tags(charge_point: ChargePoint) -> KnownTags:
    memory = memory_of(charge_point)
    if memory.known_tags is None:
        memory.known_tags = KnownTags()
    return memory.known_tags


def _listed(charge_point: ChargePoint, id_tag: str) -> Known | None:
    tags = memory_of(charge_point).known_tags
    return tags.listed(id_tag) if tags is not None and _has_list(charge_point) else None


def _entry(charge_point: ChargePoint, id_tag: str) -> Known | None:
    tags = memory_of(charge_point).known_tags
    if tags is None:
        return None
    entry = _listed(charge_point, id_tag)
    if entry is None and flag(charge_point, "AuthorizationCacheEnabled"):
        entry = tags.cached(id_tag)
    return entry


def _status(charge_point: ChargePoint, id_tag: str) -> AuthorizationStatus | None:
    entry = _entry(charge_point, id_tag)
    return None if entry is None else entry.status_at(charge_point.now())
