"""The embedded CSMS calls charge points over real sockets, in either framing."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from loadsim.csms.calling import Answered, Failed, Outcome
from tests.csms.peer import BOOT, Peer, connected, running

pytestmark = pytest.mark.network


async def answer(peer: Peer, payload: Any) -> tuple[str, Any]:
    """Receive a call and answer it; return its action and payload."""
    kind, message_id, action, content = await peer.receive()
    assert kind == 2
    await peer.websocket.send_message(json.dumps([3, message_id, payload]))
    return action, content


async def test_a_charge_point_is_called_over_its_connection() -> None:
    async with running() as server, connected(server, boot=True) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peer, {"status": "Accepted"})
        outcome = await server.call("CP1", "Reset", {"type": "Hard"})

    assert isinstance(outcome, Answered)
    assert server.record()["calls"]["Reset"]["answered"] == 1
    assert server.record()["frames"]["answers"] == 1


async def test_calls_of_a_charge_point_are_answered_while_one_to_it_is_open() -> None:
    async with running() as server, connected(server, boot=True) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(server.call, "CP1", "ClearCache", {})
        _, message_id, *_ = await peer.receive()
        for _ in range(3):
            assert await peer.ask("Heartbeat", {})
        await peer.websocket.send_message(json.dumps([3, message_id, {"status": "Accepted"}]))

    assert server.record()["calls"]["ClearCache"]["answered"] == 1


async def test_a_charge_point_that_is_not_connected_is_not_called() -> None:
    async with running() as server:
        outcome = await server.call("CP1", "ClearCache", {})

        assert isinstance(outcome, Failed)
        assert outcome.cause == "not_connected"
        assert server.record()["calls"]["ClearCache"]["not_connected"] == 1


@pytest.mark.parametrize("how", ["close", "replace"])
async def test_a_call_is_lost_with_its_connection(how: str) -> None:
    outcomes: list[Outcome] = []

    async def ask() -> None:
        outcomes.append(await server.call("CP1", "ClearCache", {}))

    async with running() as server, trio.open_nursery() as nursery, connected(server, boot=True) as peer:
        nursery.start_soon(ask)
        await peer.receive()
        if how == "close":
            await peer.websocket.aclose()
        else:
            async with connected(server):
                pass
        while not outcomes:  # noqa: ASYNC110
            await trio.sleep(0.01)

    assert outcomes == [Failed("lost", description="the connection ended before the answer")]


async def test_a_peer_that_reads_nothing_is_cut_and_the_others_go_on() -> None:
    data = {"vendorId": "v", "data": "x" * 30_000_000}
    async with running() as server, connected(server, "/other", boot=True) as other, connected(server, boot=True):
        outcome = await server.call("CP1", "DataTransfer", data, timeout=0.5)

        assert isinstance(outcome, Failed)
        assert outcome.cause == "timeout"
        while server.connections > 1:  # noqa: ASYNC110
            await trio.sleep(0.01)
        assert await other.ask("Heartbeat", {})


async def test_a_charge_point_of_the_legacy_framing_is_called_with_the_ordinary_array() -> None:
    names = {"charge_point_vendor": BOOT["chargePointVendor"], "charge_point_model": BOOT["chargePointModel"]}
    boot = {"call_type": 2, "id": "m1", "type": "BootNotification", "properties": names}
    async with running() as server, connected(server, subprotocols=()) as peer, trio.open_nursery() as nursery:
        await peer.send(json.dumps(boot))
        nursery.start_soon(server.call, "CP1", "ClearCache", {})
        kind, _, action, payload = await peer.receive()
        await peer.websocket.send_message('[3,"12345",{"status":"Accepted"}]')

    assert (kind, action, payload) == (2, "ClearCache", {})
    assert server.record()["calls"]["ClearCache"]["answered"] == 1
