"""Calls from the CSMS (OCPP 1.6, chapter 5): one function per action; what is not here is NotImplemented."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Command, Reply
from loadsim.v16.boot import boot_when_triggered
from loadsim.v16.configuration import BY_KEY, KEYS
from loadsim.v16.heartbeat import send_heartbeat
from loadsim.v16.memory import is_accepted
from loadsim.v16.messages.core import (
    ChangeConfigurationRequest,
    ChangeConfigurationResponse,
    GetConfigurationRequest,
    GetConfigurationResponse,
    KeyValue,
    RemoteStartTransactionRequest,
    RemoteStartTransactionResponse,
    RemoteStopTransactionRequest,
    RemoteStopTransactionResponse,
)
from loadsim.v16.messages.remote_trigger import TriggerMessageRequest, TriggerMessageResponse
from loadsim.v16.status import send_statuses


def change_configuration(charge_point: ChargePoint, request: ChangeConfigurationRequest) -> Reply:
    """Set a key (section 5.3); an unknown one is NotSupported, a read-only one Rejected."""
    key = BY_KEY.get(request.key.lower())
    if key is None:
        return Reply(ChangeConfigurationResponse(status="NotSupported"))
    if key.write is None:
        return Reply(ChangeConfigurationResponse(status="Rejected"))
    return Reply(ChangeConfigurationResponse(status=key.write(charge_point, request.value)))


def get_configuration(charge_point: ChargePoint, request: GetConfigurationRequest) -> Reply:
    """Tell the keys asked for (section 5.8); none asked for means all."""
    asked = () if request.key is UNSET else request.key
    known = [BY_KEY[name.lower()] for name in asked if name.lower() in BY_KEY] if asked else list(KEYS)
    unknown = tuple(name for name in asked if name.lower() not in BY_KEY)
    values = tuple(KeyValue(key=key.name, readonly=key.write is None, value=key.read(charge_point)) for key in known)
    return Reply(GetConfigurationResponse(configuration_key=values, unknown_key=unknown or UNSET))


def remote_start_transaction(charge_point: ChargePoint, request: RemoteStartTransactionRequest) -> Reply:
    """Refuse: this version runs no transactions, and Pending refuses in any case (sections 5.11 and 4.2)."""
    return Reply(RemoteStartTransactionResponse(status="Rejected"))


def remote_stop_transaction(charge_point: ChargePoint, request: RemoteStopTransactionRequest) -> Reply:
    """Refuse: no transaction has this id (section 5.12)."""
    return Reply(RemoteStopTransactionResponse(status="Rejected"))


def trigger_message(charge_point: ChargePoint, request: TriggerMessageRequest) -> Reply:
    """Send a message because the CSMS asks for it (section 5.17); the answer goes first."""
    accepted = TriggerMessageResponse(status="Accepted")
    rejected = TriggerMessageResponse(status="Rejected")
    if request.requested_message == "BootNotification":
        # Errata 3.35: one that is accepted does not boot again.
        return Reply(rejected) if is_accepted(charge_point) else Reply(accepted, boot_when_triggered)
    if request.requested_message == "Heartbeat":
        return Reply(accepted, partial(send_heartbeat, due=charge_point.context.clock.elapsed))
    if request.requested_message == "StatusNotification":
        connectors = range(charge_point.settings.connectors + 1)
        if request.connector_id is not UNSET:
            if request.connector_id not in connectors:
                return Reply(rejected)
            connectors = range(request.connector_id, request.connector_id + 1)
        due = charge_point.context.clock.elapsed
        return Reply(accepted, partial(send_statuses, connectors=connectors, due=due))
    return Reply(TriggerMessageResponse(status="NotImplemented"))


COMMANDS: Final[Mapping[str, Command]] = {
    "ChangeConfiguration": change_configuration,
    "GetConfiguration": get_configuration,
    "RemoteStartTransaction": remote_start_transaction,
    "RemoteStopTransaction": remote_stop_transaction,
    "TriggerMessage": trigger_message,
}
