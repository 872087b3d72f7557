"""The run folder: what a run leaves behind, written as it goes, so that a killed run leaves whole files."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.catalogue import COUNTS
from loadsim.metrics.histogram import Histogram
from loadsim.metrics.snapshot import Example, Snapshot
from loadsim.scenario.plan import Plan

WINDOW: Final = 5.0
"""Seconds of a row in windows.csv and generator.csv."""

_TICK: Final = 0.25  # a snapshot's end is a little after its tick, never as much as this
_LATEST_WAIT: Final = 2.0
_PERCENTILES: Final = (50, 95, 99, 99.9)
_TIMES: Final = tuple(
    f"{kind}_{what}_s"
    for kind in ("response", "service")
    for what in ("mean", *(f"p{percent:g}" for percent in _PERCENTILES), "max")
)
WINDOW_COLUMNS: Final = ("begin_s", "end_s", "stage", "action", *COUNTS, *_TIMES)
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


class RunFolder:
    """A new folder ``<time>-<name>`` under *results*, and ``latest`` beside it, which points to it."""

    def __init__(self, results: Path, plan: Plan, *, now: datetime, workers: int) -> None:
        """Make the folder and open what is written as the run goes.

        Raises:
            OSError: it cannot be made.
        """
        self._plan = plan
        self.path = _make(results, f"{now:%Y%m%d-%H%M}-{plan.name}")
        self._windows: dict[int, _Window] = {}
        self._written = -1
        self._reached: dict[int, float] = dict.fromkeys(range(workers), 0.0)
        self._calls_file = _CsvFile(self.path / "windows.csv", WINDOW_COLUMNS)
        self._generator_file = _CsvFile(self.path / "generator.csv", GENERATOR_COLUMNS)
        self._errors_file = (self.path / "errors.jsonl").open("w", encoding="utf-8", newline="\n")
        self.log = (self.path / "loadsim.log").open("ab")
        """Where the workers' stderr goes."""
        self.problem: str | None = None
        """Why something could not be written any more; the run goes on, and its numbers are shown all the same."""
        _point_to(self.path)

    def write_scenario(self, text: str, resolved: str) -> None:
        """Keep the scenario as written, and resolved; neither holds a secret."""
        (self.path / "scenario.yaml").write_text(text, encoding="utf-8", newline="\n")
        (self.path / "resolved.yaml").write_text(resolved, encoding="utf-8", newline="\n")

    def write_run(self, facts: Mapping[str, Any]) -> None:
        """Write run.json: version, host, seed, limits, exit code (null while the run goes on)."""
        host = {
            "system": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "name": platform.node(),
        }
        self._write_json("run.json", {"schema": 1, **facts, "host": host})

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json."""
        with self._writing():
            self._write_json("summary.json", summary)

    def take(self, snapshot: Snapshot) -> None:
        """Put an interval into its window; one that comes after its window was written goes into the next."""
        index = max(int((snapshot.elapsed - _TICK) // WINDOW), self._written + 1)
        self._windows.setdefault(index, _Window()).take(snapshot)
        self._reached[snapshot.shard] = float("inf") if snapshot.final else snapshot.elapsed

    def lose(self, shard: int) -> None:
        """Wait no longer for a worker that is gone."""
        self._reached[shard] = float("inf")

    def take_examples(self, examples: Sequence[Example]) -> None:
        """Append failures to errors.jsonl; how many there may be is bounded by who gives them."""
        with self._writing():
            for example in examples:
                self._errors_file.write(msgspec.json.encode(example).decode() + "\n")
            if examples:
                self._errors_file.flush()

    def flush(self, elapsed: float) -> None:
        """Write the windows that are over and in which every worker has reported, or has had time to."""
        reached = min(self._reached.values(), default=elapsed)
        for index in sorted(self._windows):
            end = (index + 1) * WINDOW
            if reached - _TICK < end - 2 * _TICK and elapsed < end + _LATEST_WAIT:
                return
            self._write_window(index)

    def close(self) -> None:
        """Write what is left, and close."""
        for index in sorted(self._windows):
            self._write_window(index)
        for file in (self._calls_file, self._generator_file, self._errors_file, self.log):
            with self._writing():
                file.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Keep the first error of what is written while the run goes on."""
        try:
            yield
        except OSError as error:
            self.problem = self.problem or f"{self.path}: {error}"

    def _write_window(self, index: int) -> None:
        window = self._windows.pop(index)
        self._written = index
        begin, end = index * WINDOW, (index + 1) * WINDOW
        with self._writing():
            self._calls_file.write(
                [f"{begin:g}", f"{end:g}", self._plan.stages[stage].name, action, *_numbers(numbers)]
                for (stage, action), numbers in sorted(window.calls.items())
            )
            self._generator_file.write(
                [f"{begin:g}", f"{end:g}", shard, *worker.row()] for shard, worker in sorted(window.workers.items())
            )

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        # Beside, then renamed: a reader never sees half of it.
        new = self.path / f"{name}.new"
        new.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
        new.replace(self.path / name)


class _Window:
    """What fell into one window: calls by stage (in which they fell due) and action, and each worker's state."""

    def __init__(self) -> None:
        self.calls: dict[tuple[int, str], CallNumbers] = {}
        self.workers: dict[int, _WorkerWindow] = {}

    def take(self, snapshot: Snapshot) -> None:
        for delta in snapshot.calls:
            self.calls.setdefault((delta.stage, delta.action), CallNumbers()).add(delta)
        self.workers.setdefault(snapshot.shard, _WorkerWindow()).take(snapshot)


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

    def row(self) -> list[Any]:
        return [
            *(self._gauges.get(f"charge_points.{name}", 0) for name in ("online", "booting", "backing_off")),
            *self._counters.values(),
            _seconds(self._cpu_seconds / self._cpu_window if self._cpu_window else None),
            self._rss,
            self._descriptors,
            _seconds(self._lateness.percentile(99)),
            _seconds(self._lateness.max if self._lateness.n else None),
            _seconds(self._gc_pause_max),
        ]


class _CsvFile:
    """A CSV file to which whole rows are appended, each batch with one write."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8", newline="")
        self.write([columns])

    def write(self, rows: Any) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue())
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _numbers(numbers: CallNumbers) -> list[Any]:
    times: list[str] = []
    for histogram in (numbers.response, numbers.service):
        percentiles = [histogram.percentile(percent) for percent in _PERCENTILES]
        largest = histogram.max if histogram.n else None
        times += [_seconds(value) for value in (histogram.mean, *percentiles, largest)]
    return [*(getattr(numbers, name) for name in COUNTS), *times]


def _seconds(value: float | None) -> str:
    """Write seconds to the microsecond; nothing at all without samples."""
    return "" if value is None else f"{value:.6f}"


def _make(results: Path, name: str) -> Path:
    results.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        path = results / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            return path
    raise FileExistsError(f"{results / name} exists a thousand times")


def _point_to(path: Path) -> None:
    """Let ``latest`` point to *path*: a link, or a text file with its name where links are not allowed.

    It is a convenience: another run that does the same, or a folder of that name, is no reason to fail.
    """
    latest = path.parent / "latest"
    new = path.parent / f".latest-{path.name}"
    with contextlib.suppress(OSError):
        try:
            new.symlink_to(path.name, target_is_directory=True)
        except OSError:
            new.write_text(path.name + "\n", encoding="utf-8")
        try:
            new.replace(latest)
        except OSError:
            new.unlink()
