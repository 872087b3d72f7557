"""The figures that the README shows, what each is to reach, and how a row of a table is written.

What each row means and how it is measured: docs/reference/performance.md.
"""

from __future__ import annotations

from typing import Final, NamedTuple

HEADER: Final = ("what", "figure", "to reach")
PEERS_HEADER: Final = ("client, 1,000 connections", "CPU a round trip", "memory a connection", "CPU a connect")


class Figure(NamedTuple):
    """A row of the table: what it is called, and what is to be reached, with what would be better still."""

    name: str
    reach: str


FIGURES: Final = {
    "heartbeat": Figure("CPU a Heartbeat round trip, 1,000 charge points in a closed loop", "50 us (30)"),
    "meter-values": Figure("the same with MeterValues of a charging session", "65 us (45)"),
    "idle": Figure("memory of an idle charge point, above the empty worker", "15 kB (10)"),
    "charging": Figure("memory of a charging one", "30 kB (20)"),
    "bring-up": Figure("brought up a second to booted, on one core", "3,000 (6,000)"),
    "tls-full": Figure("the same over TLS 1.3, whole handshakes", "800 (1,100)"),
    "tls-resumed": Figure("the same over TLS 1.3, coming back with a ticket", ""),
    "tls-memory": Figure("memory of an idle one over TLS", "55 kB (45)"),
    "flat": Figure("CPU a call and its answer, in a worker of 100, 1,000, 5,000 and 19,000", "within 15 %"),
    "pause": Figure("largest pause of a worker with 19,000 charge points, garbage included", "20 ms (10)"),
    "conductor": Figure("console and aggregation, 100,000 charge points in 8 workers", "5 % of a core (2)"),
    "soak": Figure("growth of memory over a soak of 10,000,000 messages, after a tenth", "0"),
    "live": Figure("live charge points on this machine, sinks included", "100,000 (150,000)"),
    "live-lateness": Figure("their p99 lateness, while they beat every 300 s and authorize 50 a second", "20 ms"),
}


def row(*cells: str) -> str:
    """Write a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def header(cells: tuple[str, ...]) -> str:
    """Write the head of a Markdown table."""
    return f"{row(*cells)}\n|{'---|' * len(cells)}"


def figure(key: str, measured: str) -> str:
    """Write the row of the figure that FIGURES calls *key*."""
    name, reach = FIGURES[key]
    return row(name, measured, reach)
