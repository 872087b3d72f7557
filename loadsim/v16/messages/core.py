"""Messages of the Core profile (OCPP 1.6, chapters 4 and 5)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from loadsim.ocpp.action import Action
from loadsim.v16.messages.types import (
    ChargePointErrorCode,
    ChargePointStatus,
    ChargingProfile,
    CiString20,
    CiString25,
    CiString50,
    CiString255,
    CiString500,
    DateTime,
    IdTagInfo,
    IdToken,
    Message,
    MeterValue,
    Reason,
    TransactionMeterValue,
)
from loadsim.v16.messages.verdicts import id_tag_accepted, registration, status_accepted, status_in

RegistrationStatus = Literal["Accepted", "Pending", "Rejected"]
AvailabilityType = Literal["Inoperative", "Operative"]
AvailabilityStatus = Literal["Accepted", "Rejected", "Scheduled"]
ConfigurationStatus = Literal["Accepted", "Rejected", "RebootRequired", "NotSupported"]
ClearCacheStatus = Literal["Accepted", "Rejected"]
DataTransferStatus = Literal["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"]
RemoteStartStopStatus = Literal["Accepted", "Rejected"]
ResetType = Literal["Hard", "Soft"]
ResetStatus = Literal["Accepted", "Rejected"]
UnlockStatus = Literal["Unlocked", "UnlockFailed", "NotSupported"]


class AuthorizeRequest(Message):
    """Ask whether an id tag may charge (section 4.1)."""

    id_tag: IdToken


class AuthorizeResponse(Message):
    """Say what is known of the id tag."""

    id_tag_info: IdTagInfo


class BootNotificationRequest(Message):
    """Register a charge point that has started (section 4.2)."""

    charge_point_vendor: CiString20
    charge_point_model: CiString20
    charge_point_serial_number: CiString25 | UnsetType = UNSET
    charge_box_serial_number: CiString25 | UnsetType = UNSET
    firmware_version: CiString50 | UnsetType = UNSET
    iccid: CiString20 | UnsetType = UNSET
    imsi: CiString20 | UnsetType = UNSET
    meter_type: CiString25 | UnsetType = UNSET
    meter_serial_number: CiString25 | UnsetType = UNSET


class BootNotificationResponse(Message):
    """Accept the charge point, refuse it or put it off; *interval* is of heartbeats or boots, in seconds."""

    status: RegistrationStatus
    current_time: DateTime
    interval: int


class ChangeAvailabilityRequest(Message):
    """Take a connector, or all of them (0), into or out of service (section 5.2)."""

    connector_id: int
    type: AvailabilityType


class ChangeAvailabilityResponse(Message):
    """Say whether the availability changes, now or after the transaction."""

    status: AvailabilityStatus


class ChangeConfigurationRequest(Message):
    """Set a configuration key (section 5.3)."""

    key: CiString50
    value: CiString500


class ChangeConfigurationResponse(Message):
    """Say whether the key was set."""

    status: ConfigurationStatus


class ClearCacheRequest(Message):
    """Empty the authorization cache (section 5.4)."""


class ClearCacheResponse(Message):
    """Say whether the cache was emptied."""

    status: ClearCacheStatus


class DataTransferRequest(Message):
    """Carry what OCPP has no word for, in either direction (sections 4.3 and 5.6)."""

    vendor_id: CiString255
    message_id: CiString50 | UnsetType = UNSET
    data: str | UnsetType = UNSET


class DataTransferResponse(Message):
    """Say whether the data was understood."""

    status: DataTransferStatus
    data: str | UnsetType = UNSET


class GetConfigurationRequest(Message):
    """Ask for configuration keys; none named means all (section 5.8)."""

    key: tuple[CiString50, ...] | UnsetType = UNSET


class KeyValue(Message):
    """A configuration key (section 7.29)."""

    key: CiString50
    readonly: bool
    value: CiString500 | UnsetType = UNSET


class GetConfigurationResponse(Message):
    """Tell the keys asked for, and which of them are unknown."""

    configuration_key: tuple[KeyValue, ...] | UnsetType = UNSET
    unknown_key: tuple[CiString50, ...] | UnsetType = UNSET


class HeartbeatRequest(Message):
    """Show that the charge point lives (section 4.6)."""


class HeartbeatResponse(Message):
    """Tell the CSMS's time."""

    current_time: DateTime


class MeterValuesRequest(Message):
    """Report samples of a connector's meter (section 4.7)."""

    connector_id: int
    meter_value: Annotated[tuple[MeterValue, ...], Meta(min_length=1)]
    transaction_id: int | UnsetType = UNSET


class MeterValuesResponse(Message):
    """Confirm the samples."""


class RemoteStartTransactionRequest(Message):
    """Have a transaction started (section 5.11)."""

    id_tag: IdToken
    connector_id: int | UnsetType = UNSET
    charging_profile: ChargingProfile | UnsetType = UNSET


class RemoteStartTransactionResponse(Message):
    """Say whether the charge point will try to start."""

    status: RemoteStartStopStatus


class RemoteStopTransactionRequest(Message):
    """Have a transaction stopped (section 5.12)."""

    transaction_id: int


class RemoteStopTransactionResponse(Message):
    """Say whether the charge point will stop."""

    status: RemoteStartStopStatus


class ResetRequest(Message):
    """Have the charge point reset itself (section 5.14)."""

    type: ResetType


class ResetResponse(Message):
    """Say whether the charge point will reset itself."""

    status: ResetStatus


class StartTransactionRequest(Message):
    """Report a started transaction; *meter_start* in watt-hours (section 4.8)."""

    connector_id: int
    id_tag: IdToken
    meter_start: int
    timestamp: DateTime
    reservation_id: int | UnsetType = UNSET


class StartTransactionResponse(Message):
    """Number the transaction, any integer, and say what is known of the id tag."""

    id_tag_info: IdTagInfo
    transaction_id: int


class StatusNotificationRequest(Message):
    """Report a connector's status, or the charge point's own (0) (section 4.9)."""

    connector_id: int
    error_code: ChargePointErrorCode
    status: ChargePointStatus
    info: CiString50 | UnsetType = UNSET
    timestamp: DateTime | UnsetType = UNSET
    vendor_id: CiString255 | UnsetType = UNSET
    vendor_error_code: CiString50 | UnsetType = UNSET


class StatusNotificationResponse(Message):
    """Confirm the status."""


class StopTransactionRequest(Message):
    """Report a stopped transaction; *meter_stop* in watt-hours; no reason means Local (section 4.10)."""

    meter_stop: int
    timestamp: DateTime
    transaction_id: int
    id_tag: IdToken | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    transaction_data: tuple[TransactionMeterValue, ...] | UnsetType = UNSET


class StopTransactionResponse(Message):
    """Confirm the stop, which cannot be refused, and perhaps say what is known of the id tag."""

    id_tag_info: IdTagInfo | UnsetType = UNSET


class UnlockConnectorRequest(Message):
    """Have a connector unlocked (section 5.18)."""

    connector_id: int


class UnlockConnectorResponse(Message):
    """Say whether the connector is unlocked."""

    status: UnlockStatus


CORE: Final[tuple[Action, ...]] = (
    Action("Authorize", AuthorizeRequest, AuthorizeResponse, "charge_point", id_tag_accepted),
    Action("BootNotification", BootNotificationRequest, BootNotificationResponse, "charge_point", registration),
    Action(
        "ChangeAvailability",
        ChangeAvailabilityRequest,
        ChangeAvailabilityResponse,
        "csms",
        status_in("Accepted", "Scheduled"),
    ),
    Action(
        "ChangeConfiguration",
        ChangeConfigurationRequest,
        ChangeConfigurationResponse,
        "csms",
        status_in("Accepted", "RebootRequired"),
    ),
    Action("ClearCache", ClearCacheRequest, ClearCacheResponse, "csms", status_accepted),
    Action("DataTransfer", DataTransferRequest, DataTransferResponse, "both", status_accepted),
    Action("GetConfiguration", GetConfigurationRequest, GetConfigurationResponse, "csms"),
    Action("Heartbeat", HeartbeatRequest, HeartbeatResponse, "charge_point"),
    Action("MeterValues", MeterValuesRequest, MeterValuesResponse, "charge_point"),
    Action(
        "RemoteStartTransaction",
        RemoteStartTransactionRequest,
        RemoteStartTransactionResponse,
        "csms",
        status_accepted,
    ),
    Action(
        "RemoteStopTransaction",
        RemoteStopTransactionRequest,
        RemoteStopTransactionResponse,
        "csms",
        status_accepted,
    ),
    Action("Reset", ResetRequest, ResetResponse, "csms", status_accepted),
    Action("StartTransaction", StartTransactionRequest, StartTransactionResponse, "charge_point", id_tag_accepted),
    Action("StatusNotification", StatusNotificationRequest, StatusNotificationResponse, "charge_point"),
    Action("StopTransaction", StopTransactionRequest, StopTransactionResponse, "charge_point", id_tag_accepted),
    Action("UnlockConnector", UnlockConnectorRequest, UnlockConnectorResponse, "csms", status_in("Unlocked")),
)
