"""Every action of OCPP 1.6 and its security extension once, with the properties that it may have, in both directions.

What a charge point of another make sends, what it answers to whatever the CSMS asks, and what it sends that is wrong.
"""

from __future__ import annotations

import json
from typing import Any, Final

AT: Final = "2026-11-22T09:15:00.000Z"
TRANSACTION: Final = "$transaction"
"""Stands for the id that StartTransaction was answered with."""
PEM: Final = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
HASHES: Final = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "a0b1",
    "issuerKeyHash": "c2d3",
    "serialNumber": "1234567890ABCDEF",
}
_SAMPLE: Final = {
    "timestamp": AT,
    "sampledValue": [
        {
            "value": "150",
            "context": "Sample.Periodic",
            "format": "Raw",
            "measurand": "Energy.Active.Import.Register",
            "location": "Outlet",
            "unit": "Wh",
        },
        {"value": "16.1", "measurand": "Current.Import", "phase": "L1", "unit": "A"},
        {"value": "55", "measurand": "SoC", "location": "EV", "unit": "Percent"},
    ],
}

SENT: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    (
        "BootNotification",
        {
            "chargePointVendor": "Acme",
            "chargePointModel": "AC22",
            "chargePointSerialNumber": "S-1",
            "chargeBoxSerialNumber": "B-1",
            "firmwareVersion": "2.4.0",
            "iccid": "8988303000000000000",
            "imsi": "310170845466094",
            "meterType": "MT-3",
            "meterSerialNumber": "M-1",
        },
    ),
    (
        "StatusNotification",
        {
            "connectorId": 1,
            "errorCode": "NoError",
            "status": "Preparing",
            "info": "a cable",
            "timestamp": AT,
            "vendorId": "org.example",
            "vendorErrorCode": "0",
        },
    ),
    ("Heartbeat", {}),
    ("Authorize", {"idTag": "GOOD"}),
    ("Authorize", {"idTag": "BAD"}),
    (
        "StartTransaction",
        {"connectorId": 1, "idTag": "GOOD", "meterStart": 100, "reservationId": 5, "timestamp": AT},
    ),
    ("MeterValues", {"connectorId": 1, "transactionId": TRANSACTION, "meterValue": [_SAMPLE]}),
    (
        "StopTransaction",
        {
            "transactionId": TRANSACTION,
            "idTag": "GOOD",
            "meterStop": 350,
            "timestamp": AT,
            "reason": "EVDisconnected",
            "transactionData": [_SAMPLE],
        },
    ),
    ("DataTransfer", {"vendorId": "org.example", "messageId": "hello", "data": '{"a": 1}'}),
    ("DiagnosticsStatusNotification", {"status": "Uploaded"}),
    ("FirmwareStatusNotification", {"status": "Downloading"}),
    ("LogStatusNotification", {"status": "Uploading", "requestId": 7}),
    ("SecurityEventNotification", {"type": "StartupOfTheDevice", "timestamp": AT, "techInfo": "started"}),
    ("SignCertificate", {"csr": "-----BEGIN CERTIFICATE REQUEST-----"}),
    ("SignedFirmwareStatusNotification", {"status": "SignatureVerified", "requestId": 8}),
)
"""Valid calls of a charge point, in an order that makes sense."""

_SCHEDULE: Final = {
    "chargingRateUnit": "A",
    "duration": 3600,
    "startSchedule": AT,
    "minChargingRate": 6.1,
    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1, "numberPhases": 3}, {"startPeriod": 60, "limit": 8}],
}
_PROFILE: Final = {
    "chargingProfileId": 1,
    "stackLevel": 2,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Recurring",
    "recurrencyKind": "Daily",
    "validFrom": AT,
    "validTo": "2027-11-22T09:15:00.000Z",
    "chargingSchedule": _SCHEDULE,
}
_LOG: Final = {"remoteLocation": "http://files.test.example/in/", "oldestTimestamp": AT, "latestTimestamp": AT}

ASKED: Final[tuple[tuple[str, dict[str, Any], dict[str, Any]], ...]] = (
    ("CancelReservation", {"reservationId": 5}, {"status": "Accepted"}),
    ("CertificateSigned", {"certificateChain": PEM}, {"status": "Rejected"}),
    ("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}, {"status": "Scheduled"}),
    ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}, {"status": "RebootRequired"}),
    ("ClearCache", {}, {"status": "Rejected"}),
    (
        "ClearChargingProfile",
        {"id": 1, "connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0},
        {"status": "Unknown"},
    ),
    (
        "DataTransfer",
        {"vendorId": "org.example", "messageId": "hello", "data": "x"},
        {"status": "Accepted", "data": "y"},
    ),
    ("DeleteCertificate", {"certificateHashData": HASHES}, {"status": "NotFound"}),
    (
        "ExtendedTriggerMessage",
        {"requestedMessage": "SignChargePointCertificate", "connectorId": 1},
        {"status": "NotImplemented"},
    ),
    (
        "GetCompositeSchedule",
        {"connectorId": 1, "duration": 3600, "chargingRateUnit": "W"},
        {"status": "Accepted", "connectorId": 1, "scheduleStart": AT, "chargingSchedule": _SCHEDULE},
    ),
    (
        "GetConfiguration",
        {"key": ["HeartbeatInterval", "Nonsense"]},
        {
            "configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "60"}],
            "unknownKey": ["Nonsense"],
        },
    ),
    (
        "GetDiagnostics",
        {
            "location": "ftp://files.test.example/in",
            "retries": 1,
            "retryInterval": 10,
            "startTime": AT,
            "stopTime": AT,
        },
        {"fileName": "diagnostics.log"},
    ),
    (
        "GetInstalledCertificateIds",
        {"certificateType": "ManufacturerRootCertificate"},
        {"status": "Accepted", "certificateHashData": [HASHES]},
    ),
    ("GetLocalListVersion", {}, {"listVersion": -1}),
    (
        "GetLog",
        {"logType": "SecurityLog", "requestId": 7, "retries": 1, "retryInterval": 10, "log": _LOG},
        {"status": "AcceptedCanceled", "filename": "security.log"},
    ),
    (
        "InstallCertificate",
        {"certificateType": "CentralSystemRootCertificate", "certificate": PEM},
        {"status": "Failed"},
    ),
    (
        "RemoteStartTransaction",
        {"idTag": "GOOD", "connectorId": 1, "chargingProfile": _PROFILE},
        {"status": "Accepted"},
    ),
    ("RemoteStopTransaction", {"transactionId": 0}, {"status": "Rejected"}),
    (
        "ReserveNow",
        {"connectorId": 0, "expiryDate": AT, "idTag": "GOOD", "parentIdTag": "GROUP", "reservationId": 5},
        {"status": "Occupied"},
    ),
    ("Reset", {"type": "Hard"}, {"status": "Rejected"}),
    (
        "SendLocalList",
        {
            "listVersion": 3,
            "updateType": "Full",
            "localAuthorizationList": [
                {"idTag": "GOOD", "idTagInfo": {"status": "Accepted", "expiryDate": AT, "parentIdTag": "GROUP"}},
                {"idTag": "BAD", "idTagInfo": {"status": "Blocked"}},
            ],
        },
        {"status": "VersionMismatch"},
    ),
    (
        "SetChargingProfile",
        {"connectorId": 1, "csChargingProfiles": {**_PROFILE, "transactionId": 1}},
        {"status": "NotSupported"},
    ),
    (
        "SignedUpdateFirmware",
        {
            "retries": 1,
            "retryInterval": 10,
            "requestId": 8,
            "firmware": {
                "location": "http://files.test.example/fw-2.5.0.bin",
                "retrieveDateTime": AT,
                "installDateTime": AT,
                "signingCertificate": PEM,
                "signature": "c2lnbmVk",
            },
        },
        {"status": "InvalidCertificate"},
    ),
    ("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 1}, {"status": "Accepted"}),
    ("UnlockConnector", {"connectorId": 1}, {"status": "UnlockFailed"}),
    (
        "UpdateFirmware",
        {
            "location": "ftp://files.test.example/fw-2.5.0.bin",
            "retries": 1,
            "retrieveDate": AT,
            "retryInterval": 10,
        },
        {},
    ),
)
"""Calls of a CSMS, and what the charge point answers."""


def _call(message_id: str, action: str, payload: Any) -> str:
    return json.dumps([2, message_id, action, payload])


_BOOT: Final = {"chargePointVendor": "Acme", "chargePointModel": "AC22"}
ODD: Final[tuple[tuple[str, list[Any] | None], ...]] = (
    (_call("a", "Heartbeat", {}), [4, "a", "SecurityError"]),
    (_call("b", "BootNotification", {"chargePointVendor": "Acme"}), [4, "b", "OccurenceConstraintViolation"]),
    (_call("c", "BootNotification", _BOOT), [3, "c"]),
    (_call("d", "Authorize", {"idTag": "x" * 21}), [4, "d", "PropertyConstraintViolation"]),
    (_call("e", "Authorize", {"idTag": 1}), [4, "e", "TypeConstraintViolation"]),
    (_call("f", "Authorize", {"idTag": "GOOD", "extra": 1}), [4, "f", "FormationViolation"]),
    (_call("g", "Nonsense", {}), [4, "g", "NotImplemented"]),
    (_call("h", "Reset", {"type": "Soft"}), [4, "h", "NotSupported"]),
    (_call("i" * 37, "Heartbeat", {}), [4, "i" * 37, "FormationViolation"]),
    ('[2,"j","Heartbeat"]', [4, "j", "FormationViolation"]),
    ("no JSON", [4, "-1", "FormationViolation"]),
    ('[9,"k",{}]', None),
    ('[3,"l",{}]', None),
    (
        _call("m", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Idle"}),
        [4, "m", "PropertyConstraintViolation"],
    ),
    (_call("n", "StopTransaction", {"transactionId": 4711, "meterStop": 1, "timestamp": AT}), [3, "n"]),
    (
        _call("o", "StopTransaction", {"transactionId": 4711, "meterStop": 1, "timestamp": "today"}),
        [4, "o", "PropertyConstraintViolation"],
    ),
    (_call("p", "MeterValues", {"connectorId": 1, "meterValue": []}), [4, "p", "OccurenceConstraintViolation"]),
    (_call("q", "Heartbeat", {}), [3, "q"]),
)
"""What a charge point sends as it stands, and the beginning of what is answered; None: nothing is."""
