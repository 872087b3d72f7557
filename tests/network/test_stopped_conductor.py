"""A conductor that stands still is no part of what is measured: nothing is lost, late, or judged by its own time."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.network.running import Run, books_balance, patiently, running, undisturbed

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be stopped"),
]

SCENARIO = """
version: 1
name: stopped
seed: 5
fleets: {demo: {count: 20, authorize: {rate: 3600/h, arrivals: even}}}
stages: [{name: all, for: DURATION, online: 100%, jump: true}]
thresholds:
  - {check: Authorize rate > 16/s, abort: true, after: 2s}
  - {check: Authorize rate > 15/s, over: 2s, after: 2s, abort: true}
  - Authorize errors == 0
"""


@pytest.mark.timed
def test_a_conductor_that_was_stopped_for_seconds_ends_no_run_and_misses_nothing(tmp_path: Path) -> None:
    def attempt(seconds: float) -> tuple[Run, float]:
        with running(SCENARIO.replace("DURATION", f"{seconds}s"), tmp_path, "-q", "--workers", "2") as under_way:
            under_way.wait_for_connections(20)
            time.sleep(2.5)
            os.kill(under_way.process.pid, signal.SIGSTOP)
            time.sleep(3.5)
            os.kill(under_way.process.pid, signal.SIGCONT)
            under_way.demand_time(0.5, of=seconds)
            return under_way.finish(), seconds

    ended, seconds = undisturbed(lambda: patiently(attempt, 9, 25), lambda made: [made[0]])
    summary = ended.check()
    assert (summary["complete"], summary["aborted_by"], summary["lost_workers"]) == (True, None, [])
    books_balance(summary["actions"])
    assert [each["ok"] for each in summary["thresholds"]] == [True, True, True]
    assert summary["actions"]["Authorize"]["planned"] == pytest.approx(20 * seconds, abs=20)
    assert summary["stages"]["all"]["online"]["share"] > 0.9
