"""Configuration keys (OCPP 1.6, chapter 9): their values, and what changing one does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.memory import LONGEST_INTERVAL, OWN_HEARTBEAT_INTERVAL, memory_of

ChangeStatus = Literal["Accepted", "Rejected", "RebootRequired", "NotSupported"]


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
    memory.heartbeat_alarm.ring()
    return "Accepted"


KEYS: Final = (
    Key("HeartbeatInterval", _read_heartbeat_interval, _write_heartbeat_interval),
    Key("NumberOfConnectors", lambda charge_point: str(charge_point.settings.connectors)),
    Key("SupportedFeatureProfiles", lambda _: "Core,RemoteTrigger"),
)
BY_KEY: Final[Mapping[str, Key]] = {key.name.lower(): key for key in KEYS}  # a CiString: its case does not count
