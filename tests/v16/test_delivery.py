"""A CSMS that fails to process what is about transactions: its tries, and its fate (OCPP 1.6, section 3.7.1)."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.distribution import fixed
from loadsim.link.link import CallFailed
from loadsim.v16.heartbeat import send_heartbeat
from loadsim.v16.memory import memory_of
from tests.support import SILENCE, Answer, Received, Script, World, in_virtual_time, started, wall_clock, world
from tests.v16.sessions import PUNCTUAL, TRANSACTION_MESSAGES, Book, bad_statuses, go_offline, happened_at


async def test_rule_20_other_messages_may_overtake_what_waits_for_its_next_try(autojump_clock: MockClock) -> None:
    async with world(StartTransaction=Answer(error="InternalError"), **PUNCTUAL) as w:
        charge_point = await w.online()
        await trio.sleep(5)
        w.arrive(charge_point)
        await trio.sleep(30)

        sent = [call.payload.get("status", call.action) for call in w.csms.calls() if call.at >= 5]
        assert sent == ["Authorize", "Preparing", "StartTransaction", "Charging"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(error="InternalError"), 0.0),
        (Answer(payload={"transactionId": "seven"}), 0.0),
        (Answer(raw='[3,"{id}"]'), 0.0),
        (SILENCE, 10.0),
    ],
)
async def test_rule_21_attempts_are_the_interval_times_the_preceding_ones_apart(
    autojump_clock: MockClock, answer: Answer, error: float
) -> None:
    configuration = {"TransactionMessageAttempts": "4", "TransactionMessageRetryInterval": "20"}
    async with world(StartTransaction=answer, **PUNCTUAL) as w:
        charge_point = await w.online(call_timeout=10.0, configuration=configuration)
        w.arrive(charge_point, plugged_in=2000.0)
        await trio.sleep(1000)

        tries = w.csms.times("StartTransaction")
        gaps = [after - before - error for before, after in pairwise(tries)]
        assert gaps == pytest.approx([20.0, 40.0, 60.0])
        assert len({str(call.payload) for call in w.csms.calls("StartTransaction")}) == 1
        assert len({call.id for call in w.csms.calls("StartTransaction")}) == 4
        assert w.counted("outbox.given_up.StartTransaction") == 1


async def test_rule_19_the_stop_of_a_start_that_was_given_up_says_minus_1(autojump_clock: MockClock) -> None:
    configuration = {"TransactionMessageAttempts": "1"}
    async with world(StartTransaction=Answer(error="InternalError"), **PUNCTUAL) as w:
        charge_point = await w.online(configuration=configuration)
        w.arrive(charge_point)
        await trio.sleep(1000)

        assert [call.payload["transactionId"] for call in w.csms.calls("StopTransaction")] == [-1]
        assert {call.payload["transactionId"] for call in w.csms.calls("MeterValues")} == {-1}
        assert (w.counted("transactions.lost"), w.counted("transactions.stopped")) == (1, 0)
        assert w.counted("energy.stopped") == 0


@pytest.mark.parametrize("number", [0, -1, -7, 2**31 - 1])
async def test_rule_19_every_integer_is_a_transaction_id(autojump_clock: MockClock, number: int) -> None:
    async with world(StartTransaction=started(number), **PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point, plugged_in=10_000.0)
        await trio.sleep(100)
        order = {"transactionId": number}
        assert await w.csms.latest.order("RemoteStopTransaction", order) == {"status": "Accepted"}
        await trio.sleep(100)

        assert [call.payload["transactionId"] for call in w.csms.calls("MeterValues")] == [number]
        assert [call.payload["transactionId"] for call in w.csms.calls("StopTransaction")] == [number]
        assert w.counted("transactions.stopped") == 1


async def test_a_stop_that_is_given_up_is_a_lost_transaction(autojump_clock: MockClock) -> None:
    async with world(StopTransaction=Answer(error="InternalError"), **PUNCTUAL) as w:
        charge_point = await w.online(configuration={"TransactionMessageRetryInterval": "1"})
        w.arrive(charge_point)
        await trio.sleep(1000)

        assert len(w.csms.calls("StopTransaction")) == 3
        assert (w.counted("transactions.lost"), w.counted("transactions.stopped")) == (1, 0)
        assert w.counted("energy.delivered") > w.counted("energy.stopped") == 0


async def test_a_connection_that_breaks_uses_up_no_attempt(autojump_clock: MockClock) -> None:
    configuration = {"TransactionMessageAttempts": "1"}
    async with world(StartTransaction=Answer(drop=1001), **PUNCTUAL) as w:
        charge_point = await w.online(configuration=configuration)
        w.csms.answers("StartTransaction", *[Answer(drop=1001)] * 5, started(8))
        w.arrive(charge_point)
        await trio.sleep(1000)

        assert len(w.csms.calls("StartTransaction")) == 6
        assert w.counted("transactions.stopped") == 1
        assert w.numbers("StartTransaction").connection_lost == 5


@pytest.mark.parametrize(("late", "doubled"), [(7, 0), (8, 1)])
async def test_a_late_answer_with_another_id_is_a_doubled_transaction(
    autojump_clock: MockClock, late: int, doubled: int
) -> None:
    configuration = {"TransactionMessageRetryInterval": "5"}
    async with world(**PUNCTUAL) as w:
        w.csms.answers("StartTransaction", started(late, delay=12.0), started(7))
        charge_point = await w.online(call_timeout=10.0, configuration=configuration)
        w.arrive(charge_point)
        await trio.sleep(1000)

        assert [call.payload["transactionId"] for call in w.csms.calls("StopTransaction")] == [7]
        assert w.counted("transactions.doubled") == doubled
        assert w.counted("strays.late") == 1


async def test_a_late_answer_that_comes_after_the_one_that_counts_is_compared_too(autojump_clock: MockClock) -> None:
    configuration = {"TransactionMessageRetryInterval": "5"}
    async with world(**PUNCTUAL) as w:
        w.csms.answers("StartTransaction", started(8, delay=40.0), started(7))
        charge_point = await w.online(call_timeout=10.0, configuration=configuration)
        w.arrive(charge_point)
        await trio.sleep(1000)

        assert w.counted("transactions.doubled") == 1


async def test_every_id_beyond_the_first_of_one_start_is_a_doubled_transaction(autojump_clock: MockClock) -> None:
    configuration = {"TransactionMessageRetryInterval": "5"}
    async with world(**PUNCTUAL) as w:
        w.csms.answers("StartTransaction", started(8, delay=40.0), started(9, delay=40.0), started(7))
        charge_point = await w.online(call_timeout=10.0, configuration=configuration)
        w.arrive(charge_point)
        await trio.sleep(1000)

        assert w.counted("transactions.doubled") == 2
        assert w.counted("strays.late") == 2


@pytest.mark.parametrize(("code", "tries"), [(1009, 3), (1011, 3), (1003, 3), (1001, 20), (1006, 20)])
async def test_rule_21_a_message_for_which_the_csms_hangs_up_is_given_up_and_does_not_block_the_rest(
    autojump_clock: MockClock, code: int, tries: int
) -> None:
    """Close codes that say the message is the reason are failures to process it; others are only lost connections."""
    configuration = {"TransactionMessageAttempts": "3", "TransactionMessageRetryInterval": "1"}
    async with world(**PUNCTUAL) as w:
        left = [19]

        def hang_up(received: Received) -> Answer:
            first = received.payload["transactionId"] == 1
            left[0] -= first
            return Answer(drop=code) if first and left[0] >= 0 else Answer(payload={})

        w.csms.answers("StopTransaction", hang_up)
        charge_point = await w.online(configuration=configuration)
        w.arrive(charge_point, plugged_in=10.0)
        await trio.sleep(3000)
        w.arrive(charge_point, plugged_in=10.0)
        await trio.sleep(3000)

        stops = Counter(call.payload["transactionId"] for call in w.csms.calls("StopTransaction"))
        assert stops[1] == tries
        assert stops[2] == 1
        assert w.counted("transactions.lost") == (code in (1003, 1009, 1011))


async def test_the_wait_for_a_retry_is_no_response_time_of_what_stands_behind_it(autojump_clock: MockClock) -> None:
    configuration = {"TransactionMessageRetryInterval": "50", "MeterValueSampleInterval": "10"}
    async with world(**PUNCTUAL) as w:
        w.csms.answers("StartTransaction", Answer(error="InternalError"), started(7, delay=2.0))
        charge_point = await w.online(configuration=configuration)
        w.arrive(charge_point, plugged_in=100.0)
        await trio.sleep(300)

        samples = w.numbers("MeterValues").response
        assert samples.n == 9
        assert samples.max == pytest.approx(
            2.0, abs=0.1
        )  # behind the Start's second try, which the CSMS answers late
        waits = w.time("outbox_wait")
        assert waits.n == 4  # those at 10, 20, 30 and 40 s
        assert waits.max == pytest.approx(40.0, abs=0.1)


# Whatever the CSMS does.

FAULTS = ("silent", "silent, done", "error", "malformed, done", "drop", "drop, done", "late, done")
faults = st.lists(st.sampled_from([None, None, *FAULTS]), max_size=12)
interruptions = st.lists(st.tuples(st.floats(1, 400), st.sampled_from([0.0, 15.0, 90.0])), max_size=4)


def failing(book: Book, wanted: list[str | None], script: Any) -> Script:
    """Let the next calls fail as *wanted*; "done" means that the CSMS has processed the call nevertheless."""

    def answer(received: Received) -> Answer:
        fault = wanted.pop(0) if wanted else None
        if fault is None:
            return script(received)  # type: ignore[no-any-return]
        what, _, done = fault.partition(", ")
        usual: Answer = script(received) if done == "done" else SILENCE
        return {
            "late": Answer(payload=usual.payload, delay=7.0),
            "silent": SILENCE,
            "error": Answer(error="InternalError"),
            "malformed": Answer(payload={"x": 1}),
            "drop": Answer(drop=1006),
        }[what]

    return answer


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.tuples(faults, faults, faults),
    interruptions,
    st.sampled_from([(40, 0), (40, 3), (40, 20), (2, 5), (1, 5)]),
    st.sampled_from([None, "Hard", "Soft"]),
)
def test_nothing_is_lost_doubled_or_out_of_order_whatever_the_csms_does(
    wanted: tuple[list[str | None], list[str | None], list[str | None]],
    offline: list[tuple[float, float]],
    retries: tuple[int, int],
    reset: str | None,
) -> None:
    book = Book()
    attempts, interval = retries

    async def run() -> None:
        async with world(**book.scripts) as w:
            for action, chosen in zip(TRANSACTION_MESSAGES, wanted, strict=True):
                w.csms.answers(action, failing(book, list(chosen), book.scripts[action]))
            charge_point = await w.online(
                connectors=2,
                call_timeout=5.0,
                reboot=fixed(6.0),
                configuration={
                    "AllowOfflineTxForUnknownId": "true",
                    "TransactionMessageAttempts": str(attempts),
                    "TransactionMessageRetryInterval": str(interval),
                    "MeterValueSampleInterval": "20",
                },
            )
            w.arrive(charge_point, "ONE", plugged_in=100.0)
            w.arrive(charge_point, "TWO", plugged_in=150.0, hurry=0.99)
            for at, seconds in sorted(offline):
                await trio.sleep_until(at)
                if charge_point.linked and w.csms.latest.ended_at is None:
                    await go_offline(w, seconds)
                w.arrive(charge_point, f"LATER {at}", plugged_in=44.0)
            if reset is not None and charge_point.linked and w.csms.latest.ended_at is None:
                with trio.move_on_after(1):
                    await w.csms.latest.ask("Reset", {"type": reset})
            await trio.sleep(50_000)
            assert not memory_of(charge_point).outbox
        assert book.problems == []
        assert book.open == [] or attempts < 40
        assert bad_statuses(w.csms) == []
        counted = w.counters
        begun, lost, stopped = (counted[f"transactions.{name}"] for name in ("begun", "lost", "stopped"))
        assert begun == lost + stopped
        assert lost == 0 or attempts < 40
        assert counted["transactions.doubled"] == 0
        if attempts == 40:
            assert len(book.entries) == begun
            assert counted["energy.delivered"] == counted["energy.stopped"] == book.energy
            samples = sum(len(entry.samples) for entry in book.entries.values())
            assert samples == w.numbers("MeterValues").answered

    in_virtual_time(run)


async def beat(charge_point: ChargePoint, due: float) -> None:
    with suppress(CallFailed):
        await send_heartbeat(charge_point, due)


async def life(
    w: World, charge_point: ChargePoint, *, stopped_at: float, beats_at: float = math.inf, run_ends: bool = False
) -> float:
    """Have a car charge until the charge point is stopped, which beats at *beats_at*; return when it is over."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(charge_point.live)
        await trio.testing.wait_all_tasks_blocked()
        w.arrive(charge_point, plugged_in=10_000.0)
        if beats_at < stopped_at:
            await trio.sleep(beats_at)
            charge_point.spawn(beat, charge_point, beats_at)
        await trio.sleep(stopped_at - w.context.clock.elapsed)
        if run_ends:
            w.context.ended_at = w.context.clock.elapsed
        charge_point.stop()
    return w.context.clock.elapsed


@pytest.mark.parametrize("run_ends", [True, False])
async def test_a_message_that_waits_for_its_next_try_does_not_hold_up_the_end_of_a_charge_point(
    autojump_clock: MockClock, run_ends: bool
) -> None:
    async with world(StartTransaction=Answer(error="InternalError"), **PUNCTUAL) as w:
        charge_point = w.make(configuration={"TransactionMessageRetryInterval": "1000"})

        over = await life(w, charge_point, stopped_at=30.0, run_ends=run_ends)
        assert over == pytest.approx(30.0, abs=0.1)
        assert memory_of(charge_point).sending is None


async def test_a_message_that_waits_for_its_turn_when_a_charge_point_is_stopped_is_sent_in_its_order(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with world(**{**book.scripts, "Heartbeat": SILENCE}) as w:
        charge_point = w.make(call_timeout=8.0, configuration={"MeterValueSampleInterval": "10"})

        # The sample of 20 s is behind the beat of 15 s, which is given up at 23 s.
        over = await life(w, charge_point, stopped_at=22.0, beats_at=15.0)
        assert over == pytest.approx(23.0, abs=0.1)
        sent = [(call.action, happened_at(call)) for call in w.csms.calls() if call.action in TRANSACTION_MESSAGES]
        assert sent == [
            ("StartTransaction", wall_clock(0)),
            ("MeterValues", wall_clock(10)),
            ("MeterValues", wall_clock(20)),
            ("StopTransaction", wall_clock(23)),  # the last word
        ]
        assert (book.problems, book.open) == ([], [])
