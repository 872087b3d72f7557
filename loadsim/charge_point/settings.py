"""What one kind of charge point is and does: plain values, in SI units, that travel to the workers."""

from __future__ import annotations

from typing import Literal

import msgspec

Framing = Literal["array", "object"]
Subprotocol = Literal["ocpp1.6", "optional", "none"]


class BootData(msgspec.Struct, frozen=True, kw_only=True):
    """What a charge point says of itself when it boots; None is left out of the message.

    ``{id}`` in a serial number stands for the charge point's identity.
    """

    vendor: str = "loadsim"
    model: str = "virtual"
    firmware: str | None = None
    serial: str | None = None
    box_serial: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial: str | None = None


class HeartbeatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When to send a Heartbeat; *every* is in seconds, None is the CSMS's interval."""

    every: float | None = None
    regardless_of_traffic: bool = False


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """An open stream of things that fall due; *rate* is per second and charge point."""

    rate: float
    spacing: Literal["poisson", "even"] = "poisson"


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """The wait before try n (from 0): first * factor**n seconds, at most max, +- jitter (a share)."""

    first: float = 5.0
    factor: float = 2.0
    max: float = 300.0
    jitter: float = 0.5


class ChargePointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that the charge points of a fleet have in common."""

    connectors: int = 1
    boot: BootData = BootData()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    authorize: Arrivals | None = None
    reconnect: Backoff = Backoff()
    boot_on_reconnect: bool = False
    ping: float | None = None
    framing: Framing = "array"
    subprotocol: Subprotocol = "ocpp1.6"
    call_timeout: float = 30.0
