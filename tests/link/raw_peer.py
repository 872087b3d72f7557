"""A CSMS of which a test writes and reads each byte after the opening handshake."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from loadsim.link.websocket import Endpoint, WebSocketConnector
from loadsim.link.websocket_transport import WebSocketTransport
from tests.link.peer import Inbox
from tests.link.test_handshake_rules import Request

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class RawPeer:
    """Both ends of one connection."""

    stream: trio.SocketStream
    transport: WebSocketTransport
    nursery: trio.Nursery
    inbox: Inbox = field(default_factory=Inbox)

    async def frames_until(self, opcode: int, payload: bytes | None = None) -> list[tuple[int, bytes]]:
        """Read what the charge point sends up to a frame with *opcode*, and *payload* if that is given.

        Returns:
            The opcode and the payload of each frame.
        """
        received = bytearray()
        frames: list[tuple[int, bytes]] = []
        while not (frames and frames[-1][0] == opcode and payload in (None, frames[-1][1])):
            part = await self.stream.receive_some()
            assert part, "the charge point has hung up"
            received += part
            while (frame := _client_frame(received)) is not None:
                frames.append(frame)
        return frames


def _client_frame(received: bytearray) -> tuple[int, bytes] | None:
    """Take the first frame from *received*, if it is whole there; each is one of its own (section 5.2)."""
    if len(received) < 2:
        return None
    assert received[0] & 0x80
    assert received[1] & 0x80
    more = {126: 2, 127: 8}.get(received[1] & 0x7F, 0)
    begin = 2 + more + 4
    if len(received) < begin:
        return None
    size = int.from_bytes(received[2 : 2 + more]) if more else received[1] & 0x7F
    if len(received) < begin + size:
        return None
    mask = bytes(received[begin - 4 : begin]) * (size // 4 + 1)
    number = int.from_bytes(received[begin : begin + size]) ^ int.from_bytes(mask[:size])
    found = received[0] & 0x0F, number.to_bytes(size)
    del received[: begin + size]
    return found


async def answered(stream: trio.abc.Stream, rest: bytes = b"") -> None:
    """Take an opening handshake and agree to it; *rest* goes out with the answer."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += await stream.receive_some()
    lines = head.split(b"\r\n")
    key = next(line.partition(b": ")[2] for line in lines if line.lower().startswith(b"sec-websocket-key:"))
    answer = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest()),
        b"Sec-WebSocket-Protocol: ocpp1.6",
    ]
    await stream.send_all(b"\r\n".join(answer) + b"\r\n\r\n" + rest)


@asynccontextmanager
async def raw_peer(*, listening: bool = True, rest: bytes = b"") -> AsyncIterator[RawPeer]:
    """Yield a connection that is open at both ends; *rest* comes in one piece with the handshake's answer."""
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            connector = WebSocketConnector(Endpoint(f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/{{id}}"))
            accepted: list[trio.SocketStream] = []

            async def accept() -> None:
                async with listener:
                    accepted.append(await listener.accept())
                await answered(accepted[0], rest)

            nursery.start_soon(accept)
            transport = await connector.connect(nursery, Request())
            made = RawPeer(accepted[0], transport, nursery)
            if listening:
                made.inbox.listen(transport, nursery)
            try:
                yield made
            finally:
                with trio.CancelScope(shield=True):
                    await transport.abort()
                    await trio.aclose_forcefully(made.stream)
            nursery.cancel_scope.cancel()
