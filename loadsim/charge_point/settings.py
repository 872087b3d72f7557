"""What one kind of charge point is and does: plain values, in SI units, that travel to the workers."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from loadsim.charge_point.distribution import Distribution, uniform

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


class DataTransferSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Vendor data that each charge point sends: *size* characters of text, without data where that is 0."""

    arrivals: Arrivals
    vendor_id: str = "com.example.telemetry"
    message_id: str | None = None
    size: int = 200


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """The wait before try n (from 0): first * factor**n seconds, at most max, +- jitter (a share)."""

    first: float = 5.0
    factor: float = 2.0
    max: float = 300.0
    jitter: float = 0.5


STANDARD_PROFILES: Final = (
    "Core",
    "FirmwareManagement",
    "LocalAuthListManagement",
    "Reservation",
    "SmartCharging",
    "RemoteTrigger",
)
"""The feature profiles of OCPP 1.6 (section 3.3), as SupportedFeatureProfiles names them."""

SECURITY_PROFILE: Final = "Security"
"""The security extension; no name of SupportedFeatureProfiles, for the white paper adds none."""


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of charging session: who comes, for how long, and how much energy the car wants.

    *tags* are shares by tag class, empty for those of the fleet. *rfid* is the share that the driver starts
    with a card, the rest waits for RemoteStartTransaction. *plugged_in* in seconds, *energy* in watt-hours.
    *no_show* is the share of drivers who authorize and then do not plug in. *other_tag* is the share of drivers
    who present another tag of their class at the stop.
    """

    name: str = "default"
    tags: dict[str, float] = {}
    rfid: float = 1.0
    plugged_in: Distribution = uniform(1200.0, 7200.0)
    energy: Distribution = uniform(5_000.0, 40_000.0)
    no_show: float = 0.0
    other_tag: float = 0.0


class FirmwareSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an update of the firmware goes: seconds, and the shares of charge points at which it fails.

    *download* is how long a simulated download takes; a real one takes what it takes. The shares are exact
    over the fleet.
    """

    download: Distribution = uniform(10.0, 60.0)
    install: Distribution = uniform(10.0, 60.0)
    download_failures: float = 0.0
    install_failures: float = 0.0


class DiagnosticsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an upload of diagnostics or of a log goes: seconds (of a simulated one), and the share that fails."""

    upload: Distribution = uniform(5.0, 20.0)
    failures: float = 0.0
    size: int = 16_384
    """Bytes of the file that a real upload sends."""


class HardwareSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What breaks: rates per second, of faults for each connector, of the others for each charge point.

    *codes* are relative weights of error codes. *ev_disconnects* counts only while a car charges.
    """

    faults: float = 0.0
    fault_lasts: Distribution = uniform(60.0, 600.0)
    codes: dict[str, float] = msgspec.field(default_factory=lambda: {"OtherError": 1.0})
    power_losses: float = 0.0
    power_loss_lasts: Distribution = uniform(30.0, 300.0)
    ev_disconnects: float = 0.0


class ChargePointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that the charge points of a fleet have in common."""

    connectors: int = 1
    boot: BootData = BootData()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    authorize: Arrivals | None = None
    data_transfer: DataTransferSettings | None = None
    reconnect: Backoff = Backoff()
    boot_on_reconnect: bool = False
    ping: float | None = None
    framing: Framing = "array"
    subprotocol: Subprotocol = "ocpp1.6"
    call_timeout: float = 30.0
    power: float = 11_000.0
    """Watts that a connector gives at most."""
    phases: int = 3
    session: SessionSettings | None = None
    configuration: dict[str, str] = {}
    """Initial values of configuration keys, by name."""
    profiles: tuple[str, ...] = STANDARD_PROFILES
    firmware: FirmwareSettings = FirmwareSettings()
    diagnostics: DiagnosticsSettings = DiagnosticsSettings()
    hardware: HardwareSettings = HardwareSettings()
    reboot: Distribution = uniform(5.0, 15.0)
    """Seconds from the end of a connection by a reset until the charge point connects again."""
    transfer_hosts: tuple[str, ...] = ()
    """Hosts, besides loopback, to which firmware and diagnostics are really transferred; else it is simulated."""
