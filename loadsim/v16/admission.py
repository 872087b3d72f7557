"""Whether a driver may charge: asked of the CSMS, or decided without it (OCPP 1.6, sections 3.5 and 4.1)."""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.tags import DrawnTag
from loadsim.link.link import CallFailed
from loadsim.v16.authorization import may_start_at_once, may_start_offline, parent_of
from loadsim.v16.authorize import send_authorize
from loadsim.v16.configuration import flag
from loadsim.v16.connectors import RemoteStart, Transaction
from loadsim.v16.messages.types import IdTagInfo
from loadsim.v16.reservations import may_use, only_the_csms_knows
from loadsim.v16.sending import can_send
from loadsim.v16.status import learn

_NOBODY_ANSWERED: Final = ("timeout", "connection_lost", "skipped_offline")


class Decision(NamedTuple):
    """Whether a driver may charge: *refused* is why not, as the outcome of a session, and None where so."""

    refused: str | None
    parent_id_tag: str | None


async def card_accepted(charge_point: ChargePoint, tag: DrawnTag) -> Decision:
    """Decide on a driver who shows a card."""
    if may_start_at_once(charge_point, tag.id_tag):
        return Decision(None, parent_of(charge_point, tag.id_tag))
    return await _ask(charge_point, tag)


async def remote_accepted(charge_point: ChargePoint, remote: RemoteStart, connector_id: int) -> Decision:
    """Decide on a remote start (section 9.1.2: AuthorizeRemoteTxRequests).

    Where the connector is reserved for a group, the CSMS is asked in any case whether the driver is one of it.
    """
    id_tag = remote.id_tag
    if not only_the_csms_knows(charge_point, connector_id, id_tag):
        if not flag(charge_point, "AuthorizeRemoteTxRequests") or may_start_at_once(charge_point, id_tag):
            return Decision(None, parent_of(charge_point, id_tag))
        return await _ask(charge_point, DrawnTag(id_tag, "", ""))
    decision = await _ask(charge_point, DrawnTag(id_tag, "", ""))
    if decision.refused is None and not may_use(charge_point, connector_id, id_tag, decision.parent_id_tag):
        return decision._replace(refused="refused")
    return decision


async def authorized_to_stop(charge_point: ChargePoint, tag: DrawnTag, transaction: Transaction) -> bool:
    """Tell whether another card than the one that started may stop *transaction*: one of the same group."""
    try:
        info = await _authorize(charge_point, tag)
    except CallFailed:
        return False
    parent, group = info.parent_id_tag, transaction.parent_id_tag
    if info.status != "Accepted" or parent is UNSET or group is None:
        return False
    return parent.lower() == group.lower()  # an IdToken is a CiString


async def _ask(charge_point: ChargePoint, tag: DrawnTag) -> Decision:
    if can_send(charge_point):
        try:
            info = await _authorize(charge_point, tag)
        except CallFailed as failed:
            if failed.cause not in _NOBODY_ANSWERED:
                return Decision("not_authorized", None)
        else:
            parent = None if info.parent_id_tag is UNSET else info.parent_id_tag
            return Decision(None if info.status == "Accepted" else "refused", parent)
    allowed = may_start_offline(charge_point, tag.id_tag)
    return Decision(None if allowed else "refused_offline", parent_of(charge_point, tag.id_tag))


async def _authorize(charge_point: ChargePoint, tag: DrawnTag) -> IdTagInfo:
    response = await send_authorize(charge_point, tag, charge_point.context.clock.elapsed)
    learn(charge_point, tag.id_tag, response.id_tag_info)
    return response.id_tag_info
