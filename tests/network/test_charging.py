"""A real run of charging sessions on two workers: the summary, the CSV files and the CSMS's own record agree."""

from __future__ import annotations

import csv
from collections import Counter
from typing import Any

import pytest

from loadsim.metrics.transactions import FAULTS
from loadsim.output.csv_windows import COMMAND_COLUMNS, SESSION_COLUMNS
from loadsim.output.summary_sessions import COMMAND_COUNTS, SESSION_OUTCOMES, SESSION_SOURCES
from tests.network.running import Run, run

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

SCENARIO = """version: 1
name: charging
seed: 5
csms:
  embedded: {latency: 1ms..20ms}
id_tags:
  drivers: {count: 500, pattern: "DRV{n:04}"}
  stolen: {count: 20, pattern: "BLK{n:03}", expect: Blocked}
fleets:
  street: {count: 60, connectors: 2, session: short}
  no_cars: {count: 5}
sessions:
  short:
    tags: {drivers: 90%, stolen: 10%}
    start: {rfid: 60%, remote: 40%}
    plugged_in: 1s..20s
    energy: 1kWh..20kWh
    meter_values: 1s
stages:
  - {name: ramp, for: 1s, online: 100%}
  - {name: peak, for: 5s, sessions: 72000/h, jump: true}
  - {name: late, for: 6s, sessions: 0/h, jump: true}
thresholds:
  - transactions lost == 0
  - transactions doubled == 0
  - transactions orphaned == 0
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which about 100 drivers come, of whom some are refused and some wait for a remote start."""
    return run(SCENARIO, tmp_path_factory.mktemp("charging"), "-q", "--workers", "2")


def sums(ended: Run, name: str, columns: tuple[str, ...]) -> Counter[str]:
    text = (ended.folder / name).read_text(encoding="utf-8")
    total: Counter[str] = Counter()
    for row in csv.DictReader(text.splitlines(), strict=True):
        assert tuple(row) == columns
        total.update({f"{row.get('action', '')}.{key}": int(cell) for key, cell in row.items() if cell.isdecimal()})
    return total


def of(summary: Any, section: str, names: tuple[str, ...]) -> dict[str, int]:
    return {name: summary[section][name] for name in names}


def test_every_driver_and_every_transaction_is_accounted_for(ended: Run) -> None:
    summary = ended.check()
    sessions, transactions = summary["sessions"], summary["transactions"]

    assert sessions["planned"] == 100.0
    assert 60 < sessions["due"] < 140
    assert sessions["due"] + sessions["from_csms"] == sum(sessions[outcome] for outcome in SESSION_OUTCOMES)
    assert sessions["refused"] > 0
    assert 0 < sessions["remote_starts"] < sessions["started"] == transactions["begun"]
    assert transactions["begun"] == transactions["stopped"] + transactions["open"]
    assert transactions["stopped"] > 10
    assert of(summary, "transactions", FAULTS) == dict.fromkeys(FAULTS, 0)
    assert [each["actual"] for each in summary["thresholds"]] == [0, 0, 0]


def test_the_csms_counts_the_same_transactions_and_the_same_energy(ended: Run) -> None:
    summary = ended.check()
    seen = summary["embedded_csms"]["transactions"]

    assert seen["started"] == summary["transactions"]["started"] == summary["transactions"]["begun"]
    assert seen["stopped"] == summary["transactions"]["stopped"]
    assert seen["open"] == summary["transactions"]["open"]
    assert seen["energy_wh"] == summary["energy_wh"]["stopped"] == summary["energy_wh"]["delivered"] > 0


def test_the_rows_of_sessions_add_up_to_the_summary(ended: Run) -> None:
    summary, total = ended.check(), sums(ended, "sessions.csv", SESSION_COLUMNS)
    transactions = ("begun", "started", "ended", "stopped", "lost")

    names = (*SESSION_SOURCES, *SESSION_OUTCOMES)
    assert {name: total[f".sessions_{name}"] for name in names} == of(summary, "sessions", names)
    assert {name: total[f".transactions_{name}"] for name in transactions} == of(
        summary, "transactions", transactions
    )
    assert total[".energy_delivered_wh"] == summary["energy_wh"]["delivered"]
    assert total[".energy_stopped_wh"] == summary["energy_wh"]["stopped"]
    last = (ended.folder / "sessions.csv").read_text(encoding="utf-8").splitlines()[-1]
    assert int(last.split(",")[2]) == summary["transactions"]["open"]


def test_the_rows_of_commands_add_up_to_the_summary(ended: Run) -> None:
    summary, total = ended.check(), sums(ended, "commands.csv", COMMAND_COLUMNS)

    assert "RemoteStartTransaction" in summary["commands"]
    for action, numbers in summary["commands"].items():
        assert {name: total[f"{action}.{name}"] for name in COMMAND_COUNTS} == {
            name: numbers[name] for name in COMMAND_COUNTS
        }
    assert summary["commands"]["RemoteStartTransaction"]["answer_s"]["max"] > 0
