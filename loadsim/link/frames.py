"""WebSocket frames of a client, made by hand (RFC 6455, section 5.2), for messages that no library would send."""

from __future__ import annotations

import re
import secrets
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CONTINUATION: Final = 0x0
_FINAL: Final = 0x80
_MASKED: Final = 0x80
_SHORT: Final = 125
_MEDIUM: Final = 0xFFFF

PIECE: Final = 65_536
"""Bytes: to mask so many takes a tenth of a millisecond. A multiple of the mask's four."""

_CHARACTER: Final = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


def client_frames(message: str | bytes, count: int = 1) -> Iterator[bytes]:
    """Yield *message* as *count* frames, in pieces of about 64 KiB; bytes are a binary message.

    A text is cut within a character of several bytes, where it has one, and *count* is more than 1. A text may be
    no valid one: lone surrogates go out as they are. More frames than bytes leave some of them empty.
    """
    payload = message.encode(errors="surrogatepass") if isinstance(message, str) else message
    cuts = _cuts(payload, count, whole=isinstance(message, bytes))
    opcode = _BINARY if isinstance(message, bytes) else _TEXT
    gathered = bytearray()
    for n, (begin, end) in enumerate(pairwise(cuts)):
        mask = secrets.token_bytes(4)
        gathered += _header((opcode if n == 0 else _CONTINUATION) | (_FINAL if n == count - 1 else 0), end - begin)
        gathered += mask
        for at in range(begin, end, PIECE):
            gathered += _masked(payload[at : min(at + PIECE, end)], mask)
            if len(gathered) >= PIECE:
                yield bytes(gathered)
                gathered.clear()
    if gathered:
        yield bytes(gathered)


def _cuts(payload: bytes, count: int, *, whole: bool) -> list[int]:
    """Return where the frames begin, and the end."""
    cuts = [len(payload) * n // count for n in range(count + 1)]
    found = None if whole or count == 1 else _CHARACTER.search(payload)
    if found is not None and not any(_inside(payload, cut) for cut in cuts[1:-1]):
        wanted = found.start() + 1
        nearest = min(range(1, count), key=lambda n: abs(cuts[n] - wanted))
        cuts[nearest] = wanted
    return cuts


def _inside(payload: bytes, cut: int) -> bool:
    return cut < len(payload) and payload[cut] & 0xC0 == 0x80


def _header(first: int, size: int) -> bytes:
    if size <= _SHORT:
        return struct.pack("!BB", first, _MASKED | size)
    if size <= _MEDIUM:
        return struct.pack("!BBH", first, _MASKED | 126, size)
    return struct.pack("!BBQ", first, _MASKED | 127, size)


def _masked(data: bytes, mask: bytes) -> bytes:
    """Return *data* with each byte XORed by the mask's (section 5.3), all at once: as one large number each."""
    repeated = (mask * (len(data) // 4 + 1))[: len(data)]
    number = int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")
    return number.to_bytes(len(data), "little")
