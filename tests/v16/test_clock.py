"""The charge point's clock: what waits for a moment of it, and clocks at the ends of the calendar (OCPP 1.6, 4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.alarm import Alarm
from loadsim.charge_point.context import moved_on
from loadsim.charge_point.settings import SECURITY_PROFILE, STANDARD_PROFILES
from loadsim.v16.memory import memory_of
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.waiting import clock_was_set, due_at, until
from tests.support import WALL, Answer, World, boot, wall_clock, world
from tests.v16.profiles import profile_json
from tests.v16.sessions import PUNCTUAL, statuses_of
from tests.v16.updates import online, told_at, update

ENDS = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "0001-01-01T23:59:59.999999-23:59",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T00:00:00.5+23:59",
]


async def set_clock(w: World, told: str) -> None:
    w.csms.answers("Heartbeat", Answer(payload={"currentTime": told}))
    await w.csms.latest.order("TriggerMessage", {"requestedMessage": "Heartbeat"})
    await trio.testing.wait_all_tasks_blocked()


# Waiting for a moment.


@pytest.mark.parametrize(("told", "comes"), [(1000.0, 50.0), (400.0, 150.0), (0.0, 550.0), (-5000.0, 5550.0)])
async def test_a_wait_ends_when_the_clock_shows_the_moment_however_it_was_set(
    autojump_clock: MockClock, told: float, comes: float
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        ended: list[float] = []

        async def wait() -> None:
            await until(charge_point, WALL + timedelta(seconds=500))
            ended.append(trio.current_time())

        charge_point.spawn(wait)
        await trio.sleep(50)
        await set_clock(w, wall_clock(told))
        await trio.sleep(6000)

        assert ended == [pytest.approx(comes)]
        assert w.lateness() == pytest.approx(0)


async def test_how_late_a_wait_ends_is_measured(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        looks = w.time("lateness").n
        await until(charge_point, WALL + timedelta(seconds=10))

        assert w.time("lateness").n == looks + 1


async def test_a_moment_that_has_passed_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        await trio.sleep(10)
        await until(charge_point, WALL)
        await until(charge_point, charge_point.now())

        assert trio.current_time() == 10


async def test_who_may_wait_for_something_else_then_is_told_that_the_clock_was_set(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        ended: list[float | None] = []
        alarm = Alarm()

        async def wait(moment: datetime | None) -> None:
            ended.append(await due_at(charge_point, moment, alarm))

        for moment in (None, WALL + timedelta(seconds=500)):
            charge_point.spawn(wait, moment)
            await trio.sleep(10)
            clock_was_set(charge_point)
            await trio.sleep(1)
        assert ended == [None, None]

        charge_point.spawn(wait, None)
        await trio.sleep(10)
        alarm.ring()
        await trio.sleep(1)
        charge_point.spawn(wait, WALL + timedelta(seconds=40))
        await trio.sleep(100)

        assert ended == [None, None, None, pytest.approx(40.0)]
        assert memory_of(charge_point).clock_alarms == []


async def test_rule_35_a_download_begins_at_its_date_by_a_clock_that_is_set_meanwhile(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await update(w, at=7200.0)
        await trio.sleep(100)
        await set_clock(w, wall_clock(7000.0))
        await trio.sleep(1000)

        assert told_at(w)["Downloading"] == 300.0


async def test_rule_37_a_reservation_expires_at_once_when_the_clock_is_set_past_its_end(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        await w.online()
        reservation = {"connectorId": 1, "idTag": "T", "reservationId": 7, "expiryDate": wall_clock(9000.0)}
        assert await w.csms.latest.order("ReserveNow", reservation) == {"status": "Accepted"}
        await trio.sleep(100)
        assert statuses_of(w.csms, 1) == ["Available", "Reserved"]
        await set_clock(w, wall_clock(9000.0))

        assert statuses_of(w.csms, 1) == ["Available", "Reserved", "Available"]


async def test_rule_39_a_limit_holds_at_once_when_the_clock_is_set_to_its_time(autojump_clock: MockClock) -> None:
    limit = profile_json(periods={0: 0.0}, start=WALL + timedelta(hours=1))
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        setting = {"connectorId": 1, "csChargingProfiles": limit}
        assert await w.csms.latest.order("SetChargingProfile", setting) == {"status": "Accepted"}
        w.arrive(charge_point, plugged_in=5000.0, energy=50_000.0)
        await trio.sleep(100)
        assert statuses_of(w.csms, 1)[-1] == "Charging"
        await set_clock(w, wall_clock(3600.0))

        assert statuses_of(w.csms, 1)[-1] == "SuspendedEVSE"


# The ends of the calendar.


@given(st.datetimes(), st.timedeltas(timedelta(minutes=-1439), timedelta(minutes=1439)), st.floats(0, 1e9))
def test_a_clock_goes_on_from_what_it_was_told_and_stands_still_at_the_ends_of_the_calendar(
    local: datetime, offset: timedelta, seconds: float
) -> None:
    offset -= timedelta(seconds=offset.total_seconds() % 60)
    sign = "-" if offset < timedelta() else "+"
    told = f"{local.isoformat()}{sign}{(datetime.min + abs(offset)).strftime('%H:%M')}"
    expected = (local - datetime.min) - offset + timedelta(seconds=seconds)

    now = moved_on(told, seconds)

    assert now.tzinfo is UTC
    assert now.replace(tzinfo=None) - datetime.min == min(max(expected, timedelta()), datetime.max - datetime.min)


async def order(w: World, action: str, payload: Mapping[str, Any]) -> None:
    kind, *content = await w.csms.latest.ask(action, payload)
    assert kind == 3 or content[0] in ("NotImplemented", "NotSupported"), content
    await trio.testing.wait_all_tasks_blocked()


async def everything_that_has_a_time(w: World, moment: str, number: int) -> None:
    """Ask for whatever names a moment, with this one."""
    limits = {0: 9000.0, 30: 8000.0}
    connector = {"connectorId": 1}
    for n, kind in enumerate(("Absolute", "Recurring")):
        for m, purpose in enumerate(("ChargePointMaxProfile", "TxDefaultProfile", "TxProfile")):
            made = profile_json(10 * number + 3 * n + m, 2 * (number % 4) + n, purpose, kind, periods=limits)
            made["chargingSchedule"]["startSchedule"] = moment
            if kind == "Recurring":
                made |= {"recurrencyKind": "Daily"}
            made |= {"validFrom": moment} if number % 2 else {"validTo": moment}
            where = 0 if purpose == "ChargePointMaxProfile" else 1
            await order(w, "SetChargingProfile", {"connectorId": where, "csChargingProfiles": made})
    for connector_id in (0, 1, 2):
        await order(w, "GetCompositeSchedule", {"connectorId": connector_id, "duration": 10**9})
    for connector_id in (0, 2):
        reservation = {"idTag": "T", "reservationId": 10 * number + connector_id, "expiryDate": moment}
        await order(w, "ReserveNow", {"connectorId": connector_id, **reservation})
    info = {"status": "Accepted", "expiryDate": moment}
    listed = [{"idTag": "LISTED", "idTagInfo": info}]
    sent = {"listVersion": number + 1, "updateType": "Full", "localAuthorizationList": listed}
    await order(w, "SendLocalList", sent)
    await order(w, "RemoteStartTransaction", {**connector, "idTag": "LISTED"})
    await order(w, "GetDiagnostics", {"location": "ftp://a.test/", "startTime": moment, "stopTime": moment})
    wanted = {"remoteLocation": "ftp://a.test/", "oldestTimestamp": moment, "latestTimestamp": moment}
    for kind in ("DiagnosticsLog", "SecurityLog"):
        await order(w, "GetLog", {"logType": kind, "requestId": number, "log": wanted})
    await order(w, "UpdateFirmware", {"location": "http://a.test/fw-1.0.bin", "retrieveDate": moment})
    await order(w, "TriggerMessage", {"requestedMessage": "MeterValues"})


@pytest.mark.parametrize("more", [(), (SECURITY_PROFILE,)])
@pytest.mark.parametrize("told", ENDS)
async def test_no_moment_at_an_end_of_the_calendar_brings_a_charge_point_down(
    autojump_clock: MockClock, told: str, more: tuple[str, ...]
) -> None:
    """That it raises nothing shows in that the world goes on, and that it floods nobody in the number of calls."""
    async with world(BootNotification=boot("Accepted", 1_000_000, current_time=told)) as w:
        charge_point = await w.online(
            connectors=2,
            profiles=(*STANDARD_PROFILES, *more),
            configuration={
                "ClockAlignedDataInterval": "20",
                "LocalPreAuthorize": "true",
                "StopTxnAlignedData": "Voltage",
            },
        )
        w.arrive(charge_point, plugged_in=10_000.0, energy=100_000.0)
        await trio.sleep(30)
        for number, moment in enumerate(ENDS):
            await everything_that_has_a_time(w, moment, number)
            await trio.sleep(50)
        for moment in (*ENDS, *reversed(ENDS), wall_clock(0.0)):
            await set_clock(w, moment)
            await trio.sleep(50)

        assert w.csms.latest.ended_at is None
        assert statuses_of(w.csms, 1)[:3] == ["Available", "Preparing", "Charging"]
        assert len(w.csms.received) < 200
        before = len(w.csms.calls("MeterValues"))
        await trio.sleep(100)  # the last clock is right
        stamps = [call.payload["meterValue"][0]["timestamp"] for call in w.csms.calls("MeterValues")[before:]]
        assert {wall_clock(60.0), wall_clock(80.0), wall_clock(100.0)} <= set(stamps)


@pytest.mark.parametrize("expires", ENDS[3:])
async def test_a_reservation_until_the_end_of_the_calendar_costs_no_looks_at_a_clock_that_stands_still(
    autojump_clock: MockClock, expires: str
) -> None:
    at_the_end = boot("Accepted", 1_000_000, current_time="9999-12-31T23:59:00-12:00")
    async with world(BootNotification=at_the_end) as w:
        charge_point = await w.online()
        assert format_date_time(charge_point.now()) == "9999-12-31T23:59:59.999Z"
        reservation = {"connectorId": 1, "idTag": "T", "reservationId": 7, "expiryDate": expires}
        answer = await w.csms.latest.order("ReserveNow", reservation)
        await trio.sleep(10_000)

        to_come = datetime.fromisoformat(expires) > charge_point.now()
        assert answer == {"status": "Accepted" if to_come else "Rejected"}
        assert w.lateness() == 0
        assert w.time("lateness").n < 10  # looks
