"""Whether a call costs more in a worker of many charge points, and how long one of 19,000 stands still at most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks import table
from benchmarks.clients import SINK_CORE
from benchmarks.running import Ran, run

SIZES: Final = (100, 1_000, 5_000, 19_000)
RATE: Final = 1_000
"""Calls a second in all."""
RAMP: Final = 400
"""Charge points a second."""
_LEAST_RAMP: Final = 5


def measure() -> Iterator[str]:
    """Run one worker of each size; its CPU is what it tells of itself while the load holds."""
    costs = []
    for size in SIZES:
        ran = _run(size)
        costs.append(_cost(ran))
    shown = ", ".join(f"{cost * 1e6:.0f}" for cost in costs)
    yield table.figure("flat", f"{shown} us a round trip, {max(costs) / min(costs) - 1:.0%} apart")
    generator = ran.summary["generator"]
    late, pause = generator["lateness_max_s"] * 1e3, generator["gc_pause_max_s"] * 1e3
    live = ran.summary["charge_points"]["online_end"]
    yield table.figure("pause", f"{late:.1f} ms late at most, garbage {pause:.1f} ms ({live:,} live)")


def _ramp(size: int) -> int:
    return max(_LEAST_RAMP, -(-size // RAMP))


def _run(size: int) -> Ran:
    settings = {
        "fleets.many.count": size,
        "fleets.many.authorize": f"{RATE * 3600 / size:.6f}/h",
        "stages.ramp.for": f"{_ramp(size)}s",
    }
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    ran = run("flat.yaml", "--workers", "1", *options, server=("--core", str(SINK_CORE)))
    ran.check()
    assert ran.summary["charge_points"]["online_end"] == size
    return ran


def _cost(ran: Ran) -> float:
    """Return the seconds of CPU that a call and its answer took the worker, in the cheapest window of the hold.

    Whatever else the machine does makes a window dearer and none cheaper, and every size has as many of them.
    """
    return min(
        row["cpu"] * (row["end_s"] - row["begin_s"]) / row["messages_sent"] for row in ran.within(*ran.stage("hold"))
    )
