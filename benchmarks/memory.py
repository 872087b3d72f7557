"""What a charge point takes of the memory: idle, and charging."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import table
from benchmarks.clients import SINK_CORE
from benchmarks.running import run


def measure() -> Iterator[str]:
    """Run 5,000 that are idle, and 4,000 that charge; memory is what the worker tells of itself at the end."""
    server = ("--core", str(SINK_CORE))
    idle = run("idle.yaml", "--workers", "1", server=server)
    idle.check()
    live = idle.summary["charge_points"]["online_end"]
    yield table.figure("idle", f"{idle.memory_each('hold') / 1e3:.1f} kB ({live:,} live)")
    charging = run("charging-all.yaml", "--workers", "1", server=server)
    charging.check()
    live, charge = charging.summary["charge_points"]["online_end"], charging.summary["transactions"]["open"]
    yield table.figure(
        "charging", f"{charging.memory_each('hold') / 1e3:.1f} kB ({charge / live:.0%} of {live:,} charging)"
    )
