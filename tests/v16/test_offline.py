"""Without a connection, and with a CSMS that fails: all is said, once and in order (OCPP 1.6, section 3.7)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from loadsim.v16.memory import memory_of
from tests.support import (
    SILENCE,
    Answer,
    Received,
    Script,
    World,
    boot,
    in_virtual_time,
    started,
    tag_info,
    wall_clock,
    world,
)
from tests.v16.sessions import PUNCTUAL, Book, bad_statuses, statuses_of

TRANSACTION_MESSAGES = ("StartTransaction", "MeterValues", "StopTransaction")


async def go_offline(w: World, seconds: float) -> None:
    """Break the connection; for *seconds* none can be made."""
    until = trio.current_time() + seconds
    w.csms.refuse = lambda identity: "refused" if trio.current_time() < until else None
    await w.csms.latest.drop()
    await trio.testing.wait_all_tasks_blocked()


def about_transactions(w: World) -> list[Received]:
    return [call for call in w.csms.calls() if call.action in TRANSACTION_MESSAGES]


def happened_at(call: Received) -> str:
    """Return the time of the event that a message is about."""
    stamped = call.payload if "timestamp" in call.payload else call.payload["meterValue"][0]
    return str(stamped["timestamp"])


async def test_rule_20_start_samples_and_stop_of_an_offline_session_come_in_order_with_their_own_times(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(configuration={"AllowOfflineTxForUnknownId": "true"})
        await trio.sleep(10)
        await go_offline(w, 1000)
        w.arrive(charge_point, plugged_in=150.0, energy=50_000.0)
        await trio.sleep(2000)

        messages = about_transactions(w)
        assert [call.action for call in messages] == [
            "StartTransaction",
            "MeterValues",
            "MeterValues",
            "StopTransaction",
        ]
        assert [happened_at(call) for call in messages] == [wall_clock(at) for at in (10, 70, 130, 160)]
        assert min(call.at for call in messages) > 1000
        assert [call.payload.get("transactionId") for call in messages] == [None, 1, 1, 1]
        assert w.csms.calls("Authorize") == []
        assert book.problems == []
        assert w.time("outbox_wait").n == 4
        assert w.numbers("StopTransaction").response.max < 1  # since it could be sent, not since it happened


async def test_rule_20_a_session_goes_on_without_a_connection(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online()
        w.arrive(charge_point)
        await trio.sleep(100)
        await go_offline(w, 400)
        await trio.sleep(900)

        samples = [happened_at(call) for call in w.csms.calls("MeterValues")]
        assert samples == [wall_clock(60.0 * n) for n in range(1, 10)]
        assert happened_at(w.csms.calls("StopTransaction")[0]) == wall_clock(600)
        assert (book.problems, book.open) == ([], [])
        assert len(w.csms.calls("BootNotification")) == 1


@pytest.mark.parametrize(
    ("known", "configuration", "outcome"),
    [
        (None, {}, "refused_offline"),
        (None, {"AllowOfflineTxForUnknownId": "true"}, "started"),
        ("Accepted", {}, "started"),
        ("Accepted", {"LocalAuthorizeOffline": "false"}, "refused_offline"),
        ("Accepted", {"AuthorizationCacheEnabled": "false"}, "refused_offline"),
        ("Blocked", {"AllowOfflineTxForUnknownId": "true"}, "refused_offline"),
    ],
)
@pytest.mark.parametrize("source", ["cache", "list"])
async def test_rule_17_offline_the_cache_and_the_list_decide(
    autojump_clock: MockClock, known: str | None, configuration: dict[str, str], outcome: str, source: str
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(connectors=2, configuration=configuration)
        if known is not None and source == "list":
            entry = {"idTag": "TAG", "idTagInfo": {"status": known}}
            update = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [entry]}
            assert await w.csms.latest.order("SendLocalList", update) == {"status": "Accepted"}
            if configuration.get("AuthorizationCacheEnabled") == "false":
                outcome = "started"  # which has nothing to do with the list
        elif known is not None:
            w.csms.answers("Authorize", tag_info(known))
            w.arrive(charge_point, plugged_in=50.0)
            await trio.sleep(100)
        before = w.counted(f"sessions.{outcome}")
        await go_offline(w, 500)
        w.arrive(charge_point)
        await trio.sleep(100)

        assert w.counted(f"sessions.{outcome}") - before == 1


async def test_rule_17_whoever_the_csms_does_not_answer_is_judged_as_offline(autojump_clock: MockClock) -> None:
    async with world(Authorize=SILENCE, **PUNCTUAL) as w:
        charge_point = await w.online(connectors=2, call_timeout=10.0)
        w.arrive(charge_point, "UNKNOWN")
        await trio.sleep(100)
        order = {"key": "AllowOfflineTxForUnknownId", "value": "true"}
        assert await w.csms.latest.order("ChangeConfiguration", order) == {"status": "Accepted"}
        w.arrive(charge_point, "UNKNOWN")
        await trio.sleep(100)

        assert (w.counted("sessions.refused_offline"), w.counted("sessions.started")) == (1, 1)


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


async def test_rule_27_transactions_of_a_charge_point_that_is_reset_offline_are_stopped_after_the_boot(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(reboot=fixed(5.0))
        w.arrive(charge_point)
        await trio.sleep(100)
        until = trio.current_time() + 300
        w.csms.refuse = lambda identity: "refused" if trio.current_time() < until else None
        assert await w.csms.latest.order("Reset", {"type": "Hard"}) == {"status": "Accepted"}
        await trio.sleep(1000)

        boots, stops = w.csms.calls("BootNotification"), w.csms.calls("StopTransaction")
        assert len(boots) == 2
        assert [(stop.payload["reason"], happened_at(stop)) for stop in stops] == [("HardReset", wall_clock(100.5))]
        assert 400 < boots[1].at <= stops[0].at
        assert (book.open, book.problems) == ([], [])


async def test_rule_9_what_waited_is_sent_after_the_boot_was_accepted_only(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(reboot=fixed(5.0))
        w.arrive(charge_point)
        await trio.sleep(10)
        w.csms.answers("BootNotification", boot("Pending", 50), book.scripts["BootNotification"])
        assert await w.csms.latest.order("Reset", {"type": "Hard"}) == {"status": "Accepted"}
        await trio.sleep(1000)

        later = [call.action for call in w.csms.calls() if call.connection == 1]
        assert later[:2] == ["BootNotification", "BootNotification"]
        assert "StopTransaction" in later
        assert book.open == []


async def test_rule_20_samples_beyond_what_a_charge_point_can_keep_are_counted_and_the_start_is_kept(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadsim.v16.transactions.MOST_SAMPLES_KEPT", 5)
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(configuration={"AllowOfflineTxForUnknownId": "true"})
        await go_offline(w, 1000)
        w.arrive(charge_point, plugged_in=615.0)
        await trio.sleep(2000)

        sent = [call.action for call in about_transactions(w)]
        assert sent == ["StartTransaction", *["MeterValues"] * 4, "StopTransaction"]
        assert happened_at(w.csms.calls("MeterValues")[-1]) == wall_clock(600)
        assert w.counted("outbox.overflowed") == w.numbers("MeterValues").skipped_offline == 6


@pytest.mark.parametrize("failure", [SILENCE, Answer(error="InternalError")])
async def test_last_words_that_fail_are_said_when_the_charge_point_is_online_again(
    autojump_clock: MockClock, failure: Answer
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        w.csms.answers("StartTransaction", failure, failure, book.start)
        charge_point = await w.online(call_timeout=10.0, configuration={"TransactionMessageRetryInterval": "15"})
        w.arrive(charge_point)
        await trio.sleep(5)
        charge_point.stop()
        await trio.sleep(100)
        assert not charge_point.linked
        w.live(charge_point)
        await trio.sleep(100)

        assert (len(book.entries), book.open, book.problems) == (1, [], [])
        assert w.counted("transactions.stopped") == 1


async def test_the_next_life_of_a_charge_point_begins_at_once_whatever_reboot_was_under_way(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(reboot=fixed(100.0))
        assert await w.csms.latest.order("Reset", {"type": "Hard"}) == {"status": "Accepted"}
        charge_point.stop()
        await trio.sleep(10)
        w.live(charge_point)
        await trio.sleep(1)

        assert charge_point.linked


async def test_a_status_that_was_not_yet_said_when_the_charge_point_went_is_no_news_when_it_comes_back(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MinimumStatusDuration": "60"})
        w.arrive(charge_point)
        await trio.sleep(30)
        charge_point.stop()
        await trio.sleep(10)
        w.live(charge_point)
        await trio.sleep(100)

        assert statuses_of(w.csms, 1) == ["Available", "Available"]


@pytest.mark.parametrize("steady", [0, 5, 20])
async def test_rule_14_a_status_that_does_not_last_minimum_status_duration_is_not_said(
    autojump_clock: MockClock, steady: int
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MinimumStatusDuration": str(steady)})
        await trio.sleep(10)
        w.arrive(charge_point, energy=100.0 / 3.6)
        await trio.sleep(1000)

        said = {call.payload["status"]: call.at for call in w.csms.calls("StatusNotification")[2:]}
        began = {"Preparing": 10, "Charging": 10, "SuspendedEV": 21.335, "Finishing": 610, "Available": 612}
        lasted = {"Preparing": 0, "Charging": 11.335, "SuspendedEV": 588, "Finishing": 2, "Available": 398}
        expected = {status: at + steady for status, at in began.items() if lasted[status] >= steady}
        assert said == pytest.approx(expected, abs=0.001)
        assert list(said) == list(expected)


async def test_a_status_that_changes_while_its_predecessor_is_under_way_is_said_too(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MinimumStatusDuration": "5"})
        await trio.sleep(10)
        w.csms.answers("StatusNotification", Answer(payload={}, delay=10.0), Answer(payload={}))
        w.arrive(charge_point, energy=11_000 * 7 / 3600)
        await trio.sleep(100)

        assert statuses_of(w.csms, 1) == ["Available", "Charging", "SuspendedEV"]


async def test_a_status_that_comes_back_before_another_was_said_is_not_said_again(autojump_clock: MockClock) -> None:
    async with world(Authorize=tag_info("Blocked"), **PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MinimumStatusDuration": "30"})
        await trio.sleep(10)
        w.arrive(charge_point)
        await trio.sleep(100)

        assert len(w.csms.calls("StatusNotification")) == 2


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
