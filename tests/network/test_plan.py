"""What ``loadsim plan`` says is what the run then does."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.network.running import Run, run, settled

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

SCENARIO = """
version: 1
name: foreseen
seed: 4
csms: {embedded: {interval: 2s, calls: [{name: look, send: TriggerMessage, rate: 10/s,
  with: {requestedMessage: StatusNotification, connectorId: 1}}]}}
id_tags:
  drivers: {count: 500, pattern: "DRV{n:04}"}
  stolen: {count: 20, pattern: "BLK{n:04}", expect: Blocked}
fleets:
  talkative: {count: 120, connectors: 2, session: short}
  silent: {count: 60, heartbeat: 1s, authorize: {rate: 1440/h, arrivals: even}}
sessions:
  short:
    tags: {drivers: 90%, stolen: 10%}
    start: {rfid: 70%, remote: 30%}
    plugged_in: 2s..4s
    energy: 40kWh
    meter_values: 1s
stages:
  - {name: ramp, for: 4s, online: 100%, arrivals: even}
  - {name: steady, for: 12s, sessions: 20/s, jump: true, arrivals: even}
"""
WITHIN = 0.2
CHANCE = 12
"""Calls by which chance may change a number of an action: who is refused, which connector is asked."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Run]:
    folder = tmp_path_factory.mktemp("plan")
    (folder / "s.yaml").write_text(SCENARIO, encoding="utf-8")
    command = [sys.executable, "-m", "loadsim.cli", "plan", str(folder / "s.yaml"), "--json", "--workers", "1"]
    needs = json.loads(subprocess.run(command, capture_output=True, timeout=30, check=True).stdout)
    return needs, settled(lambda: run(SCENARIO, folder, "-q", "--workers", "1"))


def test_the_calls_of_each_stage_are_those_that_were_planned(both: tuple[dict[str, Any], Run]) -> None:
    needs, ended = both
    stages = ended.check()["stages"]

    for planned in needs["stages"]:
        done = {action: of["planned"] for action, of in stages[planned["name"]]["actions"].items()}
        foreseen = {action for action, count in planned["calls"].items() if count >= 1}
        assert foreseen <= done.keys() <= foreseen | {"BootNotification"}  # the last one's boot may come a bit later
        for action, count in done.items():
            room = CHANCE + WITHIN * count
            assert planned["calls"].get(action, 0) == pytest.approx(count, abs=room), (planned["name"], action)


def test_the_messages_of_the_run_are_those_that_were_planned(both: tuple[dict[str, Any], Run]) -> None:
    needs, ended = both
    messages = ended.check()["messages"]

    assert needs["messages"]["in_all"] == pytest.approx(messages["sent"] + messages["received"], rel=0.1)


def test_the_calls_of_the_csms_are_those_that_were_planned(both: tuple[dict[str, Any], Run]) -> None:
    needs, ended = both
    commands = ended.check()["commands"]

    for action in ("TriggerMessage", "RemoteStartTransaction"):
        planned = sum(stage["csms_calls"].get(action, 0) for stage in needs["stages"])
        assert planned == pytest.approx(commands[action]["received"], rel=0.25), action


def test_the_machine_gave_no_more_than_was_planned(both: tuple[dict[str, Any], Run]) -> None:
    needs, ended = both
    generator = ended.check()["generator"]

    assert generator["descriptors_max"] <= needs["descriptors"]["worker"]
    assert generator["rss_max_bytes"] <= needs["memory_bytes"]["most"]
    assert sum(path.stat().st_size for path in ended.folder.iterdir()) <= needs["disk_bytes"]["at_most"]
    for name, at_most in needs["disk_bytes"]["files"].items():
        assert (ended.folder / name).stat().st_size <= at_most + 1_000, name  # the header is besides
