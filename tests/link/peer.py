"""The other side of a real connection: a WebSocket server for one charge point, with or without TLS."""

from __future__ import annotations

import ipaddress
import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from loadsim.link.transport import ConnectionLost, ConnectRequest, Transport
from loadsim.link.websocket import Endpoint, WebSocketConnector
from loadsim.link.websocket_transport import WebSocketTransport
from tests.link.test_handshake_rules import Request


def self_signed(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


class Inbox:
    """What a transport hands over, kept until somebody asks."""

    def __init__(self) -> None:
        self._put, self._take = trio.open_memory_channel[str | bytes](math.inf)
        self._lost: ConnectionLost | None = None

    def listen(self, transport: Transport, nursery: trio.Nursery) -> None:
        transport.listen(nursery, self._put.send_nowait, self._ended)

    async def receive(self) -> str | bytes:
        """Wait for one message; raises ConnectionLost when the connection has ended, and all have been taken."""
        try:
            return await self._take.receive()
        except trio.EndOfChannel:
            assert self._lost is not None
            raise self._lost.bare() from None

    def _ended(self, lost: ConnectionLost) -> None:
        assert self._lost is None, "it is told once"
        self._lost = lost
        self._put.close()


class Peer:
    """One charge point's connection, seen from the CSMS: what it got when, and how it ended."""

    def __init__(self, nursery: trio.Nursery, certificate: Path | None) -> None:
        self.nursery = nursery
        self.certificate = certificate
        self.messages: list[tuple[str | bytes, float]] = []
        self.websocket: WebSocketConnection | None = None
        self.transport: WebSocketTransport | None = None
        self.inbox = Inbox()
        """What the charge point has received."""
        self.opened = trio.Event()
        self.ended = trio.Event()
        self.cause: BaseException | None = None
        """What TCP said at the end."""
        self._url = ""

    async def listen(self) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        scheme = "ws" if self.certificate is None else "wss"
        self._url = f"{scheme}://127.0.0.1:{listener.socket.getsockname()[1]}/{{id}}"
        self.nursery.start_soon(self._accept, listener)

    async def connect(
        self,
        nursery: trio.Nursery,
        request: ConnectRequest = Request(),  # noqa: B008
        *,
        listening: bool = True,
    ) -> WebSocketTransport:
        """Connect a charge point, and wait until both sides know it."""
        ca = None if self.certificate is None else str(self.certificate)
        connector = WebSocketConnector(Endpoint(self._url, ca=ca))
        transport = await connector.connect(nursery, request)
        self.transport = transport
        if listening:
            self.inbox.listen(transport, nursery)
        await self.opened.wait()
        return transport

    async def send(self, text: str) -> None:
        assert self.websocket is not None
        await self.websocket.send_message(text)

    @property
    def texts(self) -> list[str | bytes]:
        return [message for message, _ in self.messages]

    async def got(self, count: int) -> None:
        """Wait for so many messages."""
        while len(self.messages) < count:  # noqa: ASYNC110 - the simplest way to wait for what others append
            await trio.sleep(0.005)

    async def _accept(self, listener: trio.SocketListener) -> None:
        async with listener:
            stream = await listener.accept()
        async with stream:
            await self._serve(_Noted(stream, self))

    async def _serve(self, noted: _Noted) -> None:
        below: trio.abc.Stream = noted
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            below = trio.SSLStream(noted, context, server_side=True, https_compatible=True)
        async with trio.open_nursery() as nursery:
            request = await wrap_server_stream(nursery, below, max_message_size=1 << 30)
            self.websocket = await request.accept(subprotocol="ocpp1.6")
            self.opened.set()
            try:
                while True:
                    self.messages.append((await self.websocket.get_message(), trio.current_time()))
            except ConnectionClosed:
                self.ended.set()


class _Noted(trio.abc.Stream):
    """A TCP stream that tells its peer why it broke."""

    def __init__(self, stream: trio.SocketStream, peer: Peer) -> None:
        self._stream = stream
        self._peer = peer

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            return await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError as error:
            self._peer.cause = error.__cause__
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def peer(certificate: Path | None = None) -> AsyncIterator[tuple[Peer, trio.Nursery]]:
    """Yield a server and a nursery for the charge point; all of it has 20 seconds."""
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            made = Peer(nursery, certificate)
            await made.listen()
            try:
                yield made, nursery
            finally:  # a test that fails must leave no socket to the garbage of those after it
                if made.transport is not None:
                    await made.transport.abort()
            nursery.cancel_scope.cancel()
