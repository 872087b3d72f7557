"""Before a run: the first charge point of each fleet must have an answer to its boot, and is counted once."""

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.network.running import books_balance, is_alive, run, running, settled, wait_until
from tests.peers import start

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

SCENARIO = """
version: 1
name: preflight
seed: 3
csms: {url: "${CSMS_URL}", call_timeout: 2s}
fleets:
  left: {count: 5, heartbeat: 1s}
  right: {count: 4, heartbeat: 1s}
stages: [{for: 3s, online: 100%}]
"""
EMBEDDED = SCENARIO.replace('url: "${CSMS_URL}", call_timeout: 2s', "embedded: {boot_status: BOOT, interval: 1s}")


@pytest.mark.timed
def test_the_first_of_each_fleet_is_counted_once_by_both_sides(tmp_path: Path) -> None:
    with start("truth_server") as peer:
        ended = run(SCENARIO, tmp_path, "-q", "--workers", "3", url=peer.url)
        record = peer.finish()

    summary = ended.check()
    connections = summary["connections"]
    assert connections["attempted"] == connections["opened"] == connections["closed"] == 9
    boots = summary["actions"]["BootNotification"]
    assert boots["planned"] == boots["accepted"] == record["actions"]["BootNotification"]["received"] == 9
    assert summary["charge_points"]["booted"] == summary["charge_points"]["started"] == 9
    assert summary["preflight"] == []
    assert summary["duration_s"] == 3.0
    books_balance(summary["actions"])


def test_a_csms_that_answers_no_boot_ends_it_before_the_rest_starts(tmp_path: Path) -> None:
    with start("hostile_server", "--behaviour", "silent-after-open") as peer:
        ended = run(SCENARIO, tmp_path, "-q", "--workers", "2", url=peer.url)

    summary = ended.check([3])
    (line,) = ended.stderr.splitlines()
    assert peer.url in line
    assert "the first charge point of its fleet, got no valid answer to its BootNotification: timeout" in line
    assert "csms.call_timeout" in line
    assert summary["aborted_because"] == line
    assert summary["complete"] is False
    assert summary["connections"]["opened"] == summary["charge_points"]["started"] == 2
    assert summary["actions"]["BootNotification"]["errors"]["timeout"] >= 1
    assert json.loads((ended.folder / "run.json").read_text())["exit_code"] == 3


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
@pytest.mark.timed
def test_a_boot_that_is_not_accepted_is_noted_and_the_run_goes_on(status: str, tmp_path: Path) -> None:
    text = EMBEDDED.replace("BOOT", f"[{status}, Accepted]").replace("for: 3s", "for: 6s")
    ended = run(text, tmp_path, "--json", "--workers", "1")

    summary = ended.check()
    assert len(summary["preflight"]) == 2
    assert all(f"{status} (interval 1 s); the run goes on" in note for note in summary["preflight"])
    assert all(note in ended.stderr for note in summary["preflight"])
    assert json.loads((ended.folder / "run.json").read_text())["preflight"] == summary["preflight"]
    assert summary["charge_points"]["booted"] == 9
    assert summary["connections"]["attempted"] == 9
    boots = summary["actions"]["BootNotification"]
    assert boots["answered"] == summary["embedded_csms"]["actions"]["BootNotification"]["received"] == 18


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal on Windows")
def test_a_signal_while_the_first_boot_is_awaited_ends_it_at_once(tmp_path: Path) -> None:
    text = SCENARIO.replace("call_timeout: 2s", "call_timeout: 60s")
    with (
        start("hostile_server", "--behaviour", "silent-after-open") as peer,
        running(text, tmp_path, "-q", "--workers", "2", url=peer.url) as under_way,
    ):
        under_way.wait_for_connections(2)
        children = under_way.children()
        began = time.monotonic()
        under_way.process.send_signal(signal.SIGINT)
        ended = under_way.finish(40)
        took = time.monotonic() - began
        wait_until(lambda: not any(map(is_alive, children)), "the end of all processes", 10)

    assert ended.code == 130
    assert took < 20.0  # of the 60 for which a call is waited
    assert "Traceback" not in ended.stderr


def test_a_fleet_that_comes_later_needs_no_csms_at_the_beginning(tmp_path: Path) -> None:
    text = SCENARIO.replace("stages: [", "stages: [{for: 2s, online: 0%}, ").replace("for: 3s", "for: 30s")
    ended = run(text, tmp_path, "-q", url="ws://127.0.0.1:9/ocpp")

    summary = ended.check([3])
    assert "connects tried" in ended.stderr
    assert summary["duration_s"] >= 4.0  # 2 s nobody, 2 s of refusals


def test_a_threshold_can_end_a_run_early(tmp_path: Path) -> None:
    text = EMBEDDED.replace("boot_status: BOOT", "latency: 300ms").replace("for: 3s", "for: 60s") + (
        "thresholds: [{check: all p50 < 250ms, abort: true, after: 2s}, BootNotification errors == 0]\n"
    )
    ended = settled(lambda: run(text, tmp_path, "--json"), attempts=6)

    summary = ended.check([99])
    assert summary["aborted_by"] == "all p50 < 250ms"
    assert summary["complete"] is False
    assert summary["verdict"] == "failed"
    assert 2.0 <= summary["duration_s"] < 20.0  # of 60
    assert "all p50 < 250ms" in ended.stderr
    books_balance(summary["actions"])
    assert summary["connections"]["closed"] == summary["connections"]["opened"]
