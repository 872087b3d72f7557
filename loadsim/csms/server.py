"""The embedded CSMS on trio-websocket: the only file here that knows the library."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, wrap_server_stream

from loadsim.csms import conversation, handshake
from loadsim.csms.calling import CALL_TIMEOUT, Callee, Calls, LineLost, Outcome
from loadsim.csms.door import Door
from loadsim.csms.drive import HEARD, Drive
from loadsim.csms.faults import Faults
from loadsim.csms.options import ServerOptions
from loadsim.csms.record import ServerCounts, charge_point
from loadsim.csms.signing import Signer
from loadsim.csms.sockets import WatchedStream, listen, reset, url_of
from loadsim.ocpp.frame import Call, CallError, CallResult
from loadsim.v16.central import Central, ChargePointSession
from loadsim.v16.orders import make_request

MAX_MESSAGE_SIZE: Final = 1 << 20
HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds from the TCP connection to a complete request."""
LINGER: Final = 1.0
"""Seconds a peer has to answer a close frame, or to hang up, before its connection is cut."""
MAX_DELAYED: Final = 100
"""Answers of one connection that wait for their latency at a time; OCPP allows one open call."""


class _Connection:
    """An open WebSocket of a charge point, and the nursery that ends with it."""

    __slots__ = ("callee", "calls", "legacy", "nursery", "replaced", "reset", "session", "websocket")

    def __init__(
        self, websocket: WebSocketConnection, session: ChargePointSession, nursery: trio.Nursery, calls: Calls
    ) -> None:
        self.websocket = websocket
        self.session = session
        self.nursery = nursery
        self.calls = calls
        self.callee: Callee | None = None  # most charge points are never called
        self.legacy = False
        self.replaced = False
        self.reset = False

    @property
    def gone(self) -> bool:
        return self.replaced or self.reset or self.websocket.closed is not None

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; the connection's own task ends with it."""
        self.nursery.start_soon(_close, self.websocket, code, reason)

    def cut(self) -> None:
        """End the connection without a word."""
        self.nursery.cancel_scope.cancel()

    def ended(self) -> None:
        """Give up on the calls to the charge point: no answer can come any more."""
        if self.callee is not None:
            self.callee.end()

    def answered(self, text: str) -> None:
        """Take an answer to a call, or what was meant to be one."""
        self.calls.receive(self.session.identity, self.callee, text)

    async def send(self, text: str) -> None:
        """Send a frame.

        Raises:
            LineLost: the connection has ended.
        """
        try:
            await self.websocket.send_message(text)
        except ConnectionClosed as error:
            raise LineLost from error


class Server:
    """A listening CSMS. ``serve`` makes one."""

    def __init__(self, options: ServerOptions, central: Central, url: str, door: Door) -> None:
        self.url = url
        self.control_url: str | None = None
        self._options = options
        self._door = door
        self._central = central
        self._counts = ServerCounts()
        self._open: dict[str, _Connection] = {}
        self._opening: set[trio.CancelScope] = set()
        self._streams: set[trio.SocketStream] = set()
        self._random = random.Random(options.seed)
        self._calls = Calls()
        self._signer = Signer(options.db, call=self.call)
        self._signer.prepare(options.behaviour.calls)
        central.on_csr = self._signer.consider
        self.drive = Drive(
            options.behaviour.calls,
            seed=options.seed,
            known=central.charge_point,
            call=self.call,
            authority=self.authority,
            end=options.calls_end,
        )
        self._faults = Faults(
            options.behaviour.faults, seed=options.seed, end=options.calls_end, host=self, door=door
        )

    @property
    def connections(self) -> int:
        """Charge points that are connected now."""
        return len(self._open)

    def record(self) -> dict[str, Any]:
        """Return what was seen and answered so far: plain numbers by name, for JSON."""
        return {
            **self._counts.record(),
            **self._central.record(),
            **self._calls.record(),
            **self._signer.record(),
            **self.drive.record(),
            **self._faults.record(),
        }

    def charge_points(self) -> Iterator[dict[str, Any]]:
        """Yield what is known of each charge point, connected or not: plain values by name, for JSON."""
        for session in self._central.charge_points:
            yield charge_point(session, connected=session.identity in self._open)

    def authority(self) -> str:
        """Return the certificate of its own authority in PEM, which is made at the first need.

        Raises:
            ValueError: there is none; the text says why.
        """
        return self._signer.certificate()

    async def call(
        self, identity: str, action: str, payload: Mapping[str, Any], *, timeout: float = CALL_TIMEOUT
    ) -> Outcome:
        """Call a charge point and return what became of it; calls to one charge point are sent one by one.

        *payload* is the request's JSON object. *timeout* is how many seconds its turn is awaited, and again how
        many its answer is.

        Raises:
            InvalidPayload: no central system sends *action*, or its schema refuses *payload*.
        """
        request = make_request(action, payload)
        await self._faults.gate.passed(count=False)  # its time-out begins when it can be sent
        connection = self._open.get(identity)
        if connection is None or connection.gone:
            return self._calls.not_connected(request)
        if connection.callee is None:
            connection.callee = self._calls.callee(identity, connection, legacy=connection.legacy)
        return await connection.callee.call(request, timeout=timeout)

    def begin(self) -> None:
        """Begin the planned calls and faults."""
        self.drive.begin()
        self._faults.begin()

    def rest(self) -> None:
        """Let no more planned calls fall due, and end the faults."""
        self.drive.rest()
        self._faults.rest()

    async def run(self) -> None:
        """Do what the CSMS does by itself, until cancelled: calls, faults, and certificates that were asked for."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.drive.run)
            nursery.start_soon(self._faults.run)
            nursery.start_soon(self._signer.run)

    def reset_all(self) -> int:
        """Reset every connection at once; return how many charge points were connected."""
        for stream in self._streams:
            reset(stream)
        for opening in self._opening:
            opening.cancel()
        connected, self._open = self._open, {}
        for identity, connection in connected.items():
            connection.reset = True
            connection.ended()
            connection.cut()
            self.drive.left(identity)
        return len(connected)

    def put_off(self, seconds: float) -> None:
        """Give handshakes that are under way so much more time."""
        for opening in self._opening:
            opening.deadline += seconds

    async def accept(self, connections: trio.Nursery) -> None:
        """Serve what comes through the door in *connections*, until cancelled."""

        def take(stream: trio.SocketStream) -> None:
            self._streams.add(stream)
            connections.start_soon(self._connection, stream)

        await self._door.serve(take, self._counts.connections)

    def close_all(self, code: int, reason: str) -> None:
        """Begin to close every open connection, and give up on those that are not yet open."""
        for opening in self._opening:
            opening.cancel()
        for connection in self._open.values():
            connection.close(code, reason)

    async def _connection(self, stream: trio.SocketStream) -> None:
        try:
            async with stream:
                await self._converse(stream)
        except* Exception:  # noqa: BLE001
            # Whatever a peer makes the WebSocket library raise (in a task of the library's own) is that
            # connection's end and nobody else's.
            self._counts.connections["broken"] += 1
        finally:
            self._streams.discard(stream)

    async def _converse(self, stream: trio.SocketStream) -> None:
        end = -math.inf  # what is cut ends at once
        async with trio.open_nursery() as nursery:
            request = await self._request(stream, nursery)
            if request is None:
                nursery.cancel_scope.cancel()
                return
            with suppress(ConnectionClosed):
                await self._admit(request, nursery)
            end = nursery.cancel_scope.deadline = trio.current_time() + LINGER
        # The library leaves a stream open that it stopped to read (a message too big), and to close it with
        # unread data could destroy our last words.
        with trio.move_on_at(end), suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while await stream.receive_some(1 << 16):
                pass

    async def _request(self, stream: trio.SocketStream, nursery: trio.Nursery) -> WebSocketRequest | None:
        request = None
        with trio.move_on_after(HANDSHAKE_TIMEOUT) as opening:
            self._opening.add(opening)
            try:
                watched = WatchedStream(stream, opening.cancel, self._faults.gate)
                request = await wrap_server_stream(nursery, watched, max_message_size=MAX_MESSAGE_SIZE)
            finally:
                self._opening.discard(opening)
        if request is None:
            self._counts.connections["no_request"] += 1
        return request

    async def _admit(self, request: WebSocketRequest, nursery: trio.Nursery) -> None:
        verdict: handshake.Admitted | handshake.Refused
        if (status := self._faults.refusal()) is not None:
            verdict = handshake.Refused(status, "not now")
        else:
            verdict = handshake.judge(request.path, request.headers, request.proposed_subprotocols, self._options)
        if isinstance(verdict, handshake.Refused):
            self._counts.connections[f"http_{verdict.status}"] += 1
            headers = [*verdict.headers, (b"Connection", b"close"), (b"Content-Type", b"text/plain")]
            await request.reject(verdict.status, extra_headers=headers, body=verdict.reason.encode())
            return
        websocket = await request.accept(subprotocol=verdict.subprotocol)
        if not verdict.serve:
            self._counts.connections["no_subprotocol"] += 1
            await _close(websocket, 1002, f"the subprotocol {handshake.SUBPROTOCOL} was not offered")
            return
        connection = _Connection(websocket, self._central.charge_point(verdict.identity), nursery, self._calls)
        self._enter(verdict.identity, connection)
        try:
            await self._listen(connection)
        finally:
            connection.ended()
            if self._open.get(verdict.identity) is connection:
                del self._open[verdict.identity]
                self.drive.left(verdict.identity)
            if websocket.closed is not None and not connection.reset:
                self._counts.closed[int(websocket.closed.code)] += 1

    def _enter(self, identity: str, connection: _Connection) -> None:
        connections = self._counts.connections
        earlier = self._open.get(identity)
        if earlier is not None:
            connections["replaced"] += 1
            earlier.replaced = True
            earlier.ended()
            earlier.close(1008, "replaced by a newer connection")
        self._open[identity] = connection
        self.drive.entered(identity)
        connections["opened"] += 1
        connections["open_max"] = max(connections["open_max"], len(self._open))

    async def _listen(self, connection: _Connection) -> None:
        websocket, frames = connection.websocket, self._counts.frames
        low, high = self._options.behaviour.latency
        slots = trio.Semaphore(MAX_DELAYED)
        while True:
            message = await websocket.get_message()
            if connection.replaced or connection.reset:
                return
            if isinstance(message, bytes):  # OCPP-J is text
                frames["binary"] += 1
                await _close(websocket, 1003, "OCPP-J sends text frames")
                return
            request = conversation.read(message, frames, connection)
            if request is None:
                continue
            delay = (self._random.uniform(low, high) if high else 0.0) + self._faults.delay()
            if not delay:
                await self._answer(connection, request)
                continue
            await slots.acquire()
            connection.nursery.start_soon(self._answer_later, connection, request, delay, slots)

    async def _answer_later(
        self, connection: _Connection, request: Call | CallError, delay: float, slots: trio.Semaphore
    ) -> None:
        due = False
        try:
            await trio.sleep(delay)
            await self._faults.gate.passed()
            due = not connection.gone
        finally:
            if not due and isinstance(request, Call):
                connection.session.leave(request)
        slots.release()
        if due:
            with suppress(ConnectionClosed):
                await self._answer(connection, request)

    async def _answer(self, connection: _Connection, request: Call | CallError) -> None:
        reply = conversation.answer(request, connection.session, datetime.now(UTC))
        certificate = self._signer.take()
        await connection.websocket.send_message(conversation.write(reply))
        if certificate is not None:  # the answer has gone first
            self._signer.deliver(connection.session.identity, certificate)
        heard = isinstance(reply, CallResult) and not connection.gone
        if self.drive and heard and isinstance(request, Call) and request.action in HEARD:
            self.drive.heard(connection.session.identity, request)


async def _close(websocket: WebSocketConnection, code: int, reason: str) -> None:
    with trio.move_on_after(LINGER):
        await websocket.aclose(code, reason)


async def serve(
    options: ServerOptions,
    central: Central,
    *,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; then close the connections with 1001, which takes ``LINGER`` seconds at most.

    Raises:
        UsageError: it cannot listen there.
    """
    listeners = await listen(options.host, options.port)
    door = Door(listeners)
    try:
        server = Server(options, central, url_of(listeners[0]), door)
        stopping = trio.Event()
        async with trio.open_nursery() as nursery:
            connections = await nursery.start(_hold, server, stopping)
            try:
                async with trio.open_nursery() as accepting:
                    accepting.start_soon(server.accept, connections)
                    accepting.start_soon(server.run)
                    if not options.hold_calls:
                        server.begin()
                    task_status.started(server)
            finally:
                stopping.set()
    finally:
        door.close()


async def _hold(server: Server, stopping: trio.Event, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    """Keep the connections out of reach of the cancellation, until they were told goodbye."""
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as connections:
            task_status.started(connections)
            await stopping.wait()
            server.close_all(1001, "the CSMS ends")
            connections.cancel_scope.deadline = trio.current_time() + LINGER
