"""Frames as a server sends them, and all that `Incoming` makes of a stream in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from loadsim.link.framing import Incoming, Message, ProtocolError

ROOM = 1 << 63  # bytes: no limit


@dataclass
class Read:
    """What was handed over, and the close code of the violation that ended it."""

    messages: list[Message] = field(default_factory=list)
    code: int | None = None


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, reserved: int = 0, masked: bool = False) -> bytes:
    """Make one frame with the shortest length (section 5.2)."""
    first, mask = (0x80 if final else 0) | reserved << 4 | opcode, 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        return bytes((first, mask | size)) + payload
    if size < 65_536:
        return bytes((first, mask | 126)) + size.to_bytes(2) + payload
    return bytes((first, mask | 127)) + size.to_bytes(8) + payload


def fed(pieces: Iterable[bytes], most: int = ROOM) -> Read:
    """Feed *pieces*, those after a violation as well."""
    incoming = Incoming(most)
    read = Read()
    for piece in pieces:
        try:
            read.messages += incoming.feed(piece)
        except ProtocolError as violation:
            assert read.code is None, "it is raised once"
            read.messages += violation.before
            read.code = violation.code
    return read


def chopped(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut *data* at *places*, of which each is taken modulo its length."""
    cuts = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(cuts)]
