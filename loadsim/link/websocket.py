"""Connects charge points to a CSMS over WebSocket, and names what came of it."""

from __future__ import annotations

import base64
import urllib.parse
from dataclasses import dataclass, field
from typing import Final

import trio

from loadsim.link.dialing import Dialer, connect_failed
from loadsim.link.opening import HandshakeRefused, Opening, request_target
from loadsim.link.poller import make_poller
from loadsim.link.tls import Sessions, make_context, shake_hands
from loadsim.link.transport import ConnectFailed, ConnectionLost, ConnectRequest
from loadsim.link.websocket_transport import WebSocketTransport
from loadsim.link.wire import SecureWire, Wire

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
        self._dialer = Dialer(self._host, parts.port or (443 if secure else 80), endpoint.source_addresses)
        self._host_header = parts.netloc.rpartition("@")[2]
        self._target = request_target(urllib.parse.urlunsplit(("", "", parts.path, parts.query, "")))
        self._ssl = make_context(endpoint.ca) if secure else None
        self._sessions = Sessions()
        self._poller = make_poller()

    async def connect(self, nursery: trio.Nursery, request: ConnectRequest) -> WebSocketTransport:
        """See Connector.connect."""
        begin = trio.current_time()
        with trio.CancelScope(deadline=begin + self._endpoint.timeout):
            wire = await self._open_wire(request)
            transport = WebSocketTransport(wire, nursery, trio.current_time() - begin)
            try:
                await self._upgrade(transport, request)
            except BaseException:
                await transport.abort()
                raise
            transport.slow_down(request.slowness)  # it may have changed meanwhile
            if isinstance(wire, SecureWire):
                wire.keep_session(self._sessions, request.identity)  # its tickets came before what has been read
            return transport
        raise ConnectFailed("timeout", f"no connection within {self._endpoint.timeout:g} s")

    def security_profile(self, request: ConnectRequest) -> int:
        """See Connector.security_profile."""
        if self._password(request) is None:
            return 0
        return 1 if self._ssl is None else 2

    async def _open_wire(self, request: ConnectRequest) -> Wire:
        slowness = request.slowness
        connected = await self._dialer.dial(request.number, slowness)
        if self._ssl is None:
            return Wire(connected, self._poller)
        session = self._sessions.of(request.identity)
        try:
            secure = await shake_hands(connected, self._ssl, self._host, session, slowness)
        except OSError as error:
            self._sessions.drop(request.identity)
            raise ConnectFailed("tls", str(error)) from error
        return SecureWire(secure, self._poller)

    async def _upgrade(self, transport: WebSocketTransport, request: ConnectRequest) -> None:
        offered = [] if request.subprotocol == "none" else [SUBPROTOCOL]
        target = self._target.replace(b"{id}", urllib.parse.quote(request.identity, safe="").encode())
        opening = Opening(self._host_header, target, offered, self._headers(request))
        transport.slow_down(request.slowness)
        try:
            agreed = await transport.open(opening)
        except HandshakeRefused as refused:
            raise ConnectFailed(refused.outcome, refused.detail) from refused
        except ConnectionLost as lost:
            raise ConnectFailed("closed", "the connection broke during the WebSocket handshake") from lost
        except OSError as error:  # no descriptor for the poller, or too many of them
            raise connect_failed(error) from error
        if request.subprotocol == SUBPROTOCOL and agreed != SUBPROTOCOL:
            await transport.aclose()  # OCPP-J 1.6, section 3.1.2
            raise ConnectFailed("subprotocol", f"offered {SUBPROTOCOL}, the CSMS agreed to {agreed}")

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
