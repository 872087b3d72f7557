"""The embedded CSMS is killed in the middle of charging, and started again on the same port with the same file."""

import json
import math
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed, HandshakeError
from typer.testing import CliRunner

from loadsim.cli import app
from loadsim.csms.options import ServerOptions
from loadsim.csms.process import EmbeddedProcess
from loadsim.csms.server import Server
from loadsim.errors import UsageError
from tests.csms.peer import Peer, connected

pytestmark = pytest.mark.network

DEADLINE = 60.0
CHARGE_POINTS = 50
EACH = 10
TRANSACTIONS = CHARGE_POINTS * EACH


class Charger:
    """A charge point that sends each transaction message until it is confirmed (OCPP 1.6, section 3.7)."""

    def __init__(self, n: int) -> None:
        self.identity = f"CP{n:02}"
        self.ids: list[int] = []
        self.confirmed = 0
        self.connections = 0
        self.boots = 0

    async def charge(self, url: str) -> None:
        csms = cast("Server", SimpleNamespace(url=url))
        while self.confirmed < 2 * EACH:
            # The library's client waits for ever for the answer of a server that died before it answered.
            with trio.move_on_after(1.0) as opening:
                try:
                    async with connected(csms, f"/{self.identity}") as peer:
                        opening.deadline = math.inf
                        await self.send_all(peer)
                except* (ConnectionClosed, HandshakeError, OSError):
                    await trio.sleep(0.05)

    async def send_all(self, peer: Peer) -> None:
        self.connections += 1
        if not self.boots:  # a plain reconnect is no reason to boot (OCPP-J 1.6, section 5.4)
            await peer.boot()
            self.boots += 1
        while self.confirmed < 2 * EACH:
            n, is_stop = divmod(self.confirmed, 2)
            moment = {"timestamp": f"2026-03-01T{n:02}:{30 * is_stop:02}:00Z"}
            if is_stop:
                stop = {**moment, "transactionId": self.ids[n], "meterStop": n * 1000 + n}
                await peer.ask("StopTransaction", stop)
            else:
                start = {**moment, "connectorId": 1, "idTag": "DRIVER", "meterStart": n * 1000}
                self.ids.append((await peer.ask("StartTransaction", start))["transactionId"])
            self.confirmed += 1


def stored(path: Path) -> Iterator[Any]:
    with closing(sqlite3.connect(path)) as connection:
        yield from connection.execute(
            "SELECT id, charge_point, meter_start, meter_stop FROM transactions ORDER BY charge_point, meter_start"
        )


async def reached(chargers: list[Charger], confirmed: int) -> None:
    """Wait until as many messages were confirmed to all of them."""
    while sum(charger.confirmed for charger in chargers) < confirmed:  # noqa: ASYNC110
        await trio.sleep(0.001)


async def killed(process: EmbeddedProcess) -> None:
    process.kill()
    await process._process.wait()


async def test_killed_in_the_middle_of_500_transactions_it_loses_none_and_doubles_none(tmp_path: Path) -> None:
    path, log = tmp_path / "csms.db", tmp_path / "csms.log"
    chargers = [Charger(n) for n in range(CHARGE_POINTS)]
    with trio.fail_after(DEADLINE), log.open("wb") as stderr:
        process = await EmbeddedProcess.start(ServerOptions(db=str(path)), stderr)
        port = int(process.url.rpartition(":")[2])
        try:
            async with trio.open_nursery() as nursery:
                for charger in chargers:
                    nursery.start_soon(charger.charge, process.url)
                for share in (0.25, 0.5, 0.75):
                    await reached(chargers, round(share * 2 * TRANSACTIONS))
                    await killed(process)
                    process = await EmbeddedProcess.start(ServerOptions(db=str(path), port=port), stderr)
            record = await process.end(10.0)
        finally:
            with trio.CancelScope(shield=True):
                await killed(process)

    assert record is not None
    assert [record["transactions"][name] for name in ("open_ids", "doubled", "unknown_stops")] == [[], 0, 0]
    assert record["charge_points"] == {"known": CHARGE_POINTS, "accepted": CHARGE_POINTS}
    rows = list(stored(path))
    assert rows == [
        (charger.ids[n], charger.identity, n * 1000, n * 1000 + n) for charger in chargers for n in range(EACH)
    ]
    assert sorted(row[0] for row in rows) == list(range(1, TRANSACTIONS + 1))
    assert min(charger.connections for charger in chargers) >= 2
    assert log.read_bytes() == b""


def test_a_file_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database at all, " * 100)
    done = subprocess.run(
        [sys.executable, "-m", "loadsim.csms"],
        input=msgspec.json.encode(ServerOptions(db=str(tmp_path / "notes.txt"))) + b"\n",
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )

    assert (done.returncode, done.stderr) == (UsageError.exit_code, b"")
    assert "notes.txt: expected a new file" in json.loads(done.stdout)["error"]


def test_the_command_refuses_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["csms", "--port", "0", "--db", str(tmp_path)])

    assert isinstance(result.exception, UsageError)
    assert f"--db: {tmp_path}: unable to open" in str(result.exception)
