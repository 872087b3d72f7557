"""Heartbeat (OCPP 1.6, sections 4.6 and 9.1.10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.settings import HeartbeatSettings
from tests.support import SILENCE, Answer, World, boot, fake_csms, make_context, world

FIXED = HeartbeatSettings(every=10.0, regardless_of_traffic=True)


async def beating(w: World, interval: int = 60, **settings: Any) -> float:
    """Start a charge point, and return the time of its first beat, just after it."""
    w.csms.answers("BootNotification", boot("Accepted", interval))
    w.start(**settings)
    while not w.csms.calls("Heartbeat"):  # noqa: ASYNC110 - the test waits for a fake that wakes nobody
        await trio.sleep(0.25)
    return w.csms.calls("Heartbeat")[0].at


async def configure(w: World, value: str) -> str:
    answer = await w.csms.latest.order("ChangeConfiguration", {"key": "HeartbeatInterval", "value": value})
    return str(answer["status"])


async def test_rule_13_a_charge_point_beats_whenever_the_interval_of_the_boot_has_passed(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        first = await beating(w)
        await trio.sleep(200)

        assert 0 < first <= 60
        assert w.csms.times("Heartbeat") == [round(first + 60 * n, 6) for n in range(4)]


async def test_rule_13_the_first_beats_of_a_fleet_are_spread_over_the_interval(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", 100))
        for n in range(200):
            w.start(n)
        await trio.sleep(100)
        await trio.testing.wait_all_tasks_blocked()

        times = w.csms.times("Heartbeat")
        tenths = [sum(10 * k < at <= 10 * k + 10 for at in times) for k in range(10)]
        assert len(times) == 200
        assert min(tenths) >= 8
        assert max(tenths) <= 35


async def test_rule_13_a_fleet_does_not_beat_in_phase_after_a_common_reconnect(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", 100))
        for n in range(50):
            w.start(n)
        await trio.sleep(150)
        w.csms.received.clear()
        for connection in list(w.csms.connections):
            await connection.drop()
        await trio.sleep(105.5)

        times = w.csms.times("Heartbeat")
        assert len(times) >= 50
        assert max(sum(at <= other < at + 5 for other in times) for at in times) < 15


async def test_rule_13_what_is_sent_postpones_the_beat(autojump_clock: MockClock) -> None:
    async with world() as w:
        first = await beating(w)
        await trio.sleep(30)
        await w.csms.latest.order("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1})
        moved = trio.current_time()
        await trio.sleep(100)

        assert w.csms.times("Heartbeat") == [round(first, 6), round(moved + 60, 6)]


async def test_rule_13_what_is_received_postpones_the_beat(autojump_clock: MockClock) -> None:
    async with world() as w:
        first = await beating(w)
        await trio.sleep(30)
        await w.csms.latest.send("[9]")
        moved = trio.current_time()
        await trio.sleep(100)

        assert w.csms.times("Heartbeat") == [round(first, 6), round(moved + 60, 6)]
        assert w.lateness() == 0


async def test_rule_13_a_shorter_interval_takes_effect_at_once(autojump_clock: MockClock) -> None:
    async with world() as w:
        first = await beating(w, 600)
        await trio.sleep(30)
        assert await configure(w, "20") == "Accepted"
        changed = trio.current_time()
        await trio.sleep(50)

        assert w.csms.times("Heartbeat") == [round(at, 6) for at in (first, changed + 20, changed + 40)]


async def test_rule_13_a_longer_interval_takes_effect_at_once(autojump_clock: MockClock) -> None:
    async with world() as w:
        first = await beating(w, 60)
        await trio.sleep(30)
        assert await configure(w, "200") == "Accepted"
        changed = trio.current_time()
        await trio.sleep(250)

        assert w.csms.times("Heartbeat") == [round(at, 6) for at in (first, changed + 200)]
        assert w.numbers("Heartbeat").response.max == 0
        assert w.lateness() == 0


@pytest.mark.parametrize("regardless", [True, False])
async def test_a_longer_interval_before_the_first_beat_is_neither_lateness_nor_response_time(
    autojump_clock: MockClock, regardless: bool
) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", 60))
        await w.online(heartbeat=HeartbeatSettings(regardless_of_traffic=regardless))
        assert await configure(w, "1000") == "Accepted"
        await trio.sleep(900)
        assert w.csms.calls("Heartbeat") == []
        await trio.sleep(150)

        assert len(w.csms.calls("Heartbeat")) == 1
        assert w.numbers("Heartbeat").response.max == 0
        assert w.lateness() == 0


@pytest.mark.parametrize("regardless", [True, False])
async def test_a_shorter_interval_before_the_first_beat_brings_it_forward(
    autojump_clock: MockClock, regardless: bool
) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", 100_000))
        await w.online(heartbeat=HeartbeatSettings(regardless_of_traffic=regardless))
        assert await configure(w, "20") == "Accepted"
        await trio.sleep(20.5)

        assert len(w.csms.calls("Heartbeat")) in (1, 2)
        assert w.numbers("Heartbeat").response.max == 0


@pytest.mark.parametrize("value", ["0", "00", "-1", "1.5", "", "ten", "٣", "9" * 400, "+60", " 60"])
async def test_an_interval_that_is_none_is_rejected(autojump_clock: MockClock, value: str) -> None:
    async with world() as w:
        await w.online()
        assert await configure(w, value) == "Rejected"


async def test_a_fixed_beat_comes_regardless_of_traffic(autojump_clock: MockClock) -> None:
    async with world() as w:
        first = await beating(w, heartbeat=FIXED)
        for _ in range(10):
            await trio.sleep(3)
            await w.csms.latest.order("GetConfiguration", {})

        assert first <= 10
        assert w.csms.times("Heartbeat") == [round(first + 10 * n, 6) for n in range(4)]


async def test_a_fixed_beat_that_waits_for_a_slow_answer_is_due_when_it_was(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("Heartbeat", Answer(payload={"currentTime": "2026-11-22T09:15:00Z"}, delay=25.0), *[FAST] * 2)
        first = await beating(w, heartbeat=FIXED)
        await trio.sleep(26)

        assert w.csms.times("Heartbeat") == [round(at, 6) for at in (first, first + 25, first + 25)]
        assert w.numbers("Heartbeat").response.max == 25.0
        assert round(w.numbers("Heartbeat").response.total, 6) == 25 + 15 + 5


async def test_fixed_beats_behind_an_open_call_at_the_end_are_counted_as_waiting(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("Heartbeat", SILENCE)
        await beating(w, heartbeat=FIXED, call_timeout=100.0)
        await trio.sleep(36)
        w.charge_points[0].give_up()
        w.charge_points[0].stop()
        await trio.testing.wait_all_tasks_blocked()

        beats = w.numbers("Heartbeat")
        assert (beats.planned, beats.sent, beats.open_at_end, beats.waiting_at_end) == (4, 1, 1, 3)


async def test_a_fleets_own_interval_is_kept_whatever_the_csms_says(autojump_clock: MockClock) -> None:
    async with world() as w:
        first = await beating(w, 600, heartbeat=HeartbeatSettings(every=30.0))
        assert await configure(w, "5") == "Rejected"
        changed = trio.current_time()
        await trio.sleep(50)

        assert first <= 30
        assert w.csms.times("Heartbeat") == [round(first, 6), round(changed + 30, 6)]


async def test_a_failed_beat_does_not_stop_the_next_one(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("Heartbeat", Answer(error="InternalError"), Answer(payload={}), FAST)
        first = await beating(w)
        await trio.sleep(121)

        assert w.csms.times("Heartbeat") == [round(first + 60 * n, 6) for n in range(3)]
        beats = w.numbers("Heartbeat")
        assert (beats.callerror, beats.malformed, beats.accepted) == (1, 1, 1)


async def test_rule_13_the_timer_does_not_survive_a_disconnect(autojump_clock: MockClock) -> None:
    async with world() as w:
        await beating(w)
        await w.csms.latest.drop()
        w.csms.refuse = lambda identity: "refused"
        w.csms.received.clear()
        await trio.sleep(300)

        assert w.csms.received == []
        assert w.numbers("Heartbeat").skipped_offline == 0


async def test_rule_13_the_clock_of_the_server_is_adopted(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", 60, current_time="2030-01-01T01:00:00+01:00"))
        w.csms.answers("Heartbeat", Answer(payload={"currentTime": "2031-01-01T00:00:00.5Z"}))
        w.start()
        await trio.sleep(61)
        first = w.csms.calls("Heartbeat")[0].at
        await w.csms.latest.order("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 0})
        waited = trio.current_time() - first
        await trio.sleep(1)

        stamps = [call.payload["timestamp"] for call in w.csms.calls("StatusNotification")]
        assert stamps[0] == "2030-01-01T00:00:00.000Z"
        told = datetime(2031, 1, 1, microsecond=500_000, tzinfo=UTC)
        late = datetime.fromisoformat(stamps[-1]) - told - timedelta(seconds=waited)
        assert abs(late) <= timedelta(milliseconds=1)


FAST = Answer(payload={"currentTime": "2026-11-22T09:15:00Z"})


async def test_a_beat_that_cannot_be_sent_is_not_planned_again_and_again(autojump_clock: MockClock) -> None:
    async with world() as w:
        await beating(w, 5, call_timeout=30.0)
        w.csms.latest.client.blocked = True
        await trio.sleep(40)

        beats = w.numbers("Heartbeat")
        assert (beats.timeout, beats.skipped_offline) == (1, 0)


async def test_beats_behind_schedule_do_not_keep_a_charge_point_from_being_cancelled(
    autojump_clock: MockClock,
) -> None:
    async with fake_csms(Heartbeat=SILENCE) as csms, trio.open_nursery() as nursery:
        charge_point = World(nursery, csms, make_context(csms)).make(heartbeat=FIXED, call_timeout=15.0)
        with trio.move_on_after(100):
            await charge_point.live()
        assert trio.current_time() <= 115
        assert len(csms.calls("Heartbeat")) in (6, 7)
