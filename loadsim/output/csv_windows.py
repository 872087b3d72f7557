"""The run folder's CSV files, 5 seconds a row: calls, charging sessions, calls from the CSMS, and the workers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.catalogue import COUNTS
from loadsim.metrics.histogram import Histogram
from loadsim.metrics.snapshot import Snapshot
from loadsim.output.csv_file import Row, seconds_cell, time_cell
from loadsim.output.summary_sessions import COMMAND_COUNTS, SESSION_OUTCOMES, SESSION_SOURCES

WINDOW: Final = 5.0
"""Seconds of a row."""

CHARGING: Final = "transactions.running"
_COMMAND: Final = "commands."
_REMOTE_START: Final = "remote_start"
_PERCENTILES: Final = (50, 95, 99, 99.9)
_STATISTICS: Final = ("mean", *(f"p{percent:g}" for percent in _PERCENTILES), "max")
_SESSION_COUNTERS: Final = (
    *(f"sessions.{what}" for what in (*SESSION_SOURCES, *SESSION_OUTCOMES)),
    *(f"transactions.{what}" for what in ("begun", "started", "ended", "stopped", "lost", "doubled")),
    *(f"energy.{what}" for what in ("delivered", "stopped")),
)


def _columns(of: str) -> tuple[str, ...]:
    return tuple(f"{of}_{statistic}_s" for statistic in _STATISTICS)


WINDOW_COLUMNS: Final = (
    "begin_s",
    "end_s",
    "stage",
    "action",
    *COUNTS,
    *_columns("response"),
    *_columns("service"),
)
SESSION_COLUMNS: Final = (
    "begin_s",
    "end_s",
    "charging",
    *(
        f"{name.replace('.', '_')}_wh" if name.startswith("energy.") else name.replace(".", "_")
        for name in _SESSION_COUNTERS
    ),
    *_columns(_REMOTE_START),
)
COMMAND_COLUMNS: Final = ("begin_s", "end_s", "action", *COMMAND_COUNTS, *_columns("answer"))
GENERATOR_COLUMNS: Final = (
    "begin_s",
    "end_s",
    "worker",
    "online",
    "booting",
    "backing_off",
    "connections_opened",
    "messages_sent",
    "messages_received",
    "cpu",
    "rss_bytes",
    "descriptors",
    "lateness_p99_s",
    "lateness_max_s",
    "gc_pause_max_s",
)


class Window:
    """What fell into one window: calls by stage (in which they fell due) and action, sessions, and each worker."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._calls: defaultdict[tuple[int, str], CallNumbers] = defaultdict(CallNumbers)
        self._commands: defaultdict[str, _CommandWindow] = defaultdict(_CommandWindow)
        self._sessions: Counter[str] = Counter()
        self._remote_start = Histogram()
        self._workers: defaultdict[int, _WorkerWindow] = defaultdict(_WorkerWindow)
        self.gauges: dict[int, dict[str, int]] = {}
        """How the charge points stood at its end, by worker that has reported."""

    def take(self, snapshot: Snapshot) -> None:
        """Take in an interval."""
        for delta in snapshot.calls:
            self._calls[delta.stage, delta.action].add(delta)
        for name, count in snapshot.counters.items():
            if name.startswith(_COMMAND):
                action, _, what = name.removeprefix(_COMMAND).rpartition(".")
                self._commands[action].counts[what] += count
        for name, times in snapshot.times.items():
            if name.startswith(_COMMAND):
                self._commands[name.removeprefix(_COMMAND)].answer.add_sparse(times)
        for name in _SESSION_COUNTERS:
            self._sessions[name] += snapshot.counters.get(name, 0)
        if _REMOTE_START in snapshot.times:
            self._remote_start.add_sparse(snapshot.times[_REMOTE_START])
        self.gauges[snapshot.shard] = {CHARGING: snapshot.gauges.get(CHARGING, 0)}
        self._workers[snapshot.shard].take(snapshot)

    def call_rows(self, stages: Sequence[str]) -> Iterator[Row]:
        """Yield a row of windows.csv for each stage, whose names are *stages*, and action."""
        for (stage, action), numbers in sorted(self._calls.items()):
            counts = (getattr(numbers, name) for name in COUNTS)
            yield [*self._time, stages[stage], action, *counts, *_times(numbers.response), *_times(numbers.service)]

    def session_rows(self, gauges: Counter[str]) -> Iterator[Row]:
        """Yield the row of sessions.csv, if there is anything to tell; *gauges* are at its end, of all workers."""
        charging = gauges[CHARGING]
        if charging or self._remote_start.n or any(self._sessions.values()):
            counts = (self._sessions[name] for name in _SESSION_COUNTERS)
            yield [*self._time, charging, *counts, *_times(self._remote_start)]

    def command_rows(self) -> Iterator[Row]:
        """Yield a row of commands.csv for each action that came from the CSMS."""
        for action, numbers in sorted(self._commands.items()):
            counts = (numbers.counts[what] for what in COMMAND_COUNTS)
            yield [*self._time, action, *counts, *_times(numbers.answer)]

    def worker_rows(self) -> Iterator[Row]:
        """Yield a row of generator.csv for each worker."""
        for shard, worker in sorted(self._workers.items()):
            yield [*self._time, shard, *worker.row()]

    @property
    def _time(self) -> tuple[str, str]:
        return time_cell(self._index * WINDOW), time_cell((self._index + 1) * WINDOW)


class _CommandWindow:
    """The calls of one action from the CSMS in one window."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.answer = Histogram()


class _WorkerWindow:
    """One worker in one window."""

    def __init__(self) -> None:
        self._gauges: dict[str, int] = {}
        self._counters = {"connections.opened": 0, "messages.sent": 0, "messages.received": 0}
        self._cpu_seconds = self._cpu_window = 0.0
        self._rss = self._descriptors = 0
        self._lateness = Histogram()
        self._gc_pause_max = 0.0

    def take(self, snapshot: Snapshot) -> None:
        self._gauges = snapshot.gauges
        for name in self._counters:
            self._counters[name] += snapshot.counters.get(name, 0)
        if "lateness" in snapshot.times:
            self._lateness.add_sparse(snapshot.times["lateness"])
        if "gc_pause" in snapshot.times:
            self._gc_pause_max = max(self._gc_pause_max, snapshot.times["gc_pause"].max)
        if snapshot.health is not None:
            self._cpu_seconds += snapshot.health.cpu * snapshot.health.cpu_window
            self._cpu_window += snapshot.health.cpu_window
            self._rss, self._descriptors = snapshot.health.rss, snapshot.health.descriptors

    def row(self) -> Row:
        return [
            *(self._gauges.get(f"charge_points.{name}", 0) for name in ("online", "booting", "backing_off")),
            *self._counters.values(),
            seconds_cell(self._cpu_seconds / self._cpu_window if self._cpu_window else None),
            self._rss,
            self._descriptors,
            seconds_cell(self._lateness.percentile(99)),
            seconds_cell(self._lateness.max if self._lateness.n else None),
            seconds_cell(self._gc_pause_max),
        ]


def _times(histogram: Histogram) -> Iterator[str]:
    yield seconds_cell(histogram.mean)
    for percent in _PERCENTILES:
        yield seconds_cell(histogram.percentile(percent))
    yield seconds_cell(histogram.max if histogram.n else None)
