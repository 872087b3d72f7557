"""Calls from the CSMS (OCPP 1.6, chapter 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.settings import SECURITY_PROFILE, STANDARD_PROFILES
from loadsim.v16.commands import COMMANDS
from loadsim.v16.messages import BY_NAME
from tests.support import SILENCE, world
from tests.v16.messages.oracle import SCHEMAS, validator
from tests.v16.messages.strategies import fullest

FROM_CSMS = sorted(name for name, action in BY_NAME.items() if action.sender in ("csms", "both"))


@pytest.mark.parametrize(
    ("trigger", "sent"),
    [
        ({"requestedMessage": "Heartbeat"}, [("Heartbeat", None)]),
        ({"requestedMessage": "StatusNotification", "connectorId": 0}, [("StatusNotification", 0)]),
        ({"requestedMessage": "StatusNotification", "connectorId": 2}, [("StatusNotification", 2)]),
        ({"requestedMessage": "StatusNotification"}, [("StatusNotification", n) for n in range(3)]),
    ],
)
async def test_rule_33_a_triggered_message_is_sent_after_the_answer(
    autojump_clock: MockClock, trigger: dict[str, Any], sent: list[tuple[str, int | None]]
) -> None:
    async with world() as w:
        await w.online(connectors=2)
        w.csms.texts.clear()
        assert await w.csms.latest.order("TriggerMessage", trigger) == {"status": "Accepted"}
        await trio.testing.wait_all_tasks_blocked()

        messages = [json.loads(text) for _, _, text in w.csms.texts]
        assert messages[0][0] == 3
        assert [(message[2], message[3].get("connectorId")) for message in messages[1:]] == sent


@pytest.mark.parametrize(
    ("trigger", "status"),
    [
        ({"requestedMessage": "BootNotification"}, "Rejected"),
        ({"requestedMessage": "StatusNotification", "connectorId": 3}, "Rejected"),
        ({"requestedMessage": "StatusNotification", "connectorId": -1}, "Rejected"),
        ({"requestedMessage": "MeterValues", "connectorId": 3}, "Rejected"),
    ],
)
async def test_rule_33_a_trigger_that_is_refused_sends_nothing(
    autojump_clock: MockClock, trigger: dict[str, Any], status: str
) -> None:
    async with world() as w:
        await w.online(connectors=2)
        before = len(w.csms.received)
        assert await w.csms.latest.order("TriggerMessage", trigger) == {"status": status}
        await trio.testing.wait_all_tasks_blocked()

        assert len(w.csms.received) == before


@pytest.mark.parametrize("action", ["NoSuchAction", "", "Heartbeat", *sorted(set(FROM_CSMS) - set(COMMANDS))])
async def test_rule_34_what_is_not_built_is_not_implemented(autojump_clock: MockClock, action: str) -> None:
    async with world() as w:
        await w.online()
        kind, code, description, details = await w.csms.latest.ask(action, {})

        assert (kind, code, details) == (4, "NotImplemented", {})
        assert action in description


async def test_the_text_of_an_action_cannot_blow_up_the_refusal(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online()
        answer = await w.csms.latest.ask('"\\\n' + "x" * 5000, {})
        assert answer[1] == "NotImplemented"
        assert len(answer[2]) <= 255


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"key": "HeartbeatInterval"}, "OccurenceConstraintViolation"),
        ({"key": 5, "value": "5"}, "TypeConstraintViolation"),
        ({"key": "k" * 51, "value": "5"}, "PropertyConstraintViolation"),
        ({"key": "HeartbeatInterval", "value": "5", "more": 1}, "FormationViolation"),
        ({"key": "HeartbeatInterval", "value": None}, "TypeConstraintViolation"),
    ],
)
async def test_rule_7_a_call_that_breaks_the_schema_is_refused_in_the_spelling_of_1_6(
    autojump_clock: MockClock, payload: dict[str, Any], code: str
) -> None:
    async with world() as w:
        await w.online()
        answer = await w.csms.latest.ask("ChangeConfiguration", payload)
        assert answer[:2] == [4, code]
        assert w.counted("commands.ChangeConfiguration.refused") == 1


@pytest.mark.parametrize("text", ['[2,"x","Reset"]', '[2,"x",5,{}]', '[2,"x","Reset",[]]'])
async def test_a_call_that_is_no_call_is_refused_under_its_id(autojump_clock: MockClock, text: str) -> None:
    async with world() as w:
        await w.online()
        await w.csms.latest.send(text)
        await trio.testing.wait_all_tasks_blocked()

        assert [json.loads(answer)[:3] for answer in w.csms.unasked] == [[4, "x", "FormationViolation"]]
        assert w.counted("strays.malformed") == 1


@pytest.mark.parametrize("action", sorted(COMMANDS))
async def test_every_answer_obeys_its_schema(autojump_clock: MockClock, action: str) -> None:
    async with world() as w:
        extra = () if action == "UpdateFirmware" else (SECURITY_PROFILE,)  # which takes signed firmware only
        await w.online(profiles=STANDARD_PROFILES + extra)
        answer = await w.csms.latest.order(action, fullest(SCHEMAS[action]))

        validator(f"{action}Response").validate(answer)


async def test_an_answer_bears_the_id_of_its_call_whatever_it_is(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online()
        for message_id in ('"', "é\n", "x" * 5000, "\\u0000"):
            kind, _ = await w.csms.latest.ask("GetConfiguration", {}, message_id)
            assert kind == 3


async def test_a_flood_of_calls_is_bounded_and_what_is_over_is_counted(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(call_timeout=1000.0)
        w.csms.answers("Heartbeat", SILENCE)
        tasks = trio.lowlevel.current_statistics().tasks_living
        for n in range(500):
            await w.csms.latest.send(f'[2,"f{n}","TriggerMessage",{{"requestedMessage":"Heartbeat"}}]')
        await trio.testing.wait_all_tasks_blocked()

        assert trio.lowlevel.current_statistics().tasks_living - tasks < 50
        assert w.counted("commands.TriggerMessage.received") == 32
        assert w.counted("commands.overflow.ignored") == 500 - 32
        assert w.numbers("Heartbeat").sent == 1


async def test_a_charge_point_that_cannot_send_its_answer_reads_on(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online()
        w.csms.latest.client.blocked = True
        for n in range(100):
            await w.csms.latest.send(f'[2,"f{n}","GetConfiguration",{{}}]')
        await trio.testing.wait_all_tasks_blocked()

        assert w.counted("messages.received") == 103
        assert w.counted("commands.overflow.ignored") == 100 - 32
