"""A TCP stream that acts first and asks the scheduler later.

trio's own SocketStream passes through the scheduler once for every send that succeeds at once, and tries every
receive before there can be anything. With thousands of charge points that is a tenth of the CPU of a round
trip (docs/design/0004-trio-websocket-behind-one-door.md). What it gives up: a send is no checkpoint.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final

import trio

from loadsim.link.transport import Slowness
from loadsim.link.trouble import Trouble

_RECEIVE: Final = 16_384
_RESET: Final = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER for 0 seconds: closing drops what was not sent and resets the connection (RFC 9293, section 3.10.5)."""


class EagerStream(trio.abc.Stream):
    """A connected, non-blocking TCP socket as a trio stream; one task sends at a time, one receives."""

    __slots__ = ("_socket", "_trouble")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._trouble: Trouble | None = None  # once there was some it stays, for who waits in it
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*; waits, and can be cancelled, only when the socket's buffer is full.

        Raises:
            BrokenResourceError: the connection is gone.
            ClosedResourceError: this side has closed it.
        """
        left = memoryview(data)
        while left:
            if self._trouble is not None:
                await self._trouble.send(left)
                return
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as error:
                raise self._gone(error) from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the socket's buffer has room."""
        if self._trouble is not None:
            await self._trouble.released()
        await trio.lowlevel.wait_writable(self._socket)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for data and return it; nothing at the end.

        Raises:
            BrokenResourceError: the connection is gone.
            ClosedResourceError: this side has closed it.
        """
        while True:
            if self._trouble is not None:
                return await self._trouble.receive(max_bytes)
            if self._socket.fileno() < 0:
                raise trio.ClosedResourceError
            await trio.lowlevel.wait_readable(self._socket)
            if self._trouble is not None:
                continue  # since it waits
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
            if self._trouble is not None:
                self._trouble.close()
        await trio.lowlevel.checkpoint()

    # What makes trouble on purpose; see Transport for what it means.

    def hold(self) -> None:
        """From now on take nothing from the socket and give it nothing."""
        self._in_trouble().hold()

    def release(self) -> None:
        """Go on where `hold` stopped."""
        if self._trouble is not None:
            self._trouble.release()

    async def released(self) -> None:
        """Wait while the stream is held."""
        if self._trouble is not None:
            await self._trouble.released()

    def slow_down(self, slowness: Slowness | None, nursery: trio.Nursery) -> None:
        """Delay what is sent and received from now on; *nursery* runs what carries it, and never sees it fail."""
        if slowness is not None or self._trouble is not None:
            self._in_trouble().slow_down(slowness, nursery)

    def round_trip(self) -> float:
        """Return the seconds by which an answer to what would be sent now is delayed."""
        return 0.0 if self._trouble is None else self._trouble.round_trip()

    def reset_on_close(self) -> None:
        """Let `aclose` drop what was not sent yet and reset the connection, of which the other side is told."""
        if self._socket.fileno() >= 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _in_trouble(self) -> Trouble:
        if self._trouble is None:
            self._trouble = Trouble(self._socket)
        return self._trouble

    def _gone(self, error: OSError) -> Exception:
        if self._socket.fileno() < 0:
            return trio.ClosedResourceError("this side has closed the connection")
        return trio.BrokenResourceError(str(error))
