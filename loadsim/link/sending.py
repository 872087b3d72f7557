"""The half of an open WebSocket that sends: frames go out whole, one after the other, and in trouble on purpose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import trio

from loadsim.link.frames import PONG, client_frames, control_frame, text_frame
from loadsim.link.transport import ConnectionLost, Slowness
from loadsim.link.trouble import Trouble
from loadsim.link.wire import Wire


class _Backlog:
    """What waits while a frame is not out to its end; exists only meanwhile."""

    __slots__ = ("pong", "waiting")

    def __init__(self) -> None:
        self.waiting = trio.lowlevel.ParkingLot()
        self.pong: bytes | None = None
        """The payload of the newest ping: earlier ones need no answer of their own (section 5.5.3)."""


class Sending(ABC):
    """Sends on *wire*; what has to wait for room in the socket holds back what comes after it."""

    __slots__ = ("_backlog", "_line", "_lost", "_nursery", "_trouble", "_wire", "held")

    def __init__(self, wire: Wire, nursery: trio.Nursery) -> None:
        self._wire = wire
        self._nursery = nursery
        self._line: Wire | Trouble = wire
        self._trouble: Trouble | None = None  # once there was some it stays, for who waits in it
        self._backlog: _Backlog | None = None
        self._lost: ConnectionLost | None = None
        self.held = False

    @abstractmethod
    def _readable(self) -> None:
        """Take what has come."""

    @abstractmethod
    def _end(self, lost: ConnectionLost) -> None:
        """Close the wire, and let all know who wait or listen."""

    # Messages.

    def begin_send(self, text: str) -> Awaitable[None] | None:
        """See Transport.begin_send."""
        if self._lost is not None:
            raise self._lost.bare()
        frame = text_frame(text)
        if self.held or self._backlog is not None:
            return self._send_in_turn((frame,))
        try:
            sent = self._line.send(frame)
        except OSError as error:
            raise self._broke() from error
        if sent == len(frame):
            return None
        self._backlog = _Backlog()
        return self._send_whole((frame[sent:],))

    async def send(self, text: str) -> None:
        """See Transport.send."""
        rest = self.begin_send(text)
        if rest is not None:
            await rest

    async def send_raw(self, message: str | bytes, *, frames: int = 1) -> None:
        """See Transport.send_raw."""
        await self._send_in_turn(client_frames(message, frames))

    async def _send_in_turn(self, pieces: Iterable[bytes]) -> None:
        if self.held:
            await self.released()
        await self._take_turn()
        await self._send_whole(pieces)

    async def _take_turn(self) -> None:
        """Wait until no other frame is half out; from then on it is this one's turn, until `_send_whole` ends it."""
        if self._backlog is None:
            self._backlog = _Backlog()
        else:
            await self._backlog.waiting.park()
        if self._lost is not None:
            self._pass_turn()
            raise self._lost.bare()

    def _pass_turn(self, *, after_control: bool = False) -> None:
        """Give the next turn to the pong that is due, or to who has waited longest.

        A pong is nobody's to wait for, and a CSMS that pings faster than it reads must not keep messages back, so
        after a control frame theirs come first.
        """
        backlog = self._backlog
        if backlog is None:
            return
        if backlog.pong is not None and self._lost is None and not (after_control and backlog.waiting):
            pong, backlog.pong = backlog.pong, None
            self._start_soon(self._say_rest, control_frame(PONG, pong))
        elif not backlog.waiting.unpark():
            self._backlog = None

    async def _send_whole(self, pieces: Iterable[bytes], *, control: bool = False) -> None:
        """Send frames to their end; cut short, the connection is over, for nothing can follow them."""
        whole = False
        try:
            for number, piece in enumerate(pieces):
                if number:
                    await trio.lowlevel.checkpoint()  # a huge message must not keep the others waiting
                await self._push(piece)
            whole = True
        except (OSError, trio.ClosedResourceError) as error:
            raise self._broke() from error
        finally:
            if not whole:
                self._end(ConnectionLost(reason="a message could not be sent to its end"))
            self._pass_turn(after_control=control)

    async def _push(self, piece: bytes) -> None:
        left = memoryview(piece)
        while True:
            left = left[self._line.send(left) :]
            if not left:
                return
            await self._line.writable()

    def _say(self, frame: bytes) -> None:
        """Send a control frame, or have it sent behind what is half out."""
        if self._backlog is not None:
            return  # the end of a connection: it cannot be said within a frame
        try:
            sent = self._line.send(frame)
        except OSError:
            return  # the reader will see it
        if sent < len(frame):
            self._backlog = _Backlog()
            self._start_soon(self._say_rest, frame[sent:])

    async def _say_rest(self, rest: bytes) -> None:
        with suppress(ConnectionLost):
            await self._send_whole((rest,), control=True)

    def _start_soon(self, function: Callable[..., Awaitable[object]], *arguments: object) -> None:
        with suppress(RuntimeError):  # the nursery is closed: nobody is left to hear of this connection
            self._nursery.start_soon(function, *arguments)

    def _broke(self) -> ConnectionLost:
        """End it because the network has, and return what to say of it."""
        self._end(ConnectionLost())
        assert self._lost is not None
        return self._lost.bare()

    # Trouble on purpose.

    def hold(self) -> None:
        """See Transport.hold."""
        self.held = True
        if not self._wire.closed:
            self._in_trouble().hold()

    def release(self) -> None:
        """See Transport.release."""
        self.held = False
        if self._trouble is not None:
            self._trouble.release()

    async def released(self) -> None:
        """See Transport.released."""
        if self._trouble is not None:
            await self._trouble.released()

    def slow_down(self, slowness: Slowness | None) -> None:
        """See Transport.slow_down."""
        if not self._wire.closed and (slowness is not None or self._trouble is not None):
            self._in_trouble().slow_down(slowness)

    def _in_trouble(self) -> Trouble:
        if self._trouble is None:
            within = self._backlog is not None
            self._line = self._trouble = Trouble(self._wire, self._nursery, self._readable, within=within)
        return self._trouble
