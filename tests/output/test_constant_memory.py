"""What the outputs remember does not grow with the length of a run: one of a week takes what one of an hour does."""

from __future__ import annotations

import gc
import io
import tracemalloc
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Final

from msgspec import structs
from rich.console import Console

from loadsim.metrics.recorder import Recorder
from loadsim.output.console import LiveConsole
from loadsim.output.plain_console import PlainConsole
from loadsim.output.progress import Progress
from loadsim.output.run_folder import RunFolder
from loadsim.scenario.plan import FaultPlan, Threshold
from tests.output.builders import healthy, plan, stage

NOW = datetime(2026, 11, 22, 9, 15)
HOUR: Final = 3600.0
WEEK: Final = 7 * 24 * HOUR
ACTIONS: Final = ("Authorize", "Heartbeat", "MeterValues", "StartTransaction", "StopTransaction")
CAUSES: Final = ("timeout", "callerror", "malformed")
CHECKS: Final = (
    Threshold(check="Heartbeat p95 drift < 10% during soak"),
    Threshold(check="online >= 99%", abort=True, after=60.0),
    Threshold(check="recovery[drops] < 5m"),
)
SLIDING: Final = (
    Threshold(check="all errors < 50%", over=60.0),
    Threshold(check="Authorize p95 < 500ms", over=60.0, after=30.0),
    Threshold(check="online >= 99%", over=60.0, abort=True),
)
DROPS: Final = FaultPlan(name="drops", do="drop", how="reset", rate=0.001, end=WEEK)
STORM: Final = FaultPlan(name="storm", do="drop", how="reset", at=30.0)
MOST_GROWTH: Final = 200_000
"""Bytes: histograms still meet values that they have not met, dictionaries are made anew; no more than that."""


class Soak:
    """A run of a week with everything on: two workers, faults, thresholds of windows, all files, both consoles."""

    def __init__(self, folder: Path, checks: tuple[Threshold, ...]) -> None:
        stages = (stage("rollout", 20.0, 1000), stage("soak", WEEK, 1000, sessions=1.0))
        chosen = plan(count=1000, stages=stages, session=True, authorize=0.01, faults=(DROPS, STORM))
        chosen = structs.replace(chosen, thresholds=checks)
        self.run = Progress(chosen, workers=2)
        self.folder = RunFolder(folder, chosen, now=NOW, workers=2)
        self._recorders = [Recorder(shard, stage_ends=(20.0, 20.0 + WEEK)) for shard in range(2)]
        for recorder in self._recorders:
            recorder.online_time.change(0.0, 500)
        self._chance = Random(1)
        self._live = LiveConsole(self.run, Console(file=io.StringIO(), width=120, _environ={}))
        self._plain = PlainConsole(self.run, Console(file=io.StringIO(), width=120, _environ={}))
        self.ticks = 0

    def go_on(self, seconds: float, *, every: float = 0.5) -> None:
        """Have both workers report, every so many seconds of the run; the log is thrown away, as one on disk is."""
        end = self.run.elapsed + seconds
        while self.run.elapsed < end:
            self.run.elapsed += every
            self.ticks += 1
            for recorder in self._recorders:
                self._happen(recorder)
                snapshot = recorder.fold(self.run.elapsed, gauges={"charge_points.online": 500}, health=healthy())
                self.run.take(snapshot)
                self.folder.take(snapshot)
            self.folder.take_examples(list(self.run.new_examples()))
            self.folder.flush(self.run.elapsed)
            self._plain.refresh()
            if self.ticks % 40 == 0:
                self._live.lines(width=120, height=40)
                self.folder.save(self.run)
                self._plain._console.file.truncate(0)

    def _happen(self, recorder: Recorder) -> None:
        chance, at = self._chance, self.run.elapsed
        for action in ACTIONS:
            calls = recorder.series(0 if at < 20 else 1, action, "drivers" if action == "Authorize" else "")
            calls.planned += 3
            calls.sent += 3
            calls.accepted += 3
            times = [0.01 * chance.randrange(1, 20) for _ in range(3)]
            calls.response += times
            calls.service += times
        recorder.lateness += [0.001, 0.002]
        recorder.counters.update({"connections.attempted": 1, "connections.opened": 1, "connections.lost.1006": 1})
        recorder.counters.update({"sessions.due": 1, "sessions.started": 1, "messages.sent": 20})
        for fault in ("drops", "storm") if at < 40 else ("drops",):
            recorder.counters.update({f"faults.{fault}.hit": 1, f"faults.{fault}.offline": 1})
            recorder.recovered(fault, 0.5 * chance.randrange(1, 40))
        recorder.example(at, f"demo-{chance.randrange(1000):05}", chance.choice(ACTIONS), chance.choice(CAUSES), "x")


def grown(soak: Soak, *, seconds: float, every: float = 0.5) -> int:
    """Return by how many bytes the memory in use grows while the run goes on."""
    soak.go_on(150.0)  # windows, sparklines and rates are full
    tracemalloc.start()
    try:
        soak.go_on(20.0)
        before = in_use()
        soak.go_on(seconds, every=every)
        soak.go_on(20.0)
        return in_use() - before
    finally:
        tracemalloc.stop()
        soak.folder.close()


def test_a_week_takes_no_more_memory_than_its_first_minutes(tmp_path: Path) -> None:
    soak = Soak(tmp_path, CHECKS)

    assert grown(soak, seconds=WEEK - 1000.0, every=3000.0) < MOST_GROWTH
    assert soak.run.elapsed > WEEK - 1000.0
    assert soak.run.totals.counters["faults.drops.hit"] > 2 * 500
    assert len(soak.run.happenings) > 100


def test_sliding_windows_take_no_more_memory_once_they_are_full(tmp_path: Path) -> None:
    assert grown(Soak(tmp_path, SLIDING), seconds=200.0) < MOST_GROWTH


def test_what_is_kept_of_happenings_and_examples_is_bounded(tmp_path: Path) -> None:
    run = Progress(plan(), workers=1)
    recorder = Recorder()
    for n in range(5000):
        run.happened(f"something {n}")
        for cause in range(3):
            recorder.example(1.0, "demo", f"action {n}", str(cause), "x")
        run.take(recorder.fold(1.0, gauges={}))

    assert run.happenings[-1].text == "something 4999"
    assert len(run.happenings) <= 200
    assert len(run.examples) == len(list(run.new_examples())) == 500
    assert run.example_counts == 15_000


def in_use() -> int:
    """Return the bytes in use, without what rich remembers of the widths of texts: of 4,096 at most."""
    gc.collect()
    taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, "*/rich/*")])
    return sum(trace.size for trace in taken.traces)
