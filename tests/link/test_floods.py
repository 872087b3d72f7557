"""A CSMS that sends more than anybody asked for: all of it is heard in its order, and others are heard meanwhile."""

from __future__ import annotations

import pytest
import trio
import trio.lowlevel

from loadsim.link.transport import ConnectionLost, Slowness
from tests.link.raw_peer import RawPeer, raw_peer
from tests.link.reading import frame

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("pollers")]

TEXT, CLOSE, PING = 1, 8, 9
MANY = 3_000
FLOOD = [f"{number}" for number in range(MANY)]
DATA = b"".join(frame(TEXT, text.encode()) for text in FLOOD)


async def heard(peer: RawPeer, count: int) -> list[str | bytes]:
    return [await peer.inbox.receive() for _ in range(count)]


async def lost(peer: RawPeer) -> ConnectionLost:
    while True:
        try:
            await peer.inbox.receive()
        except ConnectionLost as told:
            return told


@pytest.mark.parametrize("before_anybody_listens", [False, True])
async def test_others_have_their_turn_within_a_flood(before_anybody_listens: bool) -> None:
    turns = [0]

    def take(message: str | bytes) -> None:
        turns[-1] += 1
        received.append(message)
        if len(received) == MANY:
            done.set()

    async with raw_peer(listening=False) as peer:
        received: list[str | bytes] = []
        done = trio.Event()
        if before_anybody_listens:
            await peer.stream.send_all(DATA)
            await trio.sleep(0.05)
        peer.transport.listen(peer.nursery, take, lambda _: None)
        if not before_anybody_listens:
            await peer.stream.send_all(DATA)
        while not done.is_set():
            turns.append(0)
            await trio.lowlevel.checkpoint()

        assert received == FLOOD
        assert max(turns) <= 200  # of 16 KiB, which hold 2,500 of these


@pytest.mark.parametrize("slow", [False, True])
async def test_a_flood_and_what_follows_it_are_heard_in_their_order(slow: bool) -> None:
    async with raw_peer() as peer:
        if slow:
            peer.transport.slow_down(Slowness(lambda: 0.01, 2_000_000.0))
        ending = frame(TEXT, b"last") + frame(CLOSE, (1012).to_bytes(2)) + frame(TEXT, b"late")
        await peer.stream.send_all(DATA + frame(PING) * 5_000 + DATA + ending)

        assert await heard(peer, 2 * MANY + 1) == [*FLOOD, *FLOOD, "last"]
        assert (await lost(peer)).code == 1012


async def test_a_violation_behind_a_flood_is_found_behind_it() -> None:
    async with raw_peer() as peer:
        await peer.stream.send_all(frame(TEXT, b"x") * 200 + frame(TEXT, b"x", masked=True))
        assert await heard(peer, 200) == ["x"] * 200
        assert (await lost(peer)).code == 1002


async def test_an_end_behind_a_flood_is_told_behind_it() -> None:
    async with raw_peer() as peer:
        await peer.stream.send_all(DATA)
        await peer.stream.aclose()
        assert await heard(peer, MANY) == FLOOD
        assert (await lost(peer)).code == 1006


@pytest.mark.parametrize("end", ["abort", "reset", "aclose"])
async def test_a_connection_that_is_ended_in_a_flood_has_ended(end: str) -> None:
    received: list[str | bytes] = []
    told: list[ConnectionLost] = []

    def take(message: str | bytes) -> None:
        received.append(message)
        if len(received) == 1:
            peer.nursery.start_soon(getattr(peer.transport, end))

    async with raw_peer(listening=False) as peer:
        peer.transport.listen(peer.nursery, take, told.append)
        await peer.stream.send_all(DATA + frame(CLOSE, (1000).to_bytes(2)))
        while not told:  # noqa: ASYNC110 - the simplest way to wait for what others append
            await trio.sleep(0.005)
        heard_until_then = len(received)
        await trio.sleep(0.05)

        assert [each.code for each in told] == [1000 if end == "aclose" else 1006]
        assert heard_until_then == len(received) < MANY


async def test_a_flood_waits_while_the_connection_is_held() -> None:
    received: list[str | bytes] = []

    def take(message: str | bytes) -> None:
        received.append(message)
        if len(received) == 1:
            peer.transport.hold()

    async with raw_peer(listening=False) as peer:
        peer.transport.listen(peer.nursery, take, lambda _: None)
        await peer.stream.send_all(DATA)
        await trio.sleep(0.05)
        assert len(received) < 100
        peer.transport.release()
        while len(received) < MANY:  # noqa: ASYNC110 - as above
            await trio.sleep(0.005)
        assert received == FLOOD
