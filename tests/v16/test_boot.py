"""BootNotification (OCPP 1.6, section 4.2)."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.settings import BootData
from tests.support import SILENCE, Answer, FakeConnection, Received, boot, increasing, world


async def test_rule_9_nothing_but_boots_is_sent_before_one_is_accepted(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", SILENCE, boot("Pending", 20), boot("Rejected", 20), boot("Accepted"))
        w.start(call_timeout=10.0)
        await trio.sleep(200)

        actions = [call.action for call in w.csms.received[:6]]
        assert actions == ["BootNotification"] * 4 + ["StatusNotification"] * 2


async def test_rule_9_boot_data_are_the_fleets_and_what_is_not_given_is_left_out(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.start(boot=BootData(vendor="Acme", model="AC22", serial="S-{id}"))
        await trio.sleep(1)

        assert w.csms.calls("BootNotification")[0].payload == {
            "chargePointVendor": "Acme",
            "chargePointModel": "AC22",
            "chargePointSerialNumber": "S-CP0",
        }


async def test_rule_10_rejected_is_silent_for_the_interval(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Rejected", 60), boot("Accepted"))
        w.start()
        await trio.sleep(10)
        await w.csms.latest.send('[2,"1","GetConfiguration",{}]')
        await w.csms.latest.send('[2,"2","Reset"]')
        await w.csms.latest.send('[2,"3","NoSuchAction",{}]')
        await trio.sleep(49)
        assert len(w.csms.texts) == 1

        await trio.sleep(2)
        assert w.csms.times("BootNotification") == [0.0, 60.0]
        assert w.counted("commands.GetConfiguration.ignored") == 1


async def test_rule_10_rejected_is_silent_for_the_interval_on_the_next_connection_too(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Rejected", 60), boot("Accepted"))
        w.start(boot_on_reconnect=True)
        await trio.sleep(10)
        await w.csms.latest.drop(1000)
        await trio.sleep(10)
        await w.csms.latest.send('[2,"1","GetConfiguration",{}]')
        await trio.sleep(60)

        assert w.csms.times("BootNotification") == [0.0, 60.0]
        assert len(w.csms.connections) == 2


async def test_rule_10_pending_answers_calls_and_boots_again_after_the_interval(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Pending", 60), boot("Accepted"))
        w.start()
        await trio.sleep(10)
        answer = await w.csms.latest.order("GetConfiguration", {"key": ["NumberOfConnectors"]})
        assert answer["configurationKey"][0]["value"] == "1"

        await trio.sleep(100)
        assert w.csms.times("BootNotification") == [0.0, 60.0]
        assert w.numbers("BootNotification").pending == 1


async def test_rule_10_pending_sends_triggered_messages_only(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Pending", 60))
        w.start()
        await trio.sleep(10)
        assert await w.csms.latest.order("TriggerMessage", {"requestedMessage": "Heartbeat"}) == {
            "status": "Accepted"
        }
        trigger = {"requestedMessage": "StatusNotification", "connectorId": 1}
        assert await w.csms.latest.order("TriggerMessage", trigger) == {"status": "Accepted"}
        await trio.sleep(100)

        assert [call.action for call in w.csms.received] == [
            "BootNotification",
            "Heartbeat",
            "StatusNotification",
            "BootNotification",
        ]


async def test_rule_10_pending_refuses_remote_start_and_stop(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Pending", 60))
        w.start()
        await trio.sleep(10)

        start = await w.csms.latest.order("RemoteStartTransaction", {"idTag": "A"})
        stop = await w.csms.latest.order("RemoteStopTransaction", {"transactionId": 1})
        assert (start, stop) == ({"status": "Rejected"}, {"status": "Rejected"})


async def test_rule_10_a_triggered_boot_is_sent_at_once(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Pending", 600), boot("Accepted"))
        w.start()
        await trio.sleep(10)
        answer = await w.csms.latest.order("TriggerMessage", {"requestedMessage": "BootNotification"})
        await trio.sleep(1)

        assert answer == {"status": "Accepted"}
        assert w.csms.times("BootNotification") == [0.0, 10.0]


@pytest.mark.parametrize("interval", [0, -5])
async def test_rule_10_interval_0_does_not_flood(autojump_clock: MockClock, interval: int) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Rejected", interval))
        w.start()
        await trio.sleep(600)

        gaps = list(increasing(w.csms.times("BootNotification")))
        assert gaps == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0]


async def test_an_unanswered_boot_is_sent_again_on_the_schedule_of_reconnects(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", SILENCE)
        w.start(call_timeout=30.0)
        await trio.sleep(200)

        assert w.csms.times("BootNotification") == [0.0, 35.0, 75.0, 125.0, 195.0]
        assert len(w.csms.connections) == 1


async def test_a_boot_answered_with_an_error_is_sent_again_on_the_schedule_of_reconnects(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", Answer(error="InternalError"), Answer(payload={}), boot("Accepted"))
        w.start()
        await trio.sleep(60)

        assert w.csms.times("BootNotification") == [0.0, 5.0, 15.0]
        boots = w.numbers("BootNotification")
        assert (boots.callerror, boots.malformed, boots.accepted) == (1, 1, 1)


async def test_rule_11_a_plain_reconnect_is_no_boot(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.start()
        await trio.sleep(10)
        await w.csms.latest.drop()
        await trio.sleep(10)

        assert len(w.csms.connections) == 2
        assert w.csms.times("BootNotification") == [0.0]


async def test_rule_11_boot_on_reconnect_boots(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.start(boot_on_reconnect=True)
        await trio.sleep(10)
        await w.csms.latest.drop()
        await trio.sleep(10)

        assert w.csms.times("BootNotification") == [0.0, 15.0]
        assert w.counted("boots.accepted") == 1


@pytest.mark.parametrize("interval", [10**400, 2**63, -(10**400)])
@pytest.mark.parametrize("status", ["Accepted", "Pending", "Rejected"])
async def test_an_interval_beyond_all_measure_ends_no_run(
    autojump_clock: MockClock, status: str, interval: int
) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot(status, interval))
        w.start()
        await trio.sleep(1000)

        booted = w.numbers("BootNotification")
        assert booted.answered == booted.sent >= 1


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z"])
async def test_a_time_at_the_end_of_the_calendar_ends_no_run(autojump_clock: MockClock, time: str) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", current_time=time))
        w.start()
        await trio.sleep(10)
        await w.csms.latest.order("TriggerMessage", {"requestedMessage": "StatusNotification"})
        await trio.sleep(10)

        assert len(w.csms.calls("StatusNotification")) == 4


async def test_rule_5_a_call_of_the_csms_is_answered_while_the_boot_is_open(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", delay=20.0))
        w.start()
        await trio.sleep(5)

        with trio.fail_after(1):
            kind, _ = await w.csms.latest.ask("GetConfiguration", {})
        assert kind == 3


async def test_rule_5_calls_that_cross_do_not_wait_for_each_other(autojump_clock: MockClock) -> None:
    async with world() as w:

        async def ask_first(connection: FakeConnection) -> None:
            await connection.ask("GetConfiguration", {})
            w.csms.answers("BootNotification", boot("Accepted"))

        def only_after_the_own_question(received: Received) -> Answer:
            w.csms.nursery.start_soon(ask_first, w.csms.latest)
            return boot("Accepted", delay=1.0)

        w.csms.answers("BootNotification", only_after_the_own_question)
        w.start()
        await trio.sleep(5)

        assert w.numbers("BootNotification").accepted == 1


async def test_rule_2_ids_are_not_used_again_on_the_next_connection(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.start(boot_on_reconnect=True)
        for _ in range(3):
            await trio.sleep(20)
            await w.csms.latest.drop()
        await trio.sleep(20)

        ids = [call.id for call in w.csms.received]
        assert len(w.csms.connections) == 4
        assert len(ids) == len(set(ids))
        assert max(map(len, ids)) <= 36


async def test_rule_1_what_is_sent_are_arrays_with_objects_and_no_nulls(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.start()
        await trio.sleep(700)
        await w.csms.latest.ask("NoSuchAction", {})
        await w.csms.latest.ask("GetConfiguration", {})

        texts = [str(text) for _, _, text in w.csms.texts]
        assert len(texts) > 5
        assert all(isinstance(json.loads(text)[-1], dict) for text in texts)
        assert not any("null" in text for text in texts)


async def test_rule_9_a_call_that_is_read_in_one_go_with_the_boot_s_answer_finds_it_accepted(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", SILENCE)
        charge_points = [w.start(n) for n in range(20)]  # trio lets tasks of one moment run in any order
        await trio.sleep(1)
        for received in w.csms.calls("BootNotification"):
            (link,) = (each.link for each in charge_points if each.identity == received.identity)
            assert link is not None
            answer = {"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z", "interval": 300}
            link._take(json.dumps([3, received.id, answer]))
            link._take(json.dumps([2, "remote", "RemoteStartTransaction", {"idTag": "A"}]))
        await trio.sleep(1)

        answers = [json.loads(text)[2] for text in w.csms.unasked]
        assert answers == [{"status": "Accepted"}] * 20
