"""What a central system asks a charge point, and what that is to answer: words for scripts of the peers.

`tests.peers.asking` says what a step is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FROM_CHARGE_POINT = frozenset(
    {
        "Authorize",
        "BootNotification",
        "DataTransfer",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignCertificate",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    }
)
FROM_CENTRAL_SYSTEM = frozenset(
    {
        "CancelReservation",
        "CertificateSigned",
        "ChangeAvailability",
        "ChangeConfiguration",
        "ClearCache",
        "ClearChargingProfile",
        "DataTransfer",
        "DeleteCertificate",
        "ExtendedTriggerMessage",
        "GetCompositeSchedule",
        "GetConfiguration",
        "GetDiagnostics",
        "GetInstalledCertificateIds",
        "GetLocalListVersion",
        "GetLog",
        "InstallCertificate",
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "ReserveNow",
        "Reset",
        "SendLocalList",
        "SetChargingProfile",
        "SignedUpdateFirmware",
        "TriggerMessage",
        "UnlockConnector",
        "UpdateFirmware",
    }
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One call and its *outcome*, or a wait; *answer* is part of the whole answer, which has none of *lacks*."""

    send: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    until: tuple[str, dict[str, Any]] | None = None
    ever: bool = False
    answer: dict[str, Any] = field(default_factory=dict)
    lacks: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        step: dict[str, Any] = {"send": self.send, "with": self.payload} if self.send else {}
        if self.until is not None:
            step |= {"until": self.until, "ever": self.ever}
        return step


def ask(action: str, outcome: str = "Accepted", **payload: Any) -> Step:
    return Step(send=action, payload=payload, outcome=outcome)


def asks(step: Step, *, until: Step | None = None, answer: dict[str, Any] | None = None, lacks: str = "") -> Step:
    """Extend what `ask` makes."""
    return Step(
        send=step.send,
        payload=step.payload,
        outcome=step.outcome,
        until=None if until is None else until.until,
        answer=answer or {},
        lacks=lacks.split(),
    )


def wait(action: str, **values: Any) -> Step:
    return Step(until=(action, values))


def once(action: str, **values: Any) -> Step:
    """Wait for what may have been sent already."""
    return Step(until=(action, values), ever=True)


def change(key: str, value: str, outcome: str = "Accepted") -> Step:
    return ask("ChangeConfiguration", outcome, key=key, value=value)


def status(connector: int, value: str) -> Step:
    return wait("StatusNotification", connectorId=connector, status=value)


def profile(
    number: int, purpose: str, limit: float, *, level: int = 0, start_schedule: str = "", **more: Any
) -> dict[str, Any]:
    """Write a charging profile of one limit, in watts."""
    schedule: dict[str, Any] = {
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
    }
    if start_schedule:
        schedule["startSchedule"] = start_schedule
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
        **more,
    }


def set_profile(connector: int, outcome: str, **charging_profile: Any) -> Step:
    return ask("SetChargingProfile", outcome, connectorId=connector, csChargingProfiles=charging_profile)


def periods(*limits: float) -> dict[str, Any]:
    """Write part of a composite schedule whose first periods have these limits."""
    return {"chargingSchedule": {"chargingSchedulePeriod": [{"limit": limit} for limit in limits]}}


def includes(whole: Any, part: Any) -> bool:
    """Tell whether *part* is in *whole*: keys of objects may be left out, items of lists not."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            key in whole and includes(whole[key], value) for key, value in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(includes, whole, part))
    return bool(whole == part)


def reserve(connector: int, number: int, tag: str, outcome: str = "Accepted", expiry: str = "$now 60") -> Step:
    return ask("ReserveNow", outcome, connectorId=connector, expiryDate=expiry, idTag=tag, reservationId=number)


def start(connector: int, tag: str, outcome: str = "Accepted", **more: Any) -> Step:
    return ask("RemoteStartTransaction", outcome, connectorId=connector, idTag=tag, **more)


def available(connector: int, kind: str, outcome: str = "Accepted") -> Step:
    return ask("ChangeAvailability", outcome, connectorId=connector, type=kind)
