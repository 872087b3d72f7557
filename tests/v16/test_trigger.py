"""TriggerMessage for what sessions have to say (OCPP 1.6, section 5.17; errata 3.35)."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock

from tests.support import SILENCE, Answer, World, boot, world
from tests.v16.messages.oracle import validator
from tests.v16.sessions import PUNCTUAL


async def trigger(w: World, message: str, connector_id: int | None = None) -> str:
    connector = {} if connector_id is None else {"connectorId": connector_id}
    answer = await w.csms.latest.order("TriggerMessage", {"requestedMessage": message, **connector})
    await trio.testing.wait_all_tasks_blocked()
    return str(answer["status"])


@pytest.mark.parametrize(("connector_id", "told"), [(None, [1, 2]), (0, [0]), (1, [1]), (2, [2])])
async def test_rule_33_triggered_meter_values_are_those_of_the_connector_or_of_all(
    autojump_clock: MockClock, connector_id: int | None, told: list[int]
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2, configuration={"MeterValueSampleInterval": "0"})
        w.arrive(charge_point, plugged_in=1000.0)
        await trio.sleep(100)
        w.csms.texts.clear()
        assert await trigger(w, "MeterValues", connector_id) == "Accepted"

        assert json.loads(w.csms.texts[0][2])[0] == 3
        calls = w.csms.calls("MeterValues")
        assert [call.payload["connectorId"] for call in calls] == told
        assert [call.payload.get("transactionId") for call in calls] == [
            1 if number == 1 else None for number in told
        ]
        for call in calls:
            validator("MeterValues").validate(call.payload)
            assert call.payload["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"


async def test_rule_33_the_meter_of_the_charge_point_is_the_sum_of_its_connectors(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=3, configuration={"MeterValueSampleInterval": "0"})
        w.arrive(charge_point, plugged_in=1000.0)
        await trio.sleep(100)
        await trigger(w, "MeterValues", 0)
        await trigger(w, "MeterValues")

        whole, *each = (
            int(call.payload["meterValue"][0]["sampledValue"][0]["value"]) for call in w.csms.calls("MeterValues")
        )
        assert len(each) == 3
        assert whole == sum(each)


async def test_rule_33_what_no_connector_measures_now_is_not_sent_empty(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await w.online(configuration={"MeterValuesSampledData": "SoC"})
        assert await trigger(w, "MeterValues", 1) == "Accepted"

        payload = w.csms.calls("MeterValues")[0].payload
        validator("MeterValues").validate(payload)
        measurands = [each["measurand"] for each in payload["meterValue"][0]["sampledValue"]]
        assert measurands == ["Energy.Active.Import.Register"]


@pytest.mark.parametrize("failure", [SILENCE, Answer(error="InternalError")])
async def test_rule_33_triggered_meter_values_of_a_transaction_are_tried_again_and_others_not(
    autojump_clock: MockClock, failure: Answer
) -> None:
    async with world(**PUNCTUAL) as w:
        configuration = {"TransactionMessageRetryInterval": "7", "MeterValueSampleInterval": "0"}
        charge_point = await w.online(connectors=3, call_timeout=5.0, configuration=configuration)
        w.arrive(charge_point)
        await trio.sleep(5)
        w.csms.answers("MeterValues", failure, failure, Answer(payload={}))
        assert await trigger(w, "MeterValues") == "Accepted"
        await trio.sleep(30)

        tried = [
            (call.payload["connectorId"], call.payload.get("transactionId")) for call in w.csms.calls("MeterValues")
        ]
        assert tried == [(1, 1), (2, None), (3, None), (1, 1)]
        numbers = w.numbers("MeterValues")
        assert (numbers.planned, numbers.sent, numbers.accepted) == (4, 4, 2)


@pytest.mark.parametrize("message", ["StatusNotification", "MeterValues", "Heartbeat"])
async def test_rule_33_while_pending_what_is_triggered_is_sent(autojump_clock: MockClock, message: str) -> None:
    async with world(**PUNCTUAL) as w:
        w.csms.answers("BootNotification", boot("Pending", 1000))
        w.start()
        await trio.sleep(5)
        assert await trigger(w, message) == "Accepted"

        assert {call.action for call in w.csms.calls()} == {"BootNotification", message}


async def test_rule_33_a_triggered_status_is_the_one_that_is(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2)
        w.arrive(charge_point, plugged_in=1000.0, energy=90_000.0)
        await trio.sleep(100)
        w.csms.received.clear()
        await trigger(w, "StatusNotification")

        assert [(call.payload["connectorId"], call.payload["status"]) for call in w.csms.calls()] == [
            (0, "Available"),
            (1, "Charging"),
            (2, "Available"),
        ]
