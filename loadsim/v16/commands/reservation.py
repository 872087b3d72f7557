"""Calls of the Reservation profile (OCPP 1.6, sections 5.1 and 5.13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Command, Reply
from loadsim.v16.messages.reservation import (
    CancelReservationRequest,
    CancelReservationResponse,
    ReserveNowRequest,
    ReserveNowResponse,
)
from loadsim.v16.reservations import cancel, reserve


def reserve_now(charge_point: ChargePoint, request: ReserveNowRequest) -> Reply:
    """Reserve a connector, or any (0), for a driver until a time (section 5.13)."""
    return Reply(ReserveNowResponse(status=reserve(charge_point, request)))


def cancel_reservation(charge_point: ChargePoint, request: CancelReservationRequest) -> Reply:
    """Cancel a reservation (section 5.1); Rejected where there is none of that id."""
    accepted = cancel(charge_point, request.reservation_id)
    return Reply(CancelReservationResponse(status="Accepted" if accepted else "Rejected"))


COMMANDS: Final[Mapping[str, Command]] = {
    "CancelReservation": cancel_reservation,
    "ReserveNow": reserve_now,
}
