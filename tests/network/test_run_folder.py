"""The run folder of a real run: all files are there, and say the same."""

import csv
import json
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from loadsim.metrics.catalogue import COUNTS
from loadsim.output.csv_connections import CONNECTION_COLUMNS
from loadsim.output.csv_windows import GENERATOR_COLUMNS, WINDOW_COLUMNS
from tests.network.running import ROOT, Run, run
from tests.peers import start

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

SCENARIO = """# written by hand
version: 1
name: folder
seed: 8
csms: {url: "${CSMS_URL}", call_timeout: 1s}
fleets:
  one: {count: 40, connectors: 2, authorize: 3600/h, heartbeat: 1s}
  two: {count: 10, id: "TWO-{n:03}-7", authorize: 3600/h}
stages:
  - {name: ramp, for: 2s, online: 100%}
  - {name: steady, for: 4s}
  - {name: leave, for: 1s, online: 50%}
thresholds: [all p99 < 5s, "all errors < 90% during steady"]
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two windows, three stages and many errors, with two workers."""
    with start("hostile_server", "--answers", "mixed", "--share-suffix", "7") as peer:
        return run(SCENARIO, tmp_path_factory.mktemp("folder"), "-q", "--workers", "2", url=peer.url)


def rows(ended: Run, name: str) -> list[dict[str, str]]:
    text = (ended.folder / name).read_text(encoding="utf-8")
    assert text.endswith("\n")
    return list(csv.DictReader(text.splitlines(), strict=True))


def test_every_file_of_this_version_is_there_and_latest_leads_to_it(ended: Run) -> None:
    ended.check()

    assert {path.name for path in ended.folder.iterdir()} >= {
        "scenario.yaml",
        "resolved.yaml",
        "run.json",
        "summary.json",
        "windows.csv",
        "sessions.csv",
        "commands.csv",
        "connections.csv",
        "faults.csv",
        "junit.xml",
        "errors.jsonl",
        "generator.csv",
        "loadsim.log",
    }
    assert not list(ended.folder.glob("*.new"))
    assert {path.name for path in ended.results.iterdir()} == {"latest", ended.folder.name}
    assert ended.folder.name.endswith("-folder")
    assert (ended.folder / "scenario.yaml").read_text(encoding="utf-8") == SCENARIO
    facts = json.loads((ended.folder / "run.json").read_text(encoding="utf-8"))
    assert facts["exit_code"] == ended.code
    assert facts["seed"] == 8
    assert facts["workers"] == 2


def test_windows_add_up_to_the_summary(ended: Run) -> None:
    actions = ended.summary["actions"]
    total: dict[str, Counter[str]] = {}
    for row in rows(ended, "windows.csv"):
        assert tuple(row) == WINDOW_COLUMNS
        total.setdefault(row["action"], Counter()).update({name: int(row[name]) for name in COUNTS})

    assert {action: dict(counts) for action, counts in total.items()} == {
        action: {name: of[name] if name in of else of["errors"][name] for name in COUNTS}
        for action, of in actions.items()
    }
    assert actions["Authorize"]["planned"] > 150


def test_stages_add_up_to_the_whole_run(ended: Run) -> None:
    summary = ended.summary
    total: dict[str, Counter[str]] = {}
    for stage in summary["stages"].values():
        for action, of in stage["actions"].items():
            total.setdefault(action, Counter()).update(flat(of))

    assert total == {action: Counter(flat(of)) for action, of in summary["actions"].items()}
    assert [stage["seconds"] for stage in summary["stages"].values()] == [2, 4, 1]


def flat(of: dict[str, Any]) -> dict[str, int]:
    return {name: of[name] if name in of else of["errors"][name] for name in COUNTS}


def test_the_generators_rows_tell_of_every_worker_in_every_window(ended: Run) -> None:
    found = rows(ended, "generator.csv")
    summary = ended.summary

    assert all(tuple(row) == GENERATOR_COLUMNS for row in found)
    assert [(row["begin_s"], row["worker"]) for row in found] == [("0", "0"), ("0", "1"), ("5", "0"), ("5", "1")]
    assert sum(int(row["messages_sent"]) for row in found) == summary["messages"]["sent"]
    assert sum(int(row["messages_received"]) for row in found) == summary["messages"]["received"]
    assert sum(int(row["connections_opened"]) for row in found) == summary["connections"]["opened"]
    assert all(int(row["rss_bytes"]) > 10_000_000 and float(row["cpu"]) >= 0 for row in found)


def test_the_seconds_of_connections_add_up_to_the_summary(ended: Run) -> None:
    found, summary = rows(ended, "connections.csv"), ended.summary
    numbers, boots = summary["connections"], summary["actions"]["BootNotification"]

    assert all(tuple(row) == CONNECTION_COLUMNS for row in found)
    for what in ("attempted", "retried", "opened", "closed", "abandoned", "lost"):
        assert sum(int(row[what]) for row in found) == numbers[what], what
    assert sum(int(row["refused"]) for row in found) == sum(numbers["refused"].values())
    assert sum(int(row["boots_answered"]) for row in found) == boots["answered"] > 0
    assert sum(int(row["boots_failed"]) for row in found) == sum(boots["errors"].values())
    assert max(float(row["handshake_max_s"] or 0) for row in found) == numbers["handshake_s"]["max"]
    assert [int(row["begin_s"]) for row in found] == sorted({int(row["begin_s"]) for row in found})


def test_the_resolved_scenario_is_one_again(ended: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadsim.cli", "validate", str(ended.folder / "resolved.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "ok: folder: 50 charge points, 7.0s" in done.stdout


def test_failures_are_told_with_a_bounded_number_of_examples(ended: Run) -> None:
    kinds = Counter((each["what"], each["cause"]) for each in ended.examples)

    assert kinds
    assert max(kinds.values()) <= 20 * 2  # a worker
    for each in ended.examples:
        assert each["charge_point"].endswith("7")
        assert 0 <= each["at"] <= 9
        assert len(each["frame"]) <= 500 * 4  # cut short; a byte that is no text takes four characters
