"""When what is sent over a slow link arrives: latency delays it, bandwidth queues it, and nothing overtakes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from loadsim.link.transport import Slowness

_SEGMENT: Final = 1460
"""Bytes: what a TCP segment carries over Ethernet (RFC 9293, section 3.7.1)."""
_PIECES_A_SECOND: Final = 50


class SlowLine:
    """One direction of a link.

    *slowness* may change at any time, and counts for what is sent from then on; with None, that arrives as soon as
    what went before it has.
    """

    __slots__ = ("_arrived", "_free", "slowness")

    def __init__(self) -> None:
        self.slowness: Slowness | None = None
        self._free = -math.inf
        self._arrived = -math.inf

    def arrivals(self, sizes: Iterable[int], now: float) -> Iterator[float]:
        """Yield when each piece of a message that is sent at *now* arrives; sizes are bytes, times seconds."""
        latency, bandwidth = 0.0, math.inf
        if self.slowness is not None:
            latency = self.slowness.latency()
            if self.slowness.bandwidth is not None:
                bandwidth = self.slowness.bandwidth
        for size in sizes:
            self._free = max(self._free, now) + size / bandwidth
            self._arrived = max(self._arrived, self._free + latency)
            yield self._arrived

    def arrival(self, size: int, now: float) -> float:
        """Return when a message of *size* bytes that is sent at *now* has wholly arrived."""
        return next(self.arrivals((size,), now))

    def busy(self, now: float) -> float:
        """Return the seconds until all that was sent has arrived."""
        return max(0.0, self._arrived - now)


class SlowPipe:
    """Bytes that are under way on a slow line; *size* is how many."""

    __slots__ = ("_pieces", "line", "size")

    def __init__(self) -> None:
        self.line = SlowLine()
        self.size = 0
        self._pieces: deque[tuple[float, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._pieces)

    def put(self, data: bytes, now: float) -> None:
        """Send *data*, which trickles out at the other end; none is the end of all data."""
        pieces = list(self._cut(data))
        self._pieces.extend(zip(self.line.arrivals(map(len, pieces), now), pieces, strict=True))
        self.size += len(data)

    def due(self) -> float:
        """Return when the next piece arrives; infinity when nothing is under way."""
        return self._pieces[0][0] if self._pieces else math.inf

    def peek(self) -> bytes:
        """Return the next piece and leave it there."""
        return self._pieces[0][1]

    def take(self, most: int | None = None) -> bytes:
        """Take the next piece, or its first *most* bytes."""
        due, piece = self._pieces.popleft()
        if most is not None and most < len(piece):
            self._pieces.appendleft((due, piece[most:]))
            piece = piece[:most]
        self.size -= len(piece)
        return piece

    def clear(self) -> None:
        """Drop all that is under way."""
        self._pieces.clear()
        self.size = 0

    def _cut(self, data: bytes) -> Iterator[bytes]:
        bandwidth = self.line.slowness.bandwidth if self.line.slowness is not None else None
        size = len(data) if bandwidth is None else max(_SEGMENT, int(bandwidth / _PIECES_A_SECOND))
        if size >= len(data):
            yield data
        else:
            for begin in range(0, len(data), size):
                yield data[begin : begin + size]
