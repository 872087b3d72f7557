"""Whether an id tag may charge, as far as the charge point knows itself (OCPP 1.6, section 3.5)."""

from __future__ import annotations

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.messages.types import IdTagInfo


def remember(charge_point: ChargePoint, id_tag: str, info: IdTagInfo) -> None:
    """Keep what the CSMS said of a tag in the authorization cache (section 3.5.1)."""
