"""One charge point as a central system knows it, over all its connections."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from loadsim.ocpp.action import Action, InvalidPayload, encode_payload
from loadsim.ocpp.frame import Call, CallError, CallResult
from loadsim.v16.central.answers import HANDLERS
from loadsim.v16.central.store import StoreFailed
from loadsim.v16.central.transactions import TransactionInfo
from loadsim.v16.messages import BY_NAME

if TYPE_CHECKING:
    from loadsim.v16.central.central import Central


class ChargePointSession:
    """What is known of a charge point: registration, statuses as it last reported them, transactions.

    *connector_status* is by connector, 0 is the charge point itself. *firmware_version* is that of the last boot.
    """

    __slots__ = (
        "accepted",
        "book",
        "boots",
        "central",
        "connector_status",
        "diagnostics_status",
        "firmware_status",
        "firmware_version",
        "identity",
        "log_status",
    )

    def __init__(self, central: Central, identity: str) -> None:
        self.central = central
        self.identity = identity
        self.boots = 0
        self.accepted = False
        self.book = central.transactions.book(identity)
        self.connector_status: dict[int, str] = {}
        self.firmware_version: str | None = None
        self.firmware_status: str | None = None
        self.diagnostics_status: str | None = None
        self.log_status: str | None = None

    @property
    def open_transactions(self) -> dict[int, TransactionInfo]:
        """Transactions that were started and not stopped, by id; not to be changed."""
        return self.book.open

    def answer(self, call: Call, now: datetime) -> CallResult | CallError:
        """Answer *call*; *now* needs a time zone."""
        action = BY_NAME.get(call.action)
        counts = self.central.count_of(action)
        counts.received += 1
        try:
            response = self._handle(call, action, now)
        except InvalidPayload as error:
            counts.errors[error.code] += 1
            return CallError(call.id, error.code, str(error))
        except StoreFailed as error:
            # To accept what may be forgotten would lose it: the charge point tries again (section 3.7.1).
            self.central.store_failed(error)
            counts.errors["InternalError"] += 1
            return CallError(call.id, "InternalError", "the CSMS cannot store it")
        counts.answered += 1
        if refusal := _refusal(response):
            counts.refused[refusal] += 1
        return CallResult(call.id, msgspec.Raw(encode_payload(response)))

    def leave(self, call: Call) -> None:
        """Count *call* as received and never answered: the connection ended before its latency was over."""
        self.central.count_of(BY_NAME.get(call.action)).received += 1

    def _handle(self, call: Call, action: Action | None, now: datetime) -> msgspec.Struct:
        if action is None:
            raise InvalidPayload("NotImplemented", f"{call.action[:50]} is no action of OCPP 1.6")
        if action.sender == "csms":
            raise InvalidPayload("NotSupported", f"{action.name} is for the central system to send")
        if not self.accepted and action.name != "BootNotification":  # section 4.2, errata 3.8
            raise InvalidPayload("SecurityError", "BootNotification was not accepted yet")
        request = action.decode_request(call.payload)
        handler = HANDLERS.get(action.name)
        return action.response() if handler is None else handler(self, request, now)


def _refusal(response: Any) -> str | None:
    """Name the status by which *response* does not accept, if it has one."""
    holder = getattr(response, "id_tag_info", response)
    status = getattr(holder, "status", None)
    return status if isinstance(status, str) and status != "Accepted" else None
