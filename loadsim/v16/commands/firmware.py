"""Calls of the Firmware Management profile (OCPP 1.6, sections 5.9 and 5.19)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Command, Reply
from loadsim.v16.messages.firmware import (
    GetDiagnosticsRequest,
    GetDiagnosticsResponse,
    UpdateFirmwareRequest,
    UpdateFirmwareResponse,
)
from loadsim.v16.messages.formats import parse_date_time
from loadsim.v16.upkeep.diagnostics import begin_diagnostics
from loadsim.v16.upkeep.firmware import Update, begin_update
from loadsim.v16.upkeep.transfers import errand


def update_firmware(charge_point: ChargePoint, request: UpdateFirmwareRequest) -> Reply:
    """Update the firmware (section 5.19), which cannot be refused; while one is being installed it is ignored."""
    begin_update(
        charge_point,
        Update(
            errand=errand(request.location, request.retries, request.retry_interval),
            retrieve_at=parse_date_time(request.retrieve_date),
        ),
    )
    return Reply(UpdateFirmwareResponse())


def get_diagnostics(charge_point: ChargePoint, request: GetDiagnosticsRequest) -> Reply:
    """Upload diagnostics (section 5.9); no file name where there are none of that time, or no way to send them."""
    file_name = begin_diagnostics(
        charge_point,
        errand(request.location, request.retries, request.retry_interval),
        None if request.start_time is UNSET else parse_date_time(request.start_time),
        None if request.stop_time is UNSET else parse_date_time(request.stop_time),
    )
    return Reply(GetDiagnosticsResponse(file_name=UNSET if file_name is None else file_name))


COMMANDS: Final[Mapping[str, Command]] = {
    "GetDiagnostics": get_diagnostics,
    "UpdateFirmware": update_firmware,
}
