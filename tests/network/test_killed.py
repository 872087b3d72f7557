"""Processes of a run that are killed or stopped in its middle: what is left is whole, and what can goes on."""

import csv
import json
import signal
import sys
import time
from pathlib import Path

import pytest

from loadsim.output.checkpoint import read_state
from loadsim.output.csv_windows import GENERATOR_COLUMNS, WINDOW, WINDOW_COLUMNS
from tests.network.running import Run, books_balance, is_alive, patiently, running, wait_until

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="no such signals on Windows"),
]

COUNT = 20
SCENARIO = f"""
version: 1
name: killed
seed: 9
csms: {{call_timeout: 3s, embedded: {{interval: 2s}}}}
fleets:
  demo: {{count: {COUNT}, authorize: 3600/h, reconnect: {{first: 500ms, factor: 2, max: 2s}}}}
stages: [{{name: all, for: DURATION, online: 100%, jump: true}}]
"""


def lasting(seconds: float) -> str:
    return SCENARIO.replace("DURATION", f"{seconds}s")


@pytest.mark.timed
def test_a_killed_run_leaves_whole_files_and_no_process(tmp_path: Path) -> None:
    with running(lasting(60), tmp_path, "-q", "--workers", "2") as under_way:
        under_way.wait_for_connections(COUNT)
        began = time.monotonic()
        windows = under_way.results / "latest" / "windows.csv"
        wait_until(lambda: len(windows.read_text().splitlines()) > 1, "a window", 30)
        time.sleep(0.5)
        children = under_way.children()
        assert len(children) == 3
        lived = time.monotonic() - began
        under_way.process.kill()
        under_way.process.wait(10)

        wait_until(lambda: not any(map(is_alive, children)), "the end of workers and CSMS", 15)
        folder = under_way.results / "latest"
        text = windows.read_text(encoding="utf-8")
        run = json.loads((folder / "run.json").read_text())
        log = (folder / "loadsim.log").read_text()
        health = (folder / "generator.csv").read_text(encoding="utf-8")
        summary_exists = (folder / "summary.json").exists()
        state = read_state(folder)

    assert text.endswith("\n")
    header, *rows = csv.reader(text.splitlines())
    assert header == list(WINDOW_COLUMNS)
    assert {len(row) for row in rows} == {len(header)}
    ends = [float(row[1]) for row in rows]
    assert max(ends) >= lived - WINDOW - 3.0
    authorize = [dict(zip(header, row, strict=True)) for row in rows if row[3] == "Authorize"]
    assert all(int(row["planned"]) > COUNT and float(row["response_p50_s"]) > 0 for row in authorize)
    assert [float(row["begin_s"]) for row in authorize] == [WINDOW * number for number in range(len(authorize))]
    assert health.endswith("\n")
    generator_header, *health_rows = csv.reader(health.splitlines())
    assert generator_header == list(GENERATOR_COLUMNS)
    assert {row[2] for row in health_rows} == {"0", "1"}
    assert run["exit_code"] is None
    assert not summary_exists
    assert state is not None
    assert not state.goes_on
    assert state.elapsed >= lived - WINDOW - 3.0
    assert state.summary["charge_points"]["booted"] == COUNT
    assert "Traceback" not in log


def test_a_run_that_loses_a_worker_goes_on_to_its_end_and_says_so(tmp_path: Path) -> None:
    def attempt(seconds: float) -> tuple[Run, float]:
        with running(lasting(seconds), tmp_path, "--json", "--workers", "2") as under_way:
            under_way.wait_for_connections(COUNT)
            time.sleep(1.2)
            victim = under_way.workers()[0]
            victim.kill()
            under_way.demand_time(0.5, of=seconds)
            return under_way.finish(), seconds

    ended, seconds = patiently(attempt, 5, 20)
    summary = ended.check([3], books=False)
    assert json.loads(ended.stdout) == summary
    assert summary["complete"] is False
    (lost,) = summary["lost_workers"]
    assert "killed by signal 9" in lost
    assert "killed by signal 9" in ended.stderr
    assert summary["duration_s"] >= seconds
    assert summary["charge_points"]["online_end"] == COUNT // 2
    assert summary["embedded_csms"]["closed"] == {"1000": COUNT // 2, "1006": COUNT // 2}
    assert summary["books"] == [f"{lost.partition(':')[0]} was lost: its calls since its last snapshot are unknown"]
    # What the lost one had told until then is counted: no less than one worker's share, no more than two's.
    accepted = summary["embedded_csms"]["actions"]["Authorize"]["received"]
    assert accepted / 2 < summary["actions"]["Authorize"]["sent"] <= accepted


def test_a_worker_that_is_stopped_is_reported_as_silent_and_as_back(tmp_path: Path) -> None:
    def attempt(seconds: float) -> Run:
        with running(lasting(seconds), tmp_path, "--json", "--workers", "2") as under_way:
            under_way.wait_for_connections(COUNT)
            time.sleep(0.5)
            stopped = under_way.workers()[0]
            stopped.send_signal(signal.SIGSTOP)
            time.sleep(6.5)
            stopped.send_signal(signal.SIGCONT)
            under_way.demand_time(0.5, of=seconds)
            return under_way.finish()

    ended = patiently(attempt, 10, 30)
    summary = ended.check([4])  # seconds late: the figures are the simulator's
    assert "is silent since" in ended.stderr
    assert "is back" in ended.stderr.partition("is silent since")[2]
    assert summary["lost_workers"] == []
    assert summary["complete"] is True
    assert "lateness" in summary["invalid_because"][0]
    assert summary["generator"]["lateness_max_s"] > 5.5
    books_balance(summary["actions"])
    received = summary["embedded_csms"]["actions"]
    assert {name: of["sent"] for name, of in summary["actions"].items()} == {
        name: of["received"] for name, of in received.items()
    }


def test_a_csms_that_dies_is_knocked_at_with_back_off_until_the_end(tmp_path: Path) -> None:
    def attempt(seconds: float) -> tuple[Run, float]:
        with running(lasting(seconds), tmp_path, "--json", "--workers", "1") as under_way:
            under_way.wait_for_connections(COUNT)
            time.sleep(1.5)
            under_way.csms().kill()
            under_way.demand_time(2.0, of=seconds)
            return under_way.finish(), seconds

    ended, seconds = patiently(attempt, 6, 25)
    summary = ended.check([3])
    assert summary["complete"] is False
    assert summary["troubles"] == ["the embedded CSMS ended before the run did"]
    assert "embedded_csms" not in summary
    connections = summary["connections"]
    assert connections["opened"] == connections["lost"] == COUNT
    assert connections["refused"].keys() <= {"refused", "reset"}
    # Waits of about 0.5, 1, 2, 2, ... s: a few tries each, not a storm.
    assert COUNT <= connections["refused"]["refused"] <= COUNT * (2 + seconds)
    assert summary["charge_points"]["online_end"] == 0
    books_balance(summary["actions"])
    authorize = summary["actions"]["Authorize"]
    assert authorize["skipped_offline"] > COUNT  # they fell due all the same
    assert authorize["planned"] > COUNT * 4
