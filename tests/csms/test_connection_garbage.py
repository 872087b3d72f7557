"""What a connection leaves behind at the CSMS: nothing for the collector, which does not look at what is old."""

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio_websocket import WebSocketConnection
from wsproto.frame_protocol import FrameProtocol

from loadsim.csms.server import Client, Server
from loadsim.csms.sockets import reset
from tests.csms.peer import GOOD_HANDSHAKE, dial, running, settled
from tests.csms.troubled import lines_of

pytestmark = pytest.mark.network


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@asynccontextmanager
async def opened(server: Server) -> AsyncIterator[trio.SocketStream]:
    """Open a WebSocket without a library, which would leave something behind itself."""
    async with await dial(server) as stream:
        await stream.send_all(b"GET /CP1 HTTP/1.1\r\n" + GOOD_HANDSHAKE + b"\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        yield stream


@pytest.mark.parametrize("end", ["close", "hang up", "reset", "break the protocol"])
async def test_a_connection_that_ended_leaves_nothing_to_the_collector(end: str) -> None:
    async with running() as server:
        for _ in range(3):
            async with opened(server) as stream:
                if end == "close":
                    await stream.send_all(b"\x88\x82\0\0\0\0\x03\xe8")
                    while await stream.receive_some():
                        pass
                elif end == "break the protocol":
                    await stream.send_all(b"\x83\x80\0\0\0\0")
                    while await stream.receive_some():
                        pass
                elif end == "reset":
                    reset(stream)
        await settled(server, "opened", 3)
        while lines_of(server).streams:  # noqa: ASYNC110
            await trio.sleep(0.01)
        left = [each for each in gc.get_objects() if isinstance(each, WebSocketConnection | FrameProtocol | Client)]

    assert left == []
