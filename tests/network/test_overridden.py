"""``--set`` and ``--dry-run`` from the command line on: what is sent, and what is kept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.network.running import run

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

SCENARIO = """
version: 1
name: overridden
seed: 3
fleets: {demo: {count: 500}}
stages: [{name: all, for: 10h, online: 100%}]
thresholds: [all errors == 0, Authorize p95 < 1s]
"""


def loadsim(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "s.yaml").write_text(SCENARIO, encoding="utf-8")
    command = [sys.executable, "-m", "loadsim.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=folder)


def test_a_run_is_what_the_options_make_of_it_and_keeps_them(tmp_path: Path) -> None:
    options = ("--set", "fleets.demo.count=5", "--set", "stages.all.for=2s", "--set", "thresholds=[all errors == 0]")

    ended = run(SCENARIO, tmp_path, "-q", *options)

    summary = ended.check()
    kept = json.loads((ended.folder / "run.json").read_text(encoding="utf-8"))
    resolved = (ended.folder / "resolved.yaml").read_text(encoding="utf-8")
    assert (summary["charge_points"]["planned"], summary["planned_duration_s"]) == (5, 2.0)
    assert kept["overrides"] == ["fleets.demo.count=5", "stages.all.for=2s", "thresholds=[all errors == 0]"]
    assert "--set fleets.demo.count=5 --set stages.all.for=2s" in kept["command"]
    assert kept["command"].endswith("--seed 3")
    assert (ended.folder / "scenario.yaml").read_text(encoding="utf-8") == SCENARIO
    assert "count: 5\n" in resolved
    assert "for: 2s\n" in resolved


def test_a_dry_run_shows_the_plan_and_leaves_nothing(tmp_path: Path) -> None:
    ended = loadsim(tmp_path, "run", "s.yaml", "--dry-run")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("overridden  500 charge points, 10h00m, to the embedded CSMS")
    assert "warning: thresholds[1]" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


def test_a_dry_run_of_what_the_machine_cannot_do_fails(tmp_path: Path) -> None:
    ended = loadsim(tmp_path, "run", "s.yaml", "--dry-run", "--set", "fleets.demo.count=900000")

    assert ended.returncode == 3
    assert "too few" in ended.stderr


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_warnings_are_told_and_forbid_nothing(command: str, tmp_path: Path) -> None:
    ended = loadsim(tmp_path, command, "s.yaml")

    assert ended.returncode == 0, ended.stderr
    assert "s.yaml:7:" in ended.stderr
    assert "warning: thresholds[1]" in ended.stderr


@pytest.mark.parametrize("command", ["run", "validate", "plan", "ids"])
def test_a_mistake_in_an_option_is_told_by_every_command(command: str, tmp_path: Path) -> None:
    ended = loadsim(tmp_path, command, "s.yaml", "--set", "stages.al.for=5s")

    assert ended.returncode == 2
    assert ended.stderr == "--set stages.al.for=5s: error: unknown stage 'al'; did you mean 'all'?\n"


def test_the_ids_are_those_of_the_overridden_scenario(tmp_path: Path) -> None:
    ended = loadsim(tmp_path, "ids", "s.yaml", "--set", "fleets.demo.count=2", "--set", "fleets.demo.id=X{n}")

    assert "charge_point,X1,demo,\ncharge_point,X2,demo,\nid_tag" in ended.stdout
