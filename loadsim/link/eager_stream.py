"""A TCP stream that acts first and asks the scheduler later.

trio's own SocketStream passes through the scheduler once for every send that succeeds at once, and tries every
receive before there can be anything. With thousands of charge points that is a tenth of the CPU of a round
trip (docs/design/0004-trio-websocket-behind-one-door.md). What it gives up: a send is no checkpoint.
"""

from __future__ import annotations

import socket
from typing import Final

import trio

_RECEIVE: Final = 16_384


class EagerStream(trio.abc.Stream):
    """A connected, non-blocking TCP socket as a trio stream; one task sends at a time, one receives."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*; waits, and can be cancelled, only when the socket's buffer is full.

        Raises:
            BrokenResourceError: the connection is gone.
            ClosedResourceError: this side has closed it.
        """
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as error:
                raise self._gone(error) from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the socket's buffer has room."""
        await trio.lowlevel.wait_writable(self._socket)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for data and return it; nothing at the end.

        Raises:
            BrokenResourceError: the connection is gone.
            ClosedResourceError: this side has closed it.
        """
        while True:
            if self._socket.fileno() < 0:
                raise trio.ClosedResourceError
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(max_bytes or _RECEIVE)
            except BlockingIOError:
                continue  # somebody else's byte, or none after all
            except OSError as error:
                raise self._gone(error) from error

    async def aclose(self) -> None:
        """Close the socket; who waits for it is told so."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def _gone(self, error: OSError) -> Exception:
        if self._socket.fileno() < 0:
            return trio.ClosedResourceError("this side has closed the connection")
        return trio.BrokenResourceError(str(error))
