"""The only door to the WebSocket library: connects a charge point, and names what came of it."""

from __future__ import annotations

import base64
import contextlib
import errno
import socket
import ssl
import urllib.parse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import trio
import trio_websocket

from loadsim.link.eager_stream import EagerStream
from loadsim.link.frames import client_frames
from loadsim.link.transport import ABNORMAL_CLOSURE, ConnectFailed, ConnectionLost, ConnectRequest, Slowness

_MAX_MESSAGE: Final = 1 << 20
_CLOSE_TIMEOUT: Final = 2.0
_MOST_CLOSE_TIMEOUT: Final = 10.0
"""Seconds: over a slow link the closing handshake takes longer."""
_RESOLVE_AGAIN_AFTER: Final = 30.0
# Linux: let connect() choose the port, so that one port can serve several destinations.
_IP_BIND_ADDRESS_NO_PORT: Final = 24

_BY_ERRNO: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EMFILE: "EMFILE",
    getattr(errno, "WSAEMFILE", errno.EMFILE): "EMFILE",
    errno.ENOBUFS: "EADDRNOTAVAIL",
    errno.ENFILE: "EMFILE",
    errno.EADDRNOTAVAIL: "EADDRNOTAVAIL",
    errno.EADDRINUSE: "EADDRNOTAVAIL",
    errno.ETIMEDOUT: "timeout",
}
EXHAUSTED: Final = frozenset({"EMFILE", "EADDRNOTAVAIL"})
"""Outcomes that are this machine's own doing: descriptors or ports ran out."""

SUBPROTOCOL: Final = "ocpp1.6"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the CSMS is; *url* holds ``{id}``, *user* may. *timeout* in seconds bounds a whole connect."""

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    source_addresses: tuple[str, ...] = ()
    timeout: float = 30.0


class WebSocketTransport:
    """An open WebSocket of trio-websocket."""

    __slots__ = ("_connection", "_nursery", "_stream", "connect_seconds", "handshake_seconds", "held")

    def __init__(
        self,
        connection: trio_websocket.WebSocketConnection,
        stream: EagerStream | trio.SSLStream[EagerStream],
        nursery: trio.Nursery,
        connect_seconds: float,
        handshake_seconds: float,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._nursery = nursery
        self.connect_seconds = connect_seconds
        self.handshake_seconds = handshake_seconds
        self.held = False

    async def send(self, text: str) -> None:
        """See Transport.send."""
        if self.held:
            await self.released()
        try:
            await self._connection.send_message(text)
        except Exception as error:
            raise self._lost(error) from error

    def begin_send(self, text: str) -> Awaitable[None] | None:
        """See Transport.begin_send."""
        return self.send(text)

    async def receive(self) -> str | bytes:
        """Wait for one message; bytes are a binary one. Raises ConnectionLost when the connection has ended."""
        try:
            return await self._connection.get_message()
        except trio_websocket.ConnectionClosed as error:
            raise self._lost(error) from error

    def listen(
        self,
        nursery: trio.Nursery,
        on_message: Callable[[str | bytes], None],
        on_lost: Callable[[ConnectionLost], None],
    ) -> None:
        """See Transport.listen."""
        nursery.start_soon(self._listen, on_message, on_lost)

    async def _listen(
        self, on_message: Callable[[str | bytes], None], on_lost: Callable[[ConnectionLost], None]
    ) -> None:
        while True:
            try:
                message = await self.receive()
            except ConnectionLost as lost:
                on_lost(lost)
                return
            on_message(message)

    async def ping(self) -> None:
        """See Transport.ping."""
        if self.held:
            await self.released()
        try:
            await self._connection.ping()
        except Exception as error:
            raise self._lost(error) from error

    async def aclose(self) -> None:
        """See Transport.aclose."""
        if not self.held:
            with trio.move_on_after(
                min(_CLOSE_TIMEOUT + _tcp(self._stream).round_trip(), _MOST_CLOSE_TIMEOUT)
            ) as scope:
                scope.shield = True
                with contextlib.suppress(Exception):  # whatever it was, the connection is over
                    await self._connection.aclose(1000)
        await self.abort()

    async def abort(self) -> None:
        """See Transport.abort."""
        with trio.CancelScope(shield=True):
            await _end(self._stream)
        # wsproto's parser is a generator that holds itself, in a cycle of a kilobyte that only the garbage
        # collector would find; and that hardly looks (docs/design/0005-garbage.md).
        with contextlib.suppress(AttributeError, ValueError):
            cast("Any", self._connection)._wsproto.connection._proto._parse_more.close()  # noqa: SLF001

    async def reset(self) -> None:
        """See Transport.reset."""
        _tcp(self._stream).reset_on_close()
        await self.abort()

    def hold(self) -> None:
        """See Transport.hold."""
        self.held = True
        _tcp(self._stream).hold()

    def release(self) -> None:
        """See Transport.release."""
        self.held = False
        _tcp(self._stream).release()

    async def released(self) -> None:
        """See Transport.released."""
        await _tcp(self._stream).released()

    def slow_down(self, slowness: Slowness | None) -> None:
        """See Transport.slow_down."""
        _tcp(self._stream).slow_down(slowness, self._nursery)

    async def send_raw(self, message: str | bytes, *, frames: int = 1) -> None:
        """See Transport.send_raw."""
        if self.held:
            await self.released()
        if self._connection.closed is not None:
            raise ConnectionLost(self._connection.closed.code, self._connection.closed.reason or "")
        begun = False
        try:
            async with cast("Any", self._connection)._stream_lock:  # noqa: SLF001 - nothing may go in between
                for piece in client_frames(message, frames):
                    if begun:
                        await trio.lowlevel.checkpoint()  # a huge message must not keep the others waiting
                    begun = True
                    await self._stream.send_all(piece)
                begun = False
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._lost(error) from error
        finally:
            if begun:
                await self.abort()

    def _lost(self, error: Exception) -> ConnectionLost:
        closed = self._connection.closed
        if closed is None:
            return ConnectionLost(ABNORMAL_CLOSURE, str(error))
        return ConnectionLost(closed.code, closed.reason or "")


class _QuietNursery:
    """Where trio-websocket runs its reader: an error ends that reader, never the charge point's nursery.

    trio-websocket raises the server's refusal out of its reader task, and forgets to wake the connect that
    waits when the server just hangs up; both end the connect here.
    """

    def __init__(self, nursery: trio.Nursery, connecting: trio.CancelScope) -> None:
        self._nursery = nursery
        self._connecting: trio.CancelScope | None = connecting
        self.refusal = ("closed", "the CSMS closed the connection during the WebSocket handshake")

    def start_soon(self, task: Callable[[], Awaitable[Any]]) -> None:
        self._nursery.start_soon(self._run, task)

    def opened(self) -> None:
        """Let go of what only the connect needed."""
        self._connecting = None

    async def _run(self, task: Callable[[], Awaitable[Any]]) -> None:
        try:
            await task()
        except Exception as error:  # noqa: BLE001 - a broken server must not take the run down
            # In words: the error itself would keep alive, in a cycle, all that its traceback passed through.
            self.refusal = _refusal(error)
        if self._connecting is not None:
            self._connecting.cancel()


class WebSocketConnector:
    """Connects charge points to one CSMS over WebSocket, with or without TLS."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Read the endpoint's URL.

        Raises:
            OSError: the CA file cannot be read.
        """
        self._endpoint = endpoint
        parts = urllib.parse.urlsplit(endpoint.url)
        secure = parts.scheme == "wss"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._host_header = parts.netloc.rpartition("@")[2]
        self._resource = urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))
        self._ssl = ssl.create_default_context(cafile=endpoint.ca) if secure else None
        self._addresses: list[tuple[int, Any]] = []
        self._resolved_at = 0.0
        self._resolving = trio.Lock()

    async def connect(self, nursery: trio.Nursery, request: ConnectRequest) -> WebSocketTransport:
        """See Connector.connect."""
        begin = trio.current_time()
        with trio.move_on_after(self._endpoint.timeout):
            stream = await self._open_stream(nursery, request)
            connected = trio.current_time()
            try:
                connection = await self._upgrade(nursery, stream, request)
            except BaseException:
                await _end(stream)
                raise
            opened = trio.current_time()
            _tcp(stream).slow_down(request.slowness, nursery)  # it may have changed meanwhile
            return WebSocketTransport(connection, stream, nursery, connected - begin, opened - connected)
        raise ConnectFailed("timeout", f"no connection within {self._endpoint.timeout:g} s")

    def security_profile(self, request: ConnectRequest) -> int:
        """See Connector.security_profile."""
        if self._password(request) is None:
            return 0
        return 1 if self._ssl is None else 2

    async def _open_stream(
        self, nursery: trio.Nursery, request: ConnectRequest
    ) -> EagerStream | trio.SSLStream[EagerStream]:
        failure: OSError | None = None
        slowness = request.slowness
        for family, address in await self._resolve():
            try:
                stream = EagerStream(await self._open_socket(family, address, request.number, slowness))
                stream.slow_down(slowness, nursery)
                break
            except OSError as error:
                failure = error
        else:
            self._addresses = []  # ask again: the name may have moved
            assert failure is not None
            outcome = _BY_ERRNO.get(failure.errno or 0, "unreachable")
            raise ConnectFailed(outcome, str(failure)) from failure
        if self._ssl is None:
            return stream
        secure = trio.SSLStream(stream, self._ssl, server_hostname=self._host, https_compatible=True)
        try:
            await secure.do_handshake()
        except (trio.BrokenResourceError, ssl.SSLError, OSError) as error:
            await _end(secure)
            raise ConnectFailed("tls", str(error.__cause__ or error)) from error
        except BaseException:
            await _end(secure)
            raise
        return secure

    async def _resolve(self) -> list[tuple[int, Any]]:
        async with self._resolving:  # one asks, and thousands use the answer
            now = trio.current_time()
            if not self._addresses or now - self._resolved_at > _RESOLVE_AGAIN_AFTER:
                try:
                    found = await trio.socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                except OSError as error:
                    raise ConnectFailed("dns", f"{self._host}: {error}") from error
                self._addresses = [(family, address) for family, _, _, _, address in found]
                self._resolved_at = now
            return self._addresses

    async def _open_socket(self, family: int, address: Any, number: int, slowness: Slowness | None) -> socket.socket:
        connecting = socket.socket(family, socket.SOCK_STREAM)
        opened = trio.socket.from_stdlib_socket(connecting)
        try:
            sources = self._endpoint.source_addresses
            if sources:
                with contextlib.suppress(OSError):  # no such option outside Linux: bind picks the port itself
                    opened.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                await opened.bind((sources[number % len(sources)], 0))
            if slowness is None:
                await opened.connect(address)
            else:  # there and back: SYN, and SYN-ACK
                await trio.sleep(slowness.latency())
                await opened.connect(address)
                await trio.sleep(slowness.latency())
        except BaseException:
            opened.close()
            raise
        return connecting

    async def _upgrade(
        self,
        nursery: trio.Nursery,
        stream: EagerStream | trio.SSLStream[EagerStream],
        request: ConnectRequest,
    ) -> trio_websocket.WebSocketConnection:
        offered = [] if request.subprotocol == "none" else [SUBPROTOCOL]
        with trio.CancelScope() as connecting:
            quiet = _QuietNursery(nursery, connecting)
            connection = await trio_websocket.wrap_client_stream(
                cast("trio.Nursery", quiet),
                cast("trio.SocketStream", stream),  # any stream will do; only its signature says otherwise
                self._host_header,
                self._resource.replace("{id}", urllib.parse.quote(request.identity, safe="")),
                subprotocols=offered,
                extra_headers=self._headers(request),
                max_message_size=_MAX_MESSAGE,
            )
            quiet.opened()
        if connecting.cancelled_caught:
            raise ConnectFailed(*quiet.refusal)
        if request.subprotocol == SUBPROTOCOL and connection.subprotocol != SUBPROTOCOL:
            await WebSocketTransport(connection, stream, nursery, 0.0, 0.0).aclose()  # OCPP-J 1.6, section 3.1.2
            raise ConnectFailed("subprotocol", f"offered {SUBPROTOCOL}, the CSMS agreed to {connection.subprotocol}")
        return connection

    def _headers(self, request: ConnectRequest) -> list[tuple[bytes, bytes]]:
        password = self._password(request)
        if password is None:
            return []
        user = (self._endpoint.user or "{id}").replace("{id}", request.identity)
        credentials = base64.b64encode(user.encode() + b":" + password)
        return [(b"Authorization", b"Basic " + credentials)]

    def _password(self, request: ConnectRequest) -> bytes | None:
        password = request.password if request.password is not None else self._endpoint.password
        return password.encode() if isinstance(password, str) else password


def _tcp(stream: EagerStream | trio.SSLStream[EagerStream]) -> EagerStream:
    """Return what carries *stream*: itself, or what is below TLS."""
    return stream.transport_stream if isinstance(stream, trio.SSLStream) else stream


async def _end(stream: EagerStream | trio.SSLStream[EagerStream]) -> None:
    """Close *stream* at once, and break the cycle of 30 kB that trio's TLS stream makes with its own handshake."""
    await trio.aclose_forcefully(stream)
    if isinstance(stream, trio.SSLStream):
        with contextlib.suppress(AttributeError):
            cast("Any", stream)._handshook._afn = None  # noqa: SLF001


def _refusal(error: Exception) -> tuple[str, str]:
    """Name why the WebSocket handshake ended without a connection: the outcome, and the detail for people."""
    if isinstance(error, trio_websocket.ConnectionRejected):
        return f"http_{error.status_code}", f"the CSMS answered the handshake with {error.status_code}"
    return "bad_handshake", f"the CSMS's handshake is not one: {error.__context__ or error!r}"
