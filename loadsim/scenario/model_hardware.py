"""The grammar of what a charge point is made of: power, configuration, firmware, diagnostics, and what breaks."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from loadsim import units
from loadsim.charge_point.settings import SECURITY_PROFILE, STANDARD_PROFILES
from loadsim.scenario.model_fields import (
    RATE,
    VARIABLE,
    Name,
    OneOrMore,
    Reads,
    Share,
    described,
    one_of,
    quantity,
    text,
    typed,
)
from loadsim.scenario.model_part import Part
from loadsim.scenario.model_spread import Durations
from loadsim.scenario.places import unknown

PROFILES: Final = (*STANDARD_PROFILES, SECURITY_PROFILE)
ERROR_CODES: Final = (
    "ConnectorLockFailure",
    "EVCommunicationError",
    "GroundFailure",
    "HighTemperature",
    "InternalError",
    "OtherError",
    "OverCurrentFailure",
    "OverVoltage",
    "PowerMeterFailure",
    "PowerSwitchFailure",
    "ReaderFailure",
    "ResetFailure",
    "UnderVoltage",
    "WeakSignal",
)
"""What a Faulted connector can report (OCPP 1.6, section 7.6); LocalListConflict is no fault of a connector."""


def _phases(value: Any) -> int:
    found = typed(value)
    if isinstance(found, bool) or found not in (1, 3):
        raise ValueError(f"expected 1 or 3, got {described(value)}")
    return int(found)


def _error_code(value: Any) -> str:
    if value not in ERROR_CODES:
        raise ValueError(unknown("error code", str(value), ERROR_CODES))
    return str(value)


def _host(value: Any) -> str:
    return str(_HOST.parse(value)).lower()


def _configuration(value: Any) -> str:
    """Turn a value into OCPP's text: "true", "30", "Core,Reservation" (section 9.1)."""
    if isinstance(value, list):
        return ",".join(_configuration_item(item) for item in value)
    return _configuration_item(value)


def _configuration_item(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    quotes = "; put it in quotes" if isinstance(value, float) else ""
    raise ValueError(f"expected a whole number, true, false, text, or a list of them; got {described(value)}{quotes}")


_SCALAR = [{"type": kind} for kind in ("string", "integer", "boolean")]
_CONFIGURATION = Reads(_configuration, {"anyOf": [*_SCALAR, {"type": "array", "items": {"anyOf": _SCALAR}}]})
_HOST = text(r"[A-Za-z0-9:][A-Za-z0-9._:-]{0,252}", "a host name or an IP address", "files.test.example")

Power = Annotated[float, quantity(units.parse_power, units.POWER_PATTERN, "11kW", above=0, most=(1e7, "10000kW"))]
Phases = Annotated[int, Reads(_phases, {"anyOf": [{"enum": [1, 3]}, {"type": "string", "pattern": VARIABLE}]})]
Configuration = dict[Name, Annotated[str, _CONFIGURATION]]
Profiles = Annotated[list[Annotated[str, one_of(*PROFILES)]], OneOrMore()]
Host = Annotated[str, Reads(_host, _HOST.schema)]
ErrorCode = Annotated[str, Reads(_error_code, {"type": "string", "pattern": f"^(?:{'|'.join(ERROR_CODES)})$"})]
_Rate = Annotated[float, RATE]


class FirmwareModel(Part):
    """How UpdateFirmware goes (OCPP 1.6, section 5.19)."""

    download: Durations | None = Field(
        default=None, description="How long a simulated download takes. Default: 10s..60s (uniform)."
    )
    install: Durations | None = Field(
        default=None, description="How long the installation takes. Default: 10s..60s (uniform)."
    )
    download_failures: Share | None = Field(
        default=None, description="Share of charge points whose download fails, exact over the fleet. Default: 0%."
    )
    install_failures: Share | None = Field(
        default=None, description="Share of charge points whose installation fails, exact as well. Default: 0%."
    )


class DiagnosticsModel(Part):
    """How GetDiagnostics and GetLog go (OCPP 1.6, section 5.9)."""

    upload: Durations | None = Field(
        default=None, description="How long a simulated upload takes. Default: 5s..20s (uniform)."
    )
    failures: Share | None = Field(default=None, description="Share of uploads that fail. Default: 0%.")


class HardwareModel(Part):
    """What breaks, by rate."""

    faults: _Rate | None = Field(
        default=None, description="Rate at which each connector becomes Faulted, such as 0.1/d. Default: none."
    )
    fault_lasts: Durations | None = Field(
        default=None, description="How long it stays so. Default: 1m..10m (uniform)."
    )
    codes: dict[ErrorCode, Share] | None = Field(
        default=None, description="Shares by error code, 100% in all. Default: OtherError 100%."
    )
    power_losses: _Rate | None = Field(
        default=None, description="Rate at which each charge point loses its power. Default: none."
    )
    power_loss_lasts: Durations | None = Field(
        default=None, description="How long it stays off. Default: 30s..5m (uniform)."
    )
    ev_disconnects: _Rate | None = Field(
        default=None,
        description="Rate at which cars are pulled off while they charge, of each charge point. Default: none.",
    )
