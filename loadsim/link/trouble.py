"""A TCP stream in trouble on purpose: held, so that nothing moves, or slow, so that everything takes its time.

It acts between the socket and TLS. What is sent slowly is carried to the socket by a task that exists only while
something is under way; what is received slowly is taken from the socket as it comes, and waits here.
"""

from __future__ import annotations

import socket
from typing import Final

import trio

from loadsim.link.slow_line import SlowPipe
from loadsim.link.transport import Slowness

_RECEIVE: Final = 16_384
_QUEUE: Final = 65_536
"""Bytes under way in one direction from which on a sender waits: what a modem and the kernel hold."""


class Trouble:
    """What is the matter with a connected, non-blocking socket; one task sends at a time, one receives."""

    __slots__ = (
        "_broken",
        "_carrying",
        "_ended",
        "_failure",
        "_in",
        "_nursery",
        "_out",
        "_released",
        "_room",
        "_socket",
        "_waiting",
    )

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._released: trio.Event | None = None
        self._in = SlowPipe()
        self._out = SlowPipe()
        self._nursery: trio.Nursery | None = None
        self._carrying: trio.CancelScope | None = None
        self._waiting: trio.CancelScope | None = None
        self._room: trio.Event | None = None
        self._broken: str | None = None
        self._ended = False  # the other side has sent its last byte; behind what is under way comes the end
        self._failure: OSError | None = None

    @property
    def _closed(self) -> bool:
        return self._socket.fileno() < 0

    def hold(self) -> None:
        """Let no byte pass, in either direction."""
        if self._released is None and not self._closed:
            self._released = trio.Event()

    def release(self) -> None:
        """Let bytes pass again, from where they were held."""
        if self._released is not None:
            self._released.set()
            self._released = None

    async def released(self) -> None:
        """Wait until nothing is held."""
        while self._released is not None:
            await self._released.wait()

    def slow_down(self, slowness: Slowness | None, nursery: trio.Nursery) -> None:
        """Delay what is sent and received from now on; *nursery* runs what carries it."""
        self._nursery = nursery
        self._in.line.slowness = self._out.line.slowness = slowness

    def round_trip(self) -> float:
        """Return the seconds until an answer to what would be sent now could be here."""
        busy = self._out.line.busy(trio.current_time())
        slowness = self._out.line.slowness
        return busy if slowness is None else busy + slowness.latency() + slowness.latency()

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """See EagerStream.send_all; bytes under way count as sent."""
        await self.released()
        while self._out.size > _QUEUE and not self._closed:
            self._room = trio.Event()
            await self._room.wait()
        if self._closed:
            raise trio.ClosedResourceError("this side has closed the connection")
        if self._broken is not None:
            raise trio.BrokenResourceError(self._broken)
        if self._out.line.slowness is None and not self._out:
            await self._write(memoryview(data))
            return
        self._out.put(bytes(data), trio.current_time())
        if self._carrying is None:
            assert self._nursery is not None  # it came with the slowness
            self._carrying = trio.CancelScope()
            self._nursery.start_soon(self._carry, self._carrying)

    async def receive(self, max_bytes: int | None) -> bytes:
        """See EagerStream.receive_some."""
        while True:
            await self.released()
            if self._closed:
                raise trio.ClosedResourceError
            if self._in.due() <= trio.current_time():
                return self._arrived(max_bytes)
            if await self._readable():
                self._read()

    def close(self) -> None:
        """Drop what is under way, and wake all who wait: the socket is closed."""
        self.release()
        self._in.clear()
        self._out.clear()
        for scope in (self._carrying, self._waiting):
            if scope is not None:
                scope.cancel()
        self._make_room()

    def _arrived(self, max_bytes: int | None) -> bytes:
        if self._in.peek():
            return self._in.take(max_bytes)
        if self._failure is not None:
            raise trio.BrokenResourceError(str(self._failure)) from self._failure
        return b""  # and again, to who asks again

    async def _readable(self) -> bool:
        """Wait until the socket has something, or something arrives from the slow line."""
        with trio.CancelScope(deadline=self._in.due()) as self._waiting:
            if self._ended or self._in.size > _QUEUE:
                await trio.sleep_forever()
            await trio.lowlevel.wait_readable(self._socket)
            return True
        return False

    def _read(self) -> None:
        """Take from the socket what there is, if it is not held since it came."""
        if self._released is not None or self._closed:
            return
        try:
            data = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError as error:
            data = b""
            self._failure = error
        self._ended = not data
        self._in.put(data, trio.current_time())

    async def _carry(self, scope: trio.CancelScope) -> None:
        """Bring what is under way to the socket, each piece when it is due; ends when nothing is left."""
        try:
            with scope:
                while self._out:
                    due = self._out.due()
                    if due > trio.current_time():
                        await trio.sleep_until(due)
                    else:
                        await self._write(memoryview(self._out.peek()))
                        self._out.take()
                        self._make_room()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._broken = str(error)
        finally:
            if self._out:
                self._broken = self._broken or "the connection was given up with bytes under way"
                self._out.clear()
            self._carrying = None
            self._make_room()

    async def _write(self, left: memoryview) -> None:
        while left:
            await self.released()
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as error:
                if self._closed:
                    raise trio.ClosedResourceError("this side has closed the connection") from error
                raise trio.BrokenResourceError(str(error)) from error

    def _make_room(self) -> None:
        if self._room is not None and self._out.size <= _QUEUE:
            self._room.set()
            self._room = None
