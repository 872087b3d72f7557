"""Trouble that the embedded CSMS makes on purpose, as charge points see it and as it records it."""

from typing import cast

import pytest
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected

from loadsim.csms import lines as lines_module
from loadsim.csms.options import ServerOptions
from loadsim.csms.server import Server, serve
from loadsim.csms.sockets import reset
from loadsim.errors import UsageError
from loadsim.scenario.plan import EmbeddedCsms, FaultPlan, PlannedCall
from loadsim.v16.central import Central
from tests.csms.peer import GOOD_HANDSHAKE, Peer, connected, dial, settled
from tests.csms.troubled import LATE, SOON, START, begun, fault, lines_of, of, timed, troubled

pytestmark = [pytest.mark.network, pytest.mark.timed]

# Stall


async def test_a_stalled_csms_answers_afterwards_what_came_meanwhile() -> None:
    times: list[float] = []
    async with troubled(fault("stall")) as server, connected(server, boot=True) as peer:
        began = await begun(server, "stall")
        await timed(peer, times)
        await timed(peer, times)
        record = of(server, "stall")

    assert began + 0.6 <= times[0] < began + 0.6 + LATE
    assert times[1] - times[0] < LATE
    assert record["messages_held_up"] == 1
    assert 0.6 <= record["begun_s"] - SOON + record["seconds"] < 0.6 + LATE


async def test_what_came_from_many_meanwhile_is_answered_in_its_order() -> None:
    """A CSMS numbers transactions as it answers."""
    ids: dict[int, int] = {}

    async def ask(peer: Peer, number: int) -> None:
        ids[number] = (await peer.ask("StartTransaction", START))["transactionId"]

    async with troubled(fault("stall", 1.2)) as server, trio.open_nursery() as nursery:
        async with trio.open_nursery() as asking:
            peers = [await nursery.start(stay, server, f"/CP{number}") for number in range(8)]
            await begun(server, "stall")
            for number, peer in enumerate(peers):
                asking.start_soon(ask, peer, number)
                await trio.sleep(0.02)
            assert ids == {}
        nursery.cancel_scope.cancel()

    assert ids == {number: number + 1 for number in range(8)}
    assert of(server, "stall")["messages_held_up"] == 8


async def stay(server: Server, path: str, *, task_status: trio.TaskStatus[Peer]) -> None:
    async with connected(server, path, boot=True) as peer:
        task_status.started(peer)
        await trio.sleep_forever()


async def test_who_comes_during_a_stall_waits_in_the_backlog_and_is_served() -> None:
    async with troubled(fault("stall")) as server:
        began = await begun(server, "stall")
        stream = await dial(server)  # the system's own answer
        await stream.aclose()
        assert lines_of(server).streams == set()
        async with connected(server, boot=True):
            assert began + 0.6 <= trio.current_time() < began + 0.6 + LATE
        assert of(server, "stall")["messages_held_up"] == 0


async def test_a_handshake_under_way_is_not_timed_out_by_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "HANDSHAKE_TIMEOUT", 0.5)
    async with troubled(fault("stall", 0.8, at=0.0)) as server, await dial(server) as stream:
        while not lines_of(server).opening:  # noqa: ASYNC110
            await trio.sleep(0.005)
        await begun(server, "stall")
        await stream.send_all(b"GET /CP1 HTTP/1.1\r\n" + GOOD_HANDSHAKE + b"\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")


async def test_an_answer_that_was_due_in_a_stall_comes_after_it_and_the_time_in_it_is_that() -> None:
    times: list[float] = []
    async with troubled(fault("stall"), latency=(0.4, 0.4)) as server, connected(server, boot=True) as peer:
        server.begin()
        zero = trio.current_time()
        await timed(peer, times)

    assert zero + SOON + 0.6 - 0.05 <= times[0]
    assert of(server, "stall")["messages_held_up"] == 1


async def test_calls_of_the_csms_wait_for_the_end_of_its_stall_and_their_time_out_does_too() -> None:
    call = PlannedCall(name="it", send="ClearCache", at=SOON + 0.1, timeout=1.0)
    async with troubled(fault("stall", 1.2), calls=(call,)) as server, connected(server, boot=True) as peer:
        began = await begun(server, "stall")
        kind, number, action, _ = await peer.receive()
        assert (kind, action) == (2, "ClearCache")
        assert trio.current_time() >= began + 1.2
        await peer.websocket.send_message(f'[3,"{number}",{{"status":"Accepted"}}]')
        await peer.ask("Heartbeat", {})

    assert server.record()["calls"]["ClearCache"]["answered"] == 1


async def test_the_end_comes_in_a_stall_as_at_any_other_time() -> None:
    central = Central(EmbeddedCsms())
    options = ServerOptions(behaviour=EmbeddedCsms(faults=(fault("stall", 3600.0),)), hold_calls=True)
    with trio.fail_after(10):
        async with trio.open_nursery() as clients, trio.open_nursery() as nursery:
            server = await nursery.start(serve, options, central)
            codes: list[int] = []

            async def leave(ready: trio.Event) -> None:
                async with connected(server, boot=True) as peer:
                    ready.set()
                    codes.append(await peer.close_code())

            ready = trio.Event()
            clients.start_soon(leave, ready)
            await ready.wait()
            await begun(server, "stall")
            began = trio.current_time()
            nursery.cancel_scope.cancel()

    assert codes == [1001]
    assert trio.current_time() - began < 3


# Refuse


async def test_handshakes_are_refused_with_the_status_and_open_connections_stay() -> None:
    async with troubled(fault("refuse", status=429)) as server, connected(server, boot=True) as peer:
        await begun(server, "refuse")
        for _ in range(3):
            assert await status_of(server) == 429
        assert await peer.ask("Heartbeat", {})
        record = of(server, "refuse")
        await trio.sleep(0.6 + LATE)
        assert await status_of(server) == 101

    assert record["handshakes_refused"] == 3


async def status_of(server: Server) -> int:
    async with await dial(server) as stream:
        await stream.send_all(b"GET /CP2 HTTP/1.1\r\n" + GOOD_HANDSHAKE + b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n")
        return int((await stream.receive_some()).split(b" ")[1])


async def test_the_library_of_others_understands_the_refusal() -> None:
    async with troubled(fault("refuse", at=0.0)) as server:
        await begun(server, "refuse")
        with pytest.RaisesGroup(
            pytest.RaisesExc(ConnectionRejected, check=lambda error: error.status_code == 503), flatten_subgroups=True
        ):
            async with connected(server):
                pass


# Delay


async def test_every_answer_takes_a_draw_more_while_it_lasts() -> None:
    plan = fault("delay", 1.0, at=0.0, latency=(0.1, 0.2))
    async with troubled(plan) as server, connected(server, boot=True) as peer:
        began = await begun(server, "delay")
        took = list[float]()
        while trio.current_time() < began + 0.9:
            before = trio.current_time()
            await peer.ask("Heartbeat", {})
            took.append(trio.current_time() - before)
        await trio.sleep_until(began + 1.05)
        undelayed = list[float]()
        for _ in range(5):
            before = trio.current_time()
            await peer.ask("Heartbeat", {})
            undelayed.append(trio.current_time() - before)

    assert min(undelayed) < 0.1
    assert min(took) >= 0.1
    assert sorted(took)[len(took) // 2] < 0.2 + LATE
    assert of(server, "delay")["messages_held_up"] == len(took) > 3


# Together, and when


async def test_faults_that_overlap_add_up() -> None:
    faults = fault("stall", 0.4), fault("delay", 1.0, latency=(0.3, 0.3)), fault("refuse", 1.0)
    async with troubled(*faults) as server, connected(server, boot=True) as peer:
        began = await begun(server, "stall")
        times = list[float]()
        await timed(peer, times)
        assert await status_of(server) == 503

    assert began + 0.7 <= times[0] < began + 0.7 + LATE
    assert [of(server, name)["messages_held_up"] for name in ("stall", "delay", "refuse")] == [1, 1, 0]


async def test_a_restart_in_a_stall_loses_what_was_held_up_and_the_rest_waits() -> None:
    async with troubled(fault("stall"), fault("restart", 0.0, at=SOON + 0.2)) as server:
        async with connected(server, boot=True) as peer:
            began = await begun(server, "stall")
            await peer.websocket.send_message('[2,"1","Heartbeat",{}]')
            assert await peer.close_code() == 1006
        async with connected(server) as peer:
            assert trio.current_time() >= began + 0.6
            assert await peer.ask("Heartbeat", {})
        assert server.record()["actions"]["Heartbeat"]["received"] == 1


async def test_nothing_lasts_longer_than_the_plan_and_nothing_begins_after_it() -> None:
    faults = fault("stall", 3600.0), fault("refuse", 1.0, at=0.6), fault("restart", 1.0, at=0.8)
    times = list[float]()
    async with troubled(*faults, end=0.6) as server, connected(server, boot=True) as peer:
        began = await begun(server, "stall")
        await timed(peer, times)
        await trio.sleep(0.4)
        await timed(peer, times)
        records = {name: of(server, name) for name in ("stall", "refuse", "restart")}

    assert began + 0.3 < times[0] < began + 0.4 + LATE
    assert records["stall"]["seconds"] == pytest.approx(0.4, abs=LATE)
    assert [records[name]["begun_s"] for name in ("refuse", "restart")] == [None, None]


@pytest.mark.parametrize("how", ["stall", "restart", "refuse", "delay"])
async def test_a_run_that_ends_early_ends_the_fault(how: str) -> None:
    async with troubled(fault(how, 3600.0, latency=(9.0, 9.0)), fault(how, 9.0, at=0.4, name="later")) as server:
        await begun(server, how)
        server.rest()
        await trio.sleep(0.3)
        with trio.fail_after(5):
            async with connected(server, boot=True):
                pass
        record = server.record()["faults"]

    assert 0 < record[how]["seconds"] < LATE
    assert record["later"]["begun_s"] is None


async def test_nothing_happens_before_it_is_told_to_begin() -> None:
    async with troubled(fault("restart", 1.0, at=0.0)) as server, connected(server, boot=True) as peer:
        await trio.sleep(0.3)
        assert await peer.ask("Heartbeat", {})
        assert of(server, "restart") == {
            "how": "restart",
            "begun_s": None,
            "seconds": 0.0,
            "connections_reset": 0,
            "handshakes_refused": 0,
            "messages_held_up": 0,
        }


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ((FaultPlan(name="a", do="drop", how="close", at=1.0),), "the fault 'a': expected one of stall, restart"),
        ((FaultPlan(name="a", do="csms", how="stall"),), "and its moment"),
        ((fault("stall"), fault("stall")), "two faults have the same name"),
    ],
)
async def test_a_plan_that_cannot_be_carried_out_is_a_mistake(plan: tuple[FaultPlan, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        await serve(ServerOptions(behaviour=EmbeddedCsms(faults=plan)), Central(EmbeddedCsms()))


async def test_a_peer_that_resets_in_a_stall_takes_nobody_along() -> None:
    async with troubled(fault("stall")) as server, connected(server, "/other", boot=True) as other:
        async with connected(server, boot=True) as peer:
            await begun(server, "stall")
            reset(cast("trio.SocketStream", peer.websocket._stream))
            with pytest.raises(ConnectionClosed):
                await peer.receive()
        assert await other.ask("Heartbeat", {})
        await settled(server, "opened", 2)
        assert server.connections == 1
