"""What a central system fills into the requests that it sends by plan, and which charge points they suit (pure).

What a plan gives is sent as it stands. What it leaves open comes from what the central system knows of the
charge point: a connector at which somebody waits, an open transaction (OCPP 1.6, chapter 5).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from loadsim.ocpp.action import Action, InvalidPayload, encode_payload
from loadsim.units import parse_duration, shown
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.formats import format_date_time

RESERVED_FOR: Final = timedelta(minutes=15)
"""How long a connector is reserved, where a plan does not say it."""

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_]+)(?:([+-])([^{}]*))?\}")
_PREPARING: Final = "Preparing"
_AVAILABLE: Final = "Available"


class Need(enum.Enum):
    """What a charge point must have for a request to make sense."""

    NOTHING = "nothing"
    START = "a connector that is Preparing or Available"
    FREE = "a connector that is Available"
    TRANSACTION = "an open transaction"
    RESERVATION = "a reservation"


class Place(Protocol):
    """What a charge point has right now; `Sight` says it in full."""

    @property
    def connectors(self) -> Mapping[int, str]:
        """Statuses by number, from 1 on."""

    @property
    def transactions(self) -> Mapping[int, int]:
        """Open transactions by id, with their connectors."""

    @property
    def reservation(self) -> int | None:
        """The id of the last one it accepted."""


def no_authority() -> str:
    """Stand for the certificate authority of a central system that has none.

    Raises:
        ValueError: always.
    """
    raise ValueError("there is no certificate authority")


class Sight(msgspec.Struct, kw_only=True, gc=False):
    """A charge point as the central system knows it at the moment of a request.

    *connectors* are statuses by number, from 1 on, *transactions* the open ones by id with their connectors,
    *reservation* the last one it accepted. *connector* is the one that the request is about, None: any. *tag*
    draws an id tag, *number* gives integers that were never given before, *pick* draws one of 0 .. n - 1.
    *authority* gives the certificate of the central system's own authority, or raises ValueError.
    """

    identity: str
    connectors: Mapping[int, str]
    transactions: Mapping[int, int]
    reservation: int | None = None
    connector: int | None = None
    now: datetime
    tag: Callable[[], str]
    number: Callable[[], int]
    pick: Callable[[int], int]
    authority: Callable[[], str] = no_authority


SAMPLE: Final = Sight(
    identity="CP1",
    connectors={1: _PREPARING, 2: _AVAILABLE},
    transactions={1: 1},
    reservation=1,
    now=datetime(2026, 1, 1, tzinfo=UTC),
    tag=lambda: "TAG00001",
    number=lambda: 1,
    pick=lambda count: 0,
    authority=lambda: "-----BEGIN CERTIFICATE-----",
)
"""A charge point that suits every request: to try out what a plan asks for."""


def need_of(action: str, payload: Mapping[str, Any]) -> Need:
    """Say what a charge point must have for *action* with what the plan gives of its *payload*."""
    if action == "RemoteStartTransaction" and "connectorId" not in payload:
        return Need.START
    if action == "ReserveNow" and "connectorId" not in payload:
        return Need.FREE
    if action == "RemoteStopTransaction" and "transactionId" not in payload:
        return Need.TRANSACTION
    if action == "CancelReservation" and "reservationId" not in payload:
        return Need.RESERVATION
    if action == "SetChargingProfile" and _wants_transaction(payload.get("csChargingProfiles")):
        return Need.TRANSACTION
    return Need.NOTHING


def suits(need: Need, place: Place) -> bool:
    """Tell whether a charge point has what a request needs."""
    if need is Need.START:
        return any(status in (_PREPARING, _AVAILABLE) for status in place.connectors.values())
    if need is Need.FREE:
        return _AVAILABLE in place.connectors.values()
    if need is Need.TRANSACTION:
        return bool(place.transactions)
    return need is Need.NOTHING or place.reservation is not None


def fill(action: str, payload: Mapping[str, Any], sight: Sight) -> dict[str, Any]:
    """Return *payload* with its placeholders replaced, and with what it leaves open.

    Raises:
        ValueError: a placeholder is none, its duration is malformed, or there is no authority.
    """
    given: dict[str, Any] = {key: _replace(value, sight) for key, value in payload.items()}
    for key, rule in _RULES.get(action, {}).items():
        value = rule(sight, given.get(key))
        if value is not None:
            given[key] = value
    if action == "SetChargingProfile" and _wants_transaction(given["csChargingProfiles"]):
        _give_transaction(given, sight)
    return given


def _replace(value: Any, sight: Sight) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: _placeholder(match, sight), value)
    if isinstance(value, Mapping):
        return {key: _replace(item, sight) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replace(item, sight) for item in value]
    return value


def _placeholder(match: re.Match[str], sight: Sight) -> str:
    """Replace ``{id}``, ``{authority}``, ``{now}``, ``{now+10m}``; other braces are text (JSON in a DataTransfer)."""
    name, sign, duration = match[1], match[2], match[3]
    if name == "id" and sign is None:
        return sight.identity
    if name == "authority" and sign is None:
        return sight.authority()
    if name != "now":
        expected = "{now}, {now+10m}, {id} or {authority}"
        raise ValueError(f"unknown placeholder {shown(match[0])}; expected {expected}")
    seconds = 0.0 if sign is None else parse_duration(duration)
    try:
        moment = sight.now + timedelta(seconds=-seconds if sign == "-" else seconds)
    except OverflowError:
        raise ValueError(f"{shown(match[0])} is beyond the year 9999") from None
    return format_date_time(moment)


_Rule = Callable[[Sight, Any], Any]


def _unless_given(make: Callable[[Sight], Any]) -> _Rule:
    return lambda sight, given: make(sight) if given is None else given


def _any_of(sight: Sight, *statuses: str) -> int | None:
    """Draw a connector with the first of *statuses* that one has; with any, where no status is asked for."""
    if sight.connector is not None:
        return sight.connector
    for status in statuses:
        found = [number for number, each in sight.connectors.items() if each == status]
        if found:
            return found[sight.pick(len(found))]
    if statuses or not sight.connectors:
        return None
    return list(sight.connectors)[sight.pick(len(sight.connectors))]


def _transaction(sight: Sight) -> int | None:
    return list(sight.transactions)[sight.pick(len(sight.transactions))] if sight.transactions else None


def _wants_transaction(profile: Any) -> bool:
    return (
        isinstance(profile, Mapping)
        and profile.get("chargingProfilePurpose") == "TxProfile"
        and "transactionId" not in profile
    )


def _give_transaction(given: dict[str, Any], sight: Sight) -> None:
    """Complete a TxProfile, which is for one transaction and the connector that it runs on (section 5.16)."""
    transaction = _transaction(sight)
    if transaction is not None:
        given["csChargingProfiles"] = {**given["csChargingProfiles"], "transactionId": transaction}
        given["connectorId"] = given["connectorId"] or sight.transactions[transaction]


def _firmware(sight: Sight, given: Any) -> Any:
    return {"retrieveDateTime": _now(sight), **given} if isinstance(given, Mapping) else given


def _now(sight: Sight) -> str:
    return format_date_time(sight.now)


_TAG: Final = _unless_given(lambda sight: sight.tag())
_NUMBER: Final = _unless_given(lambda sight: sight.number())
_CONNECTOR: Final = _unless_given(lambda sight: _any_of(sight) or 1)
_WHOLE: Final = _unless_given(lambda sight: 0)
_STATUS: Final = _unless_given(lambda sight: "StatusNotification")

_SIXTEEN_AMPERES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}]},
    }
)

_RULES: Final[Mapping[str, Mapping[str, _Rule]]] = MappingProxyType(
    {
        "CancelReservation": {"reservationId": _unless_given(lambda sight: sight.reservation)},
        "ChangeAvailability": {"connectorId": _WHOLE},
        "DataTransfer": {"vendorId": _unless_given(lambda sight: "loadsim")},
        "ExtendedTriggerMessage": {"requestedMessage": _STATUS},
        "GetCompositeSchedule": {"connectorId": _CONNECTOR, "duration": _unless_given(lambda sight: 3600)},
        "GetInstalledCertificateIds": {
            "certificateType": _unless_given(lambda sight: "CentralSystemRootCertificate"),
        },
        "GetLog": {"logType": _unless_given(lambda sight: "DiagnosticsLog"), "requestId": _NUMBER},
        "InstallCertificate": {
            "certificateType": _unless_given(lambda sight: "CentralSystemRootCertificate"),
            "certificate": _unless_given(lambda sight: sight.authority()),
        },
        "RemoteStartTransaction": {
            "idTag": _TAG,
            "connectorId": _unless_given(lambda sight: _any_of(sight, _PREPARING, _AVAILABLE)),
        },
        "RemoteStopTransaction": {"transactionId": _unless_given(_transaction)},
        "ReserveNow": {
            "connectorId": _unless_given(lambda sight: _any_of(sight, _AVAILABLE)),
            "expiryDate": _unless_given(lambda sight: format_date_time(sight.now + RESERVED_FOR)),
            "idTag": _TAG,
            "reservationId": _NUMBER,
        },
        "Reset": {"type": _unless_given(lambda sight: "Soft")},
        "SendLocalList": {"listVersion": _NUMBER, "updateType": _unless_given(lambda sight: "Full")},
        "SetChargingProfile": {
            "connectorId": _WHOLE,
            "csChargingProfiles": _unless_given(lambda sight: dict(_SIXTEEN_AMPERES)),
        },
        "SignedUpdateFirmware": {"requestId": _NUMBER, "firmware": _firmware},
        "TriggerMessage": {"requestedMessage": _STATUS},
        "UnlockConnector": {"connectorId": _CONNECTOR},
        "UpdateFirmware": {"retrieveDate": _unless_given(_now)},
    }
)


class Request(msgspec.Struct, frozen=True):
    """A request that its schema accepts, ready to be sent."""

    action: Action
    payload: bytes


def make_request(action: str, payload: Mapping[str, Any]) -> Request:
    """Check what is to be sent; *payload* is the request's JSON object.

    Raises:
        InvalidPayload: no central system sends *action*, or its schema refuses *payload*.
    """
    row = BY_NAME.get(action)
    if row is None:
        raise InvalidPayload("NotImplemented", f"{action[:50]!r} is no action of OCPP 1.6")
    if row.sender == "charge_point":
        raise InvalidPayload("NotSupported", f"{row.name} is for the charge point to send")
    try:
        encoded = encode_payload(payload)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload("FormationViolation", f"not JSON: {error}") from error
    row.decode_request(encoded)
    return Request(row, encoded)
