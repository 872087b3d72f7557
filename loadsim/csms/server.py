"""The embedded CSMS: who is connected, what is said to them, and what happens by itself, wherever the sockets are."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

import trio

from loadsim.csms import conversation, handshake
from loadsim.csms.calling import CALL_TIMEOUT, Callee, Calls, LineLost, Outcome
from loadsim.csms.desk import Line, Lines, Opening
from loadsim.csms.drive import HEARD, Drive
from loadsim.csms.faults import Faults
from loadsim.csms.lines import LocalLines
from loadsim.csms.options import ServerOptions
from loadsim.csms.record import FRAME_KINDS, ServerCounts, charge_point
from loadsim.csms.shared_lines import SharedLines, open_shared
from loadsim.csms.signing import Signer
from loadsim.csms.sockets import listen
from loadsim.ocpp.frame import Call, CallError, CallResult
from loadsim.v16.central import Central, ChargePointSession
from loadsim.v16.orders import make_request

MAX_DELAYED: Final = 100
"""Answers of one connection that wait for their latency at a time; OCPP allows one open call."""


class Client:
    """A charge point that is connected, as long as one connection lasts."""

    __slots__ = ("_calls", "callee", "delayed", "legacy", "line", "replaced", "session")

    def __init__(self, line: Line, session: ChargePointSession, calls: Calls) -> None:
        self.line = line
        self.session = session
        self.callee: Callee | None = None  # most charge points are never called
        self.delayed: trio.Semaphore | None = None  # most answers are not
        self.legacy = False
        self.replaced = False
        self._calls = calls

    @property
    def gone(self) -> bool:
        """Whether its connection is not the one to talk to any more."""
        return self.replaced or self.line.gone

    def ended(self) -> None:
        """Give up on the calls to the charge point: no answer can come any more."""
        if self.callee is not None:
            self.callee.end()

    def answered(self, text: str) -> None:
        """Take an answer to a call, or what was meant to be one."""
        self._calls.receive(self.session.identity, self.callee, text)


class Server:
    """A listening CSMS. ``serve`` makes one."""

    def __init__(self, options: ServerOptions, central: Central, lines: Lines) -> None:
        self.url = lines.url
        self.control_url: str | None = None
        self.on_loss: Callable[[str], None] = _ignore
        """Told when a process that held connections has ended before its time."""
        self._options = options
        self._central = central
        self._counts = ServerCounts(options.behaviour.processes)
        self._open: dict[str, Client] = {}
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
        self._faults = Faults(options.behaviour.faults, seed=options.seed, end=options.calls_end, lines=lines)

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
        client = self._open.get(identity)
        if client is None or client.gone:
            return self._calls.not_connected(request)
        if client.callee is None:
            client.callee = self._calls.callee(identity, client.line, legacy=client.legacy)
        return await client.callee.call(request, timeout=timeout)

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

    # What the lines say.

    async def judge(self, opening: Opening) -> handshake.Admitted | handshake.Refused:
        """Decide on a handshake, and count a refusal."""
        verdict: handshake.Admitted | handshake.Refused
        if (status := self._faults.refusal()) is not None:
            verdict = handshake.Refused(status, "not now")
        else:
            verdict = handshake.judge(opening.target, opening.headers, opening.offered, self._options)
        if isinstance(verdict, handshake.Refused):
            self.count(f"http_{verdict.status}")
        elif not verdict.serve:
            self.count("no_subprotocol")
        return verdict

    def enter(self, identity: str, line: Line) -> Client:
        """Have *identity* connected by *line*, in place of the one before if there is one."""
        connections = self._counts.connections
        client = Client(line, self._central.charge_point(identity), self._calls)
        earlier = self._open.get(identity)
        if earlier is not None:
            connections["replaced"] += 1
            earlier.replaced = True
            earlier.ended()
            earlier.line.close(1008, "replaced by a newer connection")
        self._open[identity] = client
        self.drive.entered(identity)
        connections["opened"] += 1
        connections["open_max"] = max(connections["open_max"], len(self._open))
        return client

    async def hear(self, client: Client, text: str) -> None:
        """Take what a charge point says, and answer it.

        Raises:
            LineLost: the connection has ended.
        """
        request = self.read(client, text)
        if request is None:
            return
        delay = self.delay()
        if not delay:
            await self.answer(client, request)
            return
        if client.delayed is None:
            client.delayed = trio.Semaphore(MAX_DELAYED)
        await client.delayed.acquire()
        client.line.spawn(self._answer_delayed, client, request, delay)

    def leave(self, client: Client, code: int | None) -> None:
        """Take note of a connection's end."""
        client.ended()
        identity = client.session.identity
        if self._open.get(identity) is client:
            del self._open[identity]
            self.drive.left(identity)
        if code is not None:
            self._counts.closed[code] += 1

    def count(self, event: str) -> None:
        """Count an event of the connections, or a kind of frame."""
        (self._counts.frames if event in FRAME_KINDS else self._counts.connections)[event] += 1

    def lost(self, process: int, why: str) -> None:
        """Take note that one of the processes that hold connections has ended before its time."""
        self._counts.lost_processes[process] = why
        self.on_loss(f"process {process} of the embedded CSMS {why}; its charge points have to connect again")

    # An answer, step by step.

    def read(self, client: Client, text: str) -> Call | CallError | None:
        """Return what *text* asks, or the error to answer it with; None where nothing is answered."""
        return conversation.read(text, self._counts.frames, client)

    def delay(self) -> float:
        """Draw the seconds until an answer."""
        low, high = self._options.behaviour.latency
        return (self._random.uniform(low, high) if high else 0.0) + self._faults.delay()

    async def answer(self, client: Client, request: Call | CallError) -> None:
        """Answer now.

        Raises:
            LineLost: the connection has ended.
        """
        reply = conversation.answer(request, client.session, datetime.now(UTC))
        certificate = self._signer.take()
        await client.line.send(conversation.write(reply))
        if certificate is not None:  # the answer has gone first
            self._signer.deliver(client.session.identity, certificate)
        heard = isinstance(reply, CallResult) and not client.gone
        if self.drive and heard and isinstance(request, Call) and request.action in HEARD:
            self.drive.heard(client.session.identity, request)

    async def answer_later(self, client: Client, request: Call | CallError, delay: float) -> None:
        """Answer in *delay* seconds, if the connection is still there then."""
        due = False
        try:
            await trio.sleep(delay)
            await self._faults.gate.passed()
            due = not client.gone
        finally:
            if not due and isinstance(request, Call):
                client.session.leave(request)
        if due:
            with suppress(LineLost):
                await self.answer(client, request)

    async def _answer_delayed(self, client: Client, request: Call | CallError, delay: float) -> None:
        try:
            await self.answer_later(client, request, delay)
        finally:
            assert client.delayed is not None
            client.delayed.release()


async def serve(
    options: ServerOptions,
    central: Central,
    *,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; then close the connections with 1001, which takes a second or little more.

    Raises:
        UsageError: it cannot listen there, or not in so many processes.
    """
    async with open_lines(options) as lines:
        server = Server(options, central, lines)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lines.serve, server)
            nursery.start_soon(server.run)
            if not options.hold_calls:
                server.begin()
            task_status.started(server)


@asynccontextmanager
async def open_lines(options: ServerOptions) -> AsyncIterator[LocalLines[Client] | SharedLines]:
    """Have the lines of a CSMS: in this process, or in several others where it is to have more than one."""
    if options.behaviour.processes > 1:
        async with open_shared(options) as shared:
            yield shared
        return
    lines = LocalLines[Client](await listen(options.host, options.port))
    try:
        yield lines
    finally:
        lines.close()


def _ignore(text: str) -> None:
    """Tell nobody."""
