"""The HTTP endpoint of the embedded CSMS, over real sockets: what an operator asks, and what nobody may."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from loadsim.csms.control import is_loopback, parse_place, serve_control
from loadsim.csms.options import ServerOptions
from loadsim.csms.standalone import serve_until
from loadsim.errors import UsageError
from tests.csms.operating import CALLS, RESET, Operator, operating
from tests.csms.peer import Peer, connected, running

pytestmark = pytest.mark.network


async def answers(peer: Peer, text: str) -> Any:
    """Answer one call with *text*, ID being its id; return its action and payload."""
    _, message_id, action, payload = await peer.receive()
    await peer.websocket.send_message(text.replace("ID", message_id))
    return action, payload


async def ask_and_answer(text: str, body: Any = RESET, path: str = "/CP1") -> tuple[int, Any]:
    """Call the charge point of *path*, and have it answer with *text*."""
    found: list[tuple[int, Any]] = []
    async with (
        running() as server,
        connected(server, path, boot=True) as peer,
        operating(server) as operator,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(answers, peer, text)
        found.append(await operator.ask("POST", f"/charge-points{path}/calls", body))
    return found[0]


async def test_a_call_is_sent_and_its_answer_returned() -> None:
    assert await ask_and_answer('[3,"ID",{"status":"Accepted"}]') == (200, {"result": {"status": "Accepted"}})


async def test_an_error_of_the_charge_point_is_returned() -> None:
    found = await ask_and_answer('[4,"ID","NotSupported","no \\"such\\" thing",{}]')

    assert found == (200, {"error": {"code": "NotSupported", "description": 'no "such" thing'}})


async def test_an_answer_that_is_none_is_a_bad_gateway() -> None:
    status, content = await ask_and_answer('[3,"ID",{"status":"Maybe"}]')

    assert (status, content["error"]["code"]) == (502, "MalformedAnswer")


async def test_an_action_without_properties_needs_no_payload() -> None:
    found = await ask_and_answer('[3,"ID",{"status":"Accepted"}]', {"action": "ClearCache"})

    assert found == (200, {"result": {"status": "Accepted"}})


async def test_an_id_is_percent_decoded() -> None:
    assert (await ask_and_answer('[3,"ID",{"status":"Accepted"}]', path="/a%2Fb%20%C3%A4"))[0] == 200


async def test_a_charge_point_that_does_not_answer_is_a_gateway_time_out() -> None:
    async with running() as server, connected(server, boot=True), operating(server) as operator:
        status, content = await operator.ask("POST", CALLS, {**RESET, "timeout": 0.1})

    assert (status, content["error"]["code"]) == (504, "Timeout")


async def test_a_charge_point_that_is_not_connected_is_not_found() -> None:
    async with running() as server, operating(server) as operator:
        unknown = await operator.ask("POST", CALLS, RESET)
        async with connected(server, boot=True):
            pass
        gone = await operator.ask("POST", CALLS, RESET)

    expected = {"error": {"code": "NotConnected", "description": "the charge point is not connected"}}
    assert unknown == gone == (404, expected)


async def test_the_charge_points_are_listed() -> None:
    async with running() as server, connected(server, boot=True) as peer, operating(server) as operator:
        await peer.ask("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
        start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}
        transaction = (await peer.ask("StartTransaction", start))["transactionId"]
        async with connected(server, "/CP2"):
            pass
        status, listed = await operator.ask("GET", "/charge-points?x=y")

    assert status == 200
    assert [(each["identity"], each["connected"], each["accepted"]) for each in listed] == [
        ("CP1", True, True),
        ("CP2", False, False),
    ]
    assert listed[0]["statuses"] == {"1": "Charging"}
    assert listed[0]["open_transactions"] == [{"transaction_id": transaction, "connector_id": 1, "id_tag": "T"}]


async def test_the_record_can_be_had_at_any_time() -> None:
    async with running() as server, connected(server, boot=True), operating(server) as operator:
        status, record = await operator.ask("GET", "/record")

    assert status == 200
    assert record["actions"]["BootNotification"]["answered"] == 1


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"", "BadRequest", 'expected {"action"'),
        (b"{", "BadRequest", 'expected {"action"'),
        (b"\xff\xfe", "BadRequest", "expected"),
        (b"[" * 100_000, "BadRequest", "expected"),
        (b'{"action":"ClearCache","payload":' + b'{"a":' * 50_000, "BadRequest", "expected"),
        (b"[]", "BadRequest", "Expected `object`"),
        (b"{}", "BadRequest", "missing required field `action`"),
        (b'{"action": 1}', "BadRequest", "$.action"),
        (b'{"action": "Reset", "payload": []}', "BadRequest", "$.payload"),
        (b'{"action": "Reset", "pay": {}}', "BadRequest", "unknown field `pay`"),
        (b'{"action": "Reset", "timeout": 0}', "BadRequest", "$.timeout"),
        (b'{"action": "Reset", "timeout": 1e9}', "BadRequest", "$.timeout"),
        (b'{"action": "Rest"}', "NotImplemented", "no action of OCPP 1.6"),
        (b'{"action": "Heartbeat"}', "NotSupported", "for the charge point to send"),
        (b'{"action": "Reset"}', "OccurenceConstraintViolation", "missing required field `type`"),
        (b'{"action": "Reset", "payload": {"type": "Now"}}', "PropertyConstraintViolation", "Now"),
    ],
)
async def test_a_bad_body_is_said_to_be_one(body: bytes, code: str, said: str) -> None:
    async with running() as server, connected(server, boot=True), operating(server) as operator:
        status, content = await operator.ask("POST", CALLS, raw=body)

    assert (status, content["error"]["code"]) == (400, code)
    assert said in content["error"]["description"]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/charge-points/", 404),
        ("GET", "/charge-points/CP1", 404),
        ("POST", "/charge-points/CP1/calls/x", 404),
        ("GET", "http://127.0.0.1/record", 404),
        ("GET", CALLS, 405),
        ("POST", "/record", 405),
        ("DELETE", "/charge-points", 405),
        ("HEAD", "/record", 405),
        ("OPTIONS", "/charge-points", 405),
        ("POST", "/charge-points/%FF/calls", 400),
    ],
)
async def test_what_is_not_there_is_not_found(method: str, target: str, status: int) -> None:
    async with running() as server, operating(server) as operator:
        assert (await operator.ask(method, target, RESET))[0] == status


# Who may ask.


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:8080"])
async def test_a_page_in_a_browser_may_not_ask(origin: str) -> None:
    async with running() as server, connected(server, boot=True), operating(server) as operator:
        assert (await operator.ask("POST", CALLS, RESET, Origin=origin))[0] == 403
        assert server.record()["calls"] == {}


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", "[2001:db8::1]:80"])
async def test_a_name_that_was_pointed_here_may_not_be_used(host: str) -> None:
    async with running() as server, operating(server) as operator:
        assert (await operator.ask("GET", "/charge-points", Host=host))[0] == 403


@pytest.mark.parametrize("host", ["localhost", "LocalHost:80", "127.0.0.1", "[::1]:80"])
async def test_a_name_of_loopback_may_be_used(host: str) -> None:
    async with running() as server, operating(server) as operator:
        assert (await operator.ask("GET", "/charge-points", Host=host))[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
async def test_a_call_says_that_it_is_json(kind: str | None) -> None:
    async with running() as server, connected(server, boot=True), operating(server) as operator:
        assert (await operator.ask("POST", CALLS, RESET, Content_Type=kind))[0] == 415


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", "Basic c2VjcmV0", "secret", "Bearer secret2"])
async def test_with_a_token_nobody_asks_without_it(given: str | None) -> None:
    async with running() as server, operating(server, token="secret") as operator:
        assert (await operator.ask("GET", "/record", Authorization=given))[0] == 401
        assert (await operator.ask("GET", "/record", Authorization="bearer secret", Host="any.example"))[0] == 200


@pytest.mark.parametrize("place", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "csms.example:0"])
async def test_what_others_can_reach_needs_a_token(place: str) -> None:
    async with running() as server:
        with pytest.raises(UsageError, match="only loopback goes without a token"):
            await serve_control(place, None, server)


async def test_with_a_token_it_may_be_reached_by_others() -> None:
    async with running() as server, operating(server, "0.0.0.0:0", "secret") as operator:
        assert (await operator.ask("GET", "/record", Authorization="Bearer secret"))[0] == 200


@pytest.mark.parametrize("token", ["", " x", "ä", "a\nb"])
async def test_a_token_that_no_header_could_carry_is_refused(token: str) -> None:
    async with running() as server:
        with pytest.raises(UsageError, match="printable ASCII"):
            await serve_control("127.0.0.1:0", token, server)


@pytest.mark.parametrize("place", ["", "8080", "127.0.0.1", "127.0.0.1:", ":80", "::1:80", "h:x", "h:²", "h:-1"])
def test_a_place_that_is_none_is_said_to_be_none(place: str) -> None:
    with pytest.raises(UsageError, match="expected HOST:PORT"):
        parse_place(place)


@pytest.mark.parametrize("port", ["65536", "99999", "9" * 5000])
def test_a_port_that_none_has_is_said_to_be_none(port: str) -> None:
    with pytest.raises(UsageError, match=r"^--control: expected a port from 0 \(any free one\) to 65535, got"):
        parse_place(f"127.0.0.1:{port}")


def test_places_and_loopback() -> None:
    assert parse_place("127.0.0.1:80") == ("127.0.0.1", 80)
    assert parse_place("[::1]:0") == ("::1", 0)
    assert [is_loopback(host) for host in ("127.9.9.9", "::1", "LOCALHOST")] == [True] * 3
    assert [is_loopback(host) for host in ("::", "10.0.0.1", "localhost.example", "")] == [False] * 4


async def test_a_port_in_use_is_said_clearly() -> None:
    async with running() as server, operating(server) as operator:
        place = f"127.0.0.1:{operator.port}"
        with pytest.raises(UsageError, match=f"^--control {place}: cannot listen on"):
            await serve_control(place, None, server)


# As a part of the embedded CSMS.


async def test_the_embedded_csms_says_where_its_endpoint_is() -> None:
    found: list[Any] = []

    async def ended() -> None:
        found.append(await Operator(str(urls[0])).ask("GET", "/charge-points"))

    urls: list[str | None] = []
    with trio.fail_after(10):
        await serve_until(ServerOptions(control="127.0.0.1:0"), lambda server: urls.append(server.control_url), ended)

    assert found == [(200, [])]


async def test_an_endpoint_that_cannot_be_is_a_mistake_of_the_options() -> None:
    with trio.fail_after(10), pytest.raises(UsageError, match="without a token"):
        await serve_until(ServerOptions(control="0.0.0.0:0"), lambda server: None, trio.sleep_forever)


def test_the_token_is_not_in_what_can_be_logged() -> None:
    assert "secret" not in repr(ServerOptions(control="127.0.0.1:1", control_token="secret"))
