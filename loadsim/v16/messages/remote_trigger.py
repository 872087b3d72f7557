"""Messages of the Remote Trigger profile (OCPP 1.6, section 5.17)."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

from loadsim.ocpp.action import Action
from loadsim.v16.messages.types import Message
from loadsim.v16.messages.verdicts import status_accepted

MessageTrigger = Literal[
    "BootNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StatusNotification",
]
TriggerMessageStatus = Literal["Accepted", "Rejected", "NotImplemented"]


class TriggerMessageRequest(Message):
    """Have the charge point send a message (section 5.17)."""

    requested_message: MessageTrigger
    connector_id: int | UnsetType = UNSET


class TriggerMessageResponse(Message):
    """Say whether the message will be sent."""

    status: TriggerMessageStatus


REMOTE_TRIGGER: Final[tuple[Action, ...]] = (
    Action("TriggerMessage", TriggerMessageRequest, TriggerMessageResponse, "csms", status_accepted),
)
