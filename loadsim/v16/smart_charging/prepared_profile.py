"""One charging profile: whether it makes sense, and what it says at a moment (OCPP 1.6, sections 7.8 to 7.14)."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from msgspec import UNSET, UnsetType

from loadsim.v16.connectors import VOLTAGE
from loadsim.v16.messages.formats import parse_date_time
from loadsim.v16.messages.types import ChargingProfile, ChargingProfilePurpose, ChargingSchedule

MAX_STACK_LEVEL: Final = 8
"""ChargeProfileMaxStackLevel."""
MAX_PERIODS: Final = 24
"""ChargingScheduleMaxPeriods."""
ALLOWED_UNITS: Final = "Current,Power"
"""ChargingScheduleAllowedChargingRateUnit."""

SECOND: Final = 1_000_000
"""In the microseconds since 1970 in which this module counts: whole numbers, however long, lose nothing."""
FOREVER: Final = math.inf

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_PHASES: Final = 3
_NO_LIMIT: Final = 1e12
"""A higher limit says no more, and an integer of JSON may be longer than a float can hold."""
_EVERY: Final = {"Daily": 24 * 3600 * SECOND, "Weekly": 7 * 24 * 3600 * SECOND}


def to_microseconds(moment: datetime) -> int:
    """Return *moment* in microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def to_datetime(microseconds: float) -> datetime | None:
    """Return the moment, in UTC; None where it is beyond the calendar."""
    try:
        return _EPOCH + int(microseconds) * _MICROSECOND
    except OverflowError:
        return None


class Cap(NamedTuple):
    """What a period allows: *watts* in all, *amperes* on each of so many *phases*; infinite what it leaves open."""

    watts: float
    amperes: float
    phases: int

    @property
    def power(self) -> float:
        """Watts that keep all of it."""
        return min(self.watts, self.amperes * VOLTAGE * self.phases)

    def least(self, other: Cap) -> Cap:
        """Keep both: the lower of power, of current and of phases (section 3.13.3)."""
        return Cap(min(self.watts, other.watts), min(self.amperes, other.amperes), min(self.phases, other.phases))

    def shared(self, among: int) -> Cap:
        """Return the even share of one *among* so many."""
        return Cap(self.watts / among, self.amperes / among, self.phases)


class Stretch(NamedTuple):
    """What holds at a moment (None: nothing limits), and until when, in microseconds, it surely does."""

    cap: Cap | None
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedProfile:
    """A profile, made ready to be asked; all times in microseconds, FOREVER where there is no end.

    *begin* is where its schedule begins; None: with the transaction, or of a ChargePointMaxProfile, which no one
    transaction begins, with its installation (section 7.9 leaves this to the charge point). It begins anew *every*
    so often, 0 for not at all. *starts* and *caps* are its periods.
    """

    connector_id: int
    id: int
    stack_level: int
    purpose: ChargingProfilePurpose
    valid_from: float
    valid_to: float
    installed: int
    begin: int | None
    every: int
    duration: float
    starts: tuple[int, ...]
    caps: tuple[Cap, ...]

    def at(self, moment: int, started: int) -> Stretch:
        """Return what this profile says at *moment*; *started* is the beginning of the transaction."""
        if moment >= self.valid_to:
            return Stretch(None, FOREVER)
        begin = self.begin
        if begin is None:
            # What has begun has begun, though the clock may have been set back since.
            begin = min(moment, self.installed if self.purpose == "ChargePointMaxProfile" else started)
        silent_until = max(self.valid_from, begin)
        if moment < silent_until:
            return Stretch(None, silent_until if silent_until < self.valid_to else FOREVER)
        again = FOREVER
        if self.every:
            begin += (moment - begin) // self.every * self.every
            again = begin + self.every
        offset = moment - begin
        if offset >= self.duration:
            return Stretch(None, again if again < self.valid_to else FOREVER)
        n = bisect_right(self.starts, offset)
        ends = self.starts[n] if n < len(self.starts) else FOREVER
        return Stretch(self.caps[n - 1], min(begin + min(ends, self.duration), again, self.valid_to))


def makes_sense(profile: ChargingProfile) -> bool:
    """Tell whether a profile can be meant, whatever the charge point does now (sections 7.8 to 7.14).

    An Absolute profile may lack its startSchedule: it then begins with the charging (section 7.13). A Relative
    one must have none, a Recurring one needs it and its kind, and no other may name a recurrence.
    """
    recurring = profile.charging_profile_kind == "Recurring"
    schedule = profile.charging_schedule
    starts_somewhere = schedule.start_schedule is not UNSET
    return (
        0 <= profile.stack_level <= MAX_STACK_LEVEL
        and (profile.transaction_id is UNSET or profile.charging_profile_purpose == "TxProfile")
        and (profile.recurrency_kind is not UNSET) == recurring
        and (starts_somewhere or not recurring)
        and not (starts_somewhere and profile.charging_profile_kind == "Relative")
        and _time(profile.valid_from, -FOREVER) < _time(profile.valid_to, FOREVER)
        and _schedule_makes_sense(schedule)
    )


def remote_start_problem(profile: ChargingProfile) -> bool:
    """Tell whether a RemoteStartTransaction must be rejected for its profile (sections 5.11 and 5.16.2).

    It must be a TxProfile that makes sense, and cannot know the id of a transaction that is still to come.
    """
    is_for_it = profile.charging_profile_purpose == "TxProfile" and profile.transaction_id is UNSET
    return not (is_for_it and makes_sense(profile))


def _schedule_makes_sense(schedule: ChargingSchedule) -> bool:
    periods = schedule.charging_schedule_period
    return (
        0 < len(periods) <= MAX_PERIODS
        and periods[0].start_period == 0
        and all(one.start_period < following.start_period for one, following in pairwise(periods))
        and all(period.limit >= 0 for period in periods)
        and all(p.number_phases is UNSET or 1 <= p.number_phases <= _MOST_PHASES for p in periods)
        and (schedule.duration is UNSET or schedule.duration > 0)
        and (schedule.min_charging_rate is UNSET or schedule.min_charging_rate >= 0)
    )


def _time(text: str | UnsetType, otherwise: float) -> float:
    return otherwise if text is UNSET else to_microseconds(parse_date_time(text))


def prepare(connector_id: int, profile: ChargingProfile, now: datetime, phases: int) -> PreparedProfile:
    """Make a profile that makes sense ready to be asked; *phases* are those of the charge point."""
    schedule = profile.charging_schedule
    start = schedule.start_schedule
    return PreparedProfile(
        connector_id=connector_id,
        id=profile.charging_profile_id,
        stack_level=profile.stack_level,
        purpose=profile.charging_profile_purpose,
        valid_from=_time(profile.valid_from, -FOREVER),
        valid_to=_time(profile.valid_to, FOREVER),
        installed=to_microseconds(now),
        begin=None if start is UNSET else to_microseconds(parse_date_time(start)),
        every=0 if profile.recurrency_kind is UNSET else _EVERY[profile.recurrency_kind],
        duration=FOREVER if schedule.duration is UNSET else schedule.duration * SECOND,
        starts=tuple(period.start_period * SECOND for period in schedule.charging_schedule_period),
        caps=_caps(schedule, phases),
    )


def _caps(schedule: ChargingSchedule, phases: int) -> tuple[Cap, ...]:
    caps = []
    for period in schedule.charging_schedule_period:
        limit = float(min(period.limit, _NO_LIMIT))
        # Section 7.14 assumes 3 phases, and a charge point has no more than it has.
        usable = min(phases, _MOST_PHASES if period.number_phases is UNSET else period.number_phases)
        in_watts = schedule.charging_rate_unit == "W"
        caps.append(Cap(limit, math.inf, usable) if in_watts else Cap(math.inf, limit, usable))
    return tuple(caps)
