"""Charging without a connection: nothing is lost, and all is said in its order (OCPP 1.6, sections 3.5 and 3.7)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from tests.support import SILENCE, Answer, Received, World, boot, tag_info, wall_clock, world
from tests.v16.sessions import PUNCTUAL, TRANSACTION_MESSAGES, Book, go_offline, happened_at


def about_transactions(w: World) -> list[Received]:
    return [call for call in w.csms.calls() if call.action in TRANSACTION_MESSAGES]


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


async def test_rule_20_samples_have_their_bound_when_the_oldest_message_is_one_too(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadsim.v16.transactions.MOST_SAMPLES_KEPT", 5)
    async with world(**Book().scripts) as w:
        charge_point = await w.online()
        w.arrive(charge_point, plugged_in=615.0)
        await trio.sleep(5)
        await go_offline(w, 600)
        await trio.sleep(2000)

        kept = [happened_at(call) for call in w.csms.calls("MeterValues")]
        assert kept == [wall_clock(60.0 * number) for number in (1, 7, 8, 9, 10)]
        assert w.counted("outbox.overflowed") == w.numbers("MeterValues").skipped_offline == 5


async def test_values_of_idle_connectors_do_not_pile_up_while_the_csms_is_slow(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadsim.v16.transactions.MOST_SAMPLES_KEPT", 5)
    async with world(**PUNCTUAL, MeterValues=Answer(payload={}, delay=25.0)) as w:
        await w.online(configuration={"ClockAlignedDataInterval": "1"})
        await trio.sleep(100.5)
        sent = len(w.csms.calls("MeterValues"))

        assert sent == 4
        assert w.counted("outbox.overflowed") == w.numbers("MeterValues").skipped_offline == 100 - sent - 4


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
