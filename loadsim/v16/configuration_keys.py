"""The table of configuration keys (OCPP 1.6, chapter 9; OCPP-J, section 6.2.2; security extension): a row each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.pings import start_pings
from loadsim.charge_point.settings import SECURITY_PROFILE, STANDARD_PROFILES
from loadsim.v16.configuration_kinds import (
    MEASURANDS,
    Kind,
    boolean,
    hexadecimal,
    list_of,
    phase_rotation,
    plain_text,
    split,
    whole,
)
from loadsim.v16.memory import is_accepted, memory_of
from loadsim.v16.smart_charging.charging_profiles import MAX_INSTALLED
from loadsim.v16.smart_charging.prepared_profile import ALLOWED_UNITS, MAX_PERIODS, MAX_STACK_LEVEL

ChangeStatus = Literal["Accepted", "Rejected", "RebootRequired", "NotSupported"]

SHORTEST_AUTHORIZATION_KEY: Final = 8
LONGEST_AUTHORIZATION_KEY: Final = 20
"""Bytes of an AuthorizationKey (OCPP-J 1.6, section 6.2.2: 20; security extension: possibly fewer)."""

_DAY: Final = 86_400
_MOST_LISTED: Final = 100_000
_NAME_OF_AN_ORGANIZATION: Final = 64  # in a certificate: X.520, ub-organization-name


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: what its values may be, who may do what with it, and how it is read and written.

    *access* is R, W or RW as in the specification. *default* is what holds until somebody sets it; a key without
    one is read from what the charge point is. *write* takes a value of the right kind; without it the value is
    kept, and in force when *fits* agrees: at once, or where *at_reboot* after the next one. A key is unknown to a
    charge point without *profile*. *given_by* names what sets it in a scenario, if not `configuration`.
    """

    name: str
    kind: Kind
    access: Literal["R", "W", "RW"] = "RW"
    default: str | None = None
    read: Callable[[ChargePoint], str] | None = None
    write: Callable[[ChargePoint, str], ChangeStatus] | None = None
    fits: Callable[[ChargePoint, str], bool] = lambda charge_point, value: True
    at_reboot: bool = False
    profile: str = "Core"
    given_by: str = ""


def _read_heartbeat_interval(charge_point: ChargePoint) -> str:
    own = charge_point.settings.heartbeat.every
    return f"{memory_of(charge_point).heartbeat_interval if own is None else own:.0f}"


def _write_heartbeat_interval(charge_point: ChargePoint, value: str) -> ChangeStatus:
    """Section 9.1.10; a fleet that beats at its own interval, whatever the CSMS says, does not take it."""
    if charge_point.settings.heartbeat.every is not None:
        return "Rejected"
    memory = memory_of(charge_point)
    memory.heartbeat_interval = float(value)
    if is_accepted(charge_point):
        memory.alarm.ring()  # before that it is the wait for the next boot
    return "Accepted"


def _read_ping_interval(charge_point: ChargePoint) -> str:
    return str(math.ceil(charge_point.ping_interval or 0))


def _write_ping_interval(charge_point: ChargePoint, value: str) -> ChangeStatus:
    """OCPP-J 1.6, chapter 7: 0 switches pings off."""
    charge_point.ping_interval = float(value) or None
    start_pings(charge_point)
    return "Accepted"


def _write_authorization_key(charge_point: ChargePoint, value: str) -> ChangeStatus:
    """OCPP-J 1.6, section 6.2.2: the bytes that the digits stand for are the password from the next handshake on."""
    charge_point.password = bytes.fromhex(value)
    return "Accepted"


def _read_security_profile(charge_point: ChargePoint) -> str:
    return str(charge_point.context.connector.security_profile(charge_point))


def _write_security_profile(charge_point: ChargePoint, value: str) -> ChangeStatus:
    """Security extension, A05: never lowered; nor raised, for where and how to connect is the scenario's affair."""
    return "Accepted" if value == _read_security_profile(charge_point) else "Rejected"


def _read_phase_rotation(charge_point: ChargePoint) -> str:
    name, settings = "ConnectorPhaseRotation", charge_point.settings
    known = (memory_of(charge_point).changed or {}).get(name) or settings.configuration.get(name)
    rotation = "NotApplicable" if settings.phases == 1 else "RST"
    return known or ",".join(f"{number}.{rotation}" for number in range(1, settings.connectors + 1))


def _has_these_connectors(charge_point: ChargePoint, rotations: str) -> bool:
    return all(int(item.partition(".")[0]) <= charge_point.settings.connectors for item in split(rotations))


def _told(
    name: str,
    value: str | Callable[[ChargePoint], str],
    profile: str = "Core",
    given_by: str = "the charge point tells it, nobody sets it",
) -> Key:
    """Make the row of what a charge point says of itself."""

    def read(charge_point: ChargePoint) -> str:
        return value if isinstance(value, str) else value(charge_point)

    return Key(name=name, kind=plain_text(500), access="R", read=read, profile=profile, given_by=given_by)


_SECONDS: Final = whole()
_MEASURANDS: Final = list_of(MEASURANDS, "measurands")
_REGISTER: Final = MEASURANDS[0]
_ALL_MEASURANDS: Final = str(len(MEASURANDS))
_LENGTH: Final = whole(1, _MOST_LISTED)

KEYS: Final = (
    _told("AdditionalRootCertificateCheck", "false", profile=SECURITY_PROFILE),
    Key(name="AllowOfflineTxForUnknownId", kind=boolean, default="false"),
    Key(name="AuthorizationCacheEnabled", kind=boolean, default="true"),
    Key(
        name="AuthorizationKey",
        kind=hexadecimal(SHORTEST_AUTHORIZATION_KEY, LONGEST_AUTHORIZATION_KEY),
        access="W",
        write=_write_authorization_key,
        given_by="passwords come from csms.auth, or from the file of the fleet's ids",
    ),
    Key(name="AuthorizeRemoteTxRequests", kind=boolean, default="true"),
    Key(name="BlinkRepeat", kind=whole(), default="3"),
    Key(name="CertificateSignedMaxChainSize", kind=_LENGTH, access="R", default="10000", profile=SECURITY_PROFILE),
    Key(name="CertificateStoreMaxLength", kind=_LENGTH, access="R", default="20", profile=SECURITY_PROFILE),
    _told("ChargeProfileMaxStackLevel", str(MAX_STACK_LEVEL), profile="SmartCharging"),
    _told("ChargingScheduleAllowedChargingRateUnit", ALLOWED_UNITS, profile="SmartCharging"),
    _told("ChargingScheduleMaxPeriods", str(MAX_PERIODS), profile="SmartCharging"),
    Key(name="ClockAlignedDataInterval", kind=whole(0, _DAY), default="0"),
    Key(name="ConnectionTimeOut", kind=whole(1), default="60"),
    Key(
        name="ConnectorPhaseRotation",
        kind=phase_rotation,
        read=_read_phase_rotation,
        fits=_has_these_connectors,
        at_reboot=True,  # the meter is set up with it when the charge point starts
    ),
    _told("ConnectorPhaseRotationMaxLength", lambda charge_point: str(charge_point.settings.connectors + 1)),
    _told("ConnectorSwitch3to1PhaseSupported", "false", profile="SmartCharging"),
    Key(name="CpoName", kind=plain_text(_NAME_OF_AN_ORGANIZATION), default="loadsim", profile=SECURITY_PROFILE),
    Key(name="GetConfigurationMaxKeys", kind=whole(1, _MOST_LISTED), access="R", default="100"),
    Key(
        name="HeartbeatInterval",
        kind=whole(1),  # 0 is a word of the boot's answer alone: the charge point's own choice (section 4.2)
        read=_read_heartbeat_interval,
        write=_write_heartbeat_interval,
        given_by="the CSMS's answer to the boot sets it, or the fleet's 'heartbeat'",
    ),
    Key(name="LightIntensity", kind=whole(0, 100), default="100"),
    Key(name="LocalAuthListEnabled", kind=boolean, default="true", profile="LocalAuthListManagement"),
    Key(name="LocalAuthListMaxLength", kind=_LENGTH, access="R", default="1000", profile="LocalAuthListManagement"),
    Key(name="LocalAuthorizeOffline", kind=boolean, default="true"),
    Key(name="LocalPreAuthorize", kind=boolean, default="false"),
    _told("MaxChargingProfilesInstalled", str(MAX_INSTALLED), profile="SmartCharging"),
    Key(name="MaxEnergyOnInvalidId", kind=whole(), default="0"),
    Key(name="MeterValueSampleInterval", kind=_SECONDS, default="60"),
    Key(name="MeterValuesAlignedData", kind=_MEASURANDS, default=_REGISTER),
    _told("MeterValuesAlignedDataMaxLength", _ALL_MEASURANDS),
    Key(name="MeterValuesSampledData", kind=_MEASURANDS, default=_REGISTER),
    _told("MeterValuesSampledDataMaxLength", _ALL_MEASURANDS),
    Key(name="MinimumStatusDuration", kind=_SECONDS, default="0"),
    _told(
        "NumberOfConnectors",
        lambda charge_point: str(charge_point.settings.connectors),
        given_by="the fleet's 'connectors' is this number",
    ),
    Key(name="ReserveConnectorZeroSupported", kind=boolean, access="R", default="true", profile="Reservation"),
    Key(name="ResetRetries", kind=whole(), default="1"),
    Key(
        name="SecurityProfile",
        kind=whole(0, 3),
        read=_read_security_profile,
        write=_write_security_profile,
        profile=SECURITY_PROFILE,
        given_by="it follows from csms.url and csms.auth",
    ),
    Key(name="SendLocalListMaxLength", kind=_LENGTH, access="R", default="500", profile="LocalAuthListManagement"),
    Key(name="StopTransactionOnEVSideDisconnect", kind=boolean, default="true"),
    Key(name="StopTransactionOnInvalidId", kind=boolean, default="true"),
    Key(name="StopTxnAlignedData", kind=_MEASURANDS, default=""),
    _told("StopTxnAlignedDataMaxLength", _ALL_MEASURANDS),
    Key(name="StopTxnSampledData", kind=_MEASURANDS, default=""),
    _told("StopTxnSampledDataMaxLength", _ALL_MEASURANDS),
    _told(
        "SupportedFeatureProfiles",
        lambda charge_point: ",".join(name for name in STANDARD_PROFILES if name in charge_point.settings.profiles),
        given_by="the fleet's 'profiles' are these",
    ),
    _told("SupportedFeatureProfilesMaxLength", str(len(STANDARD_PROFILES))),
    _told("SupportedFileTransferProtocols", "FTP,HTTP,HTTPS", profile="FirmwareManagement"),
    Key(name="TransactionMessageAttempts", kind=whole(1), default="3"),
    Key(name="TransactionMessageRetryInterval", kind=_SECONDS, default="60"),
    Key(name="UnlockConnectorOnEVSideDisconnect", kind=boolean, default="true"),
    Key(
        name="WebSocketPingInterval",
        kind=_SECONDS,
        read=_read_ping_interval,
        write=_write_ping_interval,
        given_by="the fleet's 'ping' is this interval",
    ),
)
DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {key.name: key.default for key in KEYS if key.default is not None}
)
"""What holds where neither the CSMS nor the fleet says otherwise, of the keys that are kept as texts."""

BY_NAME: Final = MappingProxyType({key.name.lower(): key for key in KEYS})
