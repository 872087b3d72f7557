"""What the CSMS asks for goes out behind what waits to be sent (OCPP 1.6, sections 3.7, 4.9 and 5.17)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.support import Answer, World, boot, wall_clock, world
from tests.v16.sessions import PUNCTUAL, Book, bad_statuses, statuses_of

SLOW = Answer(payload={}, delay=25.0)
EVERY_TEN = {"MeterValueSampleInterval": "10"}


async def trigger(w: World, kind: str, **more: Any) -> None:
    answer = await w.csms.latest.order("TriggerMessage", {"requestedMessage": kind, **more})
    assert answer == {"status": "Accepted"}


async def test_rule_20_values_that_are_asked_for_do_not_overtake_those_that_wait(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(configuration=EVERY_TEN)
        await trio.sleep(5)
        w.arrive(charge_point, energy=100_000.0)
        await trio.sleep(15)
        w.csms.answers(
            "MeterValues", lambda received: Answer(payload=book.meter_values(received).payload, delay=25.0)
        )
        await trio.sleep(40)
        asked_at = trio.current_time()
        await trigger(w, "MeterValues", connectorId=1)
        w.csms.answers("MeterValues", book.meter_values)
        await trio.sleep(700)

        (entry,) = book.entries.values()
        triggered = [each for each in entry.samples if each["sampledValue"][0]["context"] == "Trigger"]
        assert [each["timestamp"] for each in triggered] == [wall_clock(asked_at)]
        assert book.problems == []


async def test_rule_20_values_asked_for_of_a_transaction_without_an_id_wait_for_it(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        w.csms.answers("StartTransaction", lambda received: Answer(payload=book.start(received).payload, delay=20.0))
        charge_point = await w.online()
        w.arrive(charge_point)
        await trio.sleep(5)
        await trigger(w, "MeterValues")
        await trio.sleep(30)

        (call,) = w.csms.calls("MeterValues")
        assert call.payload["transactionId"] == 1
        assert call.payload["meterValue"][0]["timestamp"] == wall_clock(5.0)


async def test_rule_14_a_status_that_is_asked_for_does_not_overtake_those_that_wait(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        await trio.sleep(5)
        w.csms.answers("StatusNotification", SLOW, Answer(payload={}))
        w.arrive(charge_point)
        await trio.sleep(10)
        await trigger(w, "StatusNotification", connectorId=1)
        await trio.sleep(60)

        assert statuses_of(w.csms, 1) == ["Available", "Preparing", "Charging", "Charging"]
        stamps = [call.payload["timestamp"] for call in w.csms.calls("StatusNotification")]
        assert stamps == sorted(stamps)


async def test_a_status_that_is_about_to_be_said_is_said_once_though_it_is_asked_for(
    autojump_clock: MockClock,
) -> None:
    async with world(StatusNotification=SLOW, **PUNCTUAL) as w:
        await w.online(connectors=2)
        await trio.sleep(5)
        await trigger(w, "StatusNotification")
        await trio.sleep(200)

        said = [call.payload["connectorId"] for call in w.csms.calls("StatusNotification")]
        assert sorted(said) == [0, 0, 1, 2]  # that of 0 was on its way already


async def test_a_status_that_is_asked_for_is_said_before_it_has_lasted_long_enough(autojump_clock: MockClock) -> None:
    """And what comes after is held against what was said: the CSMS does not go on believing it."""
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MinimumStatusDuration": "30", "ConnectionTimeOut": "20"})
        await trio.sleep(5)
        w.arrive(charge_point, no_show=True)
        await trio.sleep(10)
        await trigger(w, "StatusNotification", connectorId=1)
        await trio.sleep(200)

        assert statuses_of(w.csms, 1) == ["Available", "Preparing", "Available"]
        assert bad_statuses(w.csms) == []


@pytest.mark.parametrize("kind", ["StatusNotification", "MeterValues"])
async def test_rule_10_while_pending_what_is_asked_for_is_sent_at_once(autojump_clock: MockClock, kind: str) -> None:
    async with world(BootNotification=boot("Pending", 1000)) as w:
        w.start()
        await trio.sleep(5)
        await trigger(w, kind, connectorId=1)
        await trio.sleep(1)

        assert [(call.action, call.at) for call in w.csms.calls()][1:] == [(kind, 5.0)]
