"""Configuration keys (OCPP 1.6, chapter 9): their values, and what changing one does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.memory import LONGEST_INTERVAL, OWN_HEARTBEAT_INTERVAL, is_accepted, memory_of

ChangeStatus = Literal["Accepted", "Rejected", "RebootRequired", "NotSupported"]

DEFAULTS: Final[Mapping[str, str]] = {
    "AllowOfflineTxForUnknownId": "false",
    "AuthorizationCacheEnabled": "true",
    "AuthorizeRemoteTxRequests": "true",
    "ClockAlignedDataInterval": "0",
    "ConnectionTimeOut": "60",
    "LocalAuthListEnabled": "true",
    "LocalAuthorizeOffline": "true",
    "LocalPreAuthorize": "false",
    "MaxEnergyOnInvalidId": "0",
    "MeterValueSampleInterval": "60",
    "MeterValuesAlignedData": "Energy.Active.Import.Register",
    "MeterValuesSampledData": "Energy.Active.Import.Register",
    "MinimumStatusDuration": "0",
    "ReserveConnectorZeroSupported": "true",
    "StopTransactionOnEVSideDisconnect": "true",
    "StopTransactionOnInvalidId": "true",
    "StopTxnAlignedData": "",
    "StopTxnSampledData": "",
    "TransactionMessageAttempts": "3",
    "TransactionMessageRetryInterval": "60",
    "UnlockConnectorOnEVSideDisconnect": "true",
}


def text(charge_point: ChargePoint, name: str) -> str:
    """Return the value of key *name* now: as changed by the CSMS, else the fleet's, else the documented one."""
    changed = memory_of(charge_point).changed
    if changed is not None and name in changed:
        return changed[name]
    value = charge_point.settings.configuration.get(name)
    return DEFAULTS[name] if value is None else value


def integer(charge_point: ChargePoint, name: str) -> int:
    """Return the value of an integer key."""
    return int(text(charge_point, name))


def flag(charge_point: ChargePoint, name: str) -> bool:
    """Return the value of a boolean key."""
    return text(charge_point, name) == "true"


def items(charge_point: ChargePoint, name: str) -> tuple[str, ...]:
    """Return the value of a key that is a comma separated list."""
    return tuple(item.strip() for item in text(charge_point, name).split(",") if item.strip())


@dataclass(frozen=True, slots=True)
class Key:
    """One key: how it reads, and how it is written; without *write* it is read-only."""

    name: str
    read: Callable[[ChargePoint], str]
    write: Callable[[ChargePoint, str], ChangeStatus] | None = None


def _read_heartbeat_interval(charge_point: ChargePoint) -> str:
    own = charge_point.settings.heartbeat.every
    return f"{memory_of(charge_point).heartbeat_interval if own is None else own:.0f}"


def _write_heartbeat_interval(charge_point: ChargePoint, value: str) -> ChangeStatus:
    """Section 9.1.10; a fleet that beats at its own interval, whatever the CSMS says, does not take it."""
    if charge_point.settings.heartbeat.every is not None:
        return "Rejected"
    if not value.isascii() or not value.isdigit() or int(value) > LONGEST_INTERVAL:
        return "Rejected"
    memory = memory_of(charge_point)
    memory.heartbeat_interval = float(value) or OWN_HEARTBEAT_INTERVAL
    if is_accepted(charge_point):
        memory.alarm.ring()  # before that it is the wait for the next boot
    return "Accepted"


KEYS: Final = (
    Key("HeartbeatInterval", _read_heartbeat_interval, _write_heartbeat_interval),
    Key("NumberOfConnectors", lambda charge_point: str(charge_point.settings.connectors)),
    Key("SupportedFeatureProfiles", lambda _: "Core,RemoteTrigger"),
)
BY_KEY: Final[Mapping[str, Key]] = {key.name.lower(): key for key in KEYS}  # a CiString: its case does not count
