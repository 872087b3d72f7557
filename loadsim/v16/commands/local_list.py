"""Calls of the Local Auth List Management profile (OCPP 1.6, sections 5.10 and 5.15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Command, Reply
from loadsim.v16.authorization import list_version, update_list
from loadsim.v16.messages.local_list import (
    GetLocalListVersionRequest,
    GetLocalListVersionResponse,
    SendLocalListRequest,
    SendLocalListResponse,
)


def get_local_list_version(charge_point: ChargePoint, request: GetLocalListVersionRequest) -> Reply:
    """Tell the version of the local list (section 5.10): 0 of an empty one, -1 where there is none."""
    return Reply(GetLocalListVersionResponse(list_version=list_version(charge_point)))


def send_local_list(charge_point: ChargePoint, request: SendLocalListRequest) -> Reply:
    """Replace the local list, or change it (section 5.15); what fails changes nothing."""
    return Reply(SendLocalListResponse(status=update_list(charge_point, request)))


COMMANDS: Final[Mapping[str, Command]] = {
    "GetLocalListVersion": get_local_list_version,
    "SendLocalList": send_local_list,
}
