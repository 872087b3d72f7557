"""From the start of the command to the last of 1,000 accepted boots, on one core."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

from benchmarks.running import run

ROUNDS: Final = 3


def measure() -> Iterator[str]:
    """Measure as the sink saw it: its clock at the last boot, minus ours when the command was typed."""
    seconds, verdicts = [], []
    for _ in range(ROUNDS):
        ran = run("bring-up-1000.yaml", "--workers", "1", core=0)
        assert ran.record["received"]["BootNotification"] == ran.summary["charge_points"]["booted"] == 1000
        seconds.append(ran.record["last_boot_at"] - ran.started_at)
        verdicts.append(ran.summary["verdict"])
    label = "1,000 charge points booted after the command's start, conductor and worker on one core"
    spread = f"{min(seconds):.1f} to {max(seconds):.1f}; {', '.join(verdicts)}"
    yield f"| {label} | {statistics.median(seconds):.1f} s ({spread}) | 3 s |"
