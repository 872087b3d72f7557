"""Limits over time: what a connector may draw at a moment, and the schedule of it (OCPP 1.6, sections 3.13.3, 5.7).

Two choices where the specification leaves one. The limit of the whole charge point is divided evenly over the
connectors that charge, so that they keep it together whatever each of them takes. And a schedule tells what
*may* be drawn: for connector 0 the sum over all connectors, those that are free included, within that limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec import UNSET

from loadsim.v16.connectors import VOLTAGE
from loadsim.v16.messages.types import ChargingRateUnit, ChargingSchedule, ChargingSchedulePeriod
from loadsim.v16.smart_charging.charging_profiles import ChargingProfiles
from loadsim.v16.smart_charging.prepared_profile import (
    FOREVER,
    MAX_PERIODS,
    SECOND,
    Cap,
    to_datetime,
    to_microseconds,
)

LONGEST_COMPOSITE: Final = 7 * 24 * 3600
"""Seconds; a longer schedule is asked for in vain, for it is told how long the answer's is."""

_MOST_STRETCHES: Final = 1000
"""That a schedule looks at; each quarter of an hour of a week is 672."""
_MOST_LOOKS: Final = 10_000
"""At single connectors, for a schedule of all: some 70 ms, in which the whole shard does nothing else."""
_ASSUMED_PHASES: Final = 3


@dataclass(frozen=True, slots=True)
class Limit:
    """Watts that a connector may draw, math.inf for no limit, and until when this surely holds (None: for good)."""

    watts: float
    until: datetime | None


def limit_at(
    profiles: ChargingProfiles,
    connector_id: int,
    moment: datetime,
    *,
    started: datetime | None = None,
    charging: int = 1,
) -> Limit:
    """Return the limit of a connector at *moment*.

    Args:
        profiles: those of its charge point.
        connector_id: from 1.
        moment: by the charge point's clock.
        started: when the connector's transaction began; None as if it began at *moment*.
        charging: how many connectors share the limit of the charge point, this one included.
    """
    at = to_microseconds(moment)
    cap, until = _of_one(profiles, connector_id, at, at if started is None else to_microseconds(started), charging)
    return Limit(math.inf if cap is None else cap.power, None if until == FOREVER else to_datetime(until))


def composite_schedule(
    profiles: ChargingProfiles,
    connector_id: int,
    *,
    now: datetime,
    duration: int,
    unit: ChargingRateUnit,
    power: float,
    started: Mapping[int, datetime],
    charging: int = 1,
) -> tuple[datetime, ChargingSchedule]:
    """Return the start of a schedule, and the schedule of what may be drawn from *now* on (section 5.7).

    It starts at the beginning of the second, for periods are told in whole seconds; what changes within a second
    shows at the next. Limits are rounded down to tenths. Amperes are those of each phase, as if the load were
    balanced; their number is told where it is not the three that section 7.14 assumes.

    Args:
        profiles: those of the charge point.
        connector_id: 0 for the sum of all.
        now: by the charge point's clock.
        duration: seconds, more than 0; cut to `LONGEST_COMPOSITE`, and where the limits change all too often.
        unit: of the limits.
        power: watts that a connector gives at most.
        started: when the transaction of a connector began; one that has none is taken to begin now.
        charging: how many connectors share the limit of the charge point, the one asked for included.
    """
    at = to_microseconds(now)
    start = at - at % SECOND
    begun = {n: to_microseconds(moment) for n, moment in started.items()}
    seconds = min(duration, LONGEST_COMPOSITE)
    periods: list[ChargingSchedulePeriod] = []
    offset = 0
    most = (
        _MOST_STRETCHES
        if connector_id
        else min(_MOST_STRETCHES, max(MAX_PERIODS, _MOST_LOOKS // profiles.connectors))
    )
    for _ in range(most):
        moment = start + offset * SECOND if offset else at
        if connector_id == 0:
            watts, phases, until = _of_all(profiles, moment, begun, at, power)
        else:
            since = begun.get(connector_id, at)
            cap, until = _of_one(profiles, connector_id, moment, since, charging)
            watts = power if cap is None else min(cap.power, power)
            phases = profiles.phases if cap is None else cap.phases
        period = _period(offset, watts, phases, unit)
        if not periods or _differ(period, periods[-1]):
            periods.append(period)
        offset = seconds if until == FOREVER else min(seconds, -((start - int(until)) // SECOND))
        if offset == seconds:
            break
    whole = ChargingSchedule(duration=offset, charging_rate_unit=unit, charging_schedule_period=tuple(periods))
    return now.replace(microsecond=0), whole


def _of_one(
    profiles: ChargingProfiles, connector_id: int, moment: int, started: int, charging: int
) -> tuple[Cap | None, float]:
    own, until = profiles.of_connector(connector_id, moment, started)
    whole, ends = profiles.of_charge_point(moment)
    share = None if whole is None else whole.shared(max(1, charging))
    return share if own is None else own if share is None else own.least(share), min(until, ends)


def _of_all(
    profiles: ChargingProfiles, moment: int, begun: Mapping[int, int], now: int, power: float
) -> tuple[float, int, float]:
    whole, until = profiles.of_charge_point(moment)
    watts = 0.0
    for connector_id in range(1, profiles.connectors + 1):
        cap, ends = profiles.of_connector(connector_id, moment, begun.get(connector_id, now))
        watts += power if cap is None else min(cap.power, power)
        until = min(until, ends)
    return watts if whole is None else min(watts, whole.power), profiles.phases, until


def _period(start: int, watts: float, phases: int, unit: ChargingRateUnit) -> ChargingSchedulePeriod:
    if unit == "W":
        return ChargingSchedulePeriod(start_period=start, limit=_tenths(watts))
    tell = UNSET if phases == _ASSUMED_PHASES else phases
    return ChargingSchedulePeriod(start_period=start, limit=_tenths(watts / VOLTAGE / phases), number_phases=tell)


def _differ(one: ChargingSchedulePeriod, other: ChargingSchedulePeriod) -> bool:
    return (one.limit, one.number_phases) != (other.limit, other.number_phases)


def _tenths(number: float) -> float:
    """Round down, but for the noise of binary fractions: 16.1 A on three phases are 16.1 A again."""
    return math.floor(round(number * 10, 6)) / 10
