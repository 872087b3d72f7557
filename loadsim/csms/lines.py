"""The WebSockets that one process holds, on trio-websocket: the only file here that knows the library."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Generic, cast

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, wrap_server_stream

from loadsim.csms import handshake
from loadsim.csms.calling import LineLost
from loadsim.csms.desk import Desk, Opening, Visit
from loadsim.csms.door import Door
from loadsim.csms.gate import Gate
from loadsim.csms.sockets import WatchedStream, reset, url_of

MAX_MESSAGE_SIZE: Final = 1 << 20
HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds from the TCP connection to a complete request."""
LINGER: Final = 1.0
"""Seconds a peer has to answer a close frame, or to hang up, before its connection is cut."""


class WebSocketLine:
    """An open WebSocket of a charge point, and the nursery that ends with it."""

    __slots__ = ("_nursery", "closing", "reset", "websocket")

    def __init__(self, websocket: WebSocketConnection, nursery: trio.Nursery) -> None:
        self.websocket = websocket
        self.closing = False
        self.reset = False
        self._nursery = nursery

    @property
    def gone(self) -> bool:
        """Whether nothing more can be sent."""
        return self.closing or self.reset or self.websocket.closed is not None

    async def send(self, text: str) -> None:
        """Send a frame.

        Raises:
            LineLost: the connection has ended.
        """
        try:
            await self.websocket.send_message(text)
        except ConnectionClosed as error:
            raise LineLost from error

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; what the charge point still says is not heard any more."""
        self.closing = True
        self.say_goodbye(code, reason)

    def say_goodbye(self, code: int, reason: str) -> None:
        """Begin the closing handshake; the connection's own task ends with it."""
        self.spawn(_close, self.websocket, code, reason)

    def cut(self) -> None:
        """End the connection without a word."""
        self._nursery.cancel_scope.cancel()

    def spawn(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run *function* in a task that lasts no longer than the line."""
        self._nursery.start_soon(function, *arguments)


class LocalLines(Generic[Visit]):
    """What comes through the door of this process. All that is read and written passes *gate*."""

    def __init__(self, listeners: Sequence[trio.SocketListener], *, shared: bool = False) -> None:
        """Take sockets that listen; *shared* with other processes they are bound so again."""
        self.url = url_of(listeners[0])
        self.door = Door(listeners, shared=shared)
        self.gate = Gate()
        self.opening: set[trio.CancelScope] = set()
        self.streams: set[trio.SocketStream] = set()
        self._open: dict[WebSocketLine, Visit] = {}
        self._desk: Desk[Visit] | None = None
        self._connections: trio.Nursery | None = None

    async def serve(self, desk: Desk[Visit]) -> None:
        """Serve until cancelled; then close the connections with 1001, which takes ``LINGER`` seconds at most."""
        self._desk = desk
        holding, stopping = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery:
            # Not nursery.start: cancelled at once it would wait for what waits for it.
            nursery.start_soon(self._hold, holding, stopping)
            try:
                await holding.wait()
                await self.door.serve(self._take, desk.count)
            finally:
                stopping.set()

    async def stall(self, seconds: float) -> int:
        """Freeze: what comes waits in the sockets; handshakes under way get so many seconds more."""
        self.gate.close()
        self.door.shut()
        for opening in self.opening:
            opening.deadline += seconds
        return self.gate.held

    async def resume(self) -> int:
        """Take one ``stall`` back; with the last one, read, accept and answer what waits."""
        held = self.gate.held
        self.door.open()
        with trio.CancelScope(shield=True):
            await self.gate.open()
        return held

    async def take_away(self) -> int:
        """Listen no more and reset all connections at once; return how many charge points were connected."""
        self.door.take_away()
        for stream in self.streams:
            reset(stream)
        for opening in self.opening:
            opening.cancel()
        connected = [line for line in self._open if not line.closing]  # without those that are replaced
        for line in list(self._open):
            line.reset = True
            self._leave(line)  # now, and not when its task has ended: it may be back by then
            line.cut()
        return len(connected)

    async def put_back(self) -> None:
        """Take one ``take_away`` back; with the last one, listen at the same place again."""
        await self.door.put_back()

    def close(self) -> None:
        """Listen no more, for good."""
        self.door.close()

    def _leave(self, line: WebSocketLine) -> None:
        """Tell the desk of a line's end, once."""
        assert self._desk is not None
        if line in self._open:
            closed = line.websocket.closed
            self._desk.leave(self._open.pop(line), None if closed is None or line.reset else int(closed.code))

    def _take(self, stream: trio.SocketStream) -> None:
        assert self._desk is not None
        assert self._connections is not None
        self.streams.add(stream)
        self._connections.start_soon(self._connection, stream, self._desk)

    async def _hold(self, holding: trio.Event, stopping: trio.Event) -> None:
        """Keep the connections out of reach of the cancellation, until they were told goodbye."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as self._connections:
                holding.set()
                await stopping.wait()
                for opening in self.opening:
                    opening.cancel()
                for line in self._open:
                    line.say_goodbye(1001, "the CSMS ends")
                self._connections.cancel_scope.deadline = trio.current_time() + LINGER

    async def _connection(self, stream: trio.SocketStream, desk: Desk[Visit]) -> None:
        try:
            async with stream:
                await self._converse(stream, desk)
        except* Exception:  # noqa: BLE001
            # Whatever a peer makes the WebSocket library raise (in a task of the library's own) is that
            # connection's end and nobody else's.
            desk.count("broken")
        finally:
            self.streams.discard(stream)

    async def _converse(self, stream: trio.SocketStream, desk: Desk[Visit]) -> None:
        end = -math.inf  # what is cut ends at once
        async with trio.open_nursery() as nursery:
            request = await self._request(stream, nursery)
            if request is None:
                desk.count("no_request")
                nursery.cancel_scope.cancel()
                return
            with suppress(ConnectionClosed, LineLost):
                await self._admit(request, nursery, desk)
            end = nursery.cancel_scope.deadline = trio.current_time() + LINGER
        _break_cycle(request)
        # The library leaves a stream open that it stopped to read (a message too big), and to close it with
        # unread data could destroy our last words.
        with trio.move_on_at(end), suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while await stream.receive_some(1 << 16):
                pass

    async def _request(self, stream: trio.SocketStream, nursery: trio.Nursery) -> WebSocketRequest | None:
        with trio.move_on_after(HANDSHAKE_TIMEOUT) as opening:
            self.opening.add(opening)
            try:
                watched = WatchedStream(stream, opening.cancel, self.gate)
                return await wrap_server_stream(nursery, watched, max_message_size=MAX_MESSAGE_SIZE)
            finally:
                self.opening.discard(opening)
        return None

    async def _admit(self, request: WebSocketRequest, nursery: trio.Nursery, desk: Desk[Visit]) -> None:
        headers = tuple((bytes(name), bytes(value)) for name, value in request.headers)
        verdict = await desk.judge(Opening(request.path, headers, tuple(request.proposed_subprotocols)))
        if isinstance(verdict, handshake.Refused):
            reply = [*verdict.headers, (b"Connection", b"close"), (b"Content-Type", b"text/plain")]
            await request.reject(verdict.status, extra_headers=reply, body=verdict.reason.encode())
            return
        websocket = await request.accept(subprotocol=verdict.subprotocol)
        if not verdict.serve:
            await _close(websocket, 1002, f"the subprotocol {handshake.SUBPROTOCOL} was not offered")
            return
        line = WebSocketLine(websocket, nursery)
        visit = self._open[line] = desk.enter(verdict.identity, line)
        try:
            await self._listen(line, visit, desk)
        finally:
            self._leave(line)

    async def _listen(self, line: WebSocketLine, visit: Visit, desk: Desk[Visit]) -> None:
        websocket = line.websocket
        while True:
            message = await websocket.get_message()
            if line.closing or line.reset:
                return
            if isinstance(message, bytes):  # OCPP-J is text
                desk.count("binary")
                await _close(websocket, 1003, "OCPP-J sends text frames")
                return
            await desk.hear(visit, message)


def _break_cycle(request: WebSocketRequest) -> None:
    """Let go of wsproto's parser, a generator that holds itself: the collector does not look at what is old.

    It is a kilobyte a connection (docs/design/0005-garbage.md).
    """
    with suppress(AttributeError, ValueError):
        cast("Any", request)._connection._wsproto.connection._proto._parse_more.close()  # noqa: SLF001


async def _close(websocket: WebSocketConnection, code: int, reason: str) -> None:
    with trio.move_on_after(LINGER):
        await websocket.aclose(code, reason)
