"""Limits over time (OCPP 1.6, sections 3.13 and 5.7), against examples worked by hand and against a naive model."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from loadsim.v16.connectors import Transaction
from loadsim.v16.messages.types import ChargingProfile
from loadsim.v16.smart_charging.charging_profiles import ChargingProfiles
from loadsim.v16.smart_charging.composite_schedule import LONGEST_COMPOSITE, Limit, composite_schedule, limit_at
from loadsim.v16.smart_charging.prepared_profile import MAX_STACK_LEVEL
from tests.v16.profiles import NOON, at, profile

POWER = 11_000.0


def store(
    *installed: tuple[int, ChargingProfile], connectors: int = 2, phases: int = 3, now: datetime = NOON
) -> ChargingProfiles:
    """Make a charge point's profiles, each with its connector; a transaction runs at every connector."""
    profiles = ChargingProfiles(connectors, phases)
    for connector_id, each in installed:
        assert profiles.install(connector_id, each, now, Transaction(connector_id, "TAG", 0, now))
    return profiles


def schedule(
    profiles: ChargingProfiles,
    connector_id: int = 1,
    *,
    seconds: int = 3600,
    unit: Any = "W",
    now: datetime = NOON,
    power: float = POWER,
    started: dict[int, datetime] | None = None,
    charging: int = 1,
) -> list[tuple[int, float] | tuple[int, float, int]]:
    """Return the periods of a composite schedule; with the number of phases where it is told."""
    _, told = composite_schedule(
        profiles,
        connector_id,
        now=now,
        duration=seconds,
        unit=unit,
        power=power,
        started=started or {},
        charging=charging,
    )
    assert told.duration == seconds
    return [
        (period.start_period, period.limit)
        if period.number_phases is UNSET
        else (period.start_period, period.limit, period.number_phases)
        for period in told.charging_schedule_period
    ]


# Worked examples: nothing but one connector of 11 kW on three phases, unless said otherwise.


def test_without_profiles_a_connector_may_draw_all_it_can() -> None:
    assert schedule(store()) == [(0, 11_000)]
    assert limit_at(store(), 1, NOON) == Limit(math.inf, None)


def test_the_higher_stack_level_prevails_while_it_lasts() -> None:
    # 8 kW always; 4 kW from 12:10 for ten minutes.
    profiles = store(
        (0, profile(1, 0, periods={0: 8000})),
        (0, profile(2, 2, periods={0: 4000}, start=at("12:10"), duration=600)),
    )
    assert schedule(profiles) == [(0, 8000), (600, 4000), (1200, 8000)]


def test_a_lower_stack_level_takes_over_where_the_higher_is_not_valid() -> None:
    # 6 kW always; 2 kW from 12:30, but valid until 12:45 only. The first schedule needs no end.
    profiles = store(
        (1, profile(1, 3, periods={0: 6000})),
        (1, profile(2, 4, periods={0: 2000}, start=at("12:00"), valid_from=at("12:30"), valid_to=at("12:45"))),
    )
    assert schedule(profiles) == [(0, 6000), (1800, 2000), (2700, 6000)]


def test_without_an_end_the_higher_stack_level_prevails_for_good() -> None:
    profiles = store(
        (0, profile(1, 0, periods={0: 1000, 600: 3000})),
        (0, profile(2, 1, periods={0: 9000}, start=at("11:00"))),
    )
    assert schedule(profiles) == [(0, 9000)]
    assert limit_at(profiles, 1, NOON) == Limit(9000, None)


def test_a_profile_is_valid_from_the_moment_on_and_up_to_the_moment() -> None:
    profiles = store((0, profile(periods={0: 5000}, valid_from=at("12:30"), valid_to=at("13:00"))))
    tick = timedelta(microseconds=1)

    assert limit_at(profiles, 1, at("12:30") - tick) == Limit(math.inf, at("12:30"))
    assert limit_at(profiles, 1, at("12:30"), started=NOON) == Limit(5000, at("13:00"))
    assert limit_at(profiles, 1, at("13:00") - tick, started=NOON) == Limit(5000, at("13:00"))
    assert limit_at(profiles, 1, at("13:00"), started=NOON) == Limit(math.inf, None)


def test_a_schedule_that_would_begin_after_its_validity_never_limits() -> None:
    profiles = store((0, profile(start=at("13:00"), valid_to=at("13:00"))))
    assert limit_at(profiles, 1, NOON) == Limit(math.inf, None)


def test_a_daily_schedule_goes_on_across_midnight() -> None:
    # Since Friday, each day from 22:00: four hours at 3 kW, four hours at 5 kW. Asked on Sunday at 21:00.
    nightly = profile(
        kind="Recurring",
        recurrency="Daily",
        start=at("22:00", days=-2),
        duration=8 * 3600,
        periods={0: 3000, 4 * 3600: 5000},
    )
    # 22:00 is 1 h later, 02:00 is 5 h later, 06:00 is 9 h later; then nothing limits until 22:00, 25 h later.
    assert schedule(store((0, nightly)), now=at("21:00"), seconds=26 * 3600) == [
        (0, 11_000),
        (3600, 3000),
        (5 * 3600, 5000),
        (9 * 3600, 11_000),
        (25 * 3600, 3000),
    ]


def test_a_daily_schedule_without_a_duration_begins_anew_every_day() -> None:
    # From 06:00 on 9 kW, from 18:00 on 4 kW, which holds until 06:00 of the next day. Asked at 12:00.
    daily = profile(
        kind="Recurring", recurrency="Daily", start=at("06:00", days=-30), periods={0: 9000, 12 * 3600: 4000}
    )
    assert schedule(store((0, daily)), seconds=24 * 3600) == [(0, 9000), (6 * 3600, 4000), (18 * 3600, 9000)]


def test_a_daily_schedule_that_lasts_longer_than_a_day_is_cut_by_its_next_beginning() -> None:
    # 25 h long, its last hour never comes.
    daily = profile(
        kind="Recurring",
        recurrency="Daily",
        start=at("12:00", days=-1),
        duration=25 * 3600,
        periods={0: 9000, 23 * 3600: 4000, 24 * 3600: 100},
    )
    assert schedule(store((0, daily)), seconds=25 * 3600) == [(0, 9000), (23 * 3600, 4000), (24 * 3600, 9000)]


def test_a_recurring_schedule_does_not_begin_before_its_start() -> None:
    daily = profile(kind="Recurring", recurrency="Daily", start=at("12:30", days=1), duration=600)
    assert schedule(store((0, daily)), seconds=36 * 3600) == [
        (0, 11_000),
        (24 * 3600 + 1800, 6000),
        (24 * 3600 + 2400, 11_000),
    ]


def test_a_weekly_schedule_comes_on_its_day_alone() -> None:
    # Mondays from 08:00 to 09:00 at 1 kW, since three weeks ago. Sunday 12:00 to Monday 08:00 are 20 h.
    mondays = profile(
        kind="Recurring", recurrency="Weekly", start=at("08:00", days=-20), duration=3600, periods={0: 1000}
    )
    assert schedule(store((0, mondays)), seconds=7 * 24 * 3600) == [
        (0, 11_000),
        (20 * 3600, 1000),
        (21 * 3600, 11_000),
    ]


def test_a_recurring_schedule_ends_with_its_validity() -> None:
    daily = profile(
        kind="Recurring", recurrency="Daily", start=at("12:00", days=-9), duration=7200, valid_to=at("13:00")
    )
    assert schedule(store((0, daily)), seconds=30 * 3600) == [(0, 6000), (3600, 11_000)]
    assert limit_at(store((0, daily)), 1, at("13:00")) == Limit(math.inf, None)


@pytest.mark.parametrize("kind", ["Relative", "Absolute"])
def test_a_schedule_without_a_start_begins_with_the_transaction(kind: str) -> None:
    # 15 minutes at 7 kW, then 3 kW; the transaction began ten minutes ago.
    profiles = store((0, profile(kind=kind, periods={0: 7000, 900: 3000})))

    assert schedule(profiles, started={1: at("11:50")}) == [(0, 7000), (300, 3000)]
    assert schedule(profiles, started={}) == [(0, 7000), (900, 3000)]


def test_a_duration_that_is_over_limits_nothing_any_more() -> None:
    # From 11:00 for half an hour, of which the last period would begin after it.
    over = profile(start=at("11:00"), duration=1800, periods={0: 2000, 3600: 1000})
    assert schedule(store((0, over))) == [(0, 11_000)]


def test_a_transactions_own_profile_goes_before_the_default_while_it_lasts() -> None:
    # By default 9 kW at a high stack level; for the first 20 minutes of the transaction, since 11:50, 2 kW.
    profiles = store(
        (0, profile(1, 8, periods={0: 9000})),
        (1, profile(2, 0, "TxProfile", "Relative", periods={0: 2000}, duration=1200)),
    )
    assert schedule(profiles, started={1: at("11:50")}) == [(0, 2000), (600, 9000)]
    assert schedule(profiles, 2) == [(0, 9000)]


def test_the_lower_of_the_transactions_and_the_charge_points_limit_holds() -> None:
    # The transaction: 7 kW, from 12:20 on 3 kW; the charge point: 5 kW. One connector charges.
    profiles = store(
        (1, profile(1, 0, "TxProfile", periods={0: 7000, 1200: 3000}, start=NOON)),
        (0, profile(2, 0, "ChargePointMaxProfile", periods={0: 5000})),
    )
    assert schedule(profiles, started={1: NOON}) == [(0, 5000), (1200, 3000)]


def test_a_connectors_own_default_replaces_that_of_all_at_its_stack_level() -> None:
    profiles = store(
        (0, profile(1, 1, periods={0: 4000})),
        (2, profile(2, 1, periods={0: 8000}, valid_from=at("12:30"))),
        (0, profile(3, 0, periods={0: 1000})),
    )
    assert schedule(profiles, 1) == [(0, 4000)]
    # Replaced, it does not come back while the other is not valid yet: level 0 does (section 3.13.2).
    assert schedule(profiles, 2) == [(0, 1000), (1800, 8000)]


def test_amperes_and_watts_are_compared_as_watts() -> None:
    # 16 A on three phases are 16 x 230 x 3 = 11,040 W; the connector gives 22 kW. From 12:10 the 9 kW are less.
    profiles = store(
        (1, profile(1, 0, periods={0: 12_000, 600: 9000}, start=NOON)),
        (0, profile(2, 0, "ChargePointMaxProfile", periods={0: 16}, unit="A")),
    )
    assert schedule(profiles, power=22_000.0) == [(0, 11_040), (600, 9000)]
    # In amperes 9000 / 230 / 3 = 13.04, rounded down to tenths.
    assert schedule(profiles, power=22_000.0, unit="A") == [(0, 16), (600, 13)]


def test_amperes_are_those_of_the_phases_that_can_be_used() -> None:
    # 16 A on one phase are 3,680 W, on two 7,360 W.
    periods = [
        {"startPeriod": 0, "limit": 16, "numberPhases": 1},
        {"startPeriod": 60, "limit": 16, "numberPhases": 2},
        {"startPeriod": 120, "limit": 10},
    ]
    profiles = store((0, profile(periods=periods, unit="A")))
    assert schedule(profiles) == [(0, 3680), (60, 7360), (120, 6900)]
    assert schedule(profiles, unit="A") == [(0, 16, 1), (60, 16, 2), (120, 10)]


def test_a_charge_point_of_one_phase_uses_one_and_says_so() -> None:
    # 3.68 kW on one phase. 10 A are 2,300 W, though section 7.14 assumes three phases; 3 phases there are not.
    profiles = store((0, profile(periods={0: 10}, unit="A", phases=3, duration=600)), phases=1)
    assert schedule(profiles, power=3680.0) == [(0, 2300), (600, 3680)]
    assert schedule(profiles, power=3680.0, unit="A") == [(0, 10, 1), (600, 16, 1)]


def test_the_limit_of_the_charge_point_is_shared_evenly_by_those_that_charge() -> None:
    profiles = store((0, profile(1, 0, "ChargePointMaxProfile", periods={0: 12_000, 600: 6000})))
    assert schedule(profiles, charging=1) == [(0, 11_000), (600, 6000)]
    assert schedule(profiles, charging=2) == [(0, 6000), (600, 3000)]
    assert limit_at(profiles, 1, NOON, charging=2) == Limit(6000, at("12:10"))


def test_a_shared_current_holds_on_each_phase() -> None:
    # 20 A for two connectors are 10 A each. One may use a single phase: 10 x 230 = 2,300 W, though in watts its
    # half of the charge point's 13,800 W would allow its own 16 A (3,680 W), and so two on one phase 32 A.
    profiles = store(
        (0, profile(1, 0, "ChargePointMaxProfile", periods={0: 20}, unit="A")),
        (1, profile(2, 0, "TxProfile", periods={0: 16}, unit="A", phases=1)),
    )
    assert schedule(profiles, charging=2) == [(0, 2300)]
    assert schedule(profiles, charging=2, unit="A") == [(0, 10, 1)]
    assert schedule(profiles, 2, charging=2) == [(0, 6900)]


def test_the_phases_of_the_charge_points_limit_hold_for_a_current_too() -> None:
    # 12 kW for the whole, on one phase; the connector's 16 A are then 16 x 230 = 3,680 W.
    profiles = store(
        (0, profile(1, 0, "ChargePointMaxProfile", periods={0: 12_000}, phases=1)),
        (1, profile(2, 0, periods={0: 16}, unit="A")),
    )
    assert schedule(profiles) == [(0, 3680)]


def test_connector_0_tells_the_sum_of_all_within_the_limit_of_the_whole() -> None:
    # Connector 1: 4 kW for ten minutes, then 2 kW; connector 2: 7 kW by default; connector 3: the same.
    # Sum 18 kW, from 12:10 on 16 kW; the whole: 15 kW from 12:20 on, 30 kW before.
    profiles = store(
        (1, profile(1, 0, "TxProfile", periods={0: 4000, 600: 2000}, start=NOON)),
        (0, profile(2, 0, periods={0: 7000})),
        (0, profile(3, 0, "ChargePointMaxProfile", periods={0: 30_000, 1200: 15_000}, start=NOON)),
        connectors=3,
    )
    assert schedule(profiles, 0) == [(0, 18_000), (600, 16_000), (1200, 15_000)]
    # 18,000 W / 690 V = 26.08 A, 16,000 W / 690 V = 23.18 A, 15,000 W / 690 V = 21.73 A
    assert schedule(profiles, 0, unit="A") == [(0, 26.0), (600, 23.1), (1200, 21.7)]


def test_connector_0_without_limits_tells_the_power_of_all_connectors() -> None:
    assert schedule(store(connectors=4), 0) == [(0, 44_000)]


def test_connector_0_counts_each_schedule_from_its_own_transaction() -> None:
    # For five minutes 1 kW, then 10 kW; connector 1 began at 11:56, connector 2 at 11:58.
    profiles = store((0, profile(kind="Relative", periods={0: 1000, 300: 10_000})))
    started = {1: at("11:56"), 2: at("11:58")}
    assert schedule(profiles, 0, started=started) == [(0, 2000), (60, 11_000), (180, 20_000)]


def test_a_limit_above_what_the_connector_gives_tells_what_it_gives() -> None:
    profiles = store((0, profile(periods={0: 50_000, 600: 40_000, 1200: 10_000})))
    assert schedule(profiles) == [(0, 11_000), (1200, 10_000)]


def test_a_profile_of_the_charge_point_without_a_start_begins_when_it_is_installed() -> None:
    profiles = store((0, profile(1, 0, "ChargePointMaxProfile", "Relative", periods={0: 2000, 3600: 5000})))
    assert schedule(profiles, now=at("12:40")) == [(0, 2000), (1200, 5000)]


def test_what_has_begun_goes_on_when_the_clock_is_set_back() -> None:
    # Both began at 12:00 by a clock that was then set back by a minute.
    profiles = store(
        (0, profile(1, 0, "ChargePointMaxProfile", periods={0: 4000})),
        (1, profile(2, 0, "TxProfile", "Relative", periods={0: 3000})),
    )
    assert limit_at(profiles, 1, at("11:59"), started=NOON).watts == 3000
    assert schedule(profiles, 1, now=at("11:59"), started={1: NOON}) == [(0, 3000)]
    assert schedule(profiles, 2, now=at("11:59")) == [(0, 4000)]


def test_a_schedule_starts_with_the_second_and_counts_whole_seconds() -> None:
    profiles = store((0, profile(periods={0: 2000, 10: 3000}, start=NOON)))
    now = NOON + timedelta(seconds=4.4)
    start, told = composite_schedule(profiles, 1, now=now, duration=60, unit="W", power=POWER, started={})

    assert start == NOON + timedelta(seconds=4)
    assert [(p.start_period, p.limit) for p in told.charging_schedule_period] == [(0, 2000), (6, 3000)]


def test_what_began_in_this_second_shows_from_the_first_period_on() -> None:
    profiles = store((0, profile(periods={0: 2000}, start=NOON + timedelta(seconds=0.25))))
    assert schedule(profiles, now=NOON + timedelta(seconds=0.5)) == [(0, 2000)]
    assert schedule(profiles, now=NOON + timedelta(seconds=0.125)) == [(0, 11_000), (1, 2000)]


def test_what_is_installed_in_this_second_shows_from_the_first_period_on() -> None:
    now = NOON + timedelta(seconds=0.75)
    profiles = store((0, profile(1, 0, "ChargePointMaxProfile", periods={0: 2000})), now=now)
    assert schedule(profiles, now=now) == [(0, 2000)]


def test_limits_are_rounded_down_to_tenths_but_not_by_noise() -> None:
    # 16.1 x 230 x 3 = 11,109 W in decimals, a little more in binary; back it must be 16.1 A.
    for tenths in range(1, 800):
        profiles = store((0, profile(periods={0: tenths / 10}, unit="A")))
        assert schedule(profiles, unit="A", power=1e6) == [(0, tenths / 10)]
    assert schedule(store(), unit="A") == [(0, 15.9)]  # 11,000 / 690 = 15.942


def test_a_schedule_of_a_year_is_cut_to_a_week_and_says_so() -> None:
    hourly = profile(
        kind="Recurring", recurrency="Daily", start=at("00:00"), periods={n * 3600: 1000 + n for n in range(24)}
    )
    _, told = composite_schedule(
        store((0, hourly)), 1, now=NOON, duration=365 * 24 * 3600, unit="W", power=POWER, started={}
    )
    assert told.duration == LONGEST_COMPOSITE == 7 * 24 * 3600
    assert len(told.charging_schedule_period) == 7 * 24


def test_a_schedule_that_changes_all_too_often_ends_early_and_says_so() -> None:
    # Eight levels of 24 periods on each of two connectors, every day: 384 changes a day, 1000 are told.
    profiles = ChargingProfiles(2, 3)
    number = 0
    for connector_id in (1, 2):
        for level in range(8):
            number += 1
            begin = NOON + timedelta(hours=3 * level, minutes=2 * connector_id)
            periods = {n * 240: 1000.0 + (n + level) % 24 for n in range(24)}
            each = profile(
                number,
                level,
                kind="Recurring",
                recurrency="Daily",
                start=begin,
                duration=24 * 240,
                periods=periods,
            )
            assert profiles.install(connector_id, each, NOON, None)
    _, told = composite_schedule(profiles, 0, now=NOON, duration=10**9, unit="W", power=POWER, started={})

    assert isinstance(told.duration, int)
    assert 2 * 24 * 3600 < told.duration < 7 * 24 * 3600
    assert 900 < len(told.charging_schedule_period) <= 1000
    assert told.charging_schedule_period[-1].start_period < told.duration


def test_a_schedule_of_very_many_connectors_is_no_more_work_than_that_of_few() -> None:
    # Hourly changes: ten thousand looks at a hundred connectors are a hundred hours.
    hourly = profile(
        kind="Recurring", recurrency="Daily", start=at("00:00"), periods={n * 3600: 1000 + n for n in range(24)}
    )
    for connectors, hours in ((10, 7 * 24), (100, 100), (1000, 24)):
        _, told = composite_schedule(
            store((0, hourly), connectors=connectors),
            0,
            now=NOON,
            duration=LONGEST_COMPOSITE,
            unit="W",
            power=POWER,
            started={},
        )
        assert told.duration == hours * 3600
        assert told.charging_schedule_period[0].limit == connectors * 1012


@pytest.mark.parametrize("huge", [10**12, 10**400])
def test_numbers_beyond_all_measure_do_no_harm(huge: int) -> None:
    endless = profile(periods={0: 5000, huge: 1}, duration=huge + 1, valid_to=datetime(9999, 12, 31, tzinfo=UTC))
    assert limit_at(store((0, endless)), 1, NOON).watts == 5000
    assert limit_at(store((0, profile(periods={0: huge}, unit="A"))), 1, NOON).watts >= 1e12
    assert schedule(store((0, profile(periods={0: huge})))) == [(0, 11_000)]


# A naive model: profiles as they came, looked at for one moment.

OFFSETS = st.integers(-50, 50)


@st.composite
def profiles_of(draw: st.DrawFn) -> tuple[int, ChargingProfile]:
    purpose = draw(st.sampled_from(["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"]))
    connector_id = {"ChargePointMaxProfile": 0, "TxDefaultProfile": draw(st.integers(0, 2))}.get(
        purpose, draw(st.integers(1, 2))
    )
    kind = draw(st.sampled_from(["Absolute", "Relative", "Recurring"]))
    recurring = kind == "Recurring"
    recurrency = draw(st.sampled_from(["Daily", "Weekly"])) if recurring else None
    start = None
    if recurring or (kind == "Absolute" and draw(st.booleans())):
        back = draw(st.sampled_from([0, 1, 7, 21])) if recurring else 0
        start = NOON + timedelta(days=-back, seconds=draw(OFFSETS), milliseconds=draw(st.sampled_from([0, 250])))
    unit = draw(st.sampled_from("AW"))
    limits = st.integers(0, 400).map(lambda n: n / 10 if unit == "A" else n * 50.0)
    begins = sorted({0, *draw(st.lists(st.integers(1, 60), max_size=3))})
    periods = [
        {"startPeriod": begin, "limit": draw(limits)}
        | draw(st.sampled_from([{}, {"numberPhases": 1}, {"numberPhases": 3}]))
        for begin in begins
    ]
    valid_from, valid_to = sorted((draw(OFFSETS), draw(OFFSETS)))
    has_from, has_to = draw(st.booleans()), draw(st.booleans())
    made = profile(
        draw(st.integers(1, 9)),
        draw(st.integers(0, 2)),
        purpose,
        kind,
        periods=periods,
        unit=unit,
        start=start,
        duration=draw(st.none() | st.integers(1, 80) | st.just(90_000)),
        recurrency=recurrency,
        valid_from=NOON + timedelta(seconds=valid_from) if has_from else None,
        valid_to=NOON + timedelta(seconds=valid_to + 1) if has_to else None,
    )
    return connector_id, made


Given = tuple[int, ChargingProfile, datetime]


def what_it_says(each: Given, moment: datetime, started: datetime, phases: int) -> tuple[float, float, int] | None:
    """Return watts, amperes and phases of one profile at *moment*, None if it says nothing."""
    _, message, installed = each
    if message.valid_from is not UNSET and moment < datetime.fromisoformat(message.valid_from):
        return None
    if message.valid_to is not UNSET and moment >= datetime.fromisoformat(message.valid_to):
        return None
    told = message.charging_schedule
    if told.start_schedule is not UNSET:
        begin = datetime.fromisoformat(told.start_schedule)
    else:
        begin = min(moment, installed if message.charging_profile_purpose == "ChargePointMaxProfile" else started)
    if moment < begin:
        return None
    if message.recurrency_kind is not UNSET:
        days = timedelta(days=1 if message.recurrency_kind == "Daily" else 7)
        while begin + days <= moment:
            begin += days
    if told.duration is not UNSET and moment >= begin + timedelta(seconds=told.duration):
        return None
    passed = (moment - begin).total_seconds()
    period = [p for p in told.charging_schedule_period if p.start_period <= passed][-1]
    usable = phases if period.number_phases is UNSET else min(period.number_phases, phases)
    if told.charging_rate_unit == "W":
        return period.limit, math.inf, usable
    return math.inf, period.limit, usable


class Model:
    """The profiles of a charge point in a plain list."""

    def __init__(self, phases: int) -> None:
        self.phases = phases
        self.kept: list[Given] = []

    def install(self, connector_id: int, new: ChargingProfile, now: datetime) -> None:
        place = connector_id, new.charging_profile_purpose, new.stack_level
        self.kept = [
            (where, old, since)
            for where, old, since in self.kept
            if old.charging_profile_id != new.charging_profile_id
            and (where, old.charging_profile_purpose, old.stack_level) != place
        ]
        self.kept.append((connector_id, new, now))

    def best(
        self, purpose: str, connector_id: int, moment: datetime, started: datetime
    ) -> tuple[float, float, int] | None:
        for level in range(MAX_STACK_LEVEL, -1, -1):
            of_level = {
                where: (where, message, since)
                for where, message, since in self.kept
                if message.charging_profile_purpose == purpose and message.stack_level == level
            }
            chosen = of_level.get(connector_id) or (of_level.get(0) if purpose == "TxDefaultProfile" else None)
            says = chosen and what_it_says(chosen, moment, started, self.phases)
            if says:
                return says
        return None

    def own(self, connector_id: int, moment: datetime, started: datetime) -> tuple[float, float, int] | None:
        return self.best("TxProfile", connector_id, moment, started) or self.best(
            "TxDefaultProfile", connector_id, moment, started
        )

    def watts(self, connector_id: int, moment: datetime, started: datetime, charging: int) -> float:
        limits = [self.own(connector_id, moment, started)]
        whole = self.best("ChargePointMaxProfile", 0, moment, moment)
        limits.append(whole and (whole[0] / charging, whole[1] / charging, whole[2]))
        return power_of([limit for limit in limits if limit])

    def sum(self, connectors: int, moment: datetime, started: dict[int, datetime], power: float) -> float:
        whole = self.best("ChargePointMaxProfile", 0, moment, moment)
        total = 0.0
        for connector_id in range(1, connectors + 1):
            own = self.own(connector_id, moment, started[connector_id])
            total += min(power, power_of([own] if own else []))
        return min(total, power_of([whole] if whole else []))


def power_of(limits: list[tuple[float, float, int]]) -> float:
    if not limits:
        return math.inf
    watts, amperes, phases = (min(limit[n] for limit in limits) for n in range(3))
    return float(min(watts, amperes * 230 * phases))


installed = st.lists(profiles_of(), max_size=8)
moments = st.integers(-20_000, 20_000).map(lambda ms: NOON + timedelta(milliseconds=ms))


def built(phases: int, chosen: list[tuple[int, ChargingProfile]], now: datetime) -> tuple[ChargingProfiles, Model]:
    profiles, model = ChargingProfiles(2, phases), Model(phases)
    for connector_id, each in chosen:
        assert profiles.install(connector_id, each, now, Transaction(connector_id, "TAG", 0, now))
        model.install(connector_id, each, now)
    assert len(profiles) == len(model.kept)
    return profiles, model


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([1, 3]), installed, moments, moments, moments, st.integers(1, 3))
def test_a_limit_is_the_models_and_holds_until_it_says(
    phases: int,
    chosen: list[tuple[int, ChargingProfile]],
    since: datetime,
    started: datetime,
    moment: datetime,
    charging: int,
) -> None:
    profiles, model = built(phases, chosen, since)
    limit = limit_at(profiles, 1, moment, started=started, charging=charging)

    assert limit.watts == pytest.approx(model.watts(1, moment, started, charging))
    end = limit.until or moment + timedelta(days=22)
    assert end > moment
    for share in (0.0, 0.01, 0.1, 0.5, 0.9, 0.999):
        later = moment + (end - moment) * share
        assert model.watts(1, later, started, charging) == pytest.approx(limit.watts)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([1, 3]),
    installed,
    moments,
    st.tuples(moments, moments),
    moments,
    st.integers(1, 3),
    st.sampled_from([0, 1, 2]),
    st.sampled_from("AW"),
)
def test_a_composite_schedule_tells_the_limit_of_every_second(
    phases: int,
    chosen: list[tuple[int, ChargingProfile]],
    since: datetime,
    began: tuple[datetime, datetime],
    now: datetime,
    charging: int,
    connector_id: int,
    unit: Any,
) -> None:
    profiles, model = built(phases, chosen, since)
    started = {1: began[0], 2: began[1]}
    start, told = composite_schedule(
        profiles, connector_id, now=now, duration=70, unit=unit, power=POWER, started=started, charging=charging
    )
    periods = {period.start_period: period for period in told.charging_schedule_period}
    assert list(periods) == sorted(periods)
    assert told.duration == 70

    current = periods[0]
    for second in range(70):
        current = periods.get(second, current)
        moment = max(now, start + timedelta(seconds=second))
        if connector_id == 0:
            watts = model.sum(2, moment, started, POWER)
        else:
            limit = limit_at(profiles, connector_id, moment, started=started[connector_id], charging=charging)
            watts = min(limit.watts, POWER)
        lines = 1 if unit == "W" else 230 * (3 if current.number_phases is UNSET else current.number_phases)
        exact = watts / lines
        assert exact - 0.1 - 1e-6 < current.limit <= exact + 1e-6
