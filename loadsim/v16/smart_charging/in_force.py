"""Smart charging at a charge point (OCPP 1.6, section 3.13): its profiles as they bear on its connectors now."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.connectors import Connector, Transaction
from loadsim.v16.memory import memory_of
from loadsim.v16.messages.smart_charging import ClearChargingProfileRequest
from loadsim.v16.messages.types import ChargingProfile, ChargingRateUnit, ChargingSchedule
from loadsim.v16.smart_charging.charging_profiles import ChargingProfiles
from loadsim.v16.smart_charging.composite_schedule import Limit, composite_schedule, limit_at
from loadsim.v16.smart_charging.prepared_profile import remote_start_problem

__all__ = [
    "clear",
    "composite_now",
    "install",
    "install_for_remote_start",
    "limit_now",
    "remote_start_problem",
    "share_changed",
]

_UNLIMITED: Final = Limit(math.inf, None)


def limit_now(charge_point: ChargePoint, connector_id: int) -> Limit:
    """Return what a connector may draw now, and until when this holds unless the session's alarm rings.

    The limit of the charge point is shared with the connectors that charge now, or would if they were let.
    """
    memory = memory_of(charge_point)
    if not memory.profiles:
        return _UNLIMITED
    transaction = _transaction(charge_point, connector_id)
    return limit_at(
        memory.profiles,
        connector_id,
        charge_point.now(),
        started=None if transaction is None else transaction.started,
        charging=1 + _charging_besides(charge_point, connector_id),
    )


def share_changed(charge_point: ChargePoint) -> None:
    """Have all sessions look at their limit again: a connector began or ceased to draw from one that is shared."""
    memory = memory_of(charge_point)
    if memory.profiles and memory.profiles.limits_the_whole:
        memory.ring()


def install(charge_point: ChargePoint, connector_id: int, profile: ChargingProfile) -> bool:
    """Install a profile (section 5.16); False if it makes no sense here and now, or there is no room."""
    memory = memory_of(charge_point)
    profiles = _profiles(charge_point)
    if not profiles.install(connector_id, profile, charge_point.now(), _transaction(charge_point, connector_id)):
        return False
    memory.profiles = profiles
    memory.ring()  # all: the profile that it replaced may have been another connector's
    return True


def install_for_remote_start(charge_point: ChargePoint, connector_id: int, profile: ChargingProfile) -> None:
    """Install the profile of a remote start as its transaction begins (section 5.11).

    *profile* is one of which `remote_start_problem` found none. A charge point without smart charging ignores it.
    """
    if "SmartCharging" not in charge_point.settings.profiles:
        return
    memory = memory_of(charge_point)
    profiles = memory.profiles = _profiles(charge_point)
    profiles.install_with_transaction(connector_id, profile, charge_point.now())
    memory.ring()


def clear(charge_point: ChargePoint, request: ClearChargingProfileRequest) -> bool:
    """Remove the profiles that *request* means (section 5.5); tell whether there were any."""
    memory = memory_of(charge_point)
    if not memory.profiles or not memory.profiles.clear(request):
        return False
    memory.ring()
    return True


def composite_now(
    charge_point: ChargePoint, connector_id: int, duration: int, unit: ChargingRateUnit
) -> tuple[datetime, ChargingSchedule]:
    """Return what a connector, or with 0 all together, may draw over the next *duration* seconds (section 5.7)."""
    transactions = [connector.transaction for connector in memory_of(charge_point).connectors.values()]
    return composite_schedule(
        _profiles(charge_point),
        connector_id,
        now=charge_point.now(),
        duration=duration,
        unit=unit,
        power=charge_point.settings.power,
        started={running.connector_id: running.started for running in transactions if running is not None},
        charging=1 + _charging_besides(charge_point, connector_id),
    )


def _profiles(charge_point: ChargePoint) -> ChargingProfiles:
    """Return the charge point's profiles, or none; kept only once there is one, for most never get any."""
    settings = charge_point.settings
    profiles = memory_of(charge_point).profiles
    return ChargingProfiles(settings.connectors, settings.phases) if profiles is None else profiles


def _transaction(charge_point: ChargePoint, connector_id: int) -> Transaction | None:
    connector = memory_of(charge_point).connectors.get(connector_id)
    return None if connector is None else connector.transaction


def _charging_besides(charge_point: ChargePoint, connector_id: int) -> int:
    connectors = memory_of(charge_point).connectors.values()
    return sum(connector.id != connector_id and _wants_power(connector) for connector in connectors)


def _wants_power(connector: Connector) -> bool:
    # One that a limit of 0 holds back takes part, else it would be let and held in turn.
    return connector.transaction is not None and connector.status in ("Charging", "SuspendedEVSE")
