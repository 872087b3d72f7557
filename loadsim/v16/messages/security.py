"""Messages of the security extension (OCA white paper "Improved security for OCPP 1.6-J", edition 2)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from loadsim.ocpp.action import Action
from loadsim.v16.messages.types import DateTime, Message
from loadsim.v16.messages.verdicts import status_accepted, status_in

String40 = Annotated[str, Meta(max_length=40)]
String50 = Annotated[str, Meta(max_length=50)]
String128 = Annotated[str, Meta(max_length=128)]
String255 = Annotated[str, Meta(max_length=255)]
String512 = Annotated[str, Meta(max_length=512)]
String800 = Annotated[str, Meta(max_length=800)]
String5500 = Annotated[str, Meta(max_length=5500)]
String10000 = Annotated[str, Meta(max_length=10000)]

CertificateSignedStatus = Literal["Accepted", "Rejected"]
CertificateUse = Literal["CentralSystemRootCertificate", "ManufacturerRootCertificate"]
DeleteCertificateStatus = Literal["Accepted", "Failed", "NotFound"]
ExtendedMessageTrigger = Literal[
    "BootNotification",
    "LogStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "SignChargePointCertificate",
    "StatusNotification",
]
ExtendedTriggerMessageStatus = Literal["Accepted", "Rejected", "NotImplemented"]
GenericStatus = Literal["Accepted", "Rejected"]
GetInstalledCertificateStatus = Literal["Accepted", "NotFound"]
HashAlgorithm = Literal["SHA256", "SHA384", "SHA512"]
InstallCertificateStatus = Literal["Accepted", "Failed", "Rejected"]
Log = Literal["DiagnosticsLog", "SecurityLog"]
LogStatus = Literal["Accepted", "Rejected", "AcceptedCanceled"]
SignedFirmwareStatus = Literal[
    "Downloaded",
    "DownloadFailed",
    "Downloading",
    "DownloadScheduled",
    "DownloadPaused",
    "Idle",
    "InstallationFailed",
    "Installing",
    "Installed",
    "InstallRebooting",
    "InstallScheduled",
    "InstallVerificationFailed",
    "InvalidSignature",
    "SignatureVerified",
]
SignedUpdateFirmwareStatus = Literal[
    "Accepted", "Rejected", "AcceptedCanceled", "InvalidCertificate", "RevokedCertificate"
]
UploadLogStatus = Literal[
    "BadMessage",
    "Idle",
    "NotSupportedOperation",
    "PermissionDenied",
    "Uploaded",
    "UploadFailure",
    "Uploading",
]


class CertificateSignedRequest(Message):
    """Deliver the certificate that was signed for the charge point."""

    certificate_chain: String10000


class CertificateSignedResponse(Message):
    """Say whether the certificate is good."""

    status: CertificateSignedStatus


class CertificateHashData(Message):
    """What identifies an installed certificate."""

    hash_algorithm: HashAlgorithm
    issuer_name_hash: String128
    issuer_key_hash: String128
    serial_number: String40


class DeleteCertificateRequest(Message):
    """Have an installed certificate deleted."""

    certificate_hash_data: CertificateHashData


class DeleteCertificateResponse(Message):
    """Say whether the certificate is deleted."""

    status: DeleteCertificateStatus


class ExtendedTriggerMessageRequest(Message):
    """Have the charge point send a message, those of the security extension among them."""

    requested_message: ExtendedMessageTrigger
    connector_id: int | UnsetType = UNSET


class ExtendedTriggerMessageResponse(Message):
    """Say whether the message will be sent."""

    status: ExtendedTriggerMessageStatus


class GetInstalledCertificateIdsRequest(Message):
    """Ask which certificates of a use are installed."""

    certificate_type: CertificateUse


class GetInstalledCertificateIdsResponse(Message):
    """Tell the installed certificates."""

    status: GetInstalledCertificateStatus
    certificate_hash_data: Annotated[tuple[CertificateHashData, ...], Meta(min_length=1)] | UnsetType = UNSET


class LogParameters(Message):
    """Where a log goes, and which part of it."""

    remote_location: String512
    oldest_timestamp: DateTime | UnsetType = UNSET
    latest_timestamp: DateTime | UnsetType = UNSET


class GetLogRequest(Message):
    """Have a log uploaded; *retry_interval* in seconds."""

    log: LogParameters
    log_type: Log
    request_id: int
    retries: int | UnsetType = UNSET
    retry_interval: int | UnsetType = UNSET


class GetLogResponse(Message):
    """Say whether the log will be uploaded, and under which name."""

    status: LogStatus
    filename: String255 | UnsetType = UNSET


class InstallCertificateRequest(Message):
    """Have a root certificate installed."""

    certificate_type: CertificateUse
    certificate: String5500


class InstallCertificateResponse(Message):
    """Say whether the certificate is installed."""

    status: InstallCertificateStatus


class LogStatusNotificationRequest(Message):
    """Report how the upload of a log goes."""

    status: UploadLogStatus
    request_id: int | UnsetType = UNSET


class LogStatusNotificationResponse(Message):
    """Confirm the status."""


class SecurityEventNotificationRequest(Message):
    """Report a security event."""

    type: String50
    timestamp: DateTime
    tech_info: String255 | UnsetType = UNSET


class SecurityEventNotificationResponse(Message):
    """Confirm the event."""


class SignCertificateRequest(Message):
    """Ask for a certificate to be signed."""

    csr: String5500


class SignCertificateResponse(Message):
    """Say whether the request will be looked at; the certificate comes with CertificateSigned."""

    status: GenericStatus


class SignedFirmwareStatusNotificationRequest(Message):
    """Report how the update to signed firmware goes."""

    status: SignedFirmwareStatus
    request_id: int | UnsetType = UNSET


class SignedFirmwareStatusNotificationResponse(Message):
    """Confirm the status."""


class Firmware(Message):
    """A signed firmware, and when to download and to install it."""

    location: String512
    retrieve_date_time: DateTime
    signing_certificate: String5500
    signature: String800
    install_date_time: DateTime | UnsetType = UNSET


class SignedUpdateFirmwareRequest(Message):
    """Have signed firmware downloaded, verified and installed; *retry_interval* in seconds."""

    request_id: int
    firmware: Firmware
    retries: int | UnsetType = UNSET
    retry_interval: int | UnsetType = UNSET


class SignedUpdateFirmwareResponse(Message):
    """Say whether the update will be tried."""

    status: SignedUpdateFirmwareStatus


# AcceptedCanceled takes this request on, and cancels the one that ran before.
_taken_on = status_in("Accepted", "AcceptedCanceled")

SECURITY: Final[tuple[Action, ...]] = (
    Action("CertificateSigned", CertificateSignedRequest, CertificateSignedResponse, "csms", status_accepted),
    Action("DeleteCertificate", DeleteCertificateRequest, DeleteCertificateResponse, "csms", status_accepted),
    Action(
        "ExtendedTriggerMessage",
        ExtendedTriggerMessageRequest,
        ExtendedTriggerMessageResponse,
        "csms",
        status_accepted,
    ),
    Action(
        "GetInstalledCertificateIds",
        GetInstalledCertificateIdsRequest,
        GetInstalledCertificateIdsResponse,
        "csms",
        status_accepted,
    ),
    Action("GetLog", GetLogRequest, GetLogResponse, "csms", _taken_on),
    Action("InstallCertificate", InstallCertificateRequest, InstallCertificateResponse, "csms", status_accepted),
    Action("LogStatusNotification", LogStatusNotificationRequest, LogStatusNotificationResponse, "charge_point"),
    Action(
        "SecurityEventNotification",
        SecurityEventNotificationRequest,
        SecurityEventNotificationResponse,
        "charge_point",
    ),
    Action("SignCertificate", SignCertificateRequest, SignCertificateResponse, "charge_point", status_accepted),
    Action(
        "SignedFirmwareStatusNotification",
        SignedFirmwareStatusNotificationRequest,
        SignedFirmwareStatusNotificationResponse,
        "charge_point",
    ),
    Action(
        "SignedUpdateFirmware",
        SignedUpdateFirmwareRequest,
        SignedUpdateFirmwareResponse,
        "csms",
        _taken_on,
    ),
)
