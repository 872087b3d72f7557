"""Runs against an embedded CSMS whose connections are held by several processes: its books are those of one."""

import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadsim.csms.sockets import SHARING
from tests.network.running import Running, books_balance, command_of, run, running, wait_until

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="no such signals on Windows"),
    pytest.mark.skipif(SHARING is None, reason="processes cannot share a port on this system"),
]

COUNT = 60
SCENARIO = f"""
version: 1
name: several
seed: 31
csms: {{call_timeout: 5s, embedded: {{interval: 2s, processes: 3}}}}
fleets:
  ac:
    count: {COUNT}
    session: short
    reconnect: {{first: 200ms, factor: 1.5, max: 1s, jitter: 50%}}
    configuration: {{TransactionMessageRetryInterval: 1, TransactionMessageAttempts: 20}}
sessions:
  short: {{plugged_in: 2s..4s, energy: 100Wh..500Wh, meter_values: 1s}}
stages:
  - {{name: ramp, for: 2s, online: 100%}}
  - {{name: charging, for: 7s, sessions: 12/s, jump: true}}
  - {{name: last, for: 3s, sessions: 0/s, jump: true}}
FAULTS
"""
RESTART = "faults: [{name: restart, do: csms, how: restart, at: 5s, for: 300ms}]"


def processes_of(under_way: Running) -> list[psutil.Process]:
    return [child for child in under_way.children() if "loadsim.csms.line_process" in command_of(child)]


def none_is_lost(summary: Any) -> None:
    """Demand that charge points and CSMS have the same transactions, each of them once."""
    transactions, seen = summary["transactions"], summary["embedded_csms"]["transactions"]
    assert transactions["lost"] == transactions["doubled"] == transactions["orphaned"] == 0
    assert transactions["begun"] == transactions["started"] == seen["started"] > COUNT / 2
    assert transactions["stopped"] == seen["stopped"] > COUNT / 4
    assert transactions["open"] == seen["open"]
    assert summary["energy_wh"]["stopped"] == seen["energy_wh"]
    assert seen["unknown_stops"] == seen["unknown_meter_values"] == seen["overlapping_starts"] == 0


def test_a_restart_of_all_processes_is_one_restart_and_the_counts_of_both_sides_are_the_same(tmp_path: Path) -> None:
    summary = run(SCENARIO.replace("FAULTS", RESTART), tmp_path, "-q", "--workers", "2").check()

    server = summary["embedded_csms"]
    books_balance(summary["actions"])
    none_is_lost(summary)
    assert server["processes"] == {"count": 3, "lost": {}}
    assert server["faults"]["restart"]["connections_reset"] == COUNT == summary["faults"]["restart"]["hit"]
    assert server["connections"]["opened"] == summary["connections"]["opened"]
    assert server["connections"]["open_max"] == COUNT
    assert server["boots"] == {"Accepted": COUNT}
    assert server["charge_points"] == {"known": COUNT, "accepted": COUNT}


def test_a_process_that_is_killed_fails_the_run_and_loses_no_transaction(tmp_path: Path) -> None:
    with running(SCENARIO.replace("FAULTS", ""), tmp_path, "--json", "--workers", "1") as under_way:
        under_way.wait_for_connections(COUNT)
        time.sleep(3.0)
        processes = processes_of(under_way)
        assert len(processes) == 3
        processes[0].kill()
        wait_until(lambda: "killed by signal 9" in under_way.stderr(), "the news of it", 10)
        assert under_way.process.poll() is None
        ended = under_way.finish()

    summary = ended.check([3])
    (trouble,) = summary["troubles"]
    assert trouble.startswith("process ")
    assert trouble.endswith(" of the embedded CSMS was killed by signal 9")
    none_is_lost(summary)
    assert summary["connections"]["lost"] > 0
    assert summary["charge_points"]["online_end"] == COUNT
    assert list(summary["embedded_csms"]["processes"]["lost"].values()) == ["was killed by signal 9"]


def test_a_csms_that_is_killed_takes_its_processes_along(tmp_path: Path) -> None:
    with running(SCENARIO.replace("FAULTS", ""), tmp_path, "--json", "--workers", "1") as under_way:
        under_way.wait_for_connections(COUNT)
        processes = processes_of(under_way)
        parent = processes[0].parent()
        assert parent is not None
        parent.send_signal(signal.SIGKILL)
        wait_until(lambda: not any(each.is_running() for each in processes), "the end of its processes", 10)
        wait_until(lambda: "the embedded CSMS was killed by signal 9" in under_way.stderr(), "the news of it", 10)
        ended = under_way.finish()

    summary = ended.check([3], books=False)
    assert "the embedded CSMS ended before the run did" in summary["troubles"]
