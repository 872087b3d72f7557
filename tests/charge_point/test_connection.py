"""Connections one after the other: back-off, throttle, and what becomes of them in the books."""

from __future__ import annotations

import math

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.reconnect import wait_before_try
from loadsim.charge_point.settings import Backoff
from loadsim.metrics.recorder import Recorder
from tests.support import SILENCE, FakeConnection, World, boot, fake_csms, increasing, make_context, world

QUICK = Backoff(first=1.0, factor=2.0, max=8.0, jitter=0.0)


def refuse_all(w: World, outcome: str = "http_404") -> None:
    w.csms.refuse = lambda identity: outcome


async def close_at_once(connection: FakeConnection) -> None:
    await connection.drop(1000)


async def close_after_the_boot(connection: FakeConnection) -> None:
    await trio.sleep(0.5)
    await connection.drop(1000)


async def test_rule_41_failed_connects_are_retried_after_growing_waits_up_to_the_maximum(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        refuse_all(w)
        w.start(reconnect=QUICK)
        await trio.sleep(40)

        assert list(increasing([at for at, _ in w.csms.connects])) == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]
        assert w.counted("connections.refused.http_404") == 8


async def test_rule_41_jitter_keeps_a_fleet_from_reconnecting_in_lockstep(autojump_clock: MockClock) -> None:
    async with world() as w:
        refuse_all(w)
        for n in range(100):
            w.start(n, reconnect=Backoff(first=10.0, jitter=0.5))
        await trio.sleep(15.1)

        second = sorted(at for at, _ in w.csms.connects[100:])
        assert len(second) == 100
        assert 5 <= second[0] < 6.5
        assert 13.5 < second[-1] < 15
        assert max(increasing(second)) < 1


@settings(deadline=None)
@given(
    st.floats(0.01, 1e4),
    st.floats(1, 100),
    st.floats(0.01, 1e6),
    st.floats(0, 1),
    st.integers(1, 10**6),
    st.floats(0, 1),
)
def test_rule_41_a_wait_is_within_its_jitter_and_never_shrinks_with_the_failures(
    first: float, factor: float, longest: float, jitter: float, failures: int, uniform: float
) -> None:
    backoff = Backoff(first=first, factor=factor, max=longest, jitter=jitter)
    plain = Backoff(first=first, factor=factor, max=longest, jitter=0.0)

    wait = wait_before_try(backoff, failures, uniform)
    middle = wait_before_try(plain, failures, uniform)

    assert middle <= longest
    assert middle == pytest.approx(min(longest, first * factor ** min(failures - 1, 64)))
    assert middle * (1 - jitter) * 0.999999 <= wait <= middle * (1 + jitter) * 1.000001
    assert wait_before_try(plain, failures + 1, uniform) >= middle
    assert math.isfinite(wait)


async def test_the_back_off_begins_anew_after_a_connection_that_lasted(autojump_clock: MockClock) -> None:
    async with world() as w:
        refuse_all(w)
        w.start(reconnect=QUICK)
        await trio.sleep(20)
        w.csms.refuse = lambda identity: None
        await trio.sleep(20)
        dropped = trio.current_time()
        refuse_all(w)
        await w.csms.latest.drop()
        await trio.sleep(8)

        after = [at for at, _ in w.csms.connects if at > dropped]
        assert list(increasing([dropped, *after])) == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("closing", [close_at_once, close_after_the_boot])
async def test_rule_41_a_csms_that_closes_at_once_sees_growing_waits(
    autojump_clock: MockClock, closing: object
) -> None:
    async with world() as w:
        w.csms.on_connect = closing  # type: ignore[assignment]
        w.start(reconnect=QUICK)
        await trio.sleep(60)

        waits = list(increasing([at for at, _ in w.csms.connects]))[:6]
        held = 0.0 if closing is close_at_once else 0.5
        assert waits == [1 + held, 2 + held, 4 + held, 8 + held, 8 + held, 8 + held]


async def test_a_slow_handshake_or_boot_is_no_connection_that_lasted(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.connect_delay = 20.0
        w.csms.answers("BootNotification", boot("Accepted", delay=20.0))
        w.csms.on_connect = lambda connection: _drop_after(connection, 20.5)
        w.start(reconnect=QUICK)
        await trio.sleep(130)

        assert list(increasing([at for at, _ in w.csms.connects]))[:3] == [41.5, 22.5, 24.5]


async def _drop_after(connection: FakeConnection, seconds: float) -> None:
    await trio.sleep(seconds if connection.number == 0 else 0.5)
    await connection.drop(1000)


async def test_lost_connections_are_counted_by_their_close_code(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.start(reconnect=QUICK)
        for code in (1000, 1001, 1006, 4000):
            await trio.sleep(30)
            await w.csms.latest.drop(code)
        await trio.sleep(30)

        assert [w.counted(f"connections.lost.{code}") for code in (1000, 1001, 1006, 4000)] == [1, 1, 1, 1]
        assert w.counted("connections.opened") == 5


@pytest.mark.parametrize("outcome", ["http_401", "refused", "tls", "subprotocol", "timeout", "EMFILE"])
async def test_failed_connects_are_counted_by_their_outcome(autojump_clock: MockClock, outcome: str) -> None:
    async with world() as w:
        refuse_all(w, outcome)
        w.start(reconnect=QUICK)
        await trio.sleep(2)

        assert w.counted(f"connections.refused.{outcome}") == w.counted("connections.attempted") == 2
        assert w.counted(f"generator.exhausted.{outcome}") == (2 if outcome == "EMFILE" else 0)
        assert w.examples[0].cause == outcome


async def test_stopping_closes_the_connection_and_counts_it_as_closed(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = w.start()
        await trio.sleep(10)
        charge_point.stop()
        await trio.sleep(0.1)

        assert w.csms.online == 0
        assert w.counted("connections.closed") == 1


async def test_stopping_awaits_the_open_call_and_counts_its_answer(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", delay=10.0))
        charge_point = w.start()
        await trio.sleep(5)
        charge_point.stop()
        await trio.sleep(4)
        assert w.csms.online == 1

        await trio.sleep(2)
        assert w.csms.online == 0
        assert w.numbers("BootNotification").accepted == 1


async def test_a_connection_lost_while_a_stop_awaits_the_open_call_is_lost_and_not_closed(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", SILENCE)
        charge_point = w.start()
        await trio.sleep(5)
        charge_point.stop()
        await trio.sleep(5)
        await w.csms.latest.drop(1001)
        await trio.sleep(1)

        assert (w.counted("connections.lost.1001"), w.counted("connections.closed")) == (1, 0)
        assert w.numbers("BootNotification").connection_lost == 1


async def test_a_stop_while_connecting_abandons_the_connect(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.connect_delay = 60.0
        charge_point = w.start()
        await trio.sleep(5)
        charge_point.stop()
        await trio.sleep(5)

        assert w.counted("connections.abandoned") == w.counted("connections.attempted") == 1


async def test_a_stop_while_backing_off_ends_the_wait(autojump_clock: MockClock) -> None:
    async with world() as w:
        refuse_all(w)
        charge_point = w.make()
        w.live(charge_point)
        await trio.sleep(2)
        charge_point.stop()
        await trio.sleep(100)

        assert len(w.csms.connects) == 1
        assert w.context.states == {"booting": 0, "backing_off": 0}


async def test_a_charge_point_lives_again_after_a_stop_without_booting(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = w.start()
        await trio.sleep(10)
        charge_point.stop()
        await trio.sleep(10)
        w.live(charge_point)
        await trio.sleep(10)

        assert w.csms.online == 1
        assert len(w.csms.calls("BootNotification")) == 1


async def test_the_states_count_every_charge_point_once(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Pending", 1000), boot("Accepted"))
        w.csms.refuse = lambda identity: "refused" if identity == "CP2" else None
        for n in range(4):
            w.start(n, reconnect=Backoff(first=100.0, jitter=0.0))
            await trio.sleep(1)
        await w.csms.latest.drop()
        await trio.sleep(1)

        assert {state: count for state, count in w.context.states.items() if count} == {
            "booting": 1,
            "online": 1,
            "backing_off": 2,
        }


async def test_connects_are_paced_by_the_rate_and_bounded_in_flight(autojump_clock: MockClock) -> None:
    async with fake_csms() as csms:
        csms.connect_delay = 1.0
        context = make_context(csms, recorder=Recorder(), rate=10.0, in_flight=4)
        async with trio.open_nursery() as nursery:
            w = World(nursery, csms, context)
            for n in range(20):
                w.start(n)
            await trio.sleep(30)

            begun = [round(at, 3) for at, _ in csms.connects]
            assert begun[:4] == [0.0, 0.1, 0.2, 0.3]
            assert max(sum(at <= other < at + 1 for other in begun) for at in begun) == 4
            assert len(csms.connections) == 20
            await w.end()


async def test_two_charge_points_never_use_the_same_message_id(autojump_clock: MockClock) -> None:
    async with world() as w:
        for n in range(30):
            w.start(n)
        await trio.sleep(1000)

        ids = [call.id for call in w.csms.received]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "raw", ["", "[", "[3]", '[3,"{id}"]', '[4,"{id}"]', "[[[[", "\x00", b"\x00\xff", '{"a":1}', "[8,1,2]"]
)
async def test_an_odd_frame_ends_no_charge_point(autojump_clock: MockClock, raw: str | bytes) -> None:
    async def babble(connection: FakeConnection) -> None:
        for _ in range(20):
            await trio.sleep(7)
            await connection.send(raw)

    async with world() as w:
        w.csms.on_connect = babble
        w.start(0)
        w.start(1, framing="array")
        await trio.sleep(100)

        assert w.csms.online == 2
        assert w.numbers("BootNotification").accepted == 2
        assert w.counted("strays.malformed") > 10
