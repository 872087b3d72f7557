"""Trouble on a real WebSocket, plain and through TLS: what the CSMS sees of it, and that nobody hangs."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from loadsim.link.link import CallFailed, Link
from loadsim.link.transport import ConnectionLost, Slowness
from loadsim.link.wire import Wire
from loadsim.metrics.traffic import Traffic
from loadsim.ocpp.frame import Call
from loadsim.ocpp.rpc import AskedBadly, Rpc, Stray
from loadsim.v16.messages import BY_NAME
from tests.link.peer import Peer, peer
from tests.link.test_handshake_rules import Request

pytestmark = [pytest.mark.network, pytest.mark.timed, pytest.mark.usefixtures("pollers")]

HEARTBEAT = BY_NAME["Heartbeat"]


class Deaf:
    """A listener to whom nothing is to be said."""

    def asked(self, link: Link, call: Call | AskedBadly) -> None:
        raise AssertionError(call)

    def strayed(self, link: Link, stray: Stray, text: str | bytes) -> None:
        assert stray.kind == "late"

    def ended(self, link: Link) -> None:
        pass


def steady(latency: float, bandwidth: float | None = None) -> Slowness:
    return Slowness(lambda: latency, bandwidth)


async def is_lost(csms: Peer, code: int = 1006) -> None:
    with pytest.raises(ConnectionLost) as lost:
        await csms.inbox.receive()
    assert lost.value.code == code


async def test_the_csms_sees_a_reset(certificate: Path | None) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery)
        await transport.send("one")
        await csms.got(1)
        nursery.start_soon(is_lost, csms)
        await transport.reset()
        await csms.ended.wait()

        assert isinstance(csms.cause, OSError)
        assert csms.cause.errno == errno.ECONNRESET
        with pytest.raises(ConnectionLost):
            await transport.send("more")
        await transport.reset()


async def test_the_csms_sees_no_reset_when_a_connection_is_dropped(certificate: Path | None) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery)
        await transport.abort()
        await csms.ended.wait()

        assert csms.cause is None


async def test_a_held_connection_neither_pongs_nor_reads_nor_sends_and_goes_on_when_released(
    certificate: Path | None,
) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery)
        assert csms.websocket is not None
        await csms.websocket.ping()
        transport.hold()
        got: list[str | bytes] = []

        async def receive() -> None:
            with suppress(ConnectionLost):  # at the end of the test
                while True:
                    got.append(await csms.inbox.receive())

        nursery.start_soon(receive)
        nursery.start_soon(transport.send, "out")
        for text in ("in 1", "in 2", "in 3"):
            await csms.send(text)
        with trio.move_on_after(0.2) as scope:
            await csms.websocket.ping()
        assert scope.cancelled_caught
        assert (got, csms.texts) == ([], [])

        transport.release()
        await csms.websocket.ping()
        await transport.ping()
        await csms.got(1)
        assert (got, csms.texts) == (["in 1", "in 2", "in 3"], ["out"])


async def test_a_call_that_times_out_while_its_connection_is_held_leaves_it_whole(certificate: Path | None) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery, listening=False)
        traffic = Traffic()
        link = Link(transport, Rpc("a-"), traffic)
        link.listen(nursery, Deaf())
        transport.hold()
        with pytest.raises(CallFailed) as failed:
            await link.call(HEARTBEAT, b"{}", now=trio.current_time(), timeout=0.1)
        assert failed.value.cause == "timeout"
        assert link.lost is None

        transport.release()
        with pytest.raises(CallFailed):
            await link.call(HEARTBEAT, b"{}", now=trio.current_time(), timeout=0.2)
        assert csms.texts == ['[2,"a-2","Heartbeat",{}]']
        assert traffic.messages_sent == 1


@pytest.mark.parametrize("end", ["abort", "reset", "aclose"])
async def test_a_held_connection_can_be_ended_at_once_and_wakes_all_who_wait(
    certificate: Path | None, end: str
) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery)
        transport.hold()
        async with trio.open_nursery() as waiting:
            waiting.start_soon(is_lost, csms)

            async def send() -> None:
                with pytest.raises(ConnectionLost):
                    await transport.send("never")

            waiting.start_soon(send)
            await trio.sleep(0.05)
            begin = trio.current_time()
            await getattr(transport, end)()
        await transport.released()
        assert trio.current_time() - begin < 1.0
        await csms.ended.wait()
        assert csms.texts == []


async def test_that_the_csms_hung_up_on_a_held_connection_is_seen_when_it_is_released(
    certificate: Path | None,
) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery)
        transport.hold()
        assert csms.websocket is not None
        await csms.send("goodbye")
        nursery.start_soon(csms.websocket.aclose, 1001)
        with trio.move_on_after(0.2) as scope:
            await csms.inbox.receive()
        assert scope.cancelled_caught

        transport.release()
        assert await csms.inbox.receive() == "goodbye"
        await is_lost(csms, 1001)


async def test_a_slow_connection_delays_both_ways_without_holding_up_who_sends(certificate: Path | None) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery)
        transport.slow_down(steady(0.3))
        begin = trio.current_time()
        await transport.send("a")
        await transport.send("b")
        await csms.send("x")
        assert trio.current_time() - begin < 0.25
        assert await csms.inbox.receive() == "x"
        assert 0.3 <= trio.current_time() - begin < 0.55
        await csms.got(2)

        assert csms.texts == ["a", "b"]
        assert all(0.3 <= at - begin < 0.55 for _, at in csms.messages)
        transport.slow_down(None)
        begin = trio.current_time()
        await transport.ping()
        assert trio.current_time() - begin < 0.25


async def test_a_slow_connection_is_slow_from_its_first_packet_on(certificate: Path | None) -> None:
    async with peer(certificate) as (csms, nursery):
        begin = trio.current_time()
        transport = await csms.connect(nursery, Request(slowness=steady(0.1)))

        round_trips = 1 if certificate is None else 2  # TCP's, and that of TLS 1.3
        assert 0.2 * round_trips <= transport.connect_seconds < 0.2 * round_trips + 0.19
        assert 0.2 <= transport.handshake_seconds < 0.39
        assert transport.connect_seconds + transport.handshake_seconds <= trio.current_time() - begin
        begin = trio.current_time()
        await transport.ping()
        assert 0.2 <= trio.current_time() - begin < 0.39


class Recovering:
    """A charge point whose way to the CSMS becomes fast as soon as it has begun to connect."""

    identity = "CP1"
    number = 0
    password = None
    subprotocol = "ocpp1.6"

    def __init__(self) -> None:
        self.slowness: Slowness | None = Slowness(self._latency)

    def _latency(self) -> float:
        self.slowness = None
        return 0.1


async def test_a_slowness_that_ends_while_the_connection_is_made_is_over(certificate: Path | None) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery, Recovering())
        assert transport.connect_seconds >= 0.2
        await trio.sleep(0.2)
        begin = trio.current_time()
        await transport.ping()
        assert trio.current_time() - begin < 0.1


async def test_a_slow_connection_that_is_closed_says_goodbye_properly() -> None:
    async with peer() as (csms, nursery):
        transport = await csms.connect(nursery)
        transport.slow_down(steady(1.2))  # there and back is more than a peer usually has
        await transport.send("last")
        await transport.aclose()
        await csms.ended.wait()

        assert csms.texts == ["last"]
        assert csms.websocket is not None
        assert csms.websocket.closed is not None
        assert csms.websocket.closed.code == 1000


async def test_a_connection_that_is_slow_and_dropped_leaves_no_task_behind(certificate: Path | None) -> None:
    async with peer(certificate) as (csms, _):
        async with trio.open_nursery() as nursery:
            transport = await csms.connect(nursery, Request(slowness=steady(0.05)))
            transport.slow_down(steady(60.0))
            await transport.send("never")
            await transport.reset()
        await csms.ended.wait()

        assert csms.texts == []


async def test_who_waits_for_room_on_a_slow_connection_is_told_that_it_ended_and_sends_nothing_more(
    certificate: Path | None,
) -> None:
    refused: list[int] = []

    async def send() -> None:
        with pytest.raises(ConnectionLost) as told:
            await transport.send("x" * 100_000)
        refused.append(told.value.code)

    async with peer(certificate) as (csms, _):
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:  # it ends when nothing is under way any more
                transport = await csms.connect(nursery)
                transport.slow_down(steady(60.0))
                await transport.send("x" * 100_000)
                nursery.start_soon(send)
                await trio.testing.wait_all_tasks_blocked(0.01)
                await transport.abort()

        assert refused == [1006]


@pytest.mark.parametrize("frames", [1, 2, 7, 300])
async def test_anything_can_be_sent_in_any_number_of_frames(certificate: Path | None, frames: int) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery)
        sent: list[str | bytes] = ["", "{not json", "Säule 7 ☃ 🚗", b"\x00\xff", b"", "[" * 50_000]
        for message in sent:
            await transport.send_raw(message, frames=frames)
        await transport.send("usual")
        await csms.got(len(sent) + 1)

        assert csms.texts == [*sent, "usual"]


class Ready(Wire):
    """A wire that never lets a sender wait, and another task of which the turns are counted."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire._socket, wire._poller)
        self.pieces = 0
        self.turns = 0

    async def work(self) -> None:
        while True:
            self.turns += 1
            await trio.lowlevel.checkpoint()

    def send(self, data: bytes | memoryview) -> int:
        self.pieces += 1
        return len(data)


async def test_a_huge_message_lets_the_others_work_between_its_pieces_however_fast_the_network_is() -> None:
    async with peer() as (csms, nursery):
        transport = await csms.connect(nursery)
        ready = transport._line = Ready(transport._wire)
        async with trio.open_nursery() as working:
            working.start_soon(ready.work)
            await transport.send_raw("x" * (4 << 20))
            working.cancel_scope.cancel()

        assert ready.pieces == 64
        assert ready.turns >= 60


async def test_a_huge_message_arrives(certificate: Path | None) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery)
        message = "huge ☃ " * 500_000
        await transport.send_raw(message)
        await csms.got(1)

        assert csms.texts == [message]


async def test_a_huge_message_that_is_given_up_halfway_ends_the_connection(certificate: Path | None) -> None:
    async with peer(certificate) as (csms, nursery):
        transport = await csms.connect(nursery)
        with trio.move_on_after(0.05) as scope:
            await transport.send_raw(b"x" * (64 << 20))
        assert scope.cancelled_caught
        with pytest.raises(ConnectionLost):
            await transport.send("more")
        await csms.ended.wait()
        assert csms.texts == []


async def test_a_message_to_a_csms_that_has_gone_says_so() -> None:
    async with peer() as (csms, nursery):
        transport = await csms.connect(nursery)
        assert csms.websocket is not None
        nursery.start_soon(csms.websocket.aclose, 1001)
        await is_lost(csms, 1001)
        with pytest.raises(ConnectionLost) as lost:
            await transport.send_raw("more")

        assert lost.value.code == 1001
