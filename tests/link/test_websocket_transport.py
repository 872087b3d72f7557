"""An open WebSocket, byte by byte: what a charge point answers, in which order, and how a connection ends."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final

import pytest
import trio
import trio.lowlevel
from trio.testing import wait_all_tasks_blocked

from loadsim.link.framing import Incoming
from loadsim.link.transport import ConnectionLost, Slowness
from loadsim.link.websocket_transport import MAX_MESSAGE, WebSocketTransport
from tests.link.raw_peer import RawPeer, raw_peer
from tests.link.reading import frame

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("pollers")]

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MUCH: Final = "x" * 20_000_000
"""More than the buffers of both sockets hold."""


async def lost(peer: RawPeer) -> ConnectionLost:
    while True:
        try:
            await peer.inbox.receive()
        except ConnectionLost as told:
            return told


def close_payload(code: int, reason: str = "") -> bytes:
    return code.to_bytes(2) + reason.encode()


async def test_messages_are_handed_over_in_order_however_they_are_cut() -> None:
    async with raw_peer() as peer:
        data = (
            frame(TEXT, b"one")
            + frame(BINARY, b"\x00\xff")
            + frame(TEXT, "Säule".encode())
            + frame(TEXT, b"z" * 70_000)
        )
        for at in range(40):
            await peer.stream.send_all(data[at : at + 1])
            await trio.lowlevel.checkpoint()
        await peer.stream.send_all(data[40:])
        assert [await peer.inbox.receive() for _ in range(4)] == ["one", b"\x00\xff", "Säule", "z" * 70_000]


async def test_what_comes_before_somebody_listens_is_kept_until_then() -> None:
    async with raw_peer(listening=False, rest=frame(TEXT, b"with the handshake")) as peer:
        await peer.stream.send_all(frame(TEXT, b"a"))
        await wait_all_tasks_blocked(0.01)
        await peer.stream.send_all(frame(TEXT, b"b") + frame(CLOSE, close_payload(1001)))
        await wait_all_tasks_blocked(0.01)
        peer.inbox.listen(peer.transport, peer.nursery)

        assert [await peer.inbox.receive() for _ in range(3)] == ["with the handshake", "a", "b"]
        assert (await lost(peer)).code == 1001


async def test_more_than_somebody_should_say_before_it_is_heard_waits_in_the_socket() -> None:
    async with raw_peer(listening=False) as peer:
        texts = ["y" * 1000] * 5_000
        peer.nursery.start_soon(peer.stream.send_all, frame(TEXT, texts[0].encode()) * 5_000)
        await trio.sleep(0.1)
        early = peer.transport._early
        assert early is not None
        assert sum(map(len, early)) < 100_000
        peer.inbox.listen(peer.transport, peer.nursery)

        assert [await peer.inbox.receive() for _ in texts] == texts


async def test_an_end_before_somebody_listens_is_told_then() -> None:
    async with raw_peer(listening=False) as peer:
        await peer.stream.aclose()
        await trio.sleep(0.02)
        peer.inbox.listen(peer.transport, peer.nursery)
        assert (await lost(peer)).code == 1006


async def test_a_ping_is_answered_with_its_payload_and_is_no_message() -> None:
    async with raw_peer() as peer:
        await peer.stream.send_all(frame(PING, b"are you there") + frame(TEXT, b"text"))
        ((_, pong),) = await peer.frames_until(PONG)
        assert pong == b"are you there"
        assert await peer.inbox.receive() == "text"


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going"), (1012, "restart"), (4711, "☃")])
async def test_a_close_is_answered_and_ends_the_connection_with_its_code(code: int, reason: str) -> None:
    async with raw_peer() as peer:
        await peer.stream.send_all(
            frame(TEXT, b"last") + frame(CLOSE, close_payload(code, reason)) + frame(TEXT, b"late")
        )
        assert await peer.inbox.receive() == "last"
        told = await lost(peer)
        ((_, close),) = await peer.frames_until(CLOSE)

        assert (told.code, told.reason) == (code, reason)
        assert close[:2] == code.to_bytes(2)
        with pytest.raises(ConnectionLost) as refused:
            await peer.transport.send("more")
        assert refused.value.code == code
        assert await peer.stream.receive_some() == b""


async def test_a_close_without_a_code_is_answered_without_one() -> None:
    async with raw_peer() as peer:
        await peer.stream.send_all(frame(CLOSE))
        assert (await lost(peer)).code == 1005
        ((_, close),) = await peer.frames_until(CLOSE)
        assert close == b""


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"x", reserved=4), 1002),
        (frame(3, b"x"), 1002),
        (frame(TEXT, b"x", masked=True), 1002),
        (frame(0, b"x"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (bytes((0x81, 127)) + (MAX_MESSAGE + 1).to_bytes(8), 1009),
    ],
)
async def test_a_violation_is_told_to_the_csms_and_ends_the_connection_with_its_code(wrong: bytes, code: int) -> None:
    async with raw_peer() as peer:
        await peer.stream.send_all(frame(TEXT, b"before") + wrong)
        assert await peer.inbox.receive() == "before"
        assert (await lost(peer)).code == code
        ((_, close),) = await peer.frames_until(CLOSE)
        assert close[:2] == code.to_bytes(2)


async def test_an_end_without_a_close_is_told_once_as_1006() -> None:
    async with raw_peer() as peer:
        await peer.stream.aclose()
        assert (await lost(peer)).code == 1006
        await peer.transport.abort()
        await peer.transport.aclose()
        await trio.sleep(0.02)  # the inbox asserts that it is told once
        with pytest.raises(ConnectionLost) as refused:
            await peer.transport.send("x")
        assert refused.value.code == 1006


async def test_a_reset_is_told_once_as_1006() -> None:
    async with raw_peer() as peer:
        linger = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
        peer.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await trio.aclose_forcefully(peer.stream)
        assert (await lost(peer)).code == 1006
        await trio.sleep(0.02)


@pytest.mark.parametrize("end", ["abort", "reset", "aclose"])
async def test_who_listens_is_told_of_an_end_of_this_sides_making(end: str) -> None:
    async with raw_peer() as peer:
        peer.nursery.start_soon(getattr(peer.transport, end))
        if end == "aclose":
            await peer.frames_until(CLOSE)
            await peer.stream.send_all(frame(TEXT, b"too late") + frame(CLOSE, close_payload(1000)))
        with pytest.raises(ConnectionLost) as told:
            await peer.inbox.receive()
        assert told.value.code == (1000 if end == "aclose" else 1006)


async def test_who_does_not_want_to_hear_more_is_told_nothing() -> None:
    async with raw_peer(listening=False) as peer:
        told: list[object] = []
        async with trio.open_nursery() as nursery:
            peer.transport.listen(nursery, told.append, told.append)
            nursery.cancel_scope.cancel()
            await peer.transport.abort()
        await trio.sleep(0.01)
        assert told == []


async def test_closing_waits_for_the_csms_to_close_too() -> None:
    async with raw_peer() as peer:
        closed = trio.Event()

        async def close() -> None:
            await peer.transport.aclose()
            closed.set()

        peer.nursery.start_soon(close)
        ((_, said),) = await peer.frames_until(CLOSE)
        assert said[:2] == (1000).to_bytes(2)
        await trio.sleep(0.05)
        assert not closed.is_set()
        with pytest.raises(ConnectionLost) as refused:
            await peer.transport.send("more")
        assert refused.value.code == 1000
        await peer.stream.send_all(frame(PING, b"?") + frame(CLOSE, close_payload(1000)))
        await closed.wait()
        assert await peer.stream.receive_some() == b""  # and no pong


async def test_a_csms_that_does_not_close_is_given_two_seconds() -> None:
    async with raw_peer() as peer:
        begin = trio.current_time()
        await peer.transport.aclose()
        assert 2.0 <= trio.current_time() - begin < 4.0


async def test_what_a_listener_raises_ends_its_nursery_and_nothing_else() -> None:
    class Wrong(Exception):
        pass

    def fail(_: object) -> None:
        raise Wrong

    async def listen_and_fail(peer: RawPeer) -> None:
        async with trio.open_nursery() as nursery:
            peer.transport.listen(nursery, fail, fail)
            await peer.stream.send_all(frame(TEXT, b"x") * 3)
            await trio.sleep_forever()

    async with raw_peer(listening=False) as peer:
        with pytest.raises(ExceptionGroup) as failed:
            await listen_and_fail(peer)
        assert [type(each) for each in failed.value.exceptions] == [Wrong]

    async with raw_peer() as another:
        await another.stream.send_all(frame(TEXT, b"goes on"))
        assert await another.inbox.receive() == "goes on"


async def test_a_mistake_in_reading_ends_the_nursery_of_its_connection_and_not_the_poller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Wrong(Exception):
        pass

    def misread(transport: WebSocketTransport, data: bytes) -> None:
        raise Wrong

    async def listen_and_misread(peer: RawPeer) -> None:
        async with trio.open_nursery() as nursery:
            peer.transport.listen(nursery, _ignore, _ignore)
            with monkeypatch.context() as mistaken:
                mistaken.setattr(WebSocketTransport, "_take", misread)
                await peer.stream.send_all(frame(TEXT, b"x"))
                await trio.sleep_forever()

    async with raw_peer() as another, raw_peer(listening=False) as peer:
        with pytest.raises(ExceptionGroup) as failed:
            await listen_and_misread(peer)
        assert [type(each) for each in failed.value.exceptions] == [Wrong]
        await another.stream.send_all(frame(TEXT, b"goes on"))
        assert await another.inbox.receive() == "goes on"


def _ignore(_: object) -> None:
    pass


async def test_a_message_that_must_wait_goes_out_whole_and_those_after_it_in_their_order() -> None:
    async with raw_peer() as peer:
        texts = [MUCH, "second", MUCH, "fourth"]
        for text in texts:
            peer.nursery.start_soon(peer.transport.send, text)
            await wait_all_tasks_blocked(0.01)
        pings = b"".join(frame(PING, b"%d" % number) for number in range(50))
        await peer.stream.send_all(pings)
        await wait_all_tasks_blocked(0.01)
        frames = await peer.frames_until(TEXT, b"fourth")

        assert [payload for opcode, payload in frames if opcode == TEXT] == [text.encode() for text in texts]
        pongs = [payload for opcode, payload in frames if opcode == PONG]
        assert pongs == [b"49"]  # the newest speaks for all


async def test_a_pong_that_finds_no_room_goes_out_when_there_is_some() -> None:
    async with raw_peer() as peer:
        sending = trio.Event()

        async def send() -> None:
            await peer.transport.send(MUCH)
            sending.set()

        peer.nursery.start_soon(send)
        await wait_all_tasks_blocked(0.01)
        await peer.stream.send_all(frame(PING, b"now"))
        await wait_all_tasks_blocked(0.01)
        frames = await peer.frames_until(PONG)
        await sending.wait()
        assert [opcode for opcode, _ in frames] == [TEXT, PONG]


async def test_a_message_that_is_cut_short_ends_the_connection() -> None:
    async with raw_peer() as peer:
        with trio.move_on_after(0.05) as scope:
            await peer.transport.send(MUCH)
        assert scope.cancelled_caught
        assert (await lost(peer)).code == 1006
        with pytest.raises(ConnectionLost):
            await peer.transport.send("more")


async def test_who_waits_behind_a_message_that_is_cut_short_is_told_that_it_is_over() -> None:
    async with raw_peer() as peer:
        refused = []

        async def send() -> None:
            with pytest.raises(ConnectionLost) as told:
                await peer.transport.send("behind")
            refused.append(told.value.code)

        async with trio.open_nursery() as nursery:
            with trio.move_on_after(0.1):
                nursery.start_soon(send)
                nursery.start_soon(send)
                await peer.transport.send(MUCH)
        assert refused == [1006, 1006]


async def test_a_send_that_the_socket_takes_at_once_waits_for_nothing() -> None:
    async with raw_peer() as peer:
        assert peer.transport.begin_send("one") is None
        rest = peer.transport.begin_send(MUCH)
        assert rest is not None
        with trio.move_on_after(0.01):
            await rest


async def test_pings_are_answered_by_their_pongs_or_by_later_ones() -> None:
    async with raw_peer() as peer:
        ponged = []

        async def ping(number: int) -> None:
            await peer.transport.ping()
            ponged.append(number)

        for number in range(3):
            peer.nursery.start_soon(ping, number)
            await wait_all_tasks_blocked(0.01)
        payloads = list(peer.transport._pings or ())
        await peer.stream.send_all(frame(PONG, b"nobody asked"))
        await trio.sleep(0.02)
        assert ponged == []
        await peer.stream.send_all(frame(PONG, payloads[1]))
        await trio.sleep(0.02)
        assert sorted(ponged) == [0, 1]
        await peer.stream.send_all(frame(PONG, payloads[2]))
        await trio.sleep(0.02)
        assert sorted(ponged) == [0, 1, 2]


async def test_a_ping_on_a_connection_that_ends_says_so() -> None:
    async with raw_peer() as peer:
        peer.nursery.start_soon(peer.stream.aclose)
        for _ in range(2):
            with pytest.raises(ConnectionLost) as told:
                await peer.transport.ping()
            assert told.value.code == 1006


async def test_an_end_over_a_slow_line_comes_behind_what_was_said_before_it() -> None:
    async with raw_peer() as peer:
        peer.transport.slow_down(Slowness(lambda: 0.2))
        begin = trio.current_time()
        await peer.stream.send_all(frame(TEXT, b"goodbye"))
        await peer.stream.aclose()
        assert await peer.inbox.receive() == "goodbye"
        assert (await lost(peer)).code == 1006
        assert trio.current_time() - begin >= 0.2


async def test_nothing_of_a_message_is_kept_between_two() -> None:
    async with raw_peer() as peer:
        await peer.stream.send_all(frame(TEXT, b"a" * 100_000) + frame(PING))
        await peer.inbox.receive()
        await peer.frames_until(PONG)

        assert isinstance(peer.transport._incoming, Incoming)
        assert peer.transport._incoming._reading is None
        assert peer.transport._early is None
        assert peer.transport._backlog is None
