"""`loadsim csms` is killed twice in the middle of 500 transactions of a run: nothing is lost, and nothing doubled."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.network.running import ROOT, Run, books_balance, patiently, running, wait_until

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="no such signals on Windows"),
]

COUNT = 500
RAMP, LAST = 3, 6  # seconds
SCENARIO = f"""
version: 1
name: csms-killed
seed: 23
csms: {{url: "${{CSMS_URL}}", call_timeout: 5s}}
fleets:
  dc:
    count: {COUNT}
    power: 150kW
    session: short
    configuration:
      {{AllowOfflineTxForUnknownId: true, TransactionMessageRetryInterval: 1, TransactionMessageAttempts: 20}}
    reconnect: {{first: 700ms, factor: 1.5, max: 2s, jitter: 50%}}
sessions:
  short: {{plugged_in: 6s..9s, energy: 100Wh..500Wh, meter_values: 2s}}
stages:
  - {{name: ramp, for: {RAMP}s, online: 100%}}
  - {{name: charging, for: CHARGING, sessions: 62/s, jump: true}}
  - {{name: last, for: {LAST}s, sessions: 0/s, jump: true}}
"""
AT_A_TIME = 350
"""Transactions that are open when the CSMS is killed, at least: 500 would be one at every connector."""
AWAY = 1.0


class Csms:
    """`loadsim csms` with a database, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "csms.db"
        self.port = 0
        self.url = ""
        self.told = folder / "csms.txt"
        self._control = ""
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "loadsim.cli", "csms", "--db", str(self.path), "--port", str(self.port)]
        with self.told.open("wb") as stderr:
            process = subprocess.Popen([*command, "--control", "127.0.0.1:0"], cwd=ROOT, stderr=stderr)
        wait_until(lambda: self.told.read_text().count("\n") >= 2, "the CSMS listens", 20)
        self.url, self._control = (
            line.partition(" on ")[2].split()[0] for line in self.told.read_text().splitlines()
        )
        self.port = int(self.url.rpartition(":")[2])
        return process

    def record(self) -> Any:
        with urllib.request.urlopen(f"{self._control}/record", timeout=10) as response:  # noqa: S310
            return json.load(response)

    def kill_and_start_again(self) -> None:
        self.process.kill()
        self.process.wait(10)
        time.sleep(AWAY)
        self.process = self._started()

    def end(self) -> str:
        """End it in peace, and return what it says."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        return self.told.read_text()


@contextmanager
def csms(folder: Path) -> Iterator[Csms]:
    made = Csms(folder)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait(10)


class Outcome:
    """What the run says, what the database does, and what the last CSMS does."""

    def __init__(self, ended: Run, path: Path, said: str) -> None:
        self.summary = ended.check()
        self.said = said
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            self.charge_points = connection.execute("SELECT identity, boots, accepted FROM charge_points").fetchall()
            self.starts = connection.execute(
                "SELECT id, charge_point, connector, id_tag, timestamp, meter_start FROM transactions"
            ).fetchall()
            self.stops = connection.execute(
                "SELECT meter_start, meter_stop, timestamp, stop_timestamp FROM transactions"
                " WHERE stop_timestamp IS NOT NULL"
            ).fetchall()


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    def attempt(seconds: float) -> Outcome:
        folder = tmp_path_factory.mktemp("killed")
        text = SCENARIO.replace("CHARGING", f"{seconds}s")
        with csms(folder) as central, running(text, folder, "-q", "--workers", "1", url=central.url) as under_way:

            def has(kind: str, what: str, least: int) -> bool:
                under_way.demand_life()
                return bool(central.record()[kind][what] >= least)

            for _ in range(2):
                wait_until(lambda: has("transactions", "open", AT_A_TIME), "transactions", 60)
                wait_until(lambda: has("connections", "open_max", COUNT), "charge points", 60)
                central.kill_and_start_again()
            under_way.demand_time(6.0, of=RAMP + seconds + LAST)
            ended = under_way.finish()
            said = central.end()
        return Outcome(ended, central.path, said)

    return patiently(attempt, 19, 60)


def test_no_transaction_is_lost_or_doubled(outcome: Outcome) -> None:
    transactions = outcome.summary["transactions"]
    assert transactions["lost"] == transactions["doubled"] == transactions["undelivered"] == 0
    assert transactions["begun"] == transactions["started"] > 1.5 * COUNT
    assert transactions["begun"] == transactions["stopped"] + transactions["open"]
    assert "Traceback" not in outcome.said


def test_the_database_has_every_start_once_and_the_same_ends(outcome: Outcome) -> None:
    transactions = outcome.summary["transactions"]
    assert len(outcome.starts) == transactions["begun"]
    assert len({start[1:] for start in outcome.starts}) == len(outcome.starts)
    assert sorted(start[0] for start in outcome.starts) == list(range(1, len(outcome.starts) + 1))
    assert len(outcome.stops) == transactions["stopped"]


def test_the_energy_of_both_is_the_same(outcome: Outcome) -> None:
    energy = outcome.summary["energy_wh"]
    delivered = [stop - start for start, stop, _, _ in outcome.stops]
    assert min(delivered) >= 0
    assert sum(delivered) == energy["stopped"] == energy["delivered"] > 100_000
    assert all(begun <= ended for _, _, begun, ended in outcome.stops)


def test_every_charge_point_came_back_without_another_boot(outcome: Outcome) -> None:
    summary = outcome.summary
    books_balance(summary["actions"])
    assert outcome.charge_points == [(identity, 1, 1) for identity, _, _ in outcome.charge_points]
    assert len(outcome.charge_points) == summary["actions"]["BootNotification"]["accepted"] == COUNT
    assert summary["connections"]["opened"] >= 3 * COUNT
    assert summary["connections"]["lost"] >= 2 * COUNT
    assert summary["charge_points"]["online_end"] == COUNT
    assert summary["outbox"]["waited"] > COUNT
    assert summary["outbox"]["given_up"] == {}
    assert summary["outbox"]["overflowed"] == 0
