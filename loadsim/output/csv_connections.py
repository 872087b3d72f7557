"""connections.csv: what connections go through, second by second; how a reconnect storm looks from outside.

A row is written for a second in which a connection was begun or ended, a boot was answered or a message that had
waited was delivered, and for one at whose end some charge point was on its way: connecting, booting or backing off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from loadsim.metrics.catalogue import CAUSES, COUNTS
from loadsim.metrics.histogram import Histogram
from loadsim.metrics.snapshot import Snapshot
from loadsim.output.csv_file import Row, seconds_cell, time_cell

SECOND: Final = 1.0
"""Seconds of a row."""

_STATES: Final = ("online", "booting", "backing_off")
_ON_THEIR_WAY: Final = ("charge_points.booting", "charge_points.backing_off")
_WAITING: Final = "outbox.waiting"
_GAUGES: Final = (*(f"charge_points.{state}" for state in _STATES), _WAITING)
_COUNTERS: Final = ("attempted", "retried", "opened", "abandoned", "closed")
_BY_CAUSE: Final = ("refused", "lost")
_BOOT: Final = "BootNotification"
_ANSWERED: Final = tuple(COUNTS.index(verdict) for verdict in ("accepted", "rejected", "pending"))
_FAILED: Final = tuple(COUNTS.index(cause) for cause in CAUSES)
_TIMES: Final = ("connect", "handshake", "outbox_wait")
_PERCENTILES: Final = (50, 95)


def _columns(of: str) -> tuple[str, ...]:
    return (*(f"{of}_p{percent}_s" for percent in _PERCENTILES), f"{of}_max_s")


CONNECTION_COLUMNS: Final = (
    "begin_s",
    *_STATES,
    *_COUNTERS,
    *_BY_CAUSE,
    *_columns("connect"),
    *_columns("handshake"),
    "boots_answered",
    "boots_failed",
    *_columns("boot_response"),
    "outbox_waiting",
    "outbox_delivered",
    *_columns("outbox_wait"),
)


class Second:
    """What happened to connections in one second, by all workers, and how each worker stood at its end."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._counts: Counter[str] = Counter()
        self._times = {name: Histogram() for name in (*_TIMES, "boot_response")}
        self.gauges: dict[int, dict[str, int]] = {}
        """How the charge points of each worker that has reported stood at its end."""

    def take(self, snapshot: Snapshot) -> None:
        """Take in an interval."""
        for name, count in snapshot.counters.items():
            of, _, what = name.partition(".")
            if of == "connections":
                self._counts[what.partition(".")[0]] += count
        for name in _TIMES:
            if name in snapshot.times:
                self._times[name].add_sparse(snapshot.times[name])
        for delta in snapshot.calls:
            if delta.action == _BOOT:
                self._counts["boots_answered"] += sum(delta.counts[index] for index in _ANSWERED)
                self._counts["boots_failed"] += sum(delta.counts[index] for index in _FAILED)
                self._times["boot_response"].add_sparse(delta.response)
        self.gauges[snapshot.shard] = {name: snapshot.gauges.get(name, 0) for name in _GAUGES}

    def rows(self, gauges: Counter[str]) -> Iterator[Row]:
        """Yield the row, if there is anything to tell; *gauges* are at its end, of all workers."""
        counts, times = self._counts, self._times
        if not (any(counts.values()) or times["outbox_wait"].n or any(gauges[name] for name in _ON_THEIR_WAY)):
            return
        yield [
            time_cell(self._index * SECOND),
            *(gauges[f"charge_points.{state}"] for state in _STATES),
            *(counts[what] for what in (*_COUNTERS, *_BY_CAUSE)),
            *_cells(times["connect"]),
            *_cells(times["handshake"]),
            counts["boots_answered"],
            counts["boots_failed"],
            *_cells(times["boot_response"]),
            gauges[_WAITING],
            times["outbox_wait"].n,
            *_cells(times["outbox_wait"]),
        ]


def _cells(times: Histogram) -> Iterator[str]:
    for percent in _PERCENTILES:
        yield seconds_cell(times.percentile(percent))
    yield seconds_cell(times.max if times.n else None)
