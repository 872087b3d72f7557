"""The run so far on disk, so that a run that is killed still leaves its summary.

What is kept is summary.json as it would be if the run ended now, and not what it is made from: the histograms of a
run of 20 actions, 5 stages and 10 tag classes are some 40 MB, their summary is 70 kB however long the run is. It is
written beside and renamed, so that there is always a whole one.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from loadsim.output.layout import clock
from loadsim.output.progress import Progress
from loadsim.output.summary import EXIT_INTERNAL, EXIT_PREFLIGHT, EXIT_SIGNALS, build_summary

STATE_FILE: Final = "state.msgpack"

_SCHEMA: Final = 1
_FIRST: Final = 1.0
_EVERY: Final = 5.0
_MOST_TIME: Final = 0.01
"""The share of the conductor's time that this may take: where it takes long it is done less often."""
_SAME_START: Final = 1.0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds: *summary* up to *elapsed* seconds of the run, and which process wrote it."""

    schema: int = _SCHEMA
    elapsed: float
    summary: dict[str, Any]
    host: str = ""
    pid: int = 0
    started: float = 0.0
    """When that process was started, in seconds of the epoch: a process number is used again."""

    @property
    def goes_on(self) -> bool:
        """Whether the process that wrote it is still there, as far as can be known from this machine."""
        if self.host != platform.node():
            return False
        with contextlib.suppress(psutil.Error):
            return abs(psutil.Process(self.pid).create_time() - self.started) < _SAME_START
        return False


class Checkpoint:
    """Writes the state of a run into its folder, every 5 seconds of it; it takes 1 % of a core at most."""

    def __init__(self, folder: Path, *, stopwatch: Callable[[], float] = time.perf_counter) -> None:
        self._path = folder / STATE_FILE
        self._stopwatch = stopwatch
        self._due = _FIRST
        self._started = psutil.Process().create_time()

    def write_if_due(self, progress: Progress) -> None:
        """Write, if it is time to.

        Raises:
            OSError: it cannot be written; it is tried again when it is due the next time.
        """
        if progress.elapsed < self._due:
            return
        begun = self._stopwatch()
        try:
            self._write(progress)
        finally:
            took = self._stopwatch() - begun
            grid = (progress.elapsed // _EVERY + 1) * _EVERY
            self._due = max(grid, progress.elapsed + took / _MOST_TIME)

    def remove(self) -> None:
        """Remove it: there is a summary now."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write(self, progress: Progress) -> None:
        state = State(
            elapsed=progress.measured_at,
            summary=summary_so_far(progress),
            host=platform.node(),
            pid=os.getpid(),
            started=self._started,
        )
        write_whole(self._path, msgspec.msgpack.encode(state))


def summary_so_far(progress: Progress) -> dict[str, Any]:
    """Return summary.json as it would be had the run ended where its newest numbers do."""
    with _ended(progress) as ended_at:
        summary = build_summary(progress, duration=ended_at)
    if progress.ended_at is None:  # it is counted just before the end, which has not come
        summary["charge_points"]["online_end"] = progress.totals.gauge("charge_points.online")
    return summary


@contextlib.contextmanager
def _ended(progress: Progress) -> Iterator[float]:
    """Have rates and stages count up to the newest numbers, and not up to now; a run that has ended, to its end."""
    before = progress.ended_at
    ended_at = progress.ended_at = progress.measured_at if before is None else before
    try:
        yield ended_at
    finally:
        progress.ended_at = before


def read_state(folder: Path) -> State | None:
    """Return what a run left in *folder*; None if there is none.

    Raises:
        ValueError: it cannot be understood; the text says why.
        OSError: it cannot be read.
    """
    try:
        data = (folder / STATE_FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        state = msgspec.msgpack.decode(data, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{folder / STATE_FILE} is damaged: {error}") from None
    if state.schema != _SCHEMA:
        raise ValueError(f"{folder / STATE_FILE} is of schema {state.schema}; this version reads {_SCHEMA}")
    return state


def summary_of(state: State) -> dict[str, Any]:
    """Return the summary of a run that left only its *state*: it was killed, or goes on.

    Of one that goes on it has `goes_on`, and a threshold that has no value yet does not make its verdict.
    """
    end = clock(state.elapsed, hours=True)
    trouble = f"the run goes on; figures up to {end}" if state.goes_on else f"the run was killed; figures up to {end}"
    summary = dict(state.summary)
    summary["complete"] = False
    summary["troubles"] = [*summary["troubles"], trouble]
    if state.goes_on:
        summary["goes_on"] = True
        if summary["verdict"] == "failed" and all(
            each["ok"] or each["actual"] is None for each in summary["thresholds"]
        ):
            summary["verdict"] = "passed"
    # Calls were open, so no book can close.
    summary["books"] = [f"the numbers end at {end}: what was under way then, and what came after, is not in them"]
    if summary["exit_code"] not in (EXIT_INTERNAL, *EXIT_SIGNALS.values()):
        summary["exit_code"] = EXIT_PREFLIGHT
    return summary


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader, also after a power cut, finds the old one or the new one, whole.

    Raises:
        OSError: it cannot be written; the old one is left.
    """
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
