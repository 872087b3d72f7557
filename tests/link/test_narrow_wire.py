"""What a connection sends when the CSMS pings, and hardly reads: byte by byte, as there is room."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from loadsim.link.frames import text_frame
from loadsim.link.poller import Poller
from loadsim.link.websocket_transport import WebSocketTransport
from loadsim.link.wire import Wire
from tests.link.peer import Inbox
from tests.link.raw_peer import _client_frame
from tests.link.reading import frame

pytestmark = pytest.mark.network

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class NarrowWire(Wire):
    """A wire that takes as many bytes as a test gives it room for."""

    def __init__(self, connected: socket.socket, poller: Poller) -> None:
        super().__init__(connected, poller)
        self._room = 0
        self._widened = trio.Event()
        self.taken = bytearray()

    def send(self, data: bytes | memoryview) -> int:
        piece = data[: self._room]
        self._room -= len(piece)
        self.taken += piece
        return len(piece)

    async def writable(self) -> None:
        while not self._room:
            await self._widened.wait()

    async def widen(self, room: int = 1000) -> None:
        """Make room, and let come what does."""
        self._room += room
        self._widened.set()
        self._widened = trio.Event()
        await wait_all_tasks_blocked(0.01)

    def frames(self) -> list[tuple[int, bytes]]:
        """Return what has gone out whole."""
        received, found = bytearray(self.taken), []
        while (each := _client_frame(received)) is not None:
            found.append(each)
        return found


class Narrow:
    def __init__(self, wire: NarrowWire, transport: WebSocketTransport, far: socket.socket) -> None:
        self.wire = wire
        self.transport = transport
        self._far = far
        self.sent: list[str] = []

    async def send(self, text: str) -> None:
        await self.transport.send(text)
        self.sent.append(text)

    async def come(self, data: bytes) -> None:
        self._far.send(data)
        await wait_all_tasks_blocked(0.01)


@asynccontextmanager
async def narrow(pollers: Callable[[], Poller]) -> AsyncIterator[tuple[Narrow, trio.Nursery]]:
    near, far = socket.socketpair()
    near.setblocking(False)
    with far, trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            wire = NarrowWire(near, pollers())
            transport = WebSocketTransport(wire, nursery, 0.0)
            Inbox().listen(transport, nursery)
            wire.watch(transport._readable)
            yield Narrow(wire, transport, far), nursery
            await transport.abort()
            nursery.cancel_scope.cancel()


async def test_who_sends_does_not_wait_for_a_pong(pollers: Callable[[], Poller]) -> None:
    async with narrow(pollers) as (line, nursery):
        nursery.start_soon(line.send, "one")
        await line.come(frame(PING, b"1"))
        await line.wire.widen(len(text_frame("one")))
        assert line.sent == ["one"]

        await line.wire.widen()
        assert line.wire.frames() == [(TEXT, b"one"), (PONG, b"1")]


async def test_pings_that_come_faster_than_pongs_go_out_keep_no_message_back(pollers: Callable[[], Poller]) -> None:
    async with narrow(pollers) as (line, nursery):
        nursery.start_soon(line.send, "one")
        await line.come(frame(PING, b"1"))
        await line.wire.widen(len(text_frame("one")))
        nursery.start_soon(line.send, "two")
        await line.come(frame(PING, b"2") + frame(PING, b"3"))
        nursery.start_soon(line.send, "three")
        await wait_all_tasks_blocked(0.01)
        await line.wire.widen()

        assert line.wire.frames() == [(TEXT, b"one"), (PONG, b"1"), (TEXT, b"two"), (PONG, b"3"), (TEXT, b"three")]
        assert line.sent == ["one", "two", "three"]


async def test_5_5_1_no_pong_follows_a_close(pollers: Callable[[], Poller]) -> None:
    async with narrow(pollers) as (line, nursery):
        nursery.start_soon(line.send, "one")
        await wait_all_tasks_blocked(0.01)
        nursery.start_soon(line.transport.aclose)
        await line.wire.widen(len(text_frame("one")) + 3)
        await line.come(frame(PING, b"1"))
        await line.wire.widen()

        assert line.wire.frames() == [(TEXT, b"one"), (CLOSE, (1000).to_bytes(2))]
