"""What a connection leaves behind, plain and through TLS: nothing for the garbage collector, which hardly runs."""

from __future__ import annotations

import gc
import ssl
import weakref
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trio

from loadsim.link.framing import Incoming
from loadsim.link.transport import ConnectFailed, ConnectionLost, Slowness
from loadsim.link.trouble import Trouble
from loadsim.link.websocket import Endpoint, WebSocketConnector
from loadsim.link.websocket_transport import WebSocketTransport
from loadsim.link.wire import Wire
from tests.link.peer import Peer, peer
from tests.link.test_handshake_rules import Request

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("pollers")]

OF_A_CONNECTION = (WebSocketTransport, Wire, Trouble, Incoming)
MUD = Slowness(lambda: 0.01, 10_000.0)


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def is_closed(transport: WebSocketTransport, csms: Peer) -> None:
    await transport.aclose()


async def is_reset(transport: WebSocketTransport, csms: Peer) -> None:
    await transport.reset()


async def is_aborted_while_it_is_held(transport: WebSocketTransport, csms: Peer) -> None:
    transport.hold()
    await trio.sleep(0.02)
    await transport.abort()


async def is_reset_while_it_is_slow(transport: WebSocketTransport, csms: Peer) -> None:
    transport.slow_down(MUD)
    await transport.send("x" * 5000)
    await trio.sleep(0.02)
    await transport.reset()


async def is_lost(transport: WebSocketTransport, csms: Peer) -> None:
    assert csms.websocket is not None
    await csms.websocket.aclose(1011)
    with pytest.raises(ConnectionLost):
        await csms.inbox.receive()
    await transport.abort()


async def is_given_up_in_a_message(transport: WebSocketTransport, csms: Peer) -> None:
    transport.slow_down(MUD)
    with trio.move_on_after(0.05):
        await transport.send_raw("x" * 300_000)
    with pytest.raises(ConnectionLost):
        await csms.inbox.receive()
    await transport.abort()


@pytest.mark.parametrize(
    "ends",
    [
        is_closed,
        is_reset,
        is_aborted_while_it_is_held,
        is_reset_while_it_is_slow,
        is_lost,
        is_given_up_in_a_message,
    ],
)
async def test_however_a_connection_ends_it_is_gone_at_once(
    certificate: Path | None, ends: Callable[[WebSocketTransport, Peer], Awaitable[None]]
) -> None:
    async with peer(certificate) as (csms, _):
        async with trio.open_nursery() as of_connection:
            transport = await csms.connect(of_connection)
            left = [weakref.ref(transport._wire._socket)]
            await transport.send("one")
            await csms.got(1)
            await ends(transport, csms)
            csms.transport = None
            del transport
        await trio.testing.wait_all_tasks_blocked()

        assert [each() for each in left] == [None]
        assert [each for each in gc.get_objects() if isinstance(each, OF_A_CONNECTION)] == []


async def test_a_tls_handshake_that_fails_leaves_nothing() -> None:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, hang_up, 0)
        port = listeners[0].socket.getsockname()[1]
        connector = WebSocketConnector(Endpoint(f"wss://127.0.0.1:{port}/{{id}}"))
        with pytest.raises(ConnectFailed, match="tls"):
            await connector.connect(nursery, Request())
        nursery.cancel_scope.cancel()

    assert [each for each in gc.get_objects() if isinstance(each, ssl.SSLSocket)] == []


async def hang_up(stream: trio.SocketStream) -> None:
    await stream.receive_some(1)
    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
