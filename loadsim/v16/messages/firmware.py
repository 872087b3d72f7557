"""Messages of the Firmware Management profile (OCPP 1.6, sections 4.4, 4.5, 5.9 and 5.19)."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

from loadsim.ocpp.action import Action
from loadsim.v16.messages.types import CiString255, DateTime, Message, Uri

DiagnosticsStatus = Literal["Idle", "Uploaded", "UploadFailed", "Uploading"]
FirmwareStatus = Literal[
    "Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"
]


class DiagnosticsStatusNotificationRequest(Message):
    """Report how the upload of diagnostics goes (section 4.4)."""

    status: DiagnosticsStatus


class DiagnosticsStatusNotificationResponse(Message):
    """Confirm the status."""


class FirmwareStatusNotificationRequest(Message):
    """Report how the update of the firmware goes (section 4.5)."""

    status: FirmwareStatus


class FirmwareStatusNotificationResponse(Message):
    """Confirm the status."""


class GetDiagnosticsRequest(Message):
    """Have diagnostics uploaded to *location*; *retry_interval* in seconds (section 5.9)."""

    location: Uri
    retries: int | UnsetType = UNSET
    retry_interval: int | UnsetType = UNSET
    start_time: DateTime | UnsetType = UNSET
    stop_time: DateTime | UnsetType = UNSET


class GetDiagnosticsResponse(Message):
    """Name the file that will be uploaded, if there is one."""

    file_name: CiString255 | UnsetType = UNSET


class UpdateFirmwareRequest(Message):
    """Have firmware downloaded after *retrieve_date* and installed (section 5.19)."""

    location: Uri
    retrieve_date: DateTime
    retries: int | UnsetType = UNSET
    retry_interval: int | UnsetType = UNSET


class UpdateFirmwareResponse(Message):
    """Confirm the request, which cannot be refused."""


FIRMWARE: Final[tuple[Action, ...]] = (
    Action(
        "DiagnosticsStatusNotification",
        DiagnosticsStatusNotificationRequest,
        DiagnosticsStatusNotificationResponse,
        "charge_point",
    ),
    Action(
        "FirmwareStatusNotification",
        FirmwareStatusNotificationRequest,
        FirmwareStatusNotificationResponse,
        "charge_point",
    ),
    Action("GetDiagnostics", GetDiagnosticsRequest, GetDiagnosticsResponse, "csms"),
    Action("UpdateFirmware", UpdateFirmwareRequest, UpdateFirmwareResponse, "csms"),
)
