"""Listening sockets and accepted streams, below any WebSocket."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import trio

from loadsim.csms.gate import Gate
from loadsim.errors import UsageError

BACKLOG: Final = 4096
"""Connections that may wait to be accepted; the system cuts it to its own limit."""
MAX_PORT: Final = 65535

SHARING: Final[int | None] = getattr(
    socket, "SO_REUSEPORT_LB", getattr(socket, "SO_REUSEPORT", None) if sys.platform == "linux" else None
)
"""The option by which processes share a port and each gets its part of the connections; None where there is none.

Elsewhere than on Linux SO_REUSEPORT alone gives all of them to one process (FreeBSD spreads them with _LB).
"""

Place = tuple[int, tuple[Any, ...]]
"""A family of addresses, and an address of it as the socket module has it."""

_NO_LINGER: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""Of SO_LINGER: to close is to reset."""


class WatchedStream(trio.abc.Stream):
    """A stream that tells when it ends: the library waits for a request even when none can come any more.

    What is read and written passes *gate*; what was read while it is shut is seen afterwards.
    """

    def __init__(self, stream: trio.SocketStream, ended: Callable[[], None], gate: Gate) -> None:
        self._stream = stream
        self._ended = ended
        self._gate = gate

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive as the stream does."""
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._ended()
            raise
        if self._gate.shut:
            await self._gate.passed(count=bool(data))
        if not data:
            self._ended()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send as the stream does."""
        if self._gate.shut:
            await self._gate.passed()
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait as the stream does."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream."""
        self._ended()
        await self._stream.aclose()


def bound(family: int, address: Any, *, shared: bool = False) -> socket.socket:
    """Return a socket bound to *address* as trio's listeners are, which does not listen.

    *shared*: other processes of this user can be bound to it, too, and each of those that listen gets its part of
    what comes. ``SHARING`` must not be None.

    Raises:
        OSError: the place is taken.
    """
    kept = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # connections that have just ended do not count
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            assert SHARING is not None
            kept.setsockopt(socket.SOL_SOCKET, SHARING, 1)
        if family == socket.AF_INET6:
            kept.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        kept.bind(address)
    except OSError:
        kept.close()
        raise
    return kept


def reset(stream: trio.SocketStream) -> None:
    """Close *stream* with a TCP reset (RFC 9293, section 3.5.2), at once and without waiting."""
    if stream.socket.fileno() != -1:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        stream.socket.close()


async def listen(host: str, port: int) -> list[trio.SocketListener]:
    """Listen on *host*, all its addresses; on one of them if *port* is 0, any free one.

    Raises:
        UsageError: it cannot listen there.
    """
    check_port(port)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    except OSError as error:
        raise cannot_listen(host, port, error) from error
    if port == 0:  # each listener of a name with several addresses has got a port of its own
        for listener in listeners[1:]:
            await listener.aclose()
        del listeners[1:]
    return listeners


async def places_of(host: str, port: int) -> list[Place]:
    """Return all the places that *host* has, as ``listen`` takes them; one of them if *port* is 0.

    Raises:
        UsageError: it cannot be listened there.
    """
    check_port(port)
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise cannot_listen(host, port, error) from error
    places = [(int(family), tuple(address)) for family, _, _, _, address in found]
    return places[:1] if port == 0 else places


def listen_shared(places: Sequence[Place]) -> list[trio.SocketListener]:
    """Listen at *places* beside other processes.

    Raises:
        OSError: it cannot listen there.
    """
    listeners = []
    for family, address in places:
        place = bound(family, address, shared=True)
        place.listen(BACKLOG)
        listeners.append(trio.SocketListener(trio.socket.from_stdlib_socket(place)))
    return listeners


def check_port(port: int) -> None:
    """Refuse a number that no port has.

    Raises:
        UsageError: it is none.
    """
    if not 0 <= port <= MAX_PORT:  # some systems' getaddrinfo would take it modulo 65536
        raise UsageError(f"cannot listen on port {port}: expected 0 (any free one) to {MAX_PORT}")


def cannot_listen(host: str, port: int, error: OSError) -> UsageError:
    """Say where it cannot be listened, and why."""
    return UsageError(f"cannot listen on {host}, port {port}: {error.strerror or error}")


def url_of(listener: trio.SocketListener) -> str:
    """Write where *listener* listens."""
    return write_url(listener.socket.getsockname())


def write_url(address: Sequence[Any]) -> str:
    """Write the address of a socket."""
    host, port = address[:2]
    return f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"
