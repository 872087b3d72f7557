"""The lines of an embedded CSMS in several processes that share its port, as the desk has them.

The system gives each process its part of what connects (``SO_REUSEPORT``). All that is known of charge points, and
all that is counted, stays at the desk: docs/design/0026-several-csms-processes.md.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Final

import trio

from loadsim.csms.calling import LineLost
from loadsim.csms.line_messages import (
    Asked,
    Close,
    Counted,
    Cut,
    Did,
    Done,
    End,
    Entered,
    FromProcess,
    Heard,
    Inbox,
    Judged,
    Left,
    Listen,
    Listening,
    Outbox,
    PutBack,
    Resume,
    Say,
    Stall,
    TakeAway,
    decode_words,
)
from loadsim.csms.options import ServerOptions
from loadsim.csms.process import end_of
from loadsim.csms.sockets import SHARING, Place, bound, cannot_listen, places_of, write_url
from loadsim.errors import UsageError
from loadsim.ocpp.frame import Call, CallError

if TYPE_CHECKING:
    from loadsim.csms.server import Client, Server

_START_TIMEOUT: Final = 15.0
"""Seconds in which a process must listen."""
_ORDER_TIMEOUT: Final = 10.0
"""Seconds in which a process must have carried out an order: one that hangs must not keep a run from its end."""
_END_TIMEOUT: Final = 8.0
"""Seconds that a process may take to say goodbye to all, before it is killed."""


class _FarLine:
    """A line that another process holds."""

    __slots__ = ("_number", "_process", "gone")

    def __init__(self, process: _Process, number: int) -> None:
        self._process = process
        self._number = number
        self.gone = False

    async def send(self, text: str) -> None:
        """Have a frame sent; that it is sent is not waited for.

        Raises:
            LineLost: the line has ended.
        """
        if self.gone:
            raise LineLost
        self._process.put(Say(self._number, text))

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; what the charge point still says is not heard any more."""
        self.gone = True
        self._process.put(Close(self._number, code, reason))

    def cut(self) -> None:
        """End the connection without a word."""
        self.gone = True
        self._process.put(Cut(self._number))

    def spawn(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run *function* in a task that ends with the process; it has to look whether the line is still there."""
        self._process.spawn(function, *arguments)


class _Answer:
    """What a process answers to an order; it is *number* if it ends before."""

    __slots__ = ("_came", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self._came = trio.Event()

    def take(self, number: int) -> None:
        self.number = number
        self._came.set()

    async def wait(self) -> int:
        await self._came.wait()
        return self.number


class _Process:
    """One process, and who is connected to it."""

    def __init__(self, number: int, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.number = number
        self.problem = f"process {number} did not say within {_START_TIMEOUT:g} s that it listens"
        self._process = process
        self._inbox = Inbox(process.stdout)
        self._outbox = Outbox(process.stdin)
        self._early: list[FromProcess] = []  # said together with its first word
        self._clients: dict[int, tuple[Client, _FarLine]] = {}
        self._orders = count(1)
        self._answers: dict[int, _Answer] = {}
        self._held = 0
        self._told_to_end = False
        self._ended = False
        self._nursery: trio.Nursery | None = None
        self.put = self._outbox.put

    def spawn(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run *function* in a task that ends with the process."""
        assert self._nursery is not None
        self._nursery.start_soon(function, *arguments)

    async def listen(self, places: Sequence[Place]) -> None:
        """Have it listen; ``problem`` is empty when it does."""
        self.put(Listen(tuple(places)))
        batch = None
        with trio.move_on_after(_START_TIMEOUT):
            with suppress(trio.BrokenResourceError):  # it has ended already
                await self._outbox.flush()
            batch = await self._inbox.receive()
            if batch is None:
                self.problem = f"process {self.number} {end_of(await self._process.wait())}"
        if batch is not None:
            first, *self._early = decode_words(batch)
            assert isinstance(first, Listening)
            self.problem = first.problem

    async def serve(self, desk: Server) -> None:
        """Pass on what it says, until its end."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._outbox.run)
            await self._take(self._early, desk)
            while (batch := await self._inbox.receive()) is not None:
                await self._take(decode_words(batch), desk)
            self._ended = True
            for number in list(self._clients):
                self._leave(number, None, desk)
            for answer in self._answers.values():
                answer.take(answer.number)
            self._nursery.cancel_scope.cancel()
        code = await self._process.wait()
        if code or not self._told_to_end:
            desk.lost(self.number, end_of(code))

    def order(self, make: Callable[[int], Stall | Resume | TakeAway | PutBack]) -> _Answer:
        """Give an order; one that has ended holds up no more than it did, and resets nobody."""
        order = make(next(self._orders))
        answer = _Answer(self._held if isinstance(order, Stall | Resume) else 0)
        if self._ended:
            answer.take(answer.number)
        else:
            self._answers[order.order] = answer
            self.put(order)
        return answer

    def tell_to_end(self) -> None:
        """Have it say goodbye to all and end."""
        self._told_to_end = True
        self.put(End())

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    async def _take(self, words: Sequence[FromProcess], desk: Server) -> None:
        for word in words:
            if isinstance(word, Heard):
                await self._hear(word, desk)
            elif isinstance(word, Asked):
                self.put(Judged(word.line, await desk.judge(word.opening)))
            elif isinstance(word, Entered):
                line = _FarLine(self, word.line)
                self._clients[word.line] = desk.enter(word.identity, line), line
            elif isinstance(word, Left):
                self._leave(word.line, word.code, desk)
            elif isinstance(word, Counted):
                desk.count(word.event)
            elif isinstance(word, Did):
                self._answers.pop(word.order).take(word.number)
                self._held = max(self._held, word.held)

    async def _hear(self, word: Heard, desk: Server) -> None:
        client, _ = self._clients[word.line]
        request = None if client.gone else desk.read(client, word.text)
        if request is not None:
            if delay := desk.delay():
                self.spawn(self._answer_later, word.line, client, request, delay, desk)
                return
            await desk.answer(client, request)
        self.put(Done(word.line))

    async def _answer_later(
        self, number: int, client: Client, request: Call | CallError, delay: float, desk: Server
    ) -> None:
        await desk.answer_later(client, request, delay)
        self.put(Done(number))

    def _leave(self, number: int, code: int | None, desk: Server) -> None:
        client, line = self._clients.pop(number)
        line.gone = True
        desk.leave(client, code)


class SharedLines:
    """The lines of several processes on one port."""

    def __init__(self, processes: Sequence[_Process], url: str) -> None:
        self.url = url
        self._processes = processes

    async def serve(self, desk: Server) -> None:
        """Serve until cancelled; then have all processes say goodbye and end."""
        stopping = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hold, desk, stopping)
            try:
                await trio.sleep_forever()
            finally:
                stopping.set()

    async def stall(self, seconds: float) -> int:
        """Take nothing in and let nothing out, until ``resume`` was called as often; that will be in *seconds*."""
        return await self._all(lambda order: Stall(order, seconds))

    async def resume(self) -> int:
        """Take one ``stall`` back; with the last one, go on with what waits."""
        return await self._all(Resume)

    async def take_away(self) -> int:
        """Listen no more and reset all lines; return how many charge points were connected."""
        return await self._all(TakeAway)

    async def put_back(self) -> None:
        """Take one ``take_away`` back; with the last one, listen at the same place again."""
        await self._all(PutBack)

    async def _all(self, make: Callable[[int], Stall | Resume | TakeAway | PutBack]) -> int:
        """Give all the order; return the sum of their answers."""
        answers = [process.order(make) for process in self._processes]
        with trio.move_on_after(_ORDER_TIMEOUT, shield=True):
            for answer in answers:
                await answer.wait()
        return sum(answer.number for answer in answers)

    async def _hold(self, desk: Server, stopping: trio.Event) -> None:
        """Keep the processes out of reach of the cancellation, until they have ended."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as serving:
                for process in self._processes:
                    serving.start_soon(process.serve, desk)
                await stopping.wait()
                for process in self._processes:
                    process.tell_to_end()
                serving.cancel_scope.deadline = trio.current_time() + _END_TIMEOUT


@asynccontextmanager
async def open_shared(options: ServerOptions) -> AsyncIterator[SharedLines]:
    """Start the processes, and see that all of them listen; end them afterwards.

    Raises:
        UsageError: they cannot listen there, this system cannot share a port, or one did not start.
    """
    many = options.behaviour.processes
    if SHARING is None:
        raise UsageError(
            f"{many} processes of the embedded CSMS: expected 1 on this system, where processes cannot share a port"
        )
    places = await places_of(options.host, options.port)
    kept: list[socket.socket] = []
    processes: list[_Process] = []
    try:
        try:
            kept += map(_keep, places)
            places = [(each.family, each.getsockname()) for each in kept]
        except OSError as error:
            raise cannot_listen(options.host, options.port, error) from error
        try:
            for number in range(1, many + 1):
                processes.append(await _start(number))  # noqa: PERF401 - those before one that fails are ended, too
        except OSError as error:
            raise UsageError(f"a process of the embedded CSMS cannot be started: {error}") from error
        async with trio.open_nursery() as starting:
            for process in processes:
                starting.start_soon(process.listen, places)
        for process in processes:
            if process.problem:
                raise UsageError(f"process {process.number} of the embedded CSMS: {process.problem}")
        yield SharedLines(processes, write_url(places[0][1]))
    finally:
        for process in processes:
            process.kill()
        for each in kept:
            each.close()


async def _start(number: int) -> _Process:
    command = [sys.executable, "-m", "loadsim.csms.line_process"]
    return _Process(number, await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))


def _keep(place: Place) -> socket.socket:
    """Bind a socket that never listens, but keeps the port for the processes, and see first that it is free.

    Raises:
        OSError: the place is taken, also by processes that would share it.
    """
    family, address = place
    bound(family, address).close()  # one that does not share is refused where others listen
    return bound(family, address, shared=True)
