"""The embedded CSMS over real sockets: what charge points ask, and what they are answered."""

import json
from typing import Any

import pytest
import trio

from loadsim.csms.options import ServerOptions
from loadsim.scenario.plan import EmbeddedCsms
from loadsim.v16.messages import ACTIONS
from tests.csms.peer import BOOT, connected, running
from tests.v16.messages.oracle import SCHEMAS, validator
from tests.v16.messages.strategies import fullest

pytestmark = pytest.mark.network

STATUS = {"connectorId": 0, "errorCode": "NoError", "status": "Available"}
DEEP = "[" * 5000 + "]" * 5000


async def test_boots_are_answered_in_turn_with_the_interval_also_over_reconnects() -> None:
    async with running(boot_status=("Rejected", "Pending", "Accepted"), interval=42) as server:
        seen = []
        for _ in range(4):
            async with connected(server) as peer:
                seen.append(await peer.boot())

    assert [boot["status"] for boot in seen] == ["Rejected", "Pending", "Accepted", "Accepted"]
    assert {boot["interval"] for boot in seen} == {42}


async def test_every_action_of_a_charge_point_gets_an_answer_that_its_schema_accepts() -> None:
    async with running() as server, connected(server, boot=True) as peer:
        for action in ACTIONS:
            if action.sender != "csms":
                content = await peer.ask(action.name, fullest(SCHEMAS[action.name]))
                validator(f"{action.name}Response").validate(content)


async def test_authorize_follows_the_tag_list() -> None:
    async with running(tags={"GOOD": "Accepted", "OLD": "Expired"}) as server, connected(server, boot=True) as peer:
        answers = [await peer.ask("Authorize", {"idTag": tag}) for tag in ("good", "OLD", "stranger")]

    assert [answer["idTagInfo"]["status"] for answer in answers] == ["Accepted", "Expired", "Invalid"]


async def test_authorize_accepts_all_without_a_list() -> None:
    async with running() as server, connected(server, boot=True) as peer:
        assert (await peer.ask("Authorize", {"idTag": "stranger"}))["idTagInfo"] == {"status": "Accepted"}


async def test_the_share_to_reject_is_met_exactly() -> None:
    async with running(reject=0.25) as server, connected(server, boot=True) as peer:
        answers = [await peer.ask("Authorize", {"idTag": "A"}) for _ in range(40)]
        record = server.record()

    assert sum(answer["idTagInfo"]["status"] == "Blocked" for answer in answers) == 10
    assert record["actions"]["Authorize"] == {
        "received": 40,
        "answered": 40,
        "refused": {"Blocked": 10},
        "errors": {},
    }


async def error_to(text: str, *, boot: bool = True) -> list[Any]:
    """Send *text*, check that a CALLERROR is answered and that the connection lives, return id and code."""
    async with running() as server, connected(server, boot=boot) as peer:
        kind, message_id, code, description, details = await peer.send(text)
        assert (kind, type(description), details) == (4, str, {})
        assert len(description) <= 255
        assert await peer.boot()
        return [message_id, code]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no json", ["-1", "FormationViolation"]),
        ('[2,"a","Heartbeat",{}', ["-1", "FormationViolation"]),
        ("", ["-1", "FormationViolation"]),
        ('"text"', ["-1", "FormationViolation"]),
        ('{"json": "but no frame"}', ["-1", "FormationViolation"]),
        ("[]", ["-1", "FormationViolation"]),
        ("[2]", ["-1", "FormationViolation"]),
        ('[2,"a","Heartbeat"]', ["a", "FormationViolation"]),
        ('[2,"a","Heartbeat",{},{}]', ["a", "FormationViolation"]),
        ('[2,7,"Heartbeat",{}]', ["-1", "FormationViolation"]),
        ('[2,"a",7,{}]', ["a", "FormationViolation"]),
        ('[2,"a","Heartbeat",null]', ["a", "FormationViolation"]),
        ('[2,"a","Heartbeat",[]]', ["a", "FormationViolation"]),
        ('[2,"' + "a" * 37 + '","Heartbeat",{}]', ["a" * 37, "FormationViolation"]),
        (DEEP, ["-1", "FormationViolation"]),
        ('[2,"a","Heartbeat",{"a":' + DEEP + "}]", ["-1", "FormationViolation"]),
        ('{"call_type":2,"id":"a","type":"Heartbeat","properties":{"a":' + DEEP + "}}", ["-1", "FormationViolation"]),
        ('[2,"a","Authorize",{"idTag":"A","id_tag":"A"}]', ["a", "FormationViolation"]),
        ('[2,"a","Authorize",{"idTag":"\\u00e4\\n","x":null}]', ["a", "FormationViolation"]),
        ('[2,"a","NoSuchAction",{}]', ["a", "NotImplemented"]),
        ('[2,"a","Reset",{"type":"Hard"}]', ["a", "NotSupported"]),
        ('[2,"a","Authorize",{}]', ["a", "OccurenceConstraintViolation"]),
        ('[2,"a","Authorize",{"idTag":7}]', ["a", "TypeConstraintViolation"]),
        ('[2,"a","Authorize",{"idTag":"' + "A" * 21 + '"}]', ["a", "PropertyConstraintViolation"]),
    ],
)
async def test_bad_input_gets_its_error_in_the_spelling_of_1_6(text: str, expected: list[str]) -> None:
    assert await error_to(text) == expected


async def test_a_call_before_an_accepted_boot_is_a_security_error() -> None:
    assert await error_to('[2,"a","Heartbeat",{}]', boot=False) == ["a", "SecurityError"]


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
async def test_a_call_after_a_boot_that_was_not_accepted_is_a_security_error(status: str) -> None:
    async with running(boot_status=(status,)) as server, connected(server, boot=True) as peer:
        assert (await peer.send('[2,"a","Heartbeat",{}]'))[:3] == [4, "a", "SecurityError"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('[5,"a",{}]', "unknown_types"),
        ('["a"]', "unknown_types"),
        ('{"call_type":7,"id":"a","type":"Heartbeat"}', "unknown_types"),
        ('[3,"a",{}]', "answers"),
        ('[4,"a","InternalError","",{}]', "answers"),
        ('[3,"a"]', "malformed"),
        ('[4,"a"]', "malformed"),
    ],
)
async def test_what_is_no_call_is_counted_and_not_answered(text: str, kind: str) -> None:
    async with running() as server, connected(server, boot=True) as peer:
        await peer.websocket.send_message(text)
        answer = await peer.ask("StatusNotification", STATUS)  # would meet an answer to *text*, if there was one
        frames = server.record()["frames"]

    assert answer == {}
    assert frames[kind] == 1


async def test_a_legacy_request_is_answered_with_the_ordinary_array_under_its_id() -> None:
    properties = {"charge_point_vendor": "VENDOR", "charge_point_model": "CP001", "meter_type": "dual-gun"}
    boot = {"call_type": 2, "id": "msg_001", "type": "BootNotification", "properties": properties}
    async with running() as server, connected(server, subprotocols=()) as peer:
        kind, message_id, content = await peer.send(json.dumps(boot))
        tag = {"call_type": 2, "id": "12345", "type": "Authorize", "properties": {"id_tag": "A"}}
        authorize = await peer.send(json.dumps(tag))
        record = server.record()

    assert (kind, message_id, content["status"]) == (3, "msg_001", "Accepted")
    assert authorize == [3, "12345", {"idTagInfo": {"status": "Accepted"}}]
    assert (record["frames"]["calls"], record["frames"]["legacy_calls"]) == (2, 2)


async def test_a_legacy_request_with_a_mistake_gets_an_ordinary_error() -> None:
    async with running() as server, connected(server) as peer:
        text = '{"call_type":2,"id":"a","type":"BootNotification","properties":{"charge_point_model":"M"}}'

        assert (await peer.send(text))[:3] == [4, "a", "OccurenceConstraintViolation"]


async def test_latency_delays_every_answer_and_holds_up_no_other_message() -> None:
    async with running(latency=(0.2, 0.3)) as server, connected(server, boot=True) as peer:
        start = trio.current_time()
        for n in range(20):
            await peer.websocket.send_message(json.dumps([2, str(n), "Heartbeat", {}]))
        ids = {(await peer.receive())[1] for _ in range(20)}
        elapsed = trio.current_time() - start

    assert ids == {str(n) for n in range(20)}
    assert 0.2 <= elapsed < 3.0  # one after the other would take 4 s


async def test_latency_holds_up_no_other_connection() -> None:
    options = ServerOptions(behaviour=EmbeddedCsms(latency=(0.3, 0.3)))
    elapsed: list[float] = []

    async def boot(name: str) -> None:
        async with connected(server, f"/{name}") as peer:
            start = trio.current_time()
            await peer.boot()
            elapsed.append(trio.current_time() - start)

    async with running(options) as server, trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(boot, f"CP{n}")

    assert len(elapsed) == 20
    assert min(elapsed) >= 0.3
    assert max(elapsed) < 3.0


async def test_what_waits_for_its_latency_is_not_handled_once_the_charge_point_is_gone() -> None:
    async with running(latency=(0.6, 0.6)) as server:
        async with connected(server) as peer:
            await peer.websocket.send_message(json.dumps([2, "1", "BootNotification", BOOT]))
        await trio.sleep(0.8)

        assert server.record()["boots"] == {}


async def test_more_answers_than_may_wait_at_a_time_all_come() -> None:
    async with (
        running(latency=(0.01, 0.05)) as server,
        connected(server, boot=True) as peer,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(send_many, peer.websocket, 350)
        ids = {(await peer.receive())[1] for _ in range(350)}

    assert len(ids) == 350


async def send_many(websocket: Any, count: int) -> None:
    for n in range(count):
        await websocket.send_message(json.dumps([2, str(n), "Heartbeat", {}]))
