"""One of several processes that hold the lines of an embedded CSMS: ``python -m loadsim.csms.line_process``.

It is told on stdin where to listen and what to say, and tells on stdout what it hears. It ends with its stdin: at
once and without a word, as a CSMS that is killed, unless it was told before that this is the end.
"""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from itertools import count
from typing import Final

import trio

from loadsim.csms.calling import LineLost
from loadsim.csms.desk import Line, Opening
from loadsim.csms.handshake import Admitted, Refused
from loadsim.csms.line_messages import (
    MOST_UNHEARD,
    Asked,
    Close,
    Counted,
    Cut,
    Did,
    Done,
    End,
    Entered,
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
    decode_orders,
)
from loadsim.csms.lines import LocalLines
from loadsim.csms.sockets import listen_shared
from loadsim.garbage import GarbagePolicy
from loadsim.limits import raise_descriptor_limit, reserve_descriptors

_STDIN: Final = 0
_STDOUT: Final = 1


class _Visit:
    """A line as the desk knows it: by a number. *unheard* is what was passed on and is not dealt with."""

    __slots__ = ("_room", "_unsent", "line", "number", "unheard")

    def __init__(self, number: int, line: Line) -> None:
        self.number = number
        self.line = line
        self.unheard = 0
        self._unsent: deque[Say | Close] | None = None  # None: no task sends
        self._room: trio.Event | None = None  # the line is not read until there is some

    def say(self, message: Say | Close) -> None:
        """Send, or close, after what is still to be sent; a peer that does not read holds up nobody else."""
        if self._unsent is None:
            self._unsent = deque()
            self.line.spawn(self._send)
        self._unsent.append(message)

    def done(self) -> None:
        """Take note that one thing more is dealt with."""
        self.unheard -= 1
        self._make_room()

    async def has_room(self) -> None:
        """Wait until little enough is to be dealt with or to be sent: answers to what is not read pile up as well."""
        while self.unheard + len(self._unsent or ()) >= MOST_UNHEARD:
            self._room = trio.Event()
            await self._room.wait()

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    async def _send(self) -> None:
        assert self._unsent is not None
        while self._unsent:
            message = self._unsent[0]
            if isinstance(message, Close):
                self.line.close(message.code, message.reason)
            else:
                try:
                    await self.line.send(message.text)
                except LineLost:  # so is what was to follow
                    self._unsent = deque([message])
            self._unsent.popleft()
            self._make_room()
        self._unsent = None


class FarDesk:
    """The desk, which is in another process."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._numbers = count(1)
        self._visits: dict[int, _Visit] = {}
        self._asked: dict[int, trio.Event] = {}
        self._verdicts: dict[int, Admitted | Refused] = {}

    async def judge(self, opening: Opening) -> Admitted | Refused:
        """Ask the desk."""
        number = next(self._numbers)
        self._asked[number] = judged = trio.Event()
        self._outbox.put(Asked(number, opening))
        try:
            await judged.wait()
            return self._verdicts[number]
        finally:
            del self._asked[number]
            self._verdicts.pop(number, None)

    def enter(self, identity: str, line: Line) -> _Visit:
        """Tell of a line that is open from now on."""
        visit = _Visit(next(self._numbers), line)
        self._visits[visit.number] = visit
        self._outbox.put(Entered(visit.number, identity))
        return visit

    async def hear(self, visit: _Visit, text: str) -> None:
        """Pass on what a charge point says, when there is room for it."""
        await visit.has_room()
        visit.unheard += 1
        self._outbox.put(Heard(visit.number, text))

    def leave(self, visit: _Visit, code: int | None) -> None:
        """Tell of a line's end."""
        del self._visits[visit.number]
        self._outbox.put(Left(visit.number, code))

    def count(self, event: str) -> None:
        """Have an event counted."""
        self._outbox.put(Counted(event))

    def take(self, order: Judged | Say | Done | Close | Cut) -> None:
        """Carry out what concerns one line; it may have ended."""
        if isinstance(order, Judged):
            if (judged := self._asked.get(order.line)) is not None:
                self._verdicts[order.line] = order.verdict
                judged.set()
            return
        visit = self._visits.get(order.line)
        if visit is None:
            return
        if isinstance(order, Done):
            visit.done()
        elif isinstance(order, Cut):
            visit.line.cut()
        else:
            visit.say(order)


class _LineProcess:
    """The process, from its first order to its last."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._outbox = Outbox(trio.lowlevel.FdStream(_STDOUT))
        self._desk = FarDesk(self._outbox)
        self._lines: LocalLines[_Visit] | None = None
        self._serving = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._told_to_end = False

    async def run(self) -> None:
        """Obey until the end."""
        self._nursery.start_soon(self._outbox.run)
        with self._reading:
            inbox = Inbox(trio.lowlevel.FdStream(_STDIN))
            while (batch := await inbox.receive()) is not None:
                await self._take(batch)
            if not self._told_to_end:
                os._exit(1)  # the desk was killed, and this is part of it

    async def _take(self, batch: bytes) -> None:
        for order in decode_orders(batch):
            if isinstance(order, Judged | Say | Done | Close | Cut):
                self._desk.take(order)
            elif isinstance(order, Listen):
                self._listen(order)
            elif isinstance(order, End):
                self._told_to_end = True
                self._serving.cancel()
            else:
                await self._obey(order)

    async def _obey(self, order: Stall | Resume | TakeAway | PutBack) -> None:
        lines = self._lines
        assert lines is not None
        if isinstance(order, Stall):
            self._did(order, lines, await lines.stall(order.seconds))
        elif isinstance(order, TakeAway):
            self._did(order, lines, await lines.take_away())
        else:  # these can take a while
            self._nursery.start_soon(self._go_on, order, lines)

    async def _go_on(self, order: Resume | PutBack, lines: LocalLines[_Visit]) -> None:
        if isinstance(order, Resume):
            self._did(order, lines, await lines.resume())
        else:
            await lines.put_back()
            self._did(order, lines, 0)

    def _did(self, order: Stall | Resume | TakeAway | PutBack, lines: LocalLines[_Visit], number: int) -> None:
        self._outbox.put(Did(order.order, number, lines.gate.held))

    def _listen(self, order: Listen) -> None:
        try:
            self._lines = LocalLines(listen_shared(order.places), shared=True)
        except OSError as error:
            self._outbox.put(Listening(str(error.strerror or error)))
        else:
            self._nursery.start_soon(self._serve, self._lines)
            self._outbox.put(Listening())

    async def _serve(self, lines: LocalLines[_Visit]) -> None:
        with GarbagePolicy(deque(maxlen=1)) as garbage, self._serving:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(garbage.run)
                await lines.serve(self._desk)
        lines.close()
        self._reading.cancel()
        self._outbox.end()


async def _main() -> None:
    reserve_descriptors(raise_descriptor_limit())
    async with trio.open_nursery() as nursery:
        await _LineProcess(nursery).run()


def main() -> None:
    """Run the process."""
    # These go to the whole group of processes: the desk decides when this one ends.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    logging.getLogger().addHandler(logging.NullHandler())  # stderr is the terminal of the desk
    trio.run(_main)


if __name__ == "__main__":
    main()
