"""A connection in trouble on purpose: held, so that nothing moves, or slow, so that everything takes its time.

It acts between wire and framing, on plain bytes. What is sent slowly is carried to the wire, and what is received
slowly is handed over, by tasks that exist only while something is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from loadsim.link.slow_line import SlowPipe
from loadsim.link.transport import Slowness
from loadsim.link.wire import Wire

_QUEUE: Final = 65_536
"""Bytes under way in one direction from which on a sender waits: what a modem and the kernel hold."""


class Trouble:
    """What is the matter with a wire, and its face while there is some: `recv`, `send` and `writable` as Wire's.

    *on_readable* is called when something has arrived; *within* tells that part of a frame is out already.
    """

    __slots__ = (
        "_broken",
        "_carrying",
        "_delivering",
        "_ended",
        "_failure",
        "_in",
        "_nursery",
        "_on_readable",
        "_out",
        "_paused",
        "_released",
        "_room",
        "_wire",
        "_within",
    )

    def __init__(
        self, wire: Wire, nursery: trio.Nursery, on_readable: Callable[[], None], *, within: bool = False
    ) -> None:
        self._wire = wire
        self._nursery = nursery
        self._on_readable: Callable[[], None] | None = on_readable
        self._within = within
        self._in = SlowPipe()
        self._out = SlowPipe()
        self._paused = False
        self._released: trio.Event | None = None
        self._room: trio.Event | None = None
        self._carrying: trio.CancelScope | None = None
        self._delivering: trio.CancelScope | None = None
        self._broken: str | None = None
        self._failure: str | None = None
        self._ended = False  # the other side has sent its last byte; behind what is under way comes the end

    # What makes it.

    def hold(self) -> None:
        """Let no byte pass, in either direction."""
        if self._released is None and not self._wire.closed:
            self._released = trio.Event()
            self._watch()

    def release(self) -> None:
        """Let bytes pass again, from where they were held."""
        if self._released is not None:
            self._released.set()
            self._released = None
            self._watch()

    async def released(self) -> None:
        """Wait until nothing is held."""
        while self._released is not None:
            await self._released.wait()

    def slow_down(self, slowness: Slowness | None) -> None:
        """Delay what is sent and received from now on."""
        self._in.line.slowness = self._out.line.slowness = slowness

    def round_trip(self) -> float:
        """Return the seconds until an answer to what would be sent now could be here."""
        busy = self._out.line.busy(trio.current_time())
        slowness = self._out.line.slowness
        return busy if slowness is None else busy + slowness.latency() + slowness.latency()

    # The wire's face.

    def recv(self) -> bytes | None:
        """See Wire.recv."""
        if self._released is not None or self._wire.closed:
            return None
        if not self._ended and self._in.size <= _QUEUE:
            data = self._read()
            if data is not None and data and self._in.line.slowness is None and not self._in:
                return data
            if data is not None:
                self._in.put(data, trio.current_time())
        arrived = self._in.take() if self._in.due() <= trio.current_time() else None
        self._watch()
        if self._in and self._delivering is None:
            self._delivering = trio.CancelScope()
            self._nursery.start_soon(self._deliver, self._delivering)
        if arrived == b"" and self._failure is not None:
            raise OSError(self._failure)
        return arrived

    def send(self, data: bytes | memoryview) -> int:
        """See Wire.send; bytes under way count as sent."""
        if self._broken is not None:
            raise OSError(self._broken)
        if self._released is not None:
            return 0
        if self._within or (self._out.line.slowness is None and not self._out):
            sent = self._wire.send(data)
            self._within = sent < len(data)  # OpenSSL has begun a record: the same bytes must follow
            return sent
        if self._out.size > _QUEUE:
            return 0
        self._out.put(bytes(data), trio.current_time())
        if self._carrying is None:
            self._carrying = trio.CancelScope()
            self._nursery.start_soon(self._carry, self._carrying)
        return len(data)

    async def writable(self) -> None:
        """See Wire.writable."""
        await self.released()
        if self._out.size > _QUEUE and not self._wire.closed:
            self._room = trio.Event()
            await self._room.wait()
        elif not self._out:
            await self._wire.writable()

    def watch(self, on_readable: Callable[[], None]) -> None:
        """See Wire.watch."""
        self._on_readable = on_readable
        self._paused = False
        self._watch()

    def unwatch(self) -> None:
        """See Wire.unwatch; what is under way already still arrives."""
        self._paused = True
        self._watch()

    def close(self) -> None:
        """Drop what is under way, and wake all who wait: the wire is closed."""
        self._broken = self._broken or "the connection has ended"
        self.release()
        self._on_readable = None
        self._in.clear()
        self._out.clear()
        for scope in (self._carrying, self._delivering):
            if scope is not None:
                scope.cancel()
        self._make_room()

    def _read(self) -> bytes | None:
        try:
            data = self._wire.recv()
        except OSError as error:
            data = b""
            self._failure = str(error)
        self._ended = data == b""
        return data

    def _watch(self) -> None:
        """Read on, or let it wait in the socket."""
        if self._on_readable is None:
            return
        if self._released is not None or self._paused or self._ended or self._in.size > _QUEUE:
            self._wire.unwatch()
        else:
            self._wire.watch(self._on_readable)

    async def _deliver(self, scope: trio.CancelScope) -> None:
        """Say what arrives when it does; ends when nothing is under way."""
        try:
            with scope:
                while self._in and self._on_readable is not None:
                    if self._released is not None:
                        await self.released()
                    elif self._in.due() > trio.current_time():
                        await trio.sleep_until(self._in.due())
                    else:
                        self._on_readable()
                        await trio.lowlevel.checkpoint()
        finally:
            self._delivering = None

    async def _carry(self, scope: trio.CancelScope) -> None:
        """Bring what is under way to the wire, each piece when it is due; ends when nothing is left."""
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
        except (OSError, trio.ClosedResourceError) as error:
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
            sent = self._wire.send(left)
            left = left[sent:]
            if left:
                await self._wire.writable()

    def _make_room(self) -> None:
        if self._room is not None and self._out.size <= _QUEUE:
            self._room.set()
            self._room = None
