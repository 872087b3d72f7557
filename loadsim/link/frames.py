"""A client's frames as they go out, without a socket (RFC 6455, sections 5.2 to 5.5)."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
FINAL: Final = 0x80
"""The first byte of the only or last frame of a message has it, beside the opcode."""

SHORT: Final = 125
"""Bytes of the longest payload whose length takes one byte, and of any control frame's."""
MEDIUM: Final = 0xFFFF
NO_CODE: Final = 1005
"""The code of a close frame that has none (section 7.1.5)."""

_MASKED: Final = 0x80
_MOST_REASON: Final = SHORT - 2

PIECE: Final = 65_536
"""Bytes: to mask so many takes a tenth of a millisecond. A multiple of the mask's four."""

_CHARACTER: Final = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


def text_frame(text: str) -> bytes:
    """Return *text* as one masked frame."""
    payload = text.encode()
    size = len(payload)
    mask = next(_MASKS)
    head = _SHORT_TEXTS[size] if size <= SHORT else frame_head(FINAL | TEXT, size)
    return head + mask + masked(payload, mask)


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """Return a close, ping or pong, masked.

    Raises:
        ValueError: the payload has more than 125 bytes (section 5.5).
    """
    if len(payload) > SHORT:
        raise ValueError(f"a control frame carries 125 bytes, not {len(payload)}")
    mask = next_mask()
    return frame_head(FINAL | opcode, len(payload)) + mask + masked(payload, mask)


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame; *code* 1005 sends none, and of *reason* goes out what there is room for."""
    if code == NO_CODE:
        return control_frame(CLOSE)
    said = reason.encode()[:_MOST_REASON].decode(errors="ignore").encode()
    return control_frame(CLOSE, code.to_bytes(2) + said)


def client_frames(message: str | bytes, count: int = 1) -> Iterator[bytes]:
    """Yield *message* as *count* frames, in pieces of about 64 KiB; bytes are a binary message.

    A text is cut within a character of several bytes, where it has one, and *count* is more than 1. A text may be
    no valid one: lone surrogates go out as they are. More frames than bytes leave some of them empty.
    """
    payload = message.encode(errors="surrogatepass") if isinstance(message, str) else message
    cuts = _cuts(payload, count, whole=isinstance(message, bytes))
    opcode = BINARY if isinstance(message, bytes) else TEXT
    gathered = bytearray()
    for n, (begin, end) in enumerate(pairwise(cuts)):
        mask = next_mask()
        gathered += frame_head((opcode if n == 0 else CONTINUATION) | (FINAL if n == count - 1 else 0), end - begin)
        gathered += mask
        for at in range(begin, end, PIECE):
            gathered += masked(payload[at : min(at + PIECE, end)], mask)
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


def frame_head(first: int, size: int) -> bytes:
    """Return the head of a client's frame up to its mask: *first* byte, and *size* of the payload (section 5.2)."""
    if size <= SHORT:
        return bytes((first, _MASKED | size))
    if size <= MEDIUM:
        return bytes((first, _MASKED | 126)) + size.to_bytes(2)
    return bytes((first, _MASKED | 127)) + size.to_bytes(8)


def masked(data: bytes, mask: bytes) -> bytes:
    """Return *data* with each byte XORed by the mask's (section 5.3), all at once: as one large number each."""
    size = len(data)
    repeated = mask * (size // 4 + 1)
    number = int.from_bytes(data, "little") ^ int.from_bytes(repeated[:size], "little")
    return number.to_bytes(size, "little")


def next_mask() -> bytes:
    """Return a mask that nobody can foresee (section 5.3)."""
    return next(_MASKS)


def _drawn() -> Iterator[bytes]:
    entropy = os.urandom(4096)
    return iter([entropy[at : at + 4] for at in range(0, 4096, 4)])


_MASKS: Final = itertools.chain.from_iterable(iter(_drawn, None))
"""One system call for a thousand masks, where one for each takes half the time of a frame. Threads may share it."""
_SHORT_TEXTS: Final = tuple(frame_head(FINAL | TEXT, size) for size in range(SHORT + 1))
"""A quarter of the time of a frame, too."""
