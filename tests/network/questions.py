"""All that a central system may ask of charge points, in an order that makes sense, and what OCPP makes them answer.

Scripts for the peers in `tests.peers` (`asking` says what a step is), by the fleet whose charge points are asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.v16.authorities import Held

FROM_CHARGE_POINT = frozenset(
    {
        "Authorize",
        "BootNotification",
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
"""Without DataTransfer, which loadsim answers and never sends: no vendor has told it anything worth sending."""
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
VERSION = "2.0.1"  # of the firmware that charge points are to install
NOBODY = 987_654  # no transaction has this id


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


def profile(number: int, purpose: str, limit: float, *, level: int = 0, **more: Any) -> dict[str, Any]:
    """Write a charging profile of one limit, in watts."""
    schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
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


CONFIGURATION = [
    asks(ask("GetConfiguration", "answered"), lacks="unknownKey"),
    asks(
        ask("GetConfiguration", "answered", key=["numberofconnectors", "Nonsense", "AuthorizationKey"]),
        answer={
            "configurationKey": [{"key": "NumberOfConnectors", "readonly": True, "value": "8"}],
            "unknownKey": ["Nonsense", "AuthorizationKey"],
        },
    ),
    asks(change("HeartbeatInterval", "1"), until=wait("Heartbeat")),
    change("HeartbeatInterval", "soon", "Rejected"),
    change("NumberOfConnectors", "3", "Rejected"),
    change("WebSocketPingInterval", "-1", "Rejected"),
    change("NoSuchKey", "1", "NotSupported"),
    asks(ask("ClearCache", "Accepted")),
    change("AuthorizationCacheEnabled", "false"),
    ask("ClearCache", "Rejected"),
    change("AuthorizationCacheEnabled", "true"),
    asks(ask("DataTransfer", "UnknownVendorId", vendorId="org.example", messageId="M", data="{}"), lacks="data"),
]
LOCAL_LIST = [
    asks(ask("GetLocalListVersion", "answered"), answer={"listVersion": 0}),
    ask(
        "SendLocalList",
        listVersion=3,
        updateType="Full",
        localAuthorizationList=[
            {
                "idTag": "LIST1",
                "idTagInfo": {"status": "Accepted", "parentIdTag": "GROUP", "expiryDate": "$now 3600"},
            },
            {"idTag": "LIST2", "idTagInfo": {"status": "Blocked"}},
        ],
    ),
    asks(ask("GetLocalListVersion", "answered"), answer={"listVersion": 3}),
    ask("SendLocalList", "VersionMismatch", listVersion=3, updateType="Differential"),
    ask("SendLocalList", listVersion=4, updateType="Differential", localAuthorizationList=[{"idTag": "LIST2"}]),
    ask(
        "SendLocalList",
        "Failed",
        listVersion=9,
        updateType="Full",
        localAuthorizationList=[{"idTag": "TWICE", "idTagInfo": {"status": "Accepted"}}] * 2,
    ),
    asks(ask("GetLocalListVersion", "answered"), answer={"listVersion": 4}),
    change("LocalAuthListEnabled", "false"),
    asks(ask("GetLocalListVersion", "answered"), answer={"listVersion": -1}),
    ask("SendLocalList", "NotSupported", listVersion=10, updateType="Full"),
    change("LocalAuthListEnabled", "true"),
]
TRIGGERS = [
    once("StatusNotification", connectorId=8),  # what it says after a boot has been said
    ask("TriggerMessage", "Rejected", requestedMessage="BootNotification"),
    asks(ask("TriggerMessage", requestedMessage="Heartbeat"), until=wait("Heartbeat")),
    asks(ask("TriggerMessage", requestedMessage="StatusNotification"), until=status(0, "Available")),
    asks(ask("TriggerMessage", requestedMessage="StatusNotification", connectorId=4), until=status(4, "Available")),
    ask("TriggerMessage", "Rejected", requestedMessage="StatusNotification", connectorId=99),
    asks(
        ask("TriggerMessage", requestedMessage="MeterValues", connectorId=5),
        until=wait("MeterValues", connectorId=5),
    ),
    asks(
        ask("TriggerMessage", requestedMessage="FirmwareStatusNotification"),
        until=wait("FirmwareStatusNotification", status="Idle"),
    ),
    asks(
        ask("TriggerMessage", requestedMessage="DiagnosticsStatusNotification"),
        until=wait("DiagnosticsStatusNotification", status="Idle"),
    ),
]


def reserve(connector: int, number: int, tag: str, outcome: str = "Accepted", expiry: str = "$now 60") -> Step:
    return ask("ReserveNow", outcome, connectorId=connector, expiryDate=expiry, idTag=tag, reservationId=number)


def start(connector: int, tag: str, outcome: str = "Accepted", **more: Any) -> Step:
    return ask("RemoteStartTransaction", outcome, connectorId=connector, idTag=tag, **more)


def available(connector: int, kind: str, outcome: str = "Accepted") -> Step:
    return ask("ChangeAvailability", outcome, connectorId=connector, type=kind)


RESERVATIONS = [
    asks(reserve(8, 70, "FRIEND1"), until=status(8, "Reserved")),
    reserve(8, 71, "FRIEND2", "Occupied"),
    reserve(99, 71, "FRIEND2", "Rejected"),
    reserve(7, 71, "FRIEND2", "Rejected", "$now -60"),
    start(8, "FRIEND2", "Rejected"),
    ask("CancelReservation", "Rejected", reservationId=71),
    asks(ask("CancelReservation", reservationId=70), until=status(8, "Available")),
    asks(reserve(8, 72, "FRIEND1", expiry="$now 2"), until=status(8, "Available")),  # when it has expired
    asks(reserve(1, 73, "FRIEND1"), until=status(1, "Reserved")),
    asks(available(7, "Inoperative"), until=status(7, "Unavailable")),
    available(7, "Inoperative"),
    reserve(7, 74, "FRIEND1", "Unavailable"),
    start(7, "FRIEND1", "Rejected"),
    available(99, "Operative", "Rejected"),
    asks(available(7, "Operative"), until=status(7, "Available")),
]
TRANSACTIONS = [
    change("MeterValueSampleInterval", "1"),
    start(1, "FRIEND1", chargingProfile=profile(1, "TxProfile", 40_000)),
    start(2, "FRIEND2"),
    start(3, "FRIEND3"),
    start(5, "INV0001"),
    start(6, "BLK0001"),
    start(99, "FRIEND9", "Rejected"),
    start(4, "FRIEND4", "Rejected", chargingProfile=profile(2, "TxDefaultProfile", 40_000)),
    once("StartTransaction", connectorId=1, reservationId=73, idTag="FRIEND1"),
    once("StartTransaction", connectorId=2, idTag="FRIEND2"),
    once("StartTransaction", connectorId=3, idTag="FRIEND3"),
    once("StopTransaction", reason="DeAuthorized"),  # of INV0001, which only turned out at its start
    reserve(2, 75, "FRIEND1", "Occupied"),
    start(2, "FRIEND1", "Rejected"),
    available(2, "Inoperative", "Scheduled"),
    asks(
        ask("TriggerMessage", requestedMessage="MeterValues", connectorId=2),
        until=wait("MeterValues", connectorId=2),
    ),
    # What a connector may draw, and what it then does.
    set_profile(0, "Accepted", **profile(10, "ChargePointMaxProfile", 90_000)),
    set_profile(1, "Rejected", **profile(11, "ChargePointMaxProfile", 90_000)),
    set_profile(0, "Accepted", **profile(12, "TxDefaultProfile", 6_000)),
    set_profile(8, "Rejected", **profile(13, "TxProfile", 6_000)),
    set_profile(2, "Rejected", **profile(13, "TxProfile", 6_000, transactionId=NOBODY)),
    set_profile(2, "Rejected", **profile(13, "TxDefaultProfile", 6_000, level=99)),
    set_profile(99, "Rejected", **profile(13, "TxDefaultProfile", 6_000)),
    asks(
        ask("GetCompositeSchedule", connectorId=3, duration=60, chargingRateUnit="W"),
        answer={"connectorId": 3, **periods(6_000)},
    ),
    asks(
        ask("GetCompositeSchedule", connectorId=1, duration=60, chargingRateUnit="W"),
        answer=periods(30_000),  # a third of the whole, for three charge: less than its own profile allows
    ),
    ask("GetCompositeSchedule", "Rejected", connectorId=99, duration=60),
    asks(
        ask(
            "SetChargingProfile",
            connectorId=3,
            csChargingProfiles=profile(14, "TxProfile", 0.0, level=2, transactionId="$transaction 3"),
        ),
        until=status(3, "SuspendedEVSE"),
    ),
    asks(ask("ClearChargingProfile", id=14), until=status(3, "Charging")),
    ask("ClearChargingProfile", "Unknown", id=14),
    ask("ClearChargingProfile"),
    ask("ClearChargingProfile", "Unknown"),
    # How transactions end.
    asks(
        ask("RemoteStopTransaction", transactionId="$transaction 2"),
        until=wait("StopTransaction", reason="Remote"),
    ),
    ask("RemoteStopTransaction", "Rejected", transactionId="$transaction 2"),
    ask("RemoteStopTransaction", "Rejected", transactionId=NOBODY),
    asks(ask("UnlockConnector", "Unlocked", connectorId=1), until=wait("StopTransaction", reason="UnlockCommand")),
    ask("UnlockConnector", "Unlocked", connectorId=8),
    ask("UnlockConnector", "NotSupported", connectorId=99),
    asks(ask("UnlockConnector", "Unlocked", connectorId=2), until=status(2, "Unavailable")),  # as it was scheduled
    asks(change("ClockAlignedDataInterval", "1"), until=wait("MeterValues", connectorId=3)),
]
RESETS = [
    change("ConnectorPhaseRotation", "1.RTS,2.SRT", "RebootRequired"),
    once("StartTransaction"),
    asks(ask("Reset", type="Soft"), until=wait("StopTransaction", reason="SoftReset")),
    wait("BootNotification"),
    asks(
        ask("GetConfiguration", "answered", key=["ConnectorPhaseRotation"]),
        answer={"configurationKey": [{"value": "1.RTS,2.SRT", "readonly": False}]},
    ),
    wait("StartTransaction"),
    asks(ask("Reset", type="Hard"), until=wait("BootNotification")),
    once("StopTransaction", reason="HardReset"),
]
LATE = [
    # While its boot is Pending.
    start(1, "FRIEND1", "Rejected"),
    ask("RemoteStopTransaction", "Rejected", transactionId=NOBODY),
    asks(
        ask("GetConfiguration", "answered", key=["NumberOfConnectors"]),
        answer={"configurationKey": [{"value": "2"}]},
    ),
    asks(ask("TriggerMessage", requestedMessage="Heartbeat"), until=wait("Heartbeat")),
    asks(ask("TriggerMessage", requestedMessage="StatusNotification", connectorId=1), until=status(1, "Available")),
    asks(ask("TriggerMessage", requestedMessage="BootNotification"), until=wait("BootNotification")),
    once("StatusNotification", connectorId=2),
    ask("TriggerMessage", "Rejected", requestedMessage="BootNotification"),
]


def updates(files: str) -> list[Step]:
    """Ask for diagnostics and new firmware, which are on a server at *files*."""
    later = {"startTime": "$now 3600", "stopTime": "$now 7200"}
    return [
        once("StartTransaction"),
        asks(
            ask("GetDiagnostics", "answered", location=f"{files}diagnostics/", startTime="$now -3600"),
            until=wait("DiagnosticsStatusNotification", status="Uploaded"),
            answer={"fileName": "diagnostics-update_00001-1.log"},
        ),
        asks(ask("GetDiagnostics", "answered", location="mailto:somebody@example.org"), lacks="fileName"),
        asks(ask("GetDiagnostics", "answered", location=f"{files}diagnostics/", **later), lacks="fileName"),
        asks(
            ask("UpdateFirmware", "answered", location=f"{files}firmware-{VERSION}.bin", retrieveDate="$now 1"),
            until=wait("FirmwareStatusNotification", status="Downloading"),
        ),
        once("FirmwareStatusNotification", status="Downloaded"),
        asks(
            ask("TriggerMessage", requestedMessage="FirmwareStatusNotification"),  # it waits for the transaction
            until=wait("FirmwareStatusNotification", status="Downloaded"),
        ),
        asks(
            ask("RemoteStopTransaction", transactionId="$transaction 1"),
            until=wait("StopTransaction", reason="Remote"),
        ),
        once("FirmwareStatusNotification", status="Installing"),
        once("BootNotification", firmwareVersion=VERSION),
        once("FirmwareStatusNotification", status="Installed"),
        asks(
            ask("TriggerMessage", requestedMessage="FirmwareStatusNotification"),
            until=wait("FirmwareStatusNotification", status="Idle"),
        ),
        asks(
            ask(
                "UpdateFirmware",
                "answered",
                location=f"{files}none.bin",
                retrieveDate="$now 0",
                retries=1,
                retryInterval=0,
            ),
            until=wait("FirmwareStatusNotification", status="DownloadFailed"),
        ),
    ]


_SECURITY_EVENT = "SecurityEventNotification"


def security(files: str, firmware: bytes, operator: Held, maker: Held, stranger: Held) -> list[Step]:
    """Ask for all of the security extension; *operator* and *maker* are the roots that are installed."""
    signer = maker.issue(
        "signer", begins=maker.certificate.not_valid_before_utc, ends=maker.certificate.not_valid_after_utc
    )

    def update(number: int, signing: Held, signature: str, outcome: str = "Accepted") -> Step:
        return ask(
            "SignedUpdateFirmware",
            outcome,
            requestId=number,
            firmware={
                "location": f"{files}firmware-{VERSION}.bin",
                "retrieveDateTime": "$now 0",
                "installDateTime": "$now 2",
                "signingCertificate": signing.pem,
                "signature": signature,
            },
        )

    def log(number: int, kind: str, location: str, outcome: str = "Accepted", **more: Any) -> Step:
        return ask("GetLog", outcome, requestId=number, logType=kind, log={"remoteLocation": location, **more})

    def trigger(kind: str, outcome: str = "Accepted", **more: Any) -> Step:
        return ask("ExtendedTriggerMessage", outcome, requestedMessage=kind, **more)

    said = "SignedFirmwareStatusNotification"
    central, manufacturer = "CentralSystemRootCertificate", "ManufacturerRootCertificate"
    return [
        once(_SECURITY_EVENT, type="StartupOfTheDevice"),
        once("StatusNotification", connectorId=2),
        ask("UpdateFirmware", "error NotSupported", location=f"{files}none.bin", retrieveDate="$now 0"),
        # Certificates.
        ask("GetInstalledCertificateIds", "NotFound", certificateType=central),
        ask("InstallCertificate", "Rejected", certificateType=central, certificate="no certificate"),
        ask("InstallCertificate", certificateType=central, certificate=operator.pem),
        ask("InstallCertificate", certificateType=central, certificate=stranger.pem),
        ask("InstallCertificate", certificateType=manufacturer, certificate=maker.pem),
        asks(trigger("SignChargePointCertificate"), until=wait("SignCertificate")),
        asks(
            ask("CertificateSigned", "Rejected", certificateChain=signer.pem),
            until=wait(_SECURITY_EVENT, type="InvalidChargePointCertificate"),
        ),
        ask("CertificateSigned", certificateChain="$certificate"),
        # Triggers.
        trigger("BootNotification", "Rejected"),
        asks(trigger("Heartbeat"), until=wait("Heartbeat")),
        asks(trigger("StatusNotification", connectorId=2), until=status(2, "Available")),
        asks(trigger("MeterValues", connectorId=1), until=wait("MeterValues", connectorId=1)),
        trigger("MeterValues", "Rejected", connectorId=99),
        asks(trigger("LogStatusNotification"), until=wait("LogStatusNotification", status="Idle")),
        asks(trigger("FirmwareStatusNotification"), until=wait(said, status="Idle")),
        # Logs.
        asks(
            log(20, "SecurityLog", f"{files}logs/"),
            until=wait("LogStatusNotification", status="Uploaded", requestId=20),
            answer={"filename": "security-secure_00001-1.log"},
        ),
        asks(
            log(21, "DiagnosticsLog", f"{files}logs/", oldestTimestamp="$now -3600", latestTimestamp="$now 0"),
            until=wait("LogStatusNotification", status="Uploaded", requestId=21),
        ),
        asks(
            log(22, "DiagnosticsLog", f"{files}forbidden/"),
            until=wait("LogStatusNotification", status="PermissionDenied", requestId=22),
        ),
        asks(log(23, "DiagnosticsLog", "mailto:somebody@example.org", "Rejected"), lacks="filename"),
        # Firmware.
        asks(
            update(30, stranger.issue("signer"), stranger.sign(firmware), "InvalidCertificate"),
            until=wait(_SECURITY_EVENT, type="InvalidFirmwareSigningCertificate"),
        ),
        asks(update(31, signer, signer.sign(b"another")), until=wait(said, status="InvalidSignature", requestId=31)),
        once(_SECURITY_EVENT, type="InvalidFirmwareSignature"),
        asks(update(32, signer, signer.sign(firmware)), until=wait(said, status="SignatureVerified", requestId=32)),
        once(said, status="InstallScheduled", requestId=32),
        once("BootNotification", firmwareVersion=VERSION),
        once(said, status="Installed", requestId=32),
        once(_SECURITY_EVENT, type="FirmwareUpdated"),
        # What was installed first can go last: the charge point's own certificate does not hang on it any more.
        asks(ask("GetInstalledCertificateIds", certificateType=manufacturer), answer={"certificateHashData": [{}]}),
        ask("DeleteCertificate", certificateHashData="$installed"),
        ask("DeleteCertificate", "NotFound", certificateHashData="$installed"),
        ask("GetInstalledCertificateIds", "NotFound", certificateType=manufacturer),
        asks(update(33, signer, signer.sign(firmware), "InvalidCertificate"), until=wait(_SECURITY_EVENT)),
    ]


def of_profiles_switched_off(maker: Held) -> list[Step]:
    """Ask a charge point that has the Core profile alone for what it has not."""
    return [
        asks(
            ask("GetConfiguration", "answered", key=["SupportedFeatureProfiles"]),
            answer={"configurationKey": [{"value": "Core"}]},
        ),
        asks(ask("GetLocalListVersion", "answered"), answer={"listVersion": -1}),
        ask("SendLocalList", "NotSupported", listVersion=1, updateType="Full"),
        set_profile(1, "NotSupported", **profile(1, "TxDefaultProfile", 6_000)),
        reserve(1, 1, "FRIEND1", "error NotSupported"),
        ask("CancelReservation", "error NotSupported", reservationId=1),
        ask("ClearChargingProfile", "error NotSupported"),
        ask("GetCompositeSchedule", "error NotSupported", connectorId=1, duration=60),
        ask("TriggerMessage", "error NotSupported", requestedMessage="Heartbeat"),
        ask("GetDiagnostics", "error NotSupported", location="http://127.0.0.1/"),
        ask("UpdateFirmware", "error NotSupported", location="http://127.0.0.1/a.bin", retrieveDate="$now 0"),
        ask("ExtendedTriggerMessage", "error NotImplemented", requestedMessage="Heartbeat"),
        ask(
            "GetLog", "error NotImplemented", requestId=1, logType="SecurityLog", log={"remoteLocation": "http://a/"}
        ),
        ask("CertificateSigned", "error NotImplemented", certificateChain=maker.pem),
        ask(
            "InstallCertificate",
            "error NotImplemented",
            certificateType="ManufacturerRootCertificate",
            certificate=maker.pem,
        ),
        ask("GetInstalledCertificateIds", "error NotImplemented", certificateType="ManufacturerRootCertificate"),
        ask(
            "DeleteCertificate",
            "error NotImplemented",
            certificateHashData={
                "hashAlgorithm": "SHA256",
                "issuerNameHash": "00",
                "issuerKeyHash": "00",
                "serialNumber": "1",
            },
        ),
        ask(
            "SignedUpdateFirmware",
            "error NotImplemented",
            requestId=1,
            firmware={
                "location": "http://127.0.0.1/a.bin",
                "retrieveDateTime": "$now 0",
                "signingCertificate": maker.pem,
                "signature": "AA==",
            },
        ),
    ]
