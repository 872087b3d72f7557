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
    yield table.figure("heartbeat", _beside(found["heartbeat"], found["bare"]))
    yield table.figure("meter-values", _beside(found["meter-values"], found["bare"]))


def measure_peers() -> Iterator[str]:
    """Tell all of them side by side."""
    for cells in rows(_found()):
        yield table.row(*cells)


def _beside(ours: Figures | Missing, bare: Figures | Missing) -> str:
    assert isinstance(ours, Figures)
    assert isinstance(bare, Figures)
    return f"{ours.text('call', 1e6, 'us')}, {ours.median('call') / bare.median('call'):.2f} of trio-websocket alone"


@cache
def _found() -> dict[str, Figures | Missing]:
    return side_by_side(CLIENTS, connections=CONNECTIONS, calls=CALLS, rounds=ROUNDS)
