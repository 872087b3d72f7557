"""What planned faults do to a charge point: its connection, its state, its calls, and what is told of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, cast

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.malformed import KINDS
from loadsim.charge_point.settings import Arrivals, HeartbeatSettings
from loadsim.charge_point.trouble import be_slow, drop, fall_silent, send_malformed, unwatch, watch
from tests.support import SILENCE, Answer, FakeConnection, World, boot, tag_info, tag_pool
from tests.tough import STEADY, ToughCsms, close_in_horror, refuse_with_error, tough_world
from tests.v16.sessions import TRANSACTION_MESSAGES, Book

BEATS = HeartbeatSettings(every=10.0, regardless_of_traffic=True)


def told(w: World, fault: str = "f") -> dict[str, int]:
    """Return what is counted of a fault, without zeros."""
    names = ("hit", "offline", "back", "gone", "messages_lost")
    return {name: w.counted(f"faults.{fault}.{name}") for name in names if w.counted(f"faults.{fault}.{name}")}


def seconds(w: World, fault: str = "f") -> list[float]:
    """Return how long the recoveries took."""
    w.counted("")
    return sorted(each / 100 for each in w._ledger.totals.recoveries[fault].elements())


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_dropped_charge_point_comes_back_by_its_schedule_and_does_not_boot(
    autojump_clock: MockClock, how: Literal["reset", "close"]
) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        await trio.sleep(100)
        assert drop(charge_point, "f", 100.0, how=how)
        await trio.sleep(1)

        assert w.csms.online == 0
        assert w.context.states["backing_off"] == 1
        await trio.sleep(100)
        assert [at for at, _ in w.csms.connects] == [0, 105]
        assert len(w.csms.calls("BootNotification")) == 1
        assert told(w) == {"hit": 1, "offline": 1, "back": 1}
        assert seconds(w) == [5.0]
        assert (w.counted("connections.closed"), w.counted("connections.retried")) == (1, 1)


async def test_one_that_is_away_begins_its_schedule_when_that_is_over(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        await trio.sleep(100)
        drop(charge_point, "f", 100.0, how="reset", away=120.0)
        await trio.sleep(300)

        assert [at for at, _ in w.csms.connects] == [0, 225]
        assert seconds(w) == [125.0]


async def test_a_recovery_ends_with_the_boot_where_one_is_due(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY, boot_on_reconnect=True)
        w.csms.answers("BootNotification", boot("Pending", 20), boot("Accepted", delay=2.5))
        await trio.sleep(100)
        drop(charge_point, "f", 100.0, how="reset")
        await trio.sleep(100)

        assert seconds(w) == [27.5]


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_the_call_that_is_open_when_the_connection_is_dropped_is_lost_and_its_answer_no_stray(
    autojump_clock: MockClock, how: Literal["reset", "close"]
) -> None:
    async with tough_world(Authorize=tag_info(delay=3.0)) as w:
        charge_point = await w.online(
            reconnect=STEADY, authorize=Arrivals(rate=0.5, spacing="even"), tags=tag_pool(good=1)
        )
        await trio.sleep(20)
        drop(charge_point, "f", 20.0, how=how)
        await trio.sleep(4.9)
        numbers, lost = w.numbers("Authorize"), told(w)["messages_lost"]

        assert numbers.connection_lost == 1
        assert lost == numbers.connection_lost + numbers.skipped_offline > 2
        await trio.sleep(20)
        assert told(w)["messages_lost"] == lost
        assert sum(w.counted(f"strays.{kind}") for kind in ("late", "duplicate", "unknown_id")) == 0


@pytest.mark.parametrize(
    "leave", [lambda each: drop(each, "f", 1.0, how="reset"), lambda each: each.reboot(5.0, abrupt=True)]
)
async def test_an_answer_that_is_read_while_the_connection_is_being_ended_is_no_stray(
    autojump_clock: MockClock, leave: Callable[[ChargePoint], object]
) -> None:
    beats = HeartbeatSettings(every=0.5, regardless_of_traffic=True)
    async with tough_world(Heartbeat=SILENCE) as w:
        for passes in range(8):  # of the scheduler, between the drop and the answer
            charge_point = await w.online(passes, reconnect=STEADY, heartbeat=beats)
            connection = w.csms.latest
            await trio.sleep(1)
            leave(charge_point)
            for _ in range(passes):
                await trio.lowlevel.checkpoint()
            await connection.send(
                f'[3,"{next(iter(connection.unanswered))}",{{"currentTime":"2026-11-22T09:15:00Z"}}]'
            )
            await trio.sleep(1)

        assert w.numbers("Heartbeat").connection_lost >= 7
        assert w.counted("strays.late") == 0


async def test_what_a_dropped_charge_point_has_to_say_of_its_transactions_waits_and_is_not_lost(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with tough_world(**book.scripts) as w:
        charge_point = await w.online(reconnect=STEADY)
        w.arrive(charge_point, plugged_in=500.0)
        await trio.sleep(100)
        drop(charge_point, "f", 100.0, how="reset", away=200.0)
        await trio.sleep(1000)

        sent = [call.action for call in w.csms.calls() if call.action in TRANSACTION_MESSAGES]
        assert sent == ["StartTransaction", *["MeterValues"] * 8, "StopTransaction"]
        assert (book.open, book.problems) == ([], [])
        assert "messages_lost" not in told(w)
        assert w.time("outbox_wait").n == 4  # those of 120, 180, 240 and 300 s


async def test_a_charge_point_without_a_connection_is_not_hit(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        await trio.sleep(10)
        drop(charge_point, "first", 10.0, how="reset", away=60.0)

        assert not drop(charge_point, "f", 10.0, how="reset")
        await trio.sleep(30)
        assert not drop(charge_point, "f", 40.0, how="close")
        assert not fall_silent(charge_point, "f", 40.0, until=50.0)
        assert not be_slow(charge_point, "f", 40.0, until=50.0, latency=(1.0, 1.0))
        assert not send_malformed(charge_point, "f", kind="empty", uniform=0.0)
        assert watch(charge_point, "f", 40.0) is None
        assert told(w) == {}


async def test_a_reboot_does_not_end_the_time_that_a_charge_point_is_cut_off(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        await trio.sleep(10)
        drop(charge_point, "f", 10.0, how="reset", away=300.0)
        await trio.sleep(10)
        charge_point.reboot(5.0, abrupt=True)
        await trio.sleep(400)

        assert [at for at, _ in w.csms.connects] == [0, 315]
        assert told(w) == {"hit": 1, "offline": 1, "back": 1}


async def test_a_charge_point_that_the_plan_takes_offline_is_gone_and_the_next_life_is_no_recovery(
    autojump_clock: MockClock,
) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        drop(charge_point, "f", 0.0, how="reset", away=300.0)
        await trio.sleep(10)
        charge_point.stop()
        await trio.sleep(10)
        w.live(charge_point)
        await trio.sleep(1)

        assert charge_point.linked
        assert told(w) == {"hit": 1, "offline": 1, "gone": 1}


async def test_one_that_is_still_away_at_the_end_of_the_run_is_neither_back_nor_gone(
    autojump_clock: MockClock,
) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        drop(charge_point, "f", 0.0, how="reset", away=300.0)
        await trio.sleep(10)
        await w.end()

        assert told(w) == {"hit": 1, "offline": 1}


async def test_a_silent_charge_point_says_nothing_reads_nothing_and_goes_on(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_point = await w.online(heartbeat=BEATS, call_timeout=25.0)
        await trio.sleep(50)
        before = len(w.csms.received)
        assert fall_silent(charge_point, "f", 50.0, until=150.0)
        await trio.sleep(99)

        assert len(w.csms.received) == before
        assert w.numbers("Heartbeat").timeout == 3
        assert w.csms.online == 1
        assert told(w) == {"hit": 1, "offline": 1}
        await trio.sleep(50)
        assert len(w.csms.received) > before
        assert told(w) == {"hit": 1, "offline": 1, "back": 1}
        assert seconds(w) == [100.0]
        assert len(w.csms.connections) == 1


async def test_that_the_csms_has_closed_a_silent_connection_is_noticed_when_the_silence_is_over(
    autojump_clock: MockClock,
) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        await trio.sleep(50)
        fall_silent(charge_point, "f", 50.0, until=150.0)
        await trio.sleep(20)
        await w.csms.latest.drop(1001)
        await trio.sleep(79)
        assert charge_point.linked

        await trio.sleep(30)
        assert [at for at, _ in w.csms.connects] == [0, 155]
        assert told(w) == {"hit": 1, "offline": 1, "back": 1, "messages_lost": 1}  # a beat that was open
        assert w.numbers().connection_lost == 1
        assert seconds(w) == [105.0]
        assert w.counted("connections.lost.1001") == 1


async def test_of_two_silences_at_a_time_the_longer_counts_for_both(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_point = await w.online()
        fall_silent(charge_point, "f", 0.0, until=100.0)
        await trio.sleep(50)
        fall_silent(charge_point, "g", 50.0, until=80.0)
        await trio.sleep(10)
        fall_silent(charge_point, "h", 60.0, until=200.0)
        await trio.sleep(200)

        assert [seconds(w, fault) for fault in "fgh"] == [[200.0], [150.0], [140.0]]


async def test_a_silence_ends_with_its_connection(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        await trio.sleep(20)
        fall_silent(charge_point, "f", 20.0, until=1000.0)
        await trio.sleep(10)
        assert drop(charge_point, "g", 30.0, how="close")
        await trio.sleep(10)

        assert (seconds(w, "f"), seconds(w, "g")) == ([15.0], [5.0])
        await trio.sleep(10)
        fall_silent(charge_point, "h", 50.0, until=60.0)
        await trio.sleep(1500)
        assert seconds(w, "h") == [10.0]
        assert told(w, "f") == {"hit": 1, "offline": 1, "back": 1}


@pytest.mark.parametrize("abrupt", [True, False])
async def test_a_reboot_of_a_silent_charge_point_waits_for_nothing(autojump_clock: MockClock, abrupt: bool) -> None:
    async with tough_world(Heartbeat=SILENCE) as w:
        charge_point = await w.online(heartbeat=BEATS, reconnect=STEADY)
        await trio.sleep(15)
        fall_silent(charge_point, "f", 15.0, until=1000.0)
        await trio.sleep(10)
        charge_point.reboot(7.0, abrupt=abrupt)
        await trio.sleep(7.5)

        assert [at for at, _ in w.csms.connects] == [0, 32]
        assert seconds(w) == [17.0]


async def test_a_silent_charge_point_that_the_plan_stops_hangs_up_at_once_and_is_gone(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with tough_world(**book.scripts) as w:
        charge_point = await w.online(ping=10.0, heartbeat=BEATS)
        w.arrive(charge_point, plugged_in=500.0)
        await trio.sleep(50)
        fall_silent(charge_point, "f", 50.0, until=1000.0)
        await trio.sleep(15)
        charge_point.stop()
        await trio.sleep(0.01)

        assert w.csms.online == 0
        assert told(w)["gone"] == 1
        assert w.context.states["online"] == 0


async def test_latency_delays_both_ways_and_the_connection_holds(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_point = await w.online(heartbeat=BEATS)
        await trio.sleep(25)
        be_slow(charge_point, "f", 25.0, until=65.0, latency=(0.5, 0.5))
        await trio.sleep(38)
        slow = w.numbers("Heartbeat").service
        await trio.sleep(10)
        over = w.numbers("Heartbeat").service
        await trio.sleep(100)

        assert slow.max == pytest.approx(1.0, rel=0.01)
        assert slow.total == pytest.approx(round(slow.total), abs=0.01)
        assert slow.total > 2.9
        assert w.numbers("Heartbeat").service.total == pytest.approx(over.total, abs=0.01)
        assert told(w) == {"hit": 1}


async def test_latency_is_drawn_from_the_charge_points_own_stream(autojump_clock: MockClock) -> None:
    async def services(n: int, stream: str) -> float:
        async with tough_world() as w:
            charge_point = await w.online(n, heartbeat=BEATS)
            be_slow(charge_point, "f", 0.0, until=500.0, latency=(0.2, 2.0), stream=stream)
            await trio.sleep(400)
            return w.numbers("Heartbeat").service.total

    one = await services(1, "fault f 0")
    assert one == pytest.approx(await services(1, "fault f 0"))
    assert (
        len({round(each, 6) for each in (one, await services(2, "fault f 0"), await services(1, "fault f 1"))}) == 3
    )


async def test_a_slow_charge_point_is_slow_on_its_next_connection_too_until_it_is_over(
    autojump_clock: MockClock,
) -> None:
    async with tough_world() as w:
        charge_point = await w.online(heartbeat=BEATS, reconnect=STEADY)
        await trio.sleep(20)
        be_slow(charge_point, "f", 20.0, until=100.0, latency=(2.0, 2.0))
        await trio.sleep(25)
        await w.csms.latest.drop(1006)
        await trio.sleep(54)

        statuses = w.numbers("StatusNotification")
        assert statuses.service.max == pytest.approx(4.0, rel=0.01)
        assert "back" not in told(w)
        await trio.sleep(5)
        assert told(w)["back"] == told(w)["offline"] == 1  # known when it can break by it no more
        assert seconds(w) == [32.0]  # 2 s on its way the end of the connection was noticed, 5 s later it came back
        assert charge_point.slowness is None


async def test_of_two_slownesses_the_newer_counts_and_the_older_goes_on(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_point = await w.online()
        be_slow(charge_point, "f", 0.0, until=100.0, latency=(1.0, 1.0))
        await trio.sleep(10)
        be_slow(charge_point, "g", 10.0, until=20.0, latency=(0.1, 0.1))
        first = charge_point.slowness
        await trio.sleep(20)
        second = charge_point.slowness
        await trio.sleep(80)

        assert first is not None
        assert second is not None
        assert (first.latency(), second.latency()) == (0.1, 1.0)
        assert charge_point.slowness is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answering", [False, True])
async def test_a_csms_that_goes_on_answering_has_survived_what_is_malformed(
    autojump_clock: MockClock, kind: str, answering: bool
) -> None:
    async with tough_world() as w:
        csms = cast("ToughCsms", w.csms)
        csms.suffer = refuse_with_error if answering else None
        charge_point = await w.online(heartbeat=BEATS)
        await trio.sleep(15)
        for n in range(4):
            assert send_malformed(charge_point, "f", kind=kind, uniform=n / 4)
            await trio.sleep(10)

        assert (w.counted(f"faults.f.sent.{kind}"), w.counted(f"faults.f.survived.{kind}")) == (4, 4)
        assert told(w) == {"hit": 4}
        beats = sum(call.action == "Heartbeat" for call in csms.received)
        extra = kind in ("fragmented", "duplicate_id")
        assert beats == w.numbers("Heartbeat").sent + 4 * extra
        assert len(csms.malformed) == (0 if extra else 4)
        assert w.counted("messages.sent") == len(csms.texts) + len(csms.malformed)
        assert not any(w.counted(f"strays.{each}") for each in ("late", "duplicate", "unknown_id", "malformed"))
        assert w.csms.online == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("fragmented", "duplicate_id")])
async def test_a_connection_that_what_is_malformed_has_closed_is_told_by_kind_and_recovers(
    autojump_clock: MockClock, kind: str
) -> None:
    async with tough_world() as w:
        csms = cast("ToughCsms", w.csms)
        csms.suffer = close_in_horror
        charge_point = await w.online(reconnect=STEADY)
        await trio.sleep(15)
        send_malformed(charge_point, "f", kind=kind, uniform=0.0)
        await trio.sleep(100)

        assert (w.counted(f"faults.f.sent.{kind}"), w.counted(f"faults.f.closed.{kind}")) == (1, 1)
        assert told(w) == {"hit": 1, "offline": 1, "back": 1}
        assert seconds(w) == [5.0]
        assert w.counted("connections.lost.1002") == 1


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009, 1011])
async def test_a_transaction_message_that_what_is_malformed_took_along_is_sent_again_at_once(
    autojump_clock: MockClock, code: int
) -> None:
    book = Book()

    async def close(connection: FakeConnection) -> None:
        await trio.sleep(5.0)
        await connection.drop(code)

    async def suffer(connection: FakeConnection, text: str | bytes) -> None:
        connection.csms.nursery.start_soon(close, connection)

    async with tough_world(**book.scripts) as w:
        csms = cast("ToughCsms", w.csms)
        charge_point = await w.online(reconnect=STEADY, configuration={"TransactionMessageAttempts": "1"})
        w.arrive(charge_point, plugged_in=100.0)
        w.csms.answers("StopTransaction", SILENCE, book.scripts["StopTransaction"])
        csms.suffer = suffer
        await trio.sleep_until(99.5)
        send_malformed(charge_point, "f", kind="huge", uniform=0.0)
        await trio.sleep(200)

        first, second = w.csms.times("StopTransaction")
        assert second - first == pytest.approx(9.5)  # closed after 4.5 s, connected again 5 s later
        assert book.problems == []
        assert w.counted("transactions.lost") == w.counted("outbox.given_up.StopTransaction") == 0
        assert w.counted("faults.f.closed.huge") == 1


async def test_what_is_malformed_waits_for_the_open_call_and_the_next_call_for_it(autojump_clock: MockClock) -> None:
    async with tough_world(Heartbeat=Answer(payload={"currentTime": "2026-11-22T09:15:00Z"}, delay=4.0)) as w:
        charge_point = await w.online(heartbeat=BEATS)
        await trio.sleep(40)
        await trio.sleep_until(w.csms.calls("Heartbeat")[-1].at + 11.0)
        sent = w.csms.calls("Heartbeat")[-1].at
        send_malformed(charge_point, "f", kind="empty", uniform=0.0)
        assert told(w) == {}
        await trio.sleep(10)

        assert [at for at, _, _ in cast("ToughCsms", w.csms).malformed] == pytest.approx([sent + 4.0])
        assert told(w) == {"hit": 1}


async def test_a_recovery_from_what_is_malformed_begins_when_that_goes_out(autojump_clock: MockClock) -> None:
    async with tough_world(Heartbeat=Answer(payload={"currentTime": "2026-11-22T09:15:00Z"}, delay=4.0)) as w:
        cast("ToughCsms", w.csms).suffer = close_in_horror
        charge_point = await w.online(reconnect=STEADY, heartbeat=BEATS)
        while not w.csms.calls("Heartbeat"):  # noqa: ASYNC110 - in virtual time
            await trio.sleep(1.0)
        begun = trio.current_time()
        send_malformed(charge_point, "f", kind="empty", uniform=0.0)
        await trio.sleep(20)

        assert cast("ToughCsms", w.csms).malformed[0][0] > begun + 2.0
        assert seconds(w) == [5.0]


async def test_a_connection_that_is_given_up_because_the_message_cannot_be_sent_was_not_closed_by_the_csms(
    autojump_clock: MockClock,
) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY, call_timeout=20.0)
        w.csms.latest.client.blocked = True
        send_malformed(charge_point, "f", kind="huge", uniform=0.0)
        await trio.sleep(19.0)
        assert w.csms.online == 1
        await trio.sleep(20.0)

        assert w.csms.online == 1
        assert len(w.csms.connections) == 2
        assert (w.counted("faults.f.sent.huge"), w.counted("faults.f.closed.huge")) == (1, 0)
        assert told(w) == {"hit": 1, "offline": 1, "back": 1}
        assert seconds(w) == [25.0]


async def test_of_large_messages_a_few_go_out_at_a_time_and_hold_up_nothing_else(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_points = [
            await w.online(
                n, call_timeout=20.0, reconnect=STEADY, heartbeat=BEATS if n >= 16 else HeartbeatSettings()
            )
            for n in range(40)
        ]
        for connection in w.csms.connections[:16]:
            connection.client.blocked = True
        for each in charge_points[:16]:
            send_malformed(each, "f", kind="huge", uniform=0.0)
        await trio.sleep(1)
        for each in charge_points[16:]:
            send_malformed(each, "f", kind="huge", uniform=0.0)
        await trio.sleep(18)

        assert w.counted("faults.f.hit") == 16
        assert 24 <= w.numbers("Heartbeat").answered <= 48  # one or two of each, at moments of their own
        await trio.sleep(12)
        assert w.counted("faults.f.hit") == 40
        assert 72 <= w.numbers("Heartbeat").answered <= 96
        assert w.numbers("Heartbeat").response.max == 0.0


async def test_a_connection_that_another_fault_ends_says_nothing_of_what_was_malformed(
    autojump_clock: MockClock,
) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        send_malformed(charge_point, "f", kind="empty", uniform=0.0)
        await trio.sleep(1)
        drop(charge_point, "g", 1.0, how="reset")
        await trio.sleep(50)

        assert w.counted("faults.f.sent.empty") == 1
        assert w.counted("faults.f.closed.empty") == w.counted("faults.f.survived.empty") == 0
        assert told(w) == {"hit": 1}
        assert told(w, "g") == {"hit": 1, "offline": 1, "back": 1}


async def test_a_fault_of_the_csms_has_its_doing_until_it_is_over(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        first, second = await w.online(0, reconnect=STEADY), await w.online(1, reconnect=STEADY)
        hits = [(each, watch(each, "f", 0.0)) for each in (first, second)]
        await trio.sleep(3)
        await w.csms.connections[0].drop()
        await trio.sleep(10)
        await w.csms.latest.drop()  # again, before it is over
        await trio.sleep(20)
        for each, hit in hits:
            assert hit is not None
            unwatch(each, hit)
        await w.csms.connections[1].drop()
        await trio.sleep(100)

        assert told(w) == {"hit": 2, "offline": 1, "back": 1}
        assert seconds(w) == [18.0]  # dropped for the second time at 13 s


@pytest.mark.parametrize("code", [1006, 1001, 1002, 1009])
async def test_of_a_fault_of_the_csms_and_a_malformed_message_the_close_code_tells_which_ended_the_connection(
    autojump_clock: MockClock, code: int
) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        send_malformed(charge_point, "f", kind="empty", uniform=0.0)
        await trio.sleep(5)
        watch(charge_point, "csms", 5.0)
        await w.csms.latest.drop(code)
        await trio.sleep(50)
        await w.end()

        refused = code in (1002, 1009)
        hit, away = {"hit": 1}, {"hit": 1, "offline": 1, "back": 1}
        assert (told(w), told(w, "csms")) == ((away, hit) if refused else (hit, away))
        assert w.counted("faults.f.closed.empty") == refused


async def test_a_charge_point_that_two_faults_have_offline_is_back_for_both(autojump_clock: MockClock) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY)
        watch(charge_point, "csms", 0.0)
        await trio.sleep(10)
        drop(charge_point, "f", 10.0, how="reset")
        await trio.sleep(10)
        await w.csms.latest.drop()
        await trio.sleep(10)
        await w.end()

        assert told(w) == {"hit": 1, "offline": 1, "back": 1}
        assert told(w, "csms") == {"hit": 1, "offline": 1, "back": 1}
        assert (seconds(w), seconds(w, "csms")) == ([5.0], [25.0])


async def test_pings_of_a_silent_charge_point_and_the_end_of_the_run_hold_nothing_up(
    autojump_clock: MockClock,
) -> None:
    async with tough_world() as w:
        charge_point = await w.online(ping=5.0, heartbeat=BEATS)
        await trio.sleep(20)
        fall_silent(charge_point, "f", 20.0, until=math.inf)
        await trio.sleep(50)
        began = trio.current_time()
        await w.end()

        assert trio.current_time() == began
        assert told(w) == {"hit": 1, "offline": 1}


async def test_a_reset_by_the_csms_and_a_drop_at_a_time_end_in_one_charge_point_that_is_online(
    autojump_clock: MockClock,
) -> None:
    async with tough_world() as w:
        charge_point = await w.online(reconnect=STEADY, reboot=fixed(8.0))
        await trio.sleep(10)
        drop(charge_point, "f", 10.0, how="reset", away=60.0)
        charge_point.reboot(8.0)
        assert not charge_point.reachable
        await trio.sleep(100)

        assert charge_point.is_online
        assert told(w) == {"hit": 1, "offline": 1, "back": 1}
        assert {name: count for name, count in w.context.states.items() if count} == {"online": 1}


def test_no_charge_point_pays_for_troubles_that_it_does_not_have() -> None:
    async def main() -> Any:
        async with tough_world() as w:
            charge_point = await w.online()
            await trio.sleep(100)
            return charge_point.trouble

    assert trio.run(main, clock=MockClock(autojump_threshold=0)) is None
