"""Listening sockets and accepted streams, below any WebSocket."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

import trio

from loadsim.csms.gate import Gate
from loadsim.errors import UsageError

BACKLOG: Final = 4096
"""Connections that may wait to be accepted; the system cuts it to its own limit."""
MAX_PORT: Final = 65535

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
    if not 0 <= port <= MAX_PORT:  # some systems' getaddrinfo would take it modulo 65536
        raise UsageError(f"cannot listen on port {port}: expected 0 (any free one) to {MAX_PORT}")
    try:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot listen on {host}, port {port}: {reason}") from error
    if port == 0:  # each listener of a name with several addresses has got a port of its own
        for listener in listeners[1:]:
            await listener.aclose()
        del listeners[1:]
    return listeners


def url_of(listener: trio.SocketListener) -> str:
    """Write where *listener* listens."""
    host, port = listener.socket.getsockname()[:2]
    return f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"
