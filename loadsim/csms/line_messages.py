"""What the desk and a process that holds lines say to each other: msgpack, many messages behind one length.

A line is known by a number that its process gave it. Orders that are answered have a number of their own.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import msgspec
import trio

from loadsim.csms.desk import Opening
from loadsim.csms.handshake import Admitted, Refused
from loadsim.csms.sockets import Place

MOST_UNHEARD: Final = 100
"""What is passed on from one line and not dealt with, or answered and not sent; then it is not read."""

_LENGTH: Final = 4
_READ: Final = 1 << 18


class Listen(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """To a process, first: listen at these places, each a family and an address; it answers Listening."""

    places: tuple[Place, ...]


class Judged(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """To a process: what becomes of a handshake."""

    line: int
    verdict: Admitted | Refused


class Say(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """To a process: send a frame."""

    line: int
    text: str


class Done(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """To a process: one thing that was heard from the line is dealt with."""

    line: int


class Close(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """To a process: begin the closing handshake, after what was said before; hear nothing more."""

    line: int
    code: int
    reason: str


class Cut(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """To a process: end a line without a word."""

    line: int


class Stall(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """To a process: ``Lines.stall``; it answers Did, as to the three that follow."""

    order: int
    seconds: float


class Resume(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """To a process: ``Lines.resume``."""

    order: int


class TakeAway(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """To a process: ``Lines.take_away``."""

    order: int


class PutBack(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """To a process: ``Lines.put_back``."""

    order: int


class End(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """To a process, last: say goodbye to all and end."""


class Listening(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """From a process: it listens, or *problem* says why it cannot."""

    problem: str = ""


class Asked(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """From a process: a handshake's request, to be judged."""

    line: int
    opening: Opening


class Entered(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """From a process: the line is open."""

    line: int
    identity: str


class Heard(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """From a process: a text has come."""

    line: int
    text: str


class Left(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """From a process: a line has ended; ``Desk.leave`` says what *code* is."""

    line: int
    code: int | None


class Counted(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """From a process: ``Desk.count``."""

    event: str


class Did(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """From a process: an order is carried out; the number is what it returns, *held* what the gate held up so far."""

    order: int
    number: int
    held: int


ToProcess = Listen | Judged | Say | Done | Close | Cut | Stall | Resume | TakeAway | PutBack | End
FromProcess = Listening | Asked | Entered | Heard | Left | Counted | Did

decode_orders: Final = msgspec.msgpack.Decoder(list[ToProcess]).decode
decode_words: Final = msgspec.msgpack.Decoder(list[FromProcess]).decode
_encode: Final = msgspec.msgpack.Encoder().encode


class Outbox:
    """Messages to the other side: what comes together goes together, for a system call costs more than a message."""

    def __init__(self, stream: trio.abc.SendStream) -> None:
        self._stream = stream
        self._messages: list[ToProcess | FromProcess] = []
        self._some = trio.Event()
        self._ended = False

    def put(self, message: ToProcess | FromProcess) -> None:
        """Send *message* soon; nobody waits for it."""
        self._messages.append(message)
        if len(self._messages) == 1:
            self._some.set()

    def end(self) -> None:
        """Let ``run`` return when all is sent."""
        self._ended = True
        self._some.set()

    async def run(self) -> None:
        """Send what was put, until ``end``, until cancelled or until the other side is gone."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # its end is seen where it is read
            while self._messages or not self._ended:
                await self._some.wait()
                await self.flush()

    async def flush(self) -> None:
        """Send what was put.

        Raises:
            BrokenResourceError: the other side is gone.
        """
        body = _encode(self._messages)
        self._messages.clear()
        self._some = trio.Event()
        await self._stream.send_all(len(body).to_bytes(_LENGTH, "big") + body)


class Inbox:
    """What comes from the other side, in the batches in which it was sent."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def receive(self) -> bytes | None:
        """Wait for the next batch; None when the other side is gone."""
        buffer = self._buffer
        while True:
            if len(buffer) >= _LENGTH:
                end = _LENGTH + int.from_bytes(buffer[:_LENGTH], "big")
                if len(buffer) >= end:
                    batch = bytes(buffer[_LENGTH:end])
                    del buffer[:end]
                    return batch
            try:
                data = await self._stream.receive_some(_READ)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not data:
                return None
            buffer += data
