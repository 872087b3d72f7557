"""A run whose conductor is killed: its report comes from what it kept, and holds no secret."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.network.running import running, wait_until

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

SECRET = "hunter2-hunter2"
SCENARIO = """
version: 1
name: kept
seed: 9
csms: {auth: {password: "${PW}"}, embedded: {interval: 1s}}
fleets: {demo: {count: 20, authorize: 3600/h}}
stages: [{name: all, for: 60s, online: 100%, jump: true}]
thresholds: [all errors == 0]
"""


def report(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadsim.cli", "report", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_killed_run_is_reported_and_no_file_of_it_holds_a_secret(tmp_path: Path) -> None:
    with running(SCENARIO, tmp_path, "-q", "--workers", "2", environ={"PW": SECRET}) as under_way:
        state = under_way.results / "latest" / "state.msgpack"
        wait_until(state.exists, "a checkpoint", 40)
        first = state.read_bytes()
        wait_until(lambda: state.read_bytes() != first, "another checkpoint", 20)
        goes_on = report(under_way.results, "--json")
        under_way.process.kill()
        under_way.process.wait(10)
        kept = {each.name: each.read_bytes() for each in state.parent.iterdir()}
        killed = report(under_way.results, "--json")
        again = report(under_way.results)
        folder = state.parent.resolve()
        left = {each.name: each.read_bytes() for each in folder.iterdir()}

    assert goes_on.returncode == killed.returncode == again.returncode == 0, killed.stderr
    assert json.loads(goes_on.stdout)["troubles"][0].startswith("the run goes on; figures up to 0:00:0")
    summary = json.loads(killed.stdout)
    assert summary["troubles"][0].startswith("the run was killed; figures up to 0:00:0")
    assert summary["complete"] is False
    assert summary["actions"]["Authorize"]["sent"] > 20
    assert summary["charge_points"]["online_end"] == 20
    assert json.loads(left["summary.json"]) == summary
    assert again.stdout.startswith(("PASSED INCOMPLETE  kept", "INVALID INCOMPLETE  kept"))  # by the machine
    assert "state.msgpack" not in left
    assert b"<testsuites" in left["junit.xml"]
    for name, content in [*kept.items(), *left.items()]:
        assert SECRET.encode() not in content, name
