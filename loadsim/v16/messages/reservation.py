"""Messages of the Reservation profile (OCPP 1.6, sections 5.1 and 5.13)."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

from loadsim.ocpp.action import Action
from loadsim.v16.messages.types import DateTime, IdToken, Message
from loadsim.v16.messages.verdicts import status_accepted

CancelReservationStatus = Literal["Accepted", "Rejected"]
ReservationStatus = Literal["Accepted", "Faulted", "Occupied", "Rejected", "Unavailable"]


class CancelReservationRequest(Message):
    """Cancel a reservation (section 5.1)."""

    reservation_id: int


class CancelReservationResponse(Message):
    """Say whether there was such a reservation."""

    status: CancelReservationStatus


class ReserveNowRequest(Message):
    """Reserve a connector, or any of them (0), until *expiry_date* (section 5.13)."""

    connector_id: int
    expiry_date: DateTime
    id_tag: IdToken
    reservation_id: int
    parent_id_tag: IdToken | UnsetType = UNSET


class ReserveNowResponse(Message):
    """Say whether the connector is reserved."""

    status: ReservationStatus


RESERVATION: Final[tuple[Action, ...]] = (
    Action("CancelReservation", CancelReservationRequest, CancelReservationResponse, "csms", status_accepted),
    Action("ReserveNow", ReserveNowRequest, ReserveNowResponse, "csms", status_accepted),
)
