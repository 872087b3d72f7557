"""The HTTP endpoint of the embedded CSMS, over real sockets: what an operator asks, and what nobody may."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import h11
import pytest
import trio

from loadsim.csms import http as http_module
from loadsim.csms.control import is_loopback, parse_place, serve_control
from loadsim.csms.options import ServerOptions
from loadsim.csms.server import Server
from loadsim.csms.standalone import serve_until
from loadsim.errors import UsageError
from tests.csms.peer import Peer, connected, running

pytestmark = pytest.mark.network

RESET = {"action": "Reset", "payload": {"type": "Soft"}}
CALLS = "/charge-points/CP1/calls"


class Operator:
    """A client of the endpoint."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)

    async def ask(
        self, method: str, target: str, body: Any = None, *, raw: bytes | None = None, **headers: str | None
    ) -> tuple[int, Any]:
        """Send a request; return its status and the content of its response. A header of None is left out."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        sent: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Length": str(len(content)),
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = [
            f"{method} {target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in sent.items() if value),
            "",
            "",
        ]
        return self.read(method, await self.say("\r\n".join(lines).encode() + content))

    async def dial(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(self.host, self.port)

    async def say(self, data: bytes) -> bytes:
        """Send bytes, hang up, and return all that comes."""
        async with await self.dial() as stream:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(data)
                await stream.send_eof()
            received = b""
            with suppress(trio.BrokenResourceError):
                async for part in stream:
                    received += part
            return received

    def read(self, method: str, data: bytes) -> tuple[int, Any]:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        client.receive_data(b"")
        response, body = client.next_event(), b""
        assert isinstance(response, h11.Response), data
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        return response.status_code, json.loads(body) if body else None


@asynccontextmanager
async def operating(server: Server, place: str = "127.0.0.1:0", token: str | None = None) -> AsyncIterator[Operator]:
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_control, place, token, server)
        yield Operator(url)
        nursery.cancel_scope.cancel()


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


def test_places_and_loopback() -> None:
    assert parse_place("127.0.0.1:80") == ("127.0.0.1", 80)
    assert parse_place("[::1]:0") == ("::1", 0)
    assert [is_loopback(host) for host in ("127.9.9.9", "::1", "LOCALHOST")] == [True] * 3
    assert [is_loopback(host) for host in ("::", "10.0.0.1", "localhost.example", "")] == [False] * 4


async def test_a_port_in_use_is_said_clearly() -> None:
    async with running() as server, operating(server) as operator:
        with pytest.raises(UsageError, match="cannot listen on"):
            await serve_control(f"127.0.0.1:{operator.port}", None, server)


# Hostile clients.

HEAD = b"GET /record HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HOSTILE = {
    "garbage": (b"\x00\xff" * 1000, 400),
    "no version": (b"GET /record\r\n\r\n", 400),
    "an endless head": (HEAD + b"X: " + b"x" * 100_000, 431),
    "no host": (b"GET /record HTTP/1.1\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n", 400),
    "an odd encoding": (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "a bad chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "a big body": (HEAD + b"Content-Length: 999999999\r\n\r\n" + b"x" * 300_000, 413),
    "an endless chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n" + b"x" * 300_000, 413),
    "an upgrade": (HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 200),
    "a tunnel": (b"CONNECT evil:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
    "http 2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 403),
}


@pytest.mark.parametrize("attack", HOSTILE)
async def test_a_hostile_client_gets_an_answer_and_takes_nobody_along(attack: str) -> None:
    data, status = HOSTILE[attack]
    async with running() as server, connected(server, boot=True) as peer, operating(server) as operator:
        found = operator.read("GET", await operator.say(data))
        assert await peer.ask("Heartbeat", {})
        assert (await operator.ask("GET", "/record"))[0] == 200

    assert found[0] == status


@pytest.mark.parametrize("data", [b"", b"GET", HEAD, HEAD + b"Content-Length: 9\r\n\r\nx"])
async def test_a_client_that_leaves_within_its_request_is_nobody_s_trouble(data: bytes) -> None:
    async with running() as server, operating(server) as operator:
        async with await operator.dial() as stream:
            await stream.send_all(data) if data else None
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert (await operator.ask("GET", "/record"))[0] == 200


async def test_a_client_that_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "READ_TIMEOUT", 0.1)
    async with running() as server, operating(server) as operator, await operator.dial() as stream:
        await stream.send_all(HEAD)
        assert await stream.receive_some() == b""


async def test_a_crowd_of_silent_clients_keeps_nobody_out_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "READ_TIMEOUT", 0.2)
    monkeypatch.setattr(http_module, "LINGER", 0.1)
    async with running() as server, operating(server) as operator:
        crowd = [await operator.dial() for _ in range(http_module.MOST_CLIENTS + 5)]
        assert (await operator.ask("GET", "/record"))[0] == 200
        for stream in crowd:
            await stream.aclose()


async def test_requests_follow_one_another_on_a_connection() -> None:
    async with running() as server, operating(server) as operator:
        said = await operator.say((HEAD + b"\r\n") * 3)

    assert said.count(b"HTTP/1.1 200 OK") == 3


async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it() -> None:
    body = json.dumps(RESET).encode()
    head = f"POST {CALLS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    async with running() as server, operating(server) as operator, await operator.dial() as stream:
        await stream.send_all(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body))
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(body)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 404 ")


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
