"""100,000 charge points on one machine: workers, sinks and conductor together, counted to the message."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import psutil

from benchmarks import table
from benchmarks.running import Ran, run

CHARGE_POINTS: Final = 100_000
A_PROCESS: Final = 17_000
"""Charge points a process: 20,000 descriptors, and the kernel does not spread connections over sinks to the last."""
AN_ADDRESS: Final = 12_500
"""Charge points a source address: it has 28,000 ports, and Linux gives half of them at once."""
AUTHORIZE: Final = 50
"""Calls a second in all."""
RAMP: Final = 420
"""Charge points a second."""


def measure(charge_points: int = CHARGE_POINTS) -> Iterator[str]:
    """Run it, and hold each count beside the sinks'."""
    processes = math.ceil(charge_points / A_PROCESS)
    settings = {
        "fleets.many.count": charge_points,
        "fleets.many.authorize": f"{AUTHORIZE * 3600 / charge_points:.6f}/h",
        "csms.source_addresses": f"[{', '.join(_addresses(charge_points))}]",
        "stages.ramp.for": f"{math.ceil(charge_points / RAMP)}s",
    }
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    server = ("--processes", str(processes), "--interval", "300")
    ran = run("hundred-thousand.yaml", "--workers", str(processes), *options, server=server)
    _check(ran, charge_points)
    summary, generator, record = ran.summary, ran.summary["generator"], ran.record
    live = summary["charge_points"]["online_end"]
    memory = psutil.virtual_memory().total / 2**30
    most = max(each["open_here_at_most"] for each in record["processes"])
    sinks = f"{len(record['processes'])} sinks of {most:,} at most, {ran.sink_busy:.0%} of a core in a second at most"
    yield table.figure(
        "live",
        f"{live:,} ({summary['verdict']}) in {generator['workers']} workers, {sinks}; {memory:.0f} GiB",
    )
    rates = {name: action["sent"] for name, action in summary["stages"]["hold"]["actions"].items()}
    told = ", ".join(f"{count:,} {name}" for name, count in sorted(rates.items()))
    yield table.figure("live-lateness", f"{_late(ran) * 1e3:.1f} ms in the hold ({told}); {_whole(generator)}")


def _addresses(charge_points: int) -> list[str]:
    return [f"127.0.0.{number + 2}" for number in range(math.ceil(charge_points / AN_ADDRESS))]


def _check(ran: Ran, charge_points: int) -> None:
    """Hold what loadsim says beside what the sinks counted."""
    ran.check()
    record, summary = ran.record, ran.summary
    assert record["identities"] == charge_points
    assert record["connections"]["open_at_most"] == summary["charge_points"]["online_max"] == charge_points
    assert record["connections"]["opened"] == summary["connections"]["opened"]
    assert record["received"]["BootNotification"] >= charge_points
    assert record["strays"] == 0


def _late(ran: Ran) -> float:
    """Return the worst p99 lateness of a worker in a window of the hold, in seconds."""
    return max(row["lateness_p99_s"] for row in ran.within(*ran.stage("hold")))


def _whole(generator: dict[str, Any]) -> str:
    return (
        f"over the whole run {generator['lateness_p99_s'] * 1e3:.1f} ms, busiest second "
        f"{generator['cpu_max']:.0%} of a core, workers {generator['rss_max_bytes'] / 2**30:.1f} GiB"
    )
