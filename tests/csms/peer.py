"""A charge point of the tests, and a CSMS for it in the same process; both have a deadline."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from loadsim.csms.options import ServerOptions
from loadsim.csms.server import Server, serve
from loadsim.scenario.plan import EmbeddedCsms
from loadsim.v16.central import Central

DEADLINE = 20.0
BOOT = {"chargePointVendor": "Acme", "chargePointModel": "AC22"}
PROCESSES = 1
"""In how many the CSMS of a test has its connections, where the test does not say."""
GOOD_HANDSHAKE = (
    b"Host: csms\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


@asynccontextmanager
async def running(options: ServerOptions | None = None, **behaviour: Any) -> AsyncIterator[Server]:
    chosen = options or ServerOptions(behaviour=EmbeddedCsms(**behaviour))
    if PROCESSES > 1:
        processes = msgspec.structs.replace(chosen.behaviour, processes=PROCESSES)
        chosen = msgspec.structs.replace(chosen, behaviour=processes)
    with trio.fail_after(DEADLINE):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve, chosen, Central(chosen.behaviour))
            yield server
            nursery.cancel_scope.cancel()


class Peer:
    """A charge point's end of a WebSocket."""

    def __init__(self, websocket: WebSocketConnection) -> None:
        self.websocket = websocket
        self._calls = 0

    async def send(self, text: str) -> Any:
        """Send a frame and return the next one."""
        await self.websocket.send_message(text)
        return await self.receive()

    async def receive(self) -> Any:
        return json.loads(await self.websocket.get_message())

    async def ask(self, action: str, payload: Any) -> Any:
        self._calls += 1
        kind, message_id, *rest = await self.send(json.dumps([2, str(self._calls), action, payload]))
        assert (kind, message_id) == (3, str(self._calls)), rest
        return rest[0]

    async def boot(self) -> Any:
        return await self.ask("BootNotification", BOOT)

    async def close_code(self) -> int:
        """Wait for the end of the connection; what comes before is dropped."""
        with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012
            while True:
                await self.websocket.get_message()
        assert closed.value.reason is not None
        return int(closed.value.reason.code)


@asynccontextmanager
async def connected(
    server: Server,
    path: str = "/CP1",
    *,
    subprotocols: tuple[str, ...] = ("ocpp1.6",),
    login: str | None = None,
    boot: bool = False,
) -> AsyncIterator[Peer]:
    headers = []
    if login is not None:
        headers.append((b"Authorization", b"Basic " + base64.b64encode(login.encode())))
    # The stream is closed here, because the library's client leaves it open where the server closed first.
    async with await dial(server) as stream, trio.open_nursery() as nursery:
        try:
            websocket = await wrap_client_stream(
                nursery, stream, "csms", path, subprotocols=subprotocols, extra_headers=headers
            )
            peer = Peer(websocket)
            if boot:
                await peer.boot()
            yield peer
            await websocket.aclose()
        finally:
            nursery.cancel_scope.cancel()


async def dial(server: Server) -> trio.SocketStream:
    """Open a bare TCP connection."""
    host, _, port = server.url.removeprefix("ws://").rpartition(":")
    return await trio.open_tcp_stream(host, int(port))


async def request(server: Server, head: bytes) -> bytes:
    """Send a handshake of raw bytes, and return the whole response, up to the server's hanging up."""
    async with await dial(server) as stream:
        await stream.send_all(head)
        await stream.send_eof()
        return b"".join([part async for part in stream])


async def settled(server: Server, event: str, count: int) -> None:
    """Wait until the server has counted *event* among its connections *count* times."""
    while server.record()["connections"][event] < count:  # noqa: ASYNC110
        await trio.sleep(0.01)
