"""Growth of memory: one worker's charge points in a closed loop, for millions of messages."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from typing import Final

from benchmarks import table
from benchmarks.clients import CLIENTS, SINK_CORE, lead
from tests.peers import start

CONNECTIONS: Final = 1_000
MESSAGES: Final = 10_000_000
SHORT: Final = 1_000_000
_EVERY: Final = 0.5
_LONGEST: Final = 1_800


def measure() -> Iterator[str]:
    """Say what a tenth of it shows: for whoever has no ten minutes."""
    yield _row(SHORT)


def measure_long() -> Iterator[str]:
    """Say what all of it shows."""
    yield _row(MESSAGES)


def _row(messages: int) -> str:
    memory, seconds = _memory(messages)
    tenth = max(1, len(memory) // 10)
    # Medians, for it goes up and down by 0.4 MB all the time.
    early, late = statistics.median(memory[tenth : 2 * tenth]), statistics.median(memory[-tenth:])
    figures = f"{(late - early) / 1e3:+,.0f} kB in {messages:,} messages ({early / 1e6:.1f} MB, {seconds:.0f} s)"
    return table.figure("soak", figures)


def _memory(messages: int) -> tuple[list[int], float]:
    """Return the client's memory in bytes at equal distances of time while it talks, and how long that took."""
    calls = messages // 2 // CONNECTIONS  # a call and its answer are two
    seen: list[int] = []
    over = threading.Event()
    with (
        start("sink", "--lifetime", str(_LONGEST), "--core", str(SINK_CORE)) as sink,
        lead(CLIENTS["heartbeat"], sink.url, CONNECTIONS, calls) as led,
    ):

        def look() -> None:
            while not over.wait(_EVERY):
                seen.append(led.read().memory)

        for word in ("ready", "connected", "warm"):
            led.wait_for(word)
            led.go_on()
        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        begin = time.monotonic()
        led.wait_for("done")
        seconds = time.monotonic() - begin
        over.set()
        looking.join()
    return seen, seconds
