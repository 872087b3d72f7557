"""TLS on the socket itself: sessions are gone on with, ends are said, and nothing stays behind in OpenSSL."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from loadsim.link.transport import ConnectFailed, Slowness
from loadsim.link.websocket import Endpoint, WebSocketConnector
from loadsim.link.websocket_transport import WebSocketTransport
from tests.link.peer import Inbox, self_signed
from tests.link.raw_peer import answered
from tests.link.reading import frame
from tests.link.test_handshake_rules import Request

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("pollers")]

TEXT = 1
SHORT = frame(TEXT, b"x")
VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def server_context(certificate: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.minimum_version = context.maximum_version = version
    return context


@dataclass
class Secure:
    """A CSMS behind TLS, and charge points that connect to it."""

    nursery: trio.Nursery
    context: ssl.SSLContext
    connector: WebSocketConnector
    says: bytes
    ends: list[BaseException | None] = field(default_factory=list)
    """How each connection ended for the CSMS: None is with a close_notify."""

    async def serve(self, listener: trio.SocketListener) -> None:
        await trio.serve_listeners(self.answer, [listener])

    async def answer(self, raw: trio.SocketStream) -> None:
        stream = trio.SSLStream(raw, self.context, server_side=True)  # which wants the end to be said
        try:
            await answered(stream)
            await stream.send_all(self.says)
            while received := await stream.receive_some():
                if received[0] == 0x88:  # a close is answered
                    await stream.send_all(frame(8, b"\x03\xe8"))
            self.ends.append(None)
        except trio.BrokenResourceError as error:
            self.ends.append(error)
        finally:
            await trio.aclose_forcefully(stream)

    async def connect(self, identity: str = "CP1", slowness: Slowness | None = None) -> WebSocketTransport:
        return await self.connector.connect(self.nursery, Request(identity, slowness=slowness))

    async def visit(self, identity: str = "CP1") -> bool:
        """Connect, hear something, hang up; return whether a session went on."""
        transport = await self.connect(identity)
        inbox = Inbox()
        inbox.listen(transport, self.nursery)
        await inbox.receive()
        await transport.aclose()
        return transport.resumed


@asynccontextmanager
async def secure(
    certificate: Path, version: ssl.TLSVersion, says: bytes = frame(TEXT, b"x")
) -> AsyncIterator[Secure]:
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            url = f"wss://127.0.0.1:{listener.socket.getsockname()[1]}/{{id}}"
            connector = WebSocketConnector(Endpoint(url, ca=str(certificate)))
            made = Secure(nursery, server_context(certificate, version), connector, says)
            nursery.start_soon(made.serve, listener)
            yield made
            nursery.cancel_scope.cancel()


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return self_signed(tmp_path)


@VERSIONS
async def test_who_connects_again_goes_on_with_its_own_session(pem: Path, version: ssl.TLSVersion) -> None:
    async with secure(pem, version) as csms:
        assert [await csms.visit("CP1") for _ in range(4)] == [False, True, True, True]
        assert [await csms.visit("CP2") for _ in range(2)] == [False, True]


@VERSIONS
async def test_a_session_is_kept_however_its_connection_ended(pem: Path, version: ssl.TLSVersion) -> None:
    async with secure(pem, version) as csms:
        for identity, end in (("A", "abort"), ("R", "reset"), ("C", "aclose")):
            for resumed in (False, True, True):
                transport = await csms.connect(identity)
                assert transport.resumed is resumed
                inbox = Inbox()
                inbox.listen(transport, csms.nursery)
                await inbox.receive()
                await getattr(transport, end)()


async def test_a_session_is_read_once_for_many_connections(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    session: Any = ssl.SSLSocket.session

    def read(connection: ssl.SSLSocket) -> object:
        reads.append(connection)
        return session.fget(connection)

    monkeypatch.setattr(ssl.SSLSocket, "session", property(read, session.fset))
    async with secure(pem, ssl.TLSVersion.TLSv1_3) as csms:
        for _ in range(5):
            await csms.visit()
        assert len(reads) == 1


async def test_a_csms_that_gives_no_tickets_is_asked_for_one_once(pem: Path) -> None:
    async with secure(pem, ssl.TLSVersion.TLSv1_3) as csms:
        csms.context.num_tickets = 0
        assert [await csms.visit() for _ in range(3)] == [False, False, False]
        assert csms.connector._sessions._kept == {"CP1": None}


@VERSIONS
async def test_a_session_that_the_csms_does_not_know_any_more_is_replaced(pem: Path, version: ssl.TLSVersion) -> None:
    async with secure(pem, version) as csms:
        assert await csms.visit() is False
        csms.context = server_context(pem, version)  # as after a restart: it cannot read its old tickets
        assert [await csms.visit() for _ in range(2)] == [False, True]


@VERSIONS
async def test_a_closing_handshake_ends_with_a_close_notify(pem: Path, version: ssl.TLSVersion) -> None:
    async with secure(pem, version) as csms:
        await csms.visit()
        await trio.sleep(0.02)
        assert csms.ends == [None]

        transport = await csms.connect()
        await transport.abort()
        await trio.sleep(0.02)
        assert isinstance(csms.ends[1], trio.BrokenResourceError)


@VERSIONS
async def test_nothing_stays_behind_where_the_poller_does_not_see_it(pem: Path, version: ssl.TLSVersion) -> None:
    texts = [letter * size for letter, size in zip("abcdef", (16_383, 16_384, 16_385, 1, 40_000, 2), strict=True)]
    says = b"".join(frame(TEXT, text.encode()) for text in texts)
    async with secure(pem, version, says) as csms:
        transport = await csms.connect()
        inbox = Inbox()
        inbox.listen(transport, csms.nursery)
        assert [await inbox.receive() for _ in texts] == texts
        await transport.abort()


@pytest.mark.parametrize(("version", "round_trips"), [(ssl.TLSVersion.TLSv1_2, 3), (ssl.TLSVersion.TLSv1_3, 2)])
@pytest.mark.timed
async def test_each_round_trip_of_a_slow_handshake_takes_its_time(
    pem: Path, version: ssl.TLSVersion, round_trips: int
) -> None:
    slowness = Slowness(lambda: 0.05)
    async with secure(pem, version) as csms:
        transport = await csms.connect(slowness=slowness)
        assert 0.1 * round_trips <= transport.connect_seconds < 0.1 * round_trips + 0.095
        await transport.abort()


async def test_a_narrow_line_takes_its_time_for_the_certificate(pem: Path) -> None:
    certificate = len(ssl.PEM_cert_to_DER_cert(pem.read_text().partition("-----BEGIN PRIVATE")[0]))  # noqa: ASYNC240
    async with secure(pem, ssl.TLSVersion.TLSv1_3) as csms:
        transport = await csms.connect(slowness=Slowness(lambda: 0.0, 4_000.0))
        assert transport.connect_seconds >= certificate / 4_000
        await transport.abort()


@pytest.mark.parametrize(("host", "why"), [("localhost", "Hostname mismatch"), ("127.0.0.1", "self-signed")])
async def test_a_certificate_of_another_or_of_nobody_is_refused_and_says_why(pem: Path, host: str, why: str) -> None:
    async with secure(pem, ssl.TLSVersion.TLSv1_3) as csms:
        url = csms.connector._endpoint.url.replace("127.0.0.1", host)
        connector = WebSocketConnector(Endpoint(url, ca=str(pem) if host == "localhost" else None))
        with pytest.raises(ConnectFailed) as failed:
            await connector.connect(csms.nursery, Request())
        assert failed.value.outcome == "tls"
        assert why in failed.value.detail
