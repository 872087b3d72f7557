"""A process that holds lines of an embedded CSMS, as the desk has it, and the lines that it holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
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
from loadsim.csms.process import end_of
from loadsim.csms.sockets import Place
from loadsim.ocpp.frame import Call, CallError

if TYPE_CHECKING:
    from loadsim.csms.server import Client, Server

START_TIMEOUT: Final = 15.0
"""Seconds in which a process must listen."""


class FarLine:
    """A line that another process holds."""

    __slots__ = ("_number", "_process", "gone")

    def __init__(self, process: LineProcess, number: int) -> None:
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


class Answer:
    """What a process answers to an order; it is *number* if it ends before."""

    __slots__ = ("_came", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self._came = trio.Event()

    def take(self, number: int) -> None:
        """Take the answer."""
        self.number = number
        self._came.set()

    async def wait(self) -> int:
        """Wait for the answer and return it."""
        await self._came.wait()
        return self.number


class LineProcess:
    """One process, and who is connected to it."""

    def __init__(self, number: int, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.number = number
        self.problem = f"process {number} did not say within {START_TIMEOUT:g} s that it listens"
        self._process = process
        self._inbox = Inbox(process.stdout)
        self._outbox = Outbox(process.stdin)
        self._early: list[FromProcess] = []  # said together with its first word
        self._clients: dict[int, tuple[Client, FarLine]] = {}
        self._orders = count(1)
        self._answers: dict[int, Answer] = {}
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
        with trio.move_on_after(START_TIMEOUT):
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

    def order(self, make: Callable[[int], Stall | Resume | TakeAway | PutBack]) -> Answer:
        """Give an order; one that has ended holds up no more than it did, and resets nobody."""
        order = make(next(self._orders))
        answer = Answer(self._held if isinstance(order, Stall | Resume) else 0)
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
                line = FarLine(self, word.line)
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
