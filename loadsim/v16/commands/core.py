"""Calls of the Core profile (OCPP 1.6, chapter 5), as far as one function is all there is to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Command, Reply
from loadsim.ocpp.action import InvalidPayload
from loadsim.v16.arriving import remote_start_transaction, remote_stop_transaction
from loadsim.v16.authorization import clear_cache as forget_cached_tags
from loadsim.v16.availability import change_availability
from loadsim.v16.configuration import change, integer, key_named, readable_keys, value_of
from loadsim.v16.configuration_effects import take_effect
from loadsim.v16.memory import memory_of
from loadsim.v16.messages.core import (
    ChangeConfigurationRequest,
    ChangeConfigurationResponse,
    ClearCacheRequest,
    ClearCacheResponse,
    DataTransferRequest,
    DataTransferResponse,
    GetConfigurationRequest,
    GetConfigurationResponse,
    KeyValue,
    UnlockConnectorRequest,
    UnlockConnectorResponse,
)
from loadsim.v16.reset import reset


def change_configuration(charge_point: ChargePoint, request: ChangeConfigurationRequest) -> Reply:
    """Set a key (section 5.3): NotSupported where it is unknown, Rejected where it cannot be so."""
    key = key_named(charge_point, request.key)
    if key is None:
        return Reply(ChangeConfigurationResponse(status="NotSupported"))
    status = change(charge_point, key, request.value)
    if status == "Accepted":
        take_effect(charge_point, key.name)
    return Reply(ChangeConfigurationResponse(status=status))


def get_configuration(charge_point: ChargePoint, request: GetConfigurationRequest) -> Reply:
    """Tell the keys asked for (section 5.8); none asked for means all. What cannot be read is as good as unknown.

    Raises:
        InvalidPayload: more keys are asked for than GetConfigurationMaxKeys.
    """
    asked = {} if request.key is UNSET else {name.lower(): name for name in request.key}
    most = integer(charge_point, "GetConfigurationMaxKeys")
    if len(asked) > most:
        raise InvalidPayload("OccurenceConstraintViolation", f"at most {most} keys can be asked for at a time")
    told = {key.name.lower(): key for key in readable_keys(charge_point) if not asked or key.name.lower() in asked}
    values = [
        KeyValue(key=key.name, readonly=key.access == "R", value=value_of(charge_point, key)) for key in told.values()
    ]
    unknown = tuple(name for lower, name in asked.items() if lower not in told)
    return Reply(GetConfigurationResponse(configuration_key=tuple(values), unknown_key=unknown or UNSET))


def clear_cache(charge_point: ChargePoint, request: ClearCacheRequest) -> Reply:
    """Empty the authorization cache (section 5.4); Rejected where there is none (errata 3.23)."""
    return Reply(ClearCacheResponse(status="Accepted" if forget_cached_tags(charge_point) else "Rejected"))


def data_transfer(charge_point: ChargePoint, request: DataTransferRequest) -> Reply:
    """Refuse: there is no vendor whose data a simulated charge point understands (section 4.3)."""
    return Reply(DataTransferResponse(status="UnknownVendorId"))


def unlock_connector(charge_point: ChargePoint, request: UnlockConnectorRequest) -> Reply:
    """Unlock a connector, which ends its transaction (section 5.18; errata 3.85)."""
    if not 1 <= request.connector_id <= charge_point.settings.connectors:
        return Reply(UnlockConnectorResponse(status="NotSupported"))
    connector = memory_of(charge_point).connectors.get(request.connector_id)
    if connector is not None and connector.session is not None:
        connector.session.unlock()
    return Reply(UnlockConnectorResponse(status="Unlocked"))


COMMANDS: Final[Mapping[str, Command]] = {
    "ChangeAvailability": change_availability,
    "ChangeConfiguration": change_configuration,
    "ClearCache": clear_cache,
    "DataTransfer": data_transfer,
    "GetConfiguration": get_configuration,
    "RemoteStartTransaction": remote_start_transaction,
    "RemoteStopTransaction": remote_stop_transaction,
    "Reset": reset,
    "UnlockConnector": unlock_connector,
}
