"""Runs `loadsim run` against the sink or another peer, as a user would."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.clients import pinned
from benchmarks.watching import Watch
from tests.peers import start

SCENARIOS = Path(__file__).parent / "scenarios"
LIFETIME: Final = 900.0
"""Seconds: no peer lives longer, and no run may take longer."""


@dataclass(frozen=True)
class Ran:
    """What a run left.

    Its summary, the peer's record, when the command was started (since 1970), the rows of generator.csv with numbers
    in place of text, and what was seen of its processes from outside.
    """

    summary: dict[str, Any]
    record: dict[str, Any]
    started_at: float
    windows: list[dict[str, float]]
    watch: Watch

    def stage(self, name: str) -> tuple[float, float]:
        """Return when a stage began and ended, in seconds of the run."""
        begin = 0.0
        for stage, numbers in self.summary["stages"].items():
            if stage == name:
                return begin, begin + numbers["seconds"]
            begin += numbers["seconds"]
        raise KeyError(name)

    def within(self, begin: float, end: float) -> list[dict[str, float]]:
        """Return the windows of generator.csv that lie between two moments, in seconds of the run."""
        return [row for row in self.windows if row["begin_s"] >= begin and row["end_s"] <= end]

    def memory_each(self, stage: str) -> float:
        """Return the bytes that a charge point takes above the empty worker, in a stage's last whole window."""
        within = self.within(*self.stage(stage))
        last = max(row["end_s"] for row in within)
        rows = [row for row in within if row["end_s"] == last]
        rss, online = sum(row["rss_bytes"] for row in rows), sum(row["online"] for row in rows)
        empty: int = self.summary["generator"]["rss_empty_bytes"]
        return (rss - empty) / online

    @property
    def sink_busy(self) -> float:
        """The share of a core that a process of the sink took in its busiest second: near 1 it was the bottleneck."""
        return max(float(process["cpu_max"]) for process in self.record["processes"])

    def check(self, *, dropped: bool = False) -> None:
        """Hold every action's count beside the peer's, and demand books that close.

        Where connections were *dropped*, what was under way may have come to the peer or not.
        """
        counts = {name: action["sent"] for name, action in self.summary["actions"].items()}
        theirs = {name: self.record["received"].get(name, 0) for name in counts}
        told = f"the CSMS counted something else: {counts} and {theirs}"
        assert counts == theirs or (dropped and all(counts[name] >= theirs[name] for name in counts)), told
        assert not self.summary["books"], self.summary["books"]


def run(
    scenario: str,
    *options: str,
    core: int | None = None,
    peer: str = "sink",
    server: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run a scenario of this folder against a new *peer*; on *core* alone where the system can pin."""
    pin = pinned(core) if core is not None else []
    with (
        start(peer, "--lifetime", f"{LIFETIME:.0f}", *server) as started,
        tempfile.TemporaryDirectory() as results,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as errors,
    ):
        command = [*pin, sys.executable, "-m", "loadsim.cli", "run", str(SCENARIOS / scenario), "--json", "-q"]
        started_at = time.time()
        process = subprocess.Popen(
            [*command, "--results", results, *options],
            env={**os.environ, "CSMS_URL": started.url, **(environment or {})},
            stdout=out,
            stderr=errors,
        )
        try:
            with Watch(process.pid) as watch:
                code = process.wait(LIFETIME)
        finally:
            process.kill()
        out.seek(0)
        errors.seek(0)
        told = out.read()
        if not told:
            raise RuntimeError(f"exit code {code}: {errors.read()[-2000:]}")
        (table,) = Path(results).glob("*-*/generator.csv")  # beside it is `latest`
        with table.open(encoding="utf-8", newline="") as file:
            windows = [{name: float(cell or "nan") for name, cell in row.items()} for row in csv.DictReader(file)]
        return Ran(json.loads(told), started.finish(60), started_at, windows, watch)
