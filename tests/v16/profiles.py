"""Charging profiles for tests, in few words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.types import ChargingProfile

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
"""A Sunday's."""


def at(clock: str, days: int = 0) -> datetime:
    """Return a time of NOON's day, or so many days later: at("12:30")."""
    hour, minute = clock.split(":")
    return NOON.replace(hour=int(hour), minute=int(minute)) + timedelta(days=days)


def profile(*args: Any, **more: Any) -> ChargingProfile:
    """Make the profile that `profile_json` writes."""
    return msgspec.convert(profile_json(*args, **more), ChargingProfile)


def profile_json(
    number: int = 1,
    level: int = 0,
    purpose: str = "TxDefaultProfile",
    kind: str = "Absolute",
    *,
    periods: Mapping[int, float] | list[dict[str, Any]] | None = None,
    unit: str = "W",
    phases: int | None = None,
    start: datetime | None = None,
    duration: int | None = None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    recurrency: str | None = None,
    transaction: int | None = None,
    min_rate: float | None = None,
) -> dict[str, Any]:
    """Write a profile as a CSMS does; *periods* are limits by the second at which they start."""
    chosen = {0: 6000} if periods is None else periods
    if isinstance(chosen, Mapping):
        chosen = [_given(startPeriod=second, limit=limit, numberPhases=phases) for second, limit in chosen.items()]
    schedule = _given(
        chargingRateUnit=unit,
        chargingSchedulePeriod=chosen,
        duration=duration,
        startSchedule=_text(start),
        minChargingRate=min_rate,
    )
    return _given(
        chargingProfileId=number,
        stackLevel=level,
        chargingProfilePurpose=purpose,
        chargingProfileKind=kind,
        chargingSchedule=schedule,
        transactionId=transaction,
        recurrencyKind=recurrency,
        validFrom=_text(valid_from),
        validTo=_text(valid_to),
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else format_date_time(moment)


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
