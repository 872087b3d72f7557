"""Clock-aligned data by a clock that the CSMS sets (OCPP 1.6, sections 4.6 and 4.7): none doubled, none skipped."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.settings import HeartbeatSettings
from loadsim.v16.meter_values import next_multiple
from tests.support import Answer, Received, World, boot, in_virtual_time, wall_clock, world
from tests.v16.sessions import PUNCTUAL

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)


def samples(w: World) -> list[str]:
    return [call.payload["meterValue"][0]["timestamp"] for call in w.csms.calls("MeterValues")]


def seconds_of(timestamp: str) -> float:
    """Return the seconds since midnight of the test's day."""
    return (datetime.fromisoformat(timestamp) - MIDNIGHT).total_seconds()


async def set_clock(w: World, at: float) -> None:
    """Have the charge point take the CSMS's clock, which shows what a right one does at *at*."""
    w.csms.answers("Heartbeat", Answer(payload={"currentTime": wall_clock(at)}))
    await w.csms.latest.order("TriggerMessage", {"requestedMessage": "Heartbeat"})
    await trio.testing.wait_all_tasks_blocked()


async def online(w: World, interval: int) -> ChargePoint:
    return await w.online(configuration={"ClockAlignedDataInterval": str(interval)})


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([1, 7, 10, 60, 100]),
    st.lists(st.tuples(st.floats(0.01, 15.0), st.floats(-1.0, 1.0)), min_size=1, max_size=40),
)
@example(10, [(3.37, 0.0)] * 30)
@example(10, [(10.01, 0.9), (0.4, -0.9)] * 5)
def test_rule_24_a_clock_of_whole_seconds_that_jitters_neither_doubles_nor_skips_a_multiple(
    interval: int, beats: list[tuple[float, float]]
) -> None:
    jitters = interval >= 7  # what is up to 3 s wrong does not show each second

    def told(received: Received) -> str:
        jitter = next(errors) if jitters else 0.0
        return wall_clock(math.floor(received.at + jitter))

    errors = iter([0.0, *(jitter for _, jitter in beats)])
    scripts = {
        "BootNotification": lambda received: boot("Accepted", 1_000_000, current_time=told(received)),
        "Heartbeat": lambda received: Answer(payload={"currentTime": told(received)}),
    }

    async def run() -> None:
        async with world(**scripts) as w:
            charge_point = await online(w, interval)
            begun = seconds_of(charge_point.now().isoformat())
            for gap, _ in beats:
                await trio.sleep(gap)
                await w.csms.latest.order("TriggerMessage", {"requestedMessage": "Heartbeat"})
                await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(2 * interval + 0.5)

            stamps = [seconds_of(stamp) for stamp in samples(w)]
            ended = max(seconds_of(charge_point.now().isoformat()), *stamps)
            assert [stamp // interval for stamp in stamps] == list(
                range(int(begun // interval) + 1, int(ended // interval) + 1)
            )
            assert max(stamp % interval for stamp in stamps) < (3 if jitters else 1)

    in_virtual_time(run)


async def test_rule_24_beats_of_a_clock_without_fractions_cost_no_sample(autojump_clock: MockClock) -> None:
    scripts = {
        "BootNotification": lambda received: boot("Accepted", 7, current_time=wall_clock(int(received.at))),
        "Heartbeat": lambda received: Answer(payload={"currentTime": wall_clock(int(received.at))}),
    }
    async with world(**scripts) as w:
        await w.online(
            configuration={"ClockAlignedDataInterval": "10"},
            heartbeat=HeartbeatSettings(every=3.37, regardless_of_traffic=True),
        )
        await trio.sleep(100)

        assert len(w.csms.calls("Heartbeat")) > 25
        assert [stamp[:19] for stamp in samples(w)] == [wall_clock(10 * n)[:19] for n in range(1, 10)]


async def test_a_clock_that_is_put_forward_over_a_multiple_is_sampled_at_once(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, 60)
        await trio.sleep(58)
        await set_clock(w, 60.7)
        await trio.sleep(10)

        assert samples(w) == [wall_clock(60.7)]
        assert w.csms.times("MeterValues") == [58.0]
        assert w.numbers("MeterValues").response.max == 0


@pytest.mark.parametrize("hours", [3, 24, 24 * 400])
async def test_a_clock_that_is_set_far_forward_makes_up_for_no_multiple_and_goes_on(
    autojump_clock: MockClock, hours: int
) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, 60)
        await trio.sleep(90)
        await set_clock(w, 90 + 3600 * hours)
        await trio.sleep(200)

        assert samples(w) == [wall_clock(60), *(wall_clock(3600 * hours + 60 * n) for n in (2, 3, 4))]
        assert w.csms.times("MeterValues") == [60.0, 120.0, 180.0, 240.0]


@pytest.mark.parametrize("hours", [3, 24, 24 * 400])
async def test_a_clock_that_is_set_far_back_goes_through_its_day_again(autojump_clock: MockClock, hours: int) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, 60)
        await trio.sleep(90)
        await set_clock(w, 90 - 3600 * hours)
        await trio.sleep(200)

        assert samples(w) == [wall_clock(60), *(wall_clock(-3600 * hours + 60 * n) for n in (2, 3, 4))]


async def test_a_multiple_that_the_clock_comes_to_twice_is_sampled_once(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, 60)
        await trio.sleep(61)
        await set_clock(w, 40)
        await trio.sleep(100)

        assert samples(w) == [wall_clock(60), wall_clock(120)]


async def test_a_new_interval_has_no_multiples_before_it_was_set(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, 900)
        await trio.sleep(62)
        change = {"key": "ClockAlignedDataInterval", "value": "60"}
        assert await w.csms.latest.order("ChangeConfiguration", change) == {"status": "Accepted"}
        await trio.sleep(70)

        assert samples(w) == [wall_clock(120)]


async def test_a_new_interval_begins_at_the_time_that_it_is(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, 900)
        await trio.sleep(910)
        await set_clock(w, 899)
        change = {"key": "ClockAlignedDataInterval", "value": "300"}
        assert await w.csms.latest.order("ChangeConfiguration", change) == {"status": "Accepted"}
        await trio.sleep(310)

        assert samples(w) == [wall_clock(900), wall_clock(1200)]


async def test_a_clock_at_its_end_has_no_more_multiples_until_it_is_set_right(autojump_clock: MockClock) -> None:
    end = boot("Accepted", 1_000_000, current_time="9999-12-31T23:59:30Z")
    async with world(**{**PUNCTUAL, "BootNotification": end}) as w:
        await online(w, 20)
        await trio.sleep(1000)
        assert samples(w) == ["9999-12-31T23:59:40.000Z"]
        await set_clock(w, 0)
        await trio.sleep(50)

        assert samples(w)[1:] == [wall_clock(20), wall_clock(40)]


@given(
    st.datetimes(timezones=st.just(UTC)) | st.sampled_from([datetime.min.replace(tzinfo=UTC), END]),
    st.integers(1, 86_400),
)
def test_the_next_multiple_is_the_first_after_a_moment_and_each_day_begins_with_one(
    moment: datetime, seconds: int
) -> None:
    interval = timedelta(seconds=seconds)
    found = next_multiple(moment, interval)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)

    before = (moment - midnight) // interval * interval
    if before + interval < timedelta(days=1):
        assert found == midnight + before + interval
    else:
        assert found == (None if moment.date() == END.date() else midnight + timedelta(days=1))


async def test_an_interval_set_during_the_last_words_holds_in_the_next_life(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point)
        await trio.sleep(10)
        w.csms.answers("StopTransaction", Answer(payload={}, delay=5.0))
        charge_point.stop()
        await trio.sleep(1)
        change = {"key": "ClockAlignedDataInterval", "value": "10"}
        assert await w.csms.latest.order("ChangeConfiguration", change) == {"status": "Accepted"}
        await trio.sleep(60)
        w.live(charge_point)
        await trio.sleep(100)

        assert len(samples(w)) >= 9
