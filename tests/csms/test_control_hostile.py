"""Clients of the HTTP endpoint that mean no good, or do not know better."""

from __future__ import annotations

import json
import socket

import pytest

from loadsim.csms import http_server as http_module
from tests.csms.operating import CALLS, RESET, operating
from tests.csms.peer import connected, running

pytestmark = pytest.mark.network

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
