"""A restart of the embedded CSMS on purpose: resets, a place that is kept, and a memory as with a database."""

import socket

import pytest
import trio

from loadsim.csms.server import Server
from loadsim.scenario.plan import PlannedCall
from tests.csms.peer import connected, dial
from tests.csms.troubled import LATE, SOON, START, begun, fault, of, troubled

pytestmark = [pytest.mark.network, pytest.mark.timed]


async def test_a_restart_resets_all_connections_at_once_and_listens_again_at_the_same_place() -> None:
    async with troubled(fault("restart")) as server, trio.open_nursery() as nursery:
        peers = [await nursery.start(lost, server, f"/CP{number}") for number in range(5)]
        half = await dial(server)
        async with half:
            await half.send_all(b"GET /CP9 HTTP/1.1\r\n")
            began = await begun(server, "restart")
            with trio.fail_after(LATE):
                with pytest.raises(trio.BrokenResourceError):  # a reset, and no orderly end
                    await half.receive_some()
                for ended in peers:
                    await ended.wait()
                while server.connections:  # noqa: ASYNC110
                    await trio.sleep(0.001)
        while True:
            try:
                async with connected(server, "/CP0") as peer:
                    back = trio.current_time()
                    assert await peer.ask("Heartbeat", {})  # it is known, without a boot
                    break
            except* OSError:
                await trio.sleep(0.01)
        record = server.record()

    assert began + 0.6 <= back < began + 0.6 + LATE
    assert record["faults"]["restart"]["connections_reset"] == 5
    assert record["charge_points"] == {"known": 5, "accepted": 5}
    assert record["connections"]["opened"] == 6
    assert record["connections"]["replaced"] == 0
    assert set(record["closed"]) <= {"1000"}  # the last one's


async def lost(server: Server, path: str, *, task_status: trio.TaskStatus[trio.Event]) -> None:
    """Connect and boot; the event is set when the connection has ended without a word."""
    ended = trio.Event()
    async with connected(server, path, boot=True) as peer:
        task_status.started(ended)
        assert await peer.close_code() == 1006
        ended.set()


async def test_a_restart_of_no_time_leaves_nobody_outside() -> None:
    async with troubled(fault("restart", 0.0)) as server, connected(server, boot=True) as first:
        await begun(server, "restart")
        async with connected(server) as second:
            assert await second.ask("Heartbeat", {})
        assert await first.close_code() == 1006
        assert of(server, "restart")["connections_reset"] == 1


async def test_while_it_is_away_connects_are_refused_and_its_port_is_not_given_to_others() -> None:
    async with troubled(fault("restart")) as server:
        await begun(server, "restart")
        with pytest.raises(OSError, match="all attempts to connect"):
            await dial(server)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", int(server.url.rpartition(":")[2])))
        await trio.sleep(0.6 + LATE)
        async with connected(server, boot=True):
            pass


async def test_a_restart_within_a_restart_is_over_when_both_are() -> None:
    faults = fault("restart", 0.3), fault("restart", 1.2, at=SOON + 0.1, name="second")
    async with troubled(*faults) as server:
        began = await begun(server, "restart")
        await trio.sleep_until(began + 0.5)
        with pytest.raises(OSError, match="all attempts to connect"):
            await dial(server)
        await trio.sleep_until(began + 1.3 + LATE)
        async with connected(server, boot=True):
            pass


async def test_transactions_outlive_a_restart_and_planned_calls_go_on() -> None:
    call = PlannedCall(name="it", send="ClearCache", rate=20.0, spacing="even")
    async with troubled(fault("restart", 0.0), calls=(call,)) as server:
        async with connected(server, boot=True) as peer:
            number = (await peer.ask("StartTransaction", START))["transactionId"]
            await begun(server, "restart")
        due = server.record()["planned_calls"]["it"]["due"]
        async with connected(server) as peer:
            stop = {"transactionId": number, "meterStop": 9, "timestamp": "2026-03-01T01:00:00Z"}
            await peer.ask("StopTransaction", stop)
            await trio.sleep(0.3)
        record = server.record()

    assert record["transactions"]["stopped"] == 1
    assert record["transactions"]["unknown_stops"] == 0
    assert record["planned_calls"]["it"]["due"] > due


async def test_the_end_comes_while_it_is_away_as_at_any_other_time() -> None:
    with trio.fail_after(5):
        async with troubled(fault("restart", 3600.0)) as server:
            await begun(server, "restart")
