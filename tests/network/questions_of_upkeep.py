"""What a central system asks about firmware, files and certificates, and of charge points that lack profiles."""

from __future__ import annotations

from typing import Any

from tests.network.steps import Step, ask, asks, once, profile, reserve, set_profile, status, wait
from tests.v16.authorities import Held

VERSION = "2.0.1"  # of the firmware that charge points are to install


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
    """Ask a charge point that has the Core profile alone for what it has not; a driver charges meanwhile."""
    return [
        ask("RemoteStartTransaction", idTag="FRIEND7"),  # at whatever connector is free
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
        once("StartTransaction", idTag="FRIEND7", connectorId=1),
        ask("RemoteStartTransaction", "Rejected", idTag="FRIEND8"),
        asks(
            ask("RemoteStopTransaction", transactionId="$transaction 1"),
            until=wait("StopTransaction", reason="Remote"),
        ),
    ]
