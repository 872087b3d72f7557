"""A CSMS whose connections are held by several processes: it is one CSMS, whoever comes in where."""

import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from loadsim.csms import shared_lines, sockets
from loadsim.csms.far_lines import FarLine, LineProcess
from loadsim.csms.line_messages import MOST_UNHEARD
from loadsim.csms.options import ServerOptions
from loadsim.csms.server import Server, serve
from loadsim.csms.shared_lines import SharedLines
from loadsim.csms.store import open_store
from loadsim.errors import UsageError
from loadsim.scenario.plan import EmbeddedCsms, PlannedCall
from loadsim.v16.central import Central
from tests.csms.peer import GOOD_HANDSHAKE, Peer, connected, dial, running, settled
from tests.csms.troubled import START

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(sockets.SHARING is None, reason="processes cannot share a port on this system"),
]

MANY = 3
STOP = {"meterStop": 900, "timestamp": "2026-03-01T01:00:00Z"}


def processes(server: Server) -> list[LineProcess]:
    lines = server._faults._lines
    assert isinstance(lines, SharedLines)
    return list(lines._processes)


async def place(server: Server, identity: str) -> int:
    """Return the number of the process that holds the connection of *identity*, which is open or has just been."""
    while identity not in server._open:  # noqa: ASYNC110
        await trio.sleep(0.005)
    line = server._open[identity].line
    assert isinstance(line, FarLine)
    return line._process.number


@asynccontextmanager
async def elsewhere(server: Server, identity: str, number: int) -> AsyncIterator[Peer]:
    """Connect *identity* to another process than *number*."""
    for _ in range(100):
        async with connected(server, f"/{identity}") as peer:
            if await place(server, identity) != number:
                yield peer
                return
        await gone(server, identity)
    raise AssertionError("always the same process")


async def gone(server: Server, identity: str) -> None:
    while identity in server._open:  # noqa: ASYNC110
        await trio.sleep(0.005)


async def test_what_connects_is_spread_over_the_processes_and_counted_once() -> None:
    async with running(processes=MANY) as server, AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connected(server, f"/CP{n}", boot=True)) for n in range(30)]
        for peer in peers:
            await peer.ask("Heartbeat", {})
        places = {await place(server, f"CP{n}") for n in range(30)}
        record = json.loads(json.dumps(server.record()))

    assert places == {1, 2, 3}
    assert record["connections"]["opened"] == record["connections"]["open_max"] == 30
    assert record["charge_points"] == {"known": 30, "accepted": 30}
    assert record["actions"]["Heartbeat"]["answered"] == 30
    assert record["processes"] == {"count": MANY, "lost": {}}
    assert server.record()["closed"] == {"1000": 30}


async def test_transaction_ids_are_unique_over_all_of_them() -> None:
    ids: list[int] = []

    async def charge(number: int) -> None:
        async with connected(server, f"/CP{number}", boot=True) as peer:
            for connector in range(1, 6):
                answer = await peer.ask("StartTransaction", START | {"connectorId": connector})
                ids.append(answer["transactionId"])

    async with running(processes=MANY) as server:
        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(charge, number)
        record = server.record()["transactions"]

    assert sorted(ids) == list(range(1, 61))
    assert (record["started"], record["open"], record["doubled"]) == (60, 60, 0)


async def test_a_charge_point_goes_on_with_its_transaction_in_another_process() -> None:
    async with running(processes=MANY) as server:
        async with connected(server, "/CP1", boot=True) as peer:
            number = (await peer.ask("StartTransaction", START))["transactionId"]
            first = await place(server, "CP1")
        await gone(server, "CP1")
        async with elsewhere(server, "CP1", first) as peer:  # without a boot: it is known
            assert (await peer.ask("StartTransaction", START))["transactionId"] == number  # its answer was lost, say
            values = [{"timestamp": START["timestamp"], "sampledValue": [{"value": "5"}]}]
            await peer.ask("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": values})
            await peer.ask("StopTransaction", STOP | {"transactionId": number})
        record = server.record()

    books = record["transactions"]
    assert {name: books[name] for name in ("started", "repeated_starts", "stopped", "unknown_stops", "open")} == {
        "started": 1, "repeated_starts": 1, "stopped": 1, "unknown_stops": 0, "open": 0,
    }  # fmt: skip
    assert books["unknown_meter_values"] == books["doubled"] == 0
    assert books["energy_wh"] == 900
    assert record["boots"] == {"Accepted": 1}


async def test_a_second_connection_in_another_process_replaces_the_first() -> None:
    async with running(processes=MANY) as server, AsyncExitStack() as stack:
        first = await stack.enter_async_context(connected(server, "/CP1", boot=True))
        held = await place(server, "CP1")
        second, more = first, 0
        while await place(server, "CP1") == held:
            more += 1
            second = await stack.enter_async_context(connected(server, "/CP1"))
            await settled(server, "opened", 1 + more)
        assert await first.close_code() == 1008
        assert await second.ask("Heartbeat", {})
        assert server.connections == 1
        assert server.record()["connections"]["replaced"] == more


async def test_planned_calls_and_calls_by_hand_reach_all_of_them() -> None:
    call = PlannedCall(name="it", send="ClearCache", at=0.3)
    options = ServerOptions(behaviour=EmbeddedCsms(processes=MANY, calls=(call,)), hold_calls=True)
    asked: list[str] = []

    async def stay(identity: str, *, task_status: trio.TaskStatus[None]) -> None:
        async with connected(server, f"/{identity}", boot=True) as peer:
            task_status.started()
            while True:
                _, number, action, _ = await peer.receive()
                asked.append(action)
                await peer.websocket.send_message(f'[3,"{number}",{{"status":"Accepted"}}]')

    async with running(options) as server, trio.open_nursery() as nursery:
        for n in range(12):
            await nursery.start(stay, f"CP{n}")
        server.begin()
        while server.record()["calls"].get("ClearCache", {}).get("answered", 0) < 12:  # noqa: ASYNC110
            await trio.sleep(0.01)
        for n in range(12):
            await server.call(f"CP{n}", "Reset", {"type": "Soft"})
        record = server.record()
        nursery.cancel_scope.cancel()

    assert sorted(asked) == ["ClearCache"] * 12 + ["Reset"] * 12
    assert record["calls"]["Reset"]["answered"] == 12
    assert record["planned_calls"]["it"]["called"] == record["planned_calls"]["it"]["due"] == 12


async def test_answers_come_in_the_order_of_the_questions_and_a_peer_that_floods_gets_all_of_them() -> None:
    async def flood(peer: Peer) -> None:
        for number in range(1000):
            await peer.websocket.send_message(f'[2,"f{number}","Heartbeat",{{}}]')

    async with running(processes=2) as server, connected(server, boot=True) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(flood, peer)
        answered = [(await peer.receive())[1] for _ in range(1000)]

    assert answered == [f"f{number}" for number in range(1000)]


async def test_a_peer_that_asks_and_never_reads_holds_up_nobody_and_is_not_read_without_end() -> None:
    questions = masked('[2,"1","Heartbeat",{}]') * 100
    sent = 0

    async def flood(stream: trio.SocketStream) -> None:
        nonlocal sent
        while True:
            await stream.send_all(questions)
            sent += 100

    async with running(processes=2) as server, AsyncExitStack() as stack:
        others = [await stack.enter_async_context(connected(server, f"/O{n}", boot=True)) for n in range(6)]
        async with await dial(server) as deaf, trio.open_nursery() as nursery:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await deaf.send_all(b"GET /DEAF HTTP/1.1\r\n" + GOOD_HANDSHAKE + b"\r\n")
            assert (await deaf.receive_some()).startswith(b"HTTP/1.1 101 ")
            nursery.start_soon(flood, deaf)
            before = -1
            while sent > before:
                before = sent
                await trio.sleep(0.5)
            with trio.fail_after(5):
                for other in others:
                    await other.ask("Heartbeat", {})
            assert sent > MOST_UNHEARD
            nursery.cancel_scope.cancel()


def masked(text: str) -> bytes:
    data = text.encode()
    return bytes([0x81, 0x80 | len(data)]) + bytes(4) + data


async def test_a_delayed_answer_is_given_in_whatever_process_the_connection_is() -> None:
    async with running(processes=2, latency=(0.3, 0.3)) as server, connected(server) as peer:
        began = trio.current_time()
        await peer.boot()
        assert 0.3 <= trio.current_time() - began < 2
        await peer.websocket.send_message('[2,"9","Heartbeat",{}]')

    assert server.record()["actions"]["Heartbeat"] == {"received": 1, "answered": 0, "refused": {}, "errors": {}}


async def test_with_a_database_it_is_one_database(tmp_path: Path) -> None:
    path, behaviour = str(tmp_path / "csms.db"), EmbeddedCsms(processes=2)
    for boot in (True, False):
        with open_store(path) as store, trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                options = ServerOptions(db=path, behaviour=behaviour)
                server = await nursery.start(serve, options, Central(behaviour, store))
                for number in range(8):
                    async with connected(server, f"/CP{number}", boot=boot) as peer:
                        assert (await peer.ask("StartTransaction", START))["transactionId"] == number + 1
                nursery.cancel_scope.cancel()
            assert store.last_id() == 8


async def test_a_process_that_is_killed_is_told_at_once_and_its_charge_points_go_on_in_the_others() -> None:
    said: list[str] = []
    async with running(processes=2) as server:
        server.on_loss = said.append
        async with connected(server, "/CP1", boot=True) as peer:
            number = (await peer.ask("StartTransaction", START))["transactionId"]
            lost = await place(server, "CP1")
            os.kill(processes(server)[lost - 1]._process.pid, signal.SIGKILL)
            assert await peer.close_code() == 1006
        await gone(server, "CP1")
        for _ in range(5):
            async with connected(server, "/CP1") as peer:
                assert await place(server, "CP1") == 3 - lost
                await peer.ask("StopTransaction", STOP | {"transactionId": number})
        record = server.record()

    assert said == [
        f"process {lost} of the embedded CSMS was killed by signal 9; its charge points have to connect again"
    ]
    assert record["processes"] == {"count": 2, "lost": {str(lost): "was killed by signal 9"}}
    assert record["transactions"]["stopped"] == 1
    assert record["transactions"]["repeated_stops"] == 4


async def test_processes_end_with_the_desk_and_the_last_counts_are_in_the_record() -> None:
    async with trio.open_nursery() as clients, running(processes=2) as server:
        codes: list[int] = []

        async def leave(name: str, *, task_status: trio.TaskStatus[None]) -> None:
            async with connected(server, name, boot=True) as peer:
                task_status.started()
                codes.append(await peer.close_code())

        for n in range(6):
            await clients.start(leave, f"/CP{n}")
        ids = [each._process for each in processes(server)]

    assert codes == [1001] * 6
    assert all(each.returncode == 0 for each in ids)
    assert sum(server.record()["closed"].values()) == 6
    assert server.record()["processes"]["lost"] == {}


async def test_a_port_that_others_share_already_is_in_use() -> None:
    async with running(processes=2) as server:
        port = int(server.url.rpartition(":")[2])
        for many in (1, 2):
            options = ServerOptions(port=port, behaviour=EmbeddedCsms(processes=many))
            with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1, port {port}: "):
                await serve(options, Central(options.behaviour))


async def test_where_a_port_cannot_be_shared_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_lines, "SHARING", None)
    options = ServerOptions(behaviour=EmbeddedCsms(processes=4))
    with pytest.raises(UsageError, match="4 processes of the embedded CSMS: expected 1 on this system"):
        await serve(options, Central(options.behaviour))


async def test_a_process_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    options = ServerOptions(behaviour=EmbeddedCsms(processes=2))
    with pytest.raises(UsageError, match="a process of the embedded CSMS cannot be started"):
        await serve(options, Central(options.behaviour))


async def test_an_ended_csms_leaves_its_port_to_others() -> None:
    async with running(processes=2) as server:
        port = int(server.url.rpartition(":")[2])
        async with connected(server, boot=True):
            await settled(server, "opened", 1)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
