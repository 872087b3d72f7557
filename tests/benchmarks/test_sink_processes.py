"""A sink of several processes is one CSMS: one port, one record, tickets that are good with all."""

from __future__ import annotations

import json
import socket
import ssl
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import open_websocket_url

from benchmarks.certificate import Certificate, make_certificate
from benchmarks.sink_processes import can_share_a_port, merged
from tests.peers import start

PROCESSES = 3 if can_share_a_port() else 1

network = pytest.mark.network


@pytest.fixture(autouse=True)
def picows() -> None:
    pytest.importorskip("picows")


def a_record(**changes: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "opened": 0,
        "open_at_end": 0,
        "open_at_most": 0,
        "open_here_at_most": 0,
        "resumed": 0,
        "identities": [],
        "last_boot_at": 0.0,
        "opened_at": {},
        "booted_at": {},
        "received": {},
        "refused": {},
        "strays": 0,
        "remote_starts_sent": 0,
        "remote_starts": {},
        "cpu_s": 0.0,
        "cpu_max": 0.0,
    }
    return empty | changes


def test_an_identity_that_came_back_to_another_process_counts_once() -> None:
    one = a_record(opened=2, identities=["A", "B"])
    other = a_record(opened=2, identities=["B", "C"])

    record = merged([one, other])

    assert record["connections"]["opened"] == 4
    assert record["identities"] == 3


def test_what_each_process_received_is_added_up_by_action() -> None:
    one = a_record(received={"Heartbeat": 3, "Authorize": 1}, booted_at={"100": 1, "101": 2}, last_boot_at=1.01)
    other = a_record(received={"Heartbeat": 4}, booted_at={101: 5}, last_boot_at=1.019)

    record = merged([one, other])

    assert record["received"] == {"Heartbeat": 7, "Authorize": 1}
    assert record["booted_at"] == {"100": 1, "101": 7}
    assert record["last_boot_at"] == 1.019


@network
async def test_the_connections_of_all_processes_are_in_one_record() -> None:
    count = 40
    with start("sink", "--processes", str(PROCESSES), "--lifetime", "60") as sink:
        with trio.fail_after(30):
            numbers = await transactions(sink.url, count)
        record = sink.finish()

    assert record["connections"]["opened"] == record["connections"]["open_at_most"] == count
    assert record["identities"] == count
    assert record["received"] == {"BootNotification": count, "StartTransaction": count}
    assert sum(record["booted_at"].values()) == count
    assert len(record["processes"]) == PROCESSES
    assert sum(process["open_here_at_most"] for process in record["processes"]) == count
    assert max(Counter(numbers).values()) == 1, "two processes gave transactions the same number"


async def transactions(url: str, count: int) -> list[int]:
    """Boot on so many connections, begin a transaction on each, and hold them all open; return the ids."""
    numbers: list[int] = []
    all_there, ready = trio.Event(), [0]

    async def one(number: int) -> None:
        async with open_websocket_url(f"{url}/CP{number}", subprotocols=["ocpp1.6"]) as connection:
            for action in ("BootNotification", "StartTransaction"):
                await connection.send_message(json.dumps([2, "1", action, {}]))
                answer = json.loads(await connection.get_message())
            numbers.append(answer[2]["transactionId"])
            ready[0] += 1
            if ready[0] == count:
                all_there.set()
            await all_there.wait()

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, number)
    return numbers


@network
def test_a_ticket_of_one_process_is_good_with_all(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    options = ("--certificate", str(files.certificate), "--key", str(files.key), "--lifetime", "60")
    with start("sink", "--processes", str(PROCESSES), *options) as sink:
        assert sink.url.startswith("wss://127.0.0.1:")
        port = int(sink.url.split(":")[2].partition("/")[0])
        resumed = [resumes(files, port) for _ in range(12)]
        sink.finish()

    assert resumed == [False, *[True] * 11]


_context: dict[Path, ssl.SSLContext] = {}
_session: dict[Path, ssl.SSLSession] = {}


def resumes(files: Certificate, port: int) -> bool:
    """Connect with the last ticket, if there is one; tell whether it was taken, and keep the new one."""
    context = _context.setdefault(files.certificate, ssl.create_default_context(cafile=str(files.certificate)))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1", session=_session.get(files.certificate)) as secured,
    ):
        secured.sendall(
            b"GET /ocpp/CP1 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert secured.recv(4096).startswith(b"HTTP/1.1 101")  # the ticket comes before it
        assert secured.session is not None
        _session[files.certificate] = secured.session
        return bool(secured.session_reused)
