"""Calls of the Smart Charging profile (OCPP 1.6, sections 5.5, 5.7 and 5.16)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Command, Reply
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.smart_charging import (
    ClearChargingProfileRequest,
    ClearChargingProfileResponse,
    GetCompositeScheduleRequest,
    GetCompositeScheduleResponse,
    SetChargingProfileRequest,
    SetChargingProfileResponse,
)
from loadsim.v16.smart_charging.in_force import clear, composite_now, install


def set_charging_profile(charge_point: ChargePoint, request: SetChargingProfileRequest) -> Reply:
    """Install a profile, or replace one (section 5.16); what makes no sense here and now is Rejected.

    Of the three calls it alone has a status that says NotSupported (section 7.12): without smart charging, all is.
    """
    if "SmartCharging" not in charge_point.settings.profiles:
        return Reply(SetChargingProfileResponse(status="NotSupported"))
    installed = install(charge_point, request.connector_id, request.cs_charging_profiles)
    return Reply(SetChargingProfileResponse(status="Accepted" if installed else "Rejected"))


def clear_charging_profile(charge_point: ChargePoint, request: ClearChargingProfileRequest) -> Reply:
    """Remove profiles (section 5.5); Unknown if none matched."""
    return Reply(ClearChargingProfileResponse(status="Accepted" if clear(charge_point, request) else "Unknown"))


def get_composite_schedule(charge_point: ChargePoint, request: GetCompositeScheduleRequest) -> Reply:
    """Tell the limits to come (section 5.7), in watts unless amperes are asked for: only watts add up exactly."""
    if not 0 <= request.connector_id <= charge_point.settings.connectors or request.duration <= 0:
        return Reply(GetCompositeScheduleResponse(status="Rejected"))
    unit = "W" if request.charging_rate_unit is UNSET else request.charging_rate_unit
    start, schedule = composite_now(charge_point, request.connector_id, request.duration, unit)
    return Reply(
        GetCompositeScheduleResponse(
            status="Accepted",
            connector_id=request.connector_id,
            schedule_start=format_date_time(start),
            charging_schedule=schedule,
        )
    )


COMMANDS: Final[Mapping[str, Command]] = {
    "ClearChargingProfile": clear_charging_profile,
    "GetCompositeSchedule": get_composite_schedule,
    "SetChargingProfile": set_charging_profile,
}
