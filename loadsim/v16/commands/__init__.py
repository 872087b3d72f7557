"""Calls from the CSMS (OCPP 1.6, chapter 5; security extension): a function each, in a module a profile."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Command
from loadsim.charge_point.settings import SECURITY_PROFILE
from loadsim.v16 import messages
from loadsim.v16.commands import core, firmware, local_list, remote_trigger, reservation, security, smart_charging

COMMANDS: Final[Mapping[str, Command]] = MappingProxyType(
    {
        **core.COMMANDS,
        **firmware.COMMANDS,
        **local_list.COMMANDS,
        **reservation.COMMANDS,
        **smart_charging.COMMANDS,
        **remote_trigger.COMMANDS,
        **security.COMMANDS,
    }
)
_PROFILES: Final[Mapping[str, str]] = {
    action.name: profile
    for profile, actions in (
        ("Core", messages.CORE),
        ("FirmwareManagement", messages.FIRMWARE),
        ("LocalAuthListManagement", messages.LOCAL_LIST),
        ("Reservation", messages.RESERVATION),
        ("SmartCharging", messages.SMART_CHARGING),
        ("RemoteTrigger", messages.REMOTE_TRIGGER),
        (SECURITY_PROFILE, messages.SECURITY),
    )
    for action in actions
}
_ANSWERED_BY_A_STATUS: Final = frozenset({"GetLocalListVersion", "SendLocalList", "SetChargingProfile"})
"""What says itself that the charge point does not support it."""


def refuses(charge_point: ChargePoint, action: str) -> str | None:
    """Return the CALLERROR code for an *action* of a profile that the fleet has switched off, or None.

    What belongs to OCPP 1.6 is known and NotSupported; the security extension is not known at all. A charge point
    that has it takes signed firmware only (L01.FR.20).
    """
    if action == "UpdateFirmware" and SECURITY_PROFILE in charge_point.settings.profiles:
        return "NotSupported"
    profile = _PROFILES.get(action)
    if profile is None or profile in charge_point.settings.profiles or action in _ANSWERED_BY_A_STATUS:
        return None
    return "NotImplemented" if profile == SECURITY_PROFILE else "NotSupported"
