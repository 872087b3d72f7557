"""One scenario three times: on an idle machine, with its core taken away, and against a CSMS that is slow."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.running import Ran, run

CORE: Final = 0
GREEDY: Final = 12
"""Busy loops beside the run, on its core; where processes cannot be pinned, so many for each core."""
TAKEN_AFTER: Final = 4.0
"""Seconds after the command was typed, so that it comes to its run; 12 loops leave it a thirteenth of a core."""
TAKEN_FOR: Final = 8.0
SERVER: Final = ("--latency", "fixed:5")
SLOW: Final = ("--latency", "fixed:3000")


def measure() -> Iterator[str]:
    """Show that the verdict tells the generator from the CSMS."""
    # The slow CSMS has answers open at the end, which are not waited for.
    options = ("--workers", "1", "--graceful-stop", "3500ms")
    yield _row("an idle machine", "valid", run("verdict.yaml", *options, peer="truth_server", server=SERVER))
    with _core_taken_away():
        starved = run("verdict.yaml", *options, core=CORE, peer="truth_server", server=SERVER)
    yield _row(f"{GREEDY} busy loops on its core", "invalid", starved)
    yield _row("a CSMS that takes 3 s", "valid", run("verdict.yaml", *options, peer="truth_server", server=SLOW))


def _row(label: str, expected: str, ran: Ran) -> str:
    generator, summary = ran.summary["generator"], ran.summary
    figures = (
        f"{summary['verdict']}: lateness p99 {generator['lateness_p99_s'] * 1e3:.1f} ms, "
        f"busiest second {generator['cpu_max']:.0%} of a core, "
        f"response p95 {summary['all']['response_s']['p95']:.2f} s"
    )
    why = "".join(f"; {reason}" for reason in summary["invalid_because"])
    return f"| 1,000 charge points, 300 Authorize a second: {label} | {figures}{why} | {expected} |"


@contextmanager
def _core_taken_away() -> Iterator[None]:
    pinned = hasattr(os, "sched_setaffinity")
    processes = [
        multiprocessing.get_context("spawn").Process(target=_be_busy, daemon=True)
        for _ in range(GREEDY if pinned else GREEDY * (os.cpu_count() or 1))
    ]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def _be_busy() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})
    time.sleep(TAKEN_AFTER)
    end = time.monotonic() + TAKEN_FOR
    while time.monotonic() < end:
        pass
