"""The run folder: what a run leaves behind, written as it goes, so that a killed run leaves whole files."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from loadsim.metrics.snapshot import Example, Snapshot
from loadsim.output.checkpoint import Checkpoint
from loadsim.output.csv_connections import CONNECTION_COLUMNS, SECOND, Second
from loadsim.output.csv_faults import FAULT_COLUMNS, FaultCurves
from loadsim.output.csv_file import CsvFile, csv_text
from loadsim.output.csv_windows import (
    COMMAND_COLUMNS,
    GENERATOR_COLUMNS,
    SESSION_COLUMNS,
    WINDOW,
    WINDOW_COLUMNS,
    Window,
)
from loadsim.output.grid import Grid, Standing
from loadsim.output.junit import junit_xml
from loadsim.output.progress import Progress
from loadsim.scenario.plan import Plan


class RunFolder:
    """A new folder ``<time>-<name>`` under *results*, and ``latest`` beside it, which points to it."""

    def __init__(self, results: Path, plan: Plan, *, now: datetime, workers: int) -> None:
        """Make the folder and open what is written as the run goes.

        Raises:
            OSError: it cannot be made.
        """
        self._plan = plan
        self.path = _make(results, f"{now:%Y%m%d-%H%M}-{plan.name}")
        self._windows = Grid(WINDOW, Window)
        self._seconds = Grid(SECOND, Second)
        self._curves = FaultCurves(fault.name for fault in plan.faults)
        self._reached: dict[int, float] = dict.fromkeys(range(workers), 0.0)
        # A worker that said nothing in a window still has the cars, and the connections, that it had.
        self._at_window, self._at_second = Standing(), Standing()
        self._lost: set[int] = set()
        self._calls_file = CsvFile(self.path / "windows.csv", WINDOW_COLUMNS)
        self._sessions_file = CsvFile(self.path / "sessions.csv", SESSION_COLUMNS)
        self._commands_file = CsvFile(self.path / "commands.csv", COMMAND_COLUMNS)
        self._connections_file = CsvFile(self.path / "connections.csv", CONNECTION_COLUMNS)
        self._generator_file = CsvFile(self.path / "generator.csv", GENERATOR_COLUMNS)
        self._errors_file = (self.path / "errors.jsonl").open("w", encoding="utf-8", newline="\n")
        self.log = (self.path / "loadsim.log").open("ab")
        """Where the workers' stderr goes."""
        self._checkpoint = Checkpoint(self.path)
        self._write_faults()
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
        """Write summary.json and junit.xml; what was kept in case the run would be killed is not needed any more."""
        with self.writing():
            self._write_json("summary.json", summary)
            self._replace("junit.xml", junit_xml(summary))
            self._checkpoint.remove()

    def save(self, progress: Progress) -> None:
        """Keep the run so far, if it is time to, for the case that it is killed."""
        with self.writing():
            self._checkpoint.write_if_due(progress)

    def take(self, snapshot: Snapshot) -> None:
        """Put an interval into its windows; one that comes after its window was written goes into the next."""
        self._windows.take(snapshot)
        self._seconds.take(snapshot)
        self._curves.take(snapshot)
        self._reached[snapshot.shard] = float("inf") if snapshot.final else snapshot.elapsed

    def lose(self, shard: int) -> None:
        """Wait no longer for a worker that is gone, and its charge points with it."""
        self._lost.add(shard)
        self._reached[shard] = float("inf")

    def take_examples(self, examples: Sequence[Example]) -> None:
        """Append failures to errors.jsonl; how many there may be is bounded by who gives them."""
        with self.writing():
            for example in examples:
                self._errors_file.write(msgspec.json.encode(example).decode() + "\n")
            if examples:
                self._errors_file.flush()

    def flush(self, elapsed: float) -> None:
        """Write the windows that are over and in which every worker has reported, or has had time to."""
        reached = min(self._reached.values(), default=elapsed)
        for second in self._seconds.over(reached, elapsed):
            self._write_second(second)
        for window in self._windows.over(reached, elapsed):
            self._write_window(window)

    def close(self) -> None:
        """Write what is left, and close."""
        for second in self._seconds.rest():
            self._write_second(second)
        for window in self._windows.rest():
            self._write_window(window)
        for csv_file in self._csv_files:
            with self.writing():
                csv_file.close()
        for file in (self._errors_file, self.log):
            with self.writing():
                file.close()

    @property
    def _csv_files(self) -> tuple[CsvFile, ...]:
        return (
            self._calls_file,
            self._sessions_file,
            self._commands_file,
            self._connections_file,
            self._generator_file,
        )

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Keep the first error of what is written while the run goes on."""
        try:
            yield
        except OSError as error:
            self.problem = self.problem or f"{self.path}: {error}"

    def _write_second(self, second: Second) -> None:
        self._at_second.take(second.gauges)
        with self.writing():
            self._connections_file.write(second.rows(self._at_second.of_all_but(self._lost)))

    def _write_window(self, window: Window) -> None:
        self._at_window.take(window.gauges)
        with self.writing():
            self._calls_file.write(window.call_rows([stage.name for stage in self._plan.stages]))
            self._sessions_file.write(window.session_rows(self._at_window.of_all_but(self._lost)))
            self._commands_file.write(window.command_rows())
            self._generator_file.write(window.worker_rows())
            if self._curves.changed:
                self._write_faults()

    def _write_faults(self) -> None:
        self._replace("faults.csv", csv_text([FAULT_COLUMNS, *self._curves.rows()]))

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        self._replace(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def _replace(self, name: str, text: str) -> None:
        # Beside, then renamed: a reader never sees half of it.
        new = self.path / f"{name}.new"
        new.write_text(text, encoding="utf-8", newline="\n")
        new.replace(self.path / name)


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
