"""CPU a round trip: closed loops of loadsim and of its peers, in turn, in one run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from benchmarks import table
from benchmarks.clients import CLIENTS, Figures, Missing, rows, side_by_side

CONNECTIONS: Final = 1_000
CALLS: Final = 50
ROUNDS: Final = 3


def measure() -> Iterator[str]:
    """Tell loadsim's two figures, and their ratios to trio-websocket alone."""
    found = _found()
    for name in ("heartbeat", "meter-values"):
        figures, bare = found[name], found["bare"]
        assert isinstance(figures, Figures)
        assert isinstance(bare, Figures)
        ratio = figures.median("call") / bare.median("call")
        yield table.figure(name, f"{figures.text('call', 1e6, 'us')}, {ratio:.2f} of trio-websocket alone")


def measure_peers() -> Iterator[str]:
    """Tell all of them side by side."""
    for cells in rows(_found()):
        yield table.row(*cells)


@cache
def _found() -> dict[str, Figures | Missing]:
    return side_by_side(CLIENTS, connections=CONNECTIONS, calls=CALLS, rounds=ROUNDS)
