"""Whether a driver may charge: asked of the CSMS, or decided without it (OCPP 1.6, sections 3.5 and 4.1)."""

from __future__ import annotations

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.tags import DrawnTag
from loadsim.link.link import CallFailed
from loadsim.v16.authorization import conflicts, may_start_at_once, may_start_offline, parent_of, remember
from loadsim.v16.authorize import send_authorize
from loadsim.v16.configuration import flag
from loadsim.v16.connectors import RemoteStart, Transaction
from loadsim.v16.messages.types import IdTagInfo
from loadsim.v16.reservations import may_use, only_the_csms_knows
from loadsim.v16.sending import can_send
from loadsim.v16.status import report_list_conflict

_NOBODY_ANSWERED = ("timeout", "connection_lost", "skipped_offline")


async def card_accepted(charge_point: ChargePoint, tag: DrawnTag) -> str | None:
    """Tell why the driver with *tag* may not charge, as the outcome of a session, or return None: accepted."""
    if may_start_at_once(charge_point, tag.id_tag):
        return None
    return await _ask(charge_point, tag)


async def remote_accepted(charge_point: ChargePoint, remote: RemoteStart, connector_id: int) -> str | None:
    """Tell why a remote start may not go on, or return None (section 9.1.2: AuthorizeRemoteTxRequests).

    Where the connector is reserved for a group, the CSMS is asked in any case whether the driver is one of it.
    """
    id_tag = remote.id_tag
    if not only_the_csms_knows(charge_point, connector_id, id_tag):
        if not flag(charge_point, "AuthorizeRemoteTxRequests") or may_start_at_once(charge_point, id_tag):
            return None
        return await _ask(charge_point, DrawnTag(id_tag, "", ""))
    refused = await _ask(charge_point, DrawnTag(id_tag, "", ""))
    reserved = not may_use(charge_point, connector_id, id_tag, parent_of(charge_point, id_tag))
    return "refused" if refused is None and reserved else refused


async def authorized_to_stop(charge_point: ChargePoint, id_tag: str, transaction: Transaction) -> bool:
    """Tell whether another card than the one that started may stop *transaction*: one of the same group."""
    try:
        info = await _authorize(charge_point, DrawnTag(id_tag, "", ""))
    except CallFailed:
        return False
    parent = info.parent_id_tag
    return info.status == "Accepted" and parent is not UNSET and parent == transaction.parent_id_tag


async def _ask(charge_point: ChargePoint, tag: DrawnTag) -> str | None:
    if can_send(charge_point):
        try:
            info = await _authorize(charge_point, tag)
        except CallFailed as failed:
            if failed.cause not in _NOBODY_ANSWERED:
                return "not_authorized"
        else:
            return None if info.status == "Accepted" else "refused"
    return None if may_start_offline(charge_point, tag.id_tag) else "refused_offline"


async def _authorize(charge_point: ChargePoint, tag: DrawnTag) -> IdTagInfo:
    response = await send_authorize(charge_point, tag, charge_point.context.clock.elapsed)
    info = response.id_tag_info
    if conflicts(charge_point, tag.id_tag, info):
        report_list_conflict(charge_point)
    remember(charge_point, tag.id_tag, info)
    return info
