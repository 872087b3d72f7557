"""What a run prints, the code it ends with, and what the machine must have for it."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.network.own_central import own_central
from tests.network.running import Run, patiently, run, running, settled
from tests.peers import start

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems have only 127.0.0.1 on loopback")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no such limits and signals on Windows")
ATTEMPTS = 6
SCENARIO = """
version: 1
name: outcomes
seed: 1
CSMS
fleets: {demo: {count: 10, authorize: 3600/h}}
stages: [{name: all, for: DURATION, online: 100%, jump: true}]
thresholds: [THRESHOLDS]
"""


def scenario(*thresholds: str, csms: str = "", seconds: float = 2) -> str:
    text = SCENARIO.replace("THRESHOLDS", ", ".join(thresholds)).replace("CSMS", csms)
    return text.replace("DURATION", f"{seconds}s")


OUTSIDE = 'csms: {url: "${CSMS_URL}"}'


def test_json_is_alone_on_stdout_and_a_run_that_passed_ends_with_0(tmp_path: Path) -> None:
    text = scenario("all errors == 0", "Authorize p99 < 20s")
    ended = settled(lambda: run(text, tmp_path, "--json"), attempts=ATTEMPTS)

    summary = ended.check([0])
    assert json.loads(ended.stdout) == summary
    assert summary["verdict"] == "passed"
    assert summary["complete"] is True
    assert [each["ok"] for each in summary["thresholds"]] == [True, True]
    assert "loadsim outcomes: 10 charge points" in ended.stderr


def test_a_failed_threshold_ends_the_run_with_99(tmp_path: Path) -> None:
    text = scenario("Authorize p99 < 20s", "Authorize accepted == 0")
    ended = settled(lambda: run(text, tmp_path, "--json"), attempts=ATTEMPTS)

    summary = ended.check([99])
    assert summary["verdict"] == "failed"
    assert [each["ok"] for each in summary["thresholds"]] == [True, False]
    assert summary["thresholds"][1]["actual"] == summary["actions"]["Authorize"]["accepted"]


@POSIX
def test_a_generator_that_was_late_makes_the_run_invalid_with_4(tmp_path: Path) -> None:
    def attempt(seconds: float) -> Run:
        with running(scenario("Authorize accepted == 0", seconds=seconds), tmp_path, "-q") as under_way:
            under_way.wait_for_connections(10)
            (worker,) = under_way.workers()
            worker.send_signal(signal.SIGSTOP)
            time.sleep(0.7)
            worker.send_signal(signal.SIGCONT)
            under_way.demand_time(0.1, of=seconds)
            return under_way.finish()

    ended = patiently(attempt, 3, 15)
    summary = ended.check([4])  # stronger than the threshold that failed
    assert summary["verdict"] == "invalid"
    assert "p99 lateness" in summary["invalid_because"][0]
    assert ended.stdout == ""


def test_a_bad_scenario_ends_with_2_and_nothing_was_sent(tmp_path: Path) -> None:
    with own_central() as central:
        ended = run(scenario("Authorise p99 < 1s", csms=OUTSIDE), tmp_path, "--json", url=central.url)

    assert ended.code == 2
    assert ended.stdout == ""
    assert "scenario.yaml:8:" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not ended.results.exists()
    assert central.identities == set()


@pytest.mark.parametrize("option", [["--workers", "0"], ["--graceful-stop", "5"], ["--no-such-option"]])
def test_a_bad_command_line_ends_with_2_and_nothing_was_sent(option: list[str], tmp_path: Path) -> None:
    ended = run(scenario(), tmp_path, *option)

    assert ended.code == 2
    assert ended.stdout == ""
    assert ended.stderr
    assert "Traceback" not in ended.stderr
    assert not ended.results.exists()


@LINUX
def test_connections_come_from_the_source_addresses_in_turn(tmp_path: Path) -> None:
    csms = 'csms: {url: "${CSMS_URL}", source_addresses: [127.0.0.2, 127.0.0.3]}'
    with own_central() as central:
        ended = run(scenario(csms=csms), tmp_path, "-q", "--workers", "2", url=central.url)

    ended.check()
    assert central.addresses == {"127.0.0.2": 5, "127.0.0.3": 5}


@LINUX
def test_a_source_address_that_this_machine_has_not_is_its_own_fault_and_not_the_csmss(tmp_path: Path) -> None:
    csms = 'csms: {url: "${CSMS_URL}", source_addresses: [203.0.113.9]}'
    with own_central() as central:
        ended = run(scenario(csms=csms), tmp_path, "-q", url=central.url)

    summary = ended.check([3])
    assert set(summary["connections"]["refused"]) == {"EADDRNOTAVAIL"}
    assert "EADDRNOTAVAIL" in ended.stderr


FIVE_HUNDRED = """
version: 1
name: many
csms: {url: "${CSMS_URL}"}
fleets: {demo: {count: 500}}
stages: [{for: 2s, online: 100%}, {for: 2s}]
"""


def with_descriptors(limit: int) -> tuple[str, ...]:
    return ("/bin/sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh")


@POSIX
def test_too_few_descriptors_end_the_run_before_it_begins_and_say_what_to_do(tmp_path: Path) -> None:
    with own_central() as central:
        ended = run(FIVE_HUNDRED, tmp_path, "-q", "--workers", "1", url=central.url, prefix=with_descriptors(300))

    assert ended.code == 3
    (line,) = ended.stderr.splitlines()
    assert "--workers 3" in line
    assert "ulimit" in line
    assert central.identities == set()


@POSIX
def test_more_workers_are_taken_where_one_has_too_few_descriptors(tmp_path: Path) -> None:
    with start("truth_server") as peer:
        ended = run(FIVE_HUNDRED, tmp_path, "-q", url=peer.url, prefix=with_descriptors(300))
        record = peer.finish()

    summary = ended.check()
    assert summary["generator"]["workers"] == 3
    assert summary["generator"]["descriptor_limit"] == 300
    assert summary["charge_points"]["booted"] == record["booted"] == 500
    assert summary["connections"]["refused"] == {}


@POSIX
@pytest.mark.parametrize("limit", [60, 128, 135])
def test_a_limit_that_no_number_of_workers_copes_with_is_said_to_be_too_low(limit: int, tmp_path: Path) -> None:
    ended = run(FIVE_HUNDRED, tmp_path, "-q", url="ws://127.0.0.1:9/", prefix=with_descriptors(limit))

    assert ended.code == 3
    (line,) = ended.stderr.splitlines()
    assert "descriptors" in line
    assert "ulimit" in line


@POSIX
def test_an_embedded_csms_that_could_not_hold_the_fleet_is_not_started(tmp_path: Path) -> None:
    text = FIVE_HUNDRED.replace('csms: {url: "${CSMS_URL}"}', "")
    ended = run(text, tmp_path, "-q", prefix=with_descriptors(300))

    assert ended.code == 3
    (line,) = ended.stderr.splitlines()
    assert "embedded CSMS" in line
    assert "ulimit" in line


@POSIX
def test_a_run_that_nobody_reads_goes_on_to_its_end_with_its_own_exit_code(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(scenario("Authorize accepted == 0"))
    ways = [["--json"], ["--console", "plain"], ["--console", "live"]]
    with ThreadPoolExecutor() as pool:
        for code, summary in pool.map(lambda options: run_unread(options, tmp_path), ways):
            assert code == summary["exit_code"]
            assert code in (99, 4)
            assert summary["complete"] is True
            assert summary["lost_workers"] == []


def run_unread(options: list[str], folder: Path) -> tuple[int, Any]:
    """Run with nobody at the other end of stdout and stderr, as `loadsim run ... 2>&1 | head -1` soon does."""
    results = folder / options[-1].strip("-")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "loadsim.cli", "run", "scenario.yaml", "--results", str(results), *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, json.loads((results / "latest" / "summary.json").read_text())
