"""Messages of the Smart Charging profile (OCPP 1.6, sections 5.5, 5.7 and 5.16)."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

from loadsim.ocpp.action import Action
from loadsim.v16.messages.types import (
    ChargingProfile,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    DateTime,
    Message,
)
from loadsim.v16.messages.verdicts import status_accepted

ClearChargingProfileStatus = Literal["Accepted", "Unknown"]
GetCompositeScheduleStatus = Literal["Accepted", "Rejected"]
ChargingProfileStatus = Literal["Accepted", "Rejected", "NotSupported"]


class ClearChargingProfileRequest(Message):
    """Remove the charging profiles that match all that is given (section 5.5)."""

    id: int | UnsetType = UNSET
    connector_id: int | UnsetType = UNSET
    charging_profile_purpose: ChargingProfilePurpose | UnsetType = UNSET
    stack_level: int | UnsetType = UNSET


class ClearChargingProfileResponse(Message):
    """Say whether any profile matched."""

    status: ClearChargingProfileStatus


class GetCompositeScheduleRequest(Message):
    """Ask for the limits that hold over the next *duration* seconds (section 5.7)."""

    connector_id: int
    duration: int
    charging_rate_unit: ChargingRateUnit | UnsetType = UNSET


class GetCompositeScheduleResponse(Message):
    """Tell the limits."""

    status: GetCompositeScheduleStatus
    connector_id: int | UnsetType = UNSET
    schedule_start: DateTime | UnsetType = UNSET
    charging_schedule: ChargingSchedule | UnsetType = UNSET


class SetChargingProfileRequest(Message):
    """Install a charging profile (section 5.16)."""

    connector_id: int
    cs_charging_profiles: ChargingProfile


class SetChargingProfileResponse(Message):
    """Say whether the profile is installed."""

    status: ChargingProfileStatus


SMART_CHARGING: Final[tuple[Action, ...]] = (
    Action(
        "ClearChargingProfile",
        ClearChargingProfileRequest,
        ClearChargingProfileResponse,
        "csms",
        status_accepted,
    ),
    Action(
        "GetCompositeSchedule",
        GetCompositeScheduleRequest,
        GetCompositeScheduleResponse,
        "csms",
        status_accepted,
    ),
    Action("SetChargingProfile", SetChargingProfileRequest, SetChargingProfileResponse, "csms", status_accepted),
)
