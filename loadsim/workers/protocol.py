"""What the conductor and a worker say to each other: msgpack, each message behind its length."""

from __future__ import annotations

from io import RawIOBase
from typing import Final

import msgspec

from loadsim.charge_point.preflight import Finding
from loadsim.metrics.snapshot import Snapshot
from loadsim.scenario.plan import Plan

_LENGTH: Final = 4


class Prepare(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """To a worker: which part of which plan to simulate; it answers Ready."""

    plan: Plan
    shard: int
    workers: int
    run_id: str
    graceful_stop: float


class Try(msgspec.Struct, frozen=True, tag=True):
    """To a worker: have the first charge points connect and boot; it answers Tried."""


class Go(msgspec.Struct, frozen=True, tag=True):
    """To a worker: begin now; *wall* is the time of day of the run's beginning, seconds since 1970."""

    wall: float


class End(msgspec.Struct, frozen=True, tag=True):
    """To a worker: end the run now, as at its planned end."""


class Ready(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """From a worker: it has read its plan and can begin; *problem* says why it cannot."""

    shard: int
    problem: str = ""


class Tried(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """From a worker: its first charge points wait for the run, or one of them has a problem."""

    shard: int
    problems: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()


class Report(msgspec.Struct, frozen=True, tag=True):
    """From a worker: an interval's numbers."""

    snapshot: Snapshot


Order = Prepare | Try | Go | End
Word = Ready | Tried | Report

_encode = msgspec.msgpack.Encoder().encode
_decode_order = msgspec.msgpack.Decoder(Order).decode
_decode_word = msgspec.msgpack.Decoder(Word).decode


def pack(message: Order | Word) -> bytes:
    """Write a message with its length before it."""
    body = _encode(message)
    return len(body).to_bytes(_LENGTH, "big") + body


def read_order(stream: RawIOBase) -> Order | None:
    """Wait for the next order; None when the conductor is gone."""
    head = _read(stream, _LENGTH)
    if len(head) < _LENGTH:
        return None
    order: Order = _decode_order(_read(stream, int.from_bytes(head, "big")))
    return order


def _read(stream: RawIOBase, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (part := stream.read(size - len(data))):
        data += part
    return bytes(data)


class WordReader:
    """Cuts what arrives from a worker into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray) -> list[Word]:
        """Take in bytes and return the messages that are now whole."""
        self._buffer += data
        words: list[Word] = []
        while len(self._buffer) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._buffer[:_LENGTH], "big")
            if len(self._buffer) < end:
                break
            words.append(_decode_word(bytes(self._buffer[_LENGTH:end])))
            del self._buffer[:end]
        return words
