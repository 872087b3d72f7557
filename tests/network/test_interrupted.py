"""Ctrl-C and SIGTERM: once ends the run as at its planned end, twice ends it at once; the report is written."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.network.running import Running, books_balance, is_alive, running, wait_until
from tests.peers import start

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="no such signals on Windows"),
]

COUNT = 20
SCENARIO = f"""
version: 1
name: interrupted
seed: 4
csms: {{call_timeout: 60s, embedded: {{interval: 2s, latency: 20ms}}}}
fleets: {{demo: {{count: {COUNT}, authorize: 3600/h}}}}
stages:
  - {{name: first, for: 90s, online: 100%, jump: true}}
  - {{name: never, for: 30s}}
"""
SLOW = SCENARIO.replace("embedded: {interval: 2s, latency: 20ms}", 'url: "${CSMS_URL}"')


def to_conductor(number: signal.Signals) -> Callable[[Running], None]:
    return lambda under_way: under_way.process.send_signal(number)


def to_group(number: signal.Signals) -> Callable[[Running], None]:
    return lambda under_way: os.killpg(under_way.process.pid, number)  # a session of its own: all its processes


@pytest.mark.parametrize(
    ("send", "code", "name"),
    [
        pytest.param(to_conductor(signal.SIGINT), 130, "SIGINT", id="SIGINT"),
        pytest.param(to_conductor(signal.SIGTERM), 143, "SIGTERM", id="SIGTERM"),
        pytest.param(to_group(signal.SIGINT), 130, "SIGINT", id="SIGINT to the group"),
        pytest.param(to_group(signal.SIGTERM), 143, "SIGTERM", id="SIGTERM to the group"),
    ],
)
def test_one_signal_ends_the_run_as_its_plan_would(
    send: Callable[[Running], None], code: int, name: str, tmp_path: Path
) -> None:
    with running(SCENARIO, tmp_path, "--json", "--workers", "2") as under_way:
        under_way.wait_for_connections(COUNT)
        time.sleep(1.3)
        children = under_way.children()
        send(under_way)
        ended = under_way.finish(60)
        wait_until(lambda: not any(map(is_alive, children)), "the end of all processes", 20)

    summary = ended.check([code])
    assert name in ended.stderr
    assert json.loads(ended.stdout) == summary
    assert summary["complete"] is False
    assert summary["lost_workers"] == []
    assert 1.3 <= summary["duration_s"] < 90.0
    books_balance(summary["actions"])
    record = summary["embedded_csms"]
    for action, of in summary["actions"].items():
        assert of["sent"] == of["answered"] == record["actions"][action]["received"]
    assert record["closed"] == {"1000": COUNT}
    assert summary["charge_points"]["online_end"] == COUNT
    stages = summary["stages"]
    assert 1.3 <= stages["first"]["seconds"] <= summary["duration_s"]
    assert stages["never"]["seconds"] == 0
    run = json.loads((ended.folder / "run.json").read_text())
    assert run["exit_code"] == code


def test_two_signals_end_the_run_at_once_with_what_is_known(tmp_path: Path) -> None:
    with (
        start("truth_server", "--latency", "fixed:50000") as peer,  # the open calls would be awaited for long
        running(SLOW, tmp_path, "--json", "--workers", "2", url=peer.url) as under_way,
    ):
        under_way.wait_for_connections(COUNT)
        time.sleep(1.7)
        children = under_way.children()
        under_way.process.send_signal(signal.SIGINT)
        time.sleep(1.0)
        assert under_way.process.poll() is None  # it awaits the open calls
        second = time.monotonic()
        under_way.process.send_signal(signal.SIGINT)
        ended = under_way.finish(40)
        took = time.monotonic() - second
        wait_until(lambda: not any(map(is_alive, children)), "the end of all processes", 10)

    summary = ended.check([130], books=False)
    assert took < 20.0
    assert json.loads(ended.stdout) == summary
    assert summary["complete"] is False
    assert len(summary["lost_workers"]) == 2
    assert summary["actions"]["BootNotification"]["accepted"] == COUNT


def test_an_interrupted_run_awaits_its_open_calls(tmp_path: Path) -> None:
    with (
        start("truth_server", "--latency", "fixed:1500") as peer,
        running(SLOW, tmp_path, "-q", url=peer.url) as under_way,
    ):
        under_way.wait_for_connections(COUNT)
        time.sleep(1.5)
        under_way.process.send_signal(signal.SIGINT)
        ended = under_way.finish(60)
        record = peer.finish()

    summary = ended.check([130])
    authorize = summary["actions"]["Authorize"]
    books_balance(summary["actions"])
    assert authorize["sent"] == authorize["answered"] == record["actions"]["Authorize"]["received"] > 0
    assert authorize["open_at_end"] == 0
    assert authorize["waiting_at_end"] > 0  # behind the open ones


def test_a_signal_before_the_run_has_begun_ends_it_too(tmp_path: Path) -> None:
    with running(SCENARIO, tmp_path, "-q") as under_way:
        wait_until(lambda: len(under_way.children()) >= 1, "the first process", 20)
        under_way.process.send_signal(signal.SIGINT)
        ended = under_way.finish(60)
        wait_until(lambda: not under_way.children(), "the end of all processes", 20)

    assert ended.code == 130
    assert "Traceback" not in ended.stderr
