"""A charge point's handshake: where it asks, what it offers, when it hangs up (OCPP-J 1.6, 3.1)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

import pytest
import trio

from loadsim.link.transport import ConnectFailed, Slowness
from loadsim.link.websocket import Endpoint, WebSocketConnector

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True)
class Request:
    """Who connects, as a charge point would."""

    identity: str = "CP1"
    number: int = 0
    password: str | bytes | None = None
    subprotocol: str = "ocpp1.6"
    slowness: Slowness | None = None


@dataclass
class Door:
    """A CSMS that answers a handshake with *agreed*, and notes what it was asked and what came after it."""

    agreed: str | None
    port: int = 0
    head: list[str] = field(default_factory=list)
    after: bytes = b""
    gone: trio.Event = field(default_factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        received = b""
        async for part in stream:
            received += part
            if b"\r\n\r\n" in received:
                break
        self.head = received.decode().split("\r\n")
        key = next(line.partition(": ")[2] for line in self.head if line.lower().startswith("sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest())  # noqa: S324 - RFC 6455
        lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
        lines.append(b"Sec-WebSocket-Accept: " + accept)
        if self.agreed is not None:
            lines.append(b"Sec-WebSocket-Protocol: " + self.agreed.encode())
        await stream.send_all(b"\r\n".join(lines) + b"\r\n\r\n")
        async for part in stream:
            self.after += part
        self.gone.set()

    def offered(self) -> list[str]:
        values = [line.partition(": ")[2] for line in self.head if line.lower().startswith("sec-websocket-protocol:")]
        return [each.strip() for value in values for each in value.split(",")]


@asynccontextmanager
async def opened_door(agreed: str | None) -> AsyncIterator[tuple[Door, trio.Nursery]]:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            door = Door(agreed)
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            door.port = listener.socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, door.serve, [listener])
            yield door, nursery
            nursery.cancel_scope.cancel()


@pytest.mark.network
async def test_rule_3_ocpp1_6_is_offered_and_the_connection_stays_where_it_is_agreed() -> None:
    async with opened_door("ocpp1.6") as (door, nursery):
        connector = WebSocketConnector(Endpoint(f"ws://127.0.0.1:{door.port}/{{id}}"))
        transport = await connector.connect(nursery, Request())
        await trio.sleep(0.05)

        assert door.offered() == ["ocpp1.6"]
        assert not door.gone.is_set()
        await transport.abort()


@pytest.mark.network
async def test_rule_3_where_the_csms_agrees_to_no_subprotocol_the_charge_point_closes() -> None:
    async with opened_door(None) as (door, nursery):
        connector = WebSocketConnector(Endpoint(f"ws://127.0.0.1:{door.port}/{{id}}"))
        with pytest.raises(ConnectFailed) as failed:
            await connector.connect(nursery, Request())
        await door.gone.wait()

        assert failed.value.outcome == "subprotocol"
        assert door.after[:1] == b"\x88"  # a close frame, and nothing before it


@pytest.mark.network
@pytest.mark.parametrize("identity", ["CP1", "CP 1", "a/b", "Säule 7", "100%", "?#&+", "*:~", ".."])
@pytest.mark.parametrize(
    ("url", "before", "after"),
    [("/ocpp/{id}", "/ocpp/", ""), ("/x/{id}/", "/x/", "/"), ("/o?station={id}", "/o?station=", "")],
)
async def test_rule_4_the_identity_is_percent_encoded_where_the_url_wants_it(
    identity: str, url: str, before: str, after: str
) -> None:
    async with opened_door("ocpp1.6") as (door, nursery):
        connector = WebSocketConnector(Endpoint(f"ws://127.0.0.1:{door.port}{url}"))
        transport = await connector.connect(nursery, Request(identity))
        await transport.abort()

        method, target, version = door.head[0].split(" ")
        assert (method, version) == ("GET", "HTTP/1.1")
        assert target.startswith(before)
        assert target.endswith(after)
        inside = target[len(before) : len(target) - len(after)]
        assert unquote(inside) == identity
        assert inside.isascii()
        assert not set(inside) & set("/?#&+ ")
