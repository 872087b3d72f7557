"""Connections that end badly, and that none of them takes another along."""

import errno
import json
import logging
import socket
import struct
from contextlib import suppress
from typing import cast

import pytest
import trio
from trio_websocket import ConnectionClosed

from loadsim.csms import lines as lines_module
from loadsim.csms.lines import LocalLines
from loadsim.csms.options import ServerOptions
from loadsim.csms.server import Client, Server, serve
from loadsim.errors import UsageError
from loadsim.scenario.plan import EmbeddedCsms
from loadsim.v16.central import Central
from tests.csms.peer import BOOT, GOOD_HANDSHAKE, Peer, connected, dial, request, running, settled

pytestmark = pytest.mark.network

UPGRADE = b"GET /evil HTTP/1.1\r\n" + GOOD_HANDSHAKE + b"\r\n"


def masked(first: int, payload: bytes = b"") -> bytes:
    return bytes([first, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


HOSTILE = {
    "garbage": b"\x00\xff" * 1000,
    "no http": b"hello\r\n\r\n",
    "half a handshake": b"GET /evil HTTP/1.1\r\nHost: csms\r\nUpgrade: webso",
    "an endless header": b"GET /evil HTTP/1.1\r\nX: " + b"x" * 100_000,
    "a plain request": b"GET /evil HTTP/1.1\r\nHost: csms\r\n\r\n",
    "a post": b"POST /evil HTTP/1.1\r\nHost: csms\r\nContent-Length: 1\r\n\r\nx",
    "a host that is no name": UPGRADE.replace(b"csms", b"xn--\xff.."),
    "a target that is no ascii": UPGRADE.replace(b"/evil", b"/\xe4"),
    "a version of its own": UPGRADE.replace(b"13", b"99"),
    "no masking": UPGRADE + b"\x81\x02{}",
    "a reserved opcode": UPGRADE + masked(0x83),
    "a reserved bit": UPGRADE + masked(0xC1, b"{}"),
    "no utf-8": UPGRADE + masked(0x81, b"\xff\xfe"),
    "a continuation of nothing": UPGRADE + masked(0x80, b"{}"),
    "half a frame": UPGRADE + b"\x81\xfe\xff\xff\0\0\0\0[2,",
    "a close code that is none": UPGRADE + masked(0x88, b"\x00\x01"),
    "a close of one byte": UPGRADE + masked(0x88, b"\x03"),
    "two closes": UPGRADE + masked(0x88, b"\x03\xe8") + masked(0x88, b"\x03\xe8"),
    "a frame after a close": UPGRADE + masked(0x88, b"\x03\xe8") + masked(0x81, b"[2]"),
    "a ping after a close": UPGRADE + masked(0x88, b"\x03\xe8") + masked(0x89, b"x"),
    "frames with the handshake": UPGRADE + masked(0x81, b"[2]") * 50,
}


@pytest.mark.parametrize("attack", HOSTILE)
@pytest.mark.parametrize("end", ["reset", "hang up"])
async def test_a_hostile_peer_takes_nobody_along(attack: str, end: str) -> None:
    async with running() as server, connected(server, boot=True) as peer:
        stream = await dial(server)
        async with stream:
            await stream.send_all(HOSTILE[attack])
            with trio.move_on_after(0.05), suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass
            if end == "reset":
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert await peer.ask("Heartbeat", {})
        async with connected(server, "/new") as newcomer:
            assert await newcomer.boot()


async def test_a_connection_that_breaks_the_library_is_counted() -> None:
    async with running() as server:
        await request(server, UPGRADE.replace(b"csms", b"xn--\xff.."))
        await settled(server, "broken", 1)


async def test_what_is_no_handshake_is_answered_400() -> None:
    async with running() as server:
        assert (await request(server, HOSTILE["a plain request"])).startswith(b"HTTP/1.1 400 ")


async def test_a_peer_that_never_asks_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "HANDSHAKE_TIMEOUT", 0.1)
    async with running() as server:
        async with await dial(server) as stream:
            assert await stream.receive_some() == b""
        assert server.record()["connections"]["no_request"] == 1


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)])
async def test_a_peer_that_leaves_within_its_handshake_is_not_waited_for(linger: bytes | None) -> None:
    async with running() as server:
        async with await dial(server) as stream:
            await stream.send_all(HOSTILE["half a handshake"])
            if linger is not None:  # it leaves with a reset
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with trio.fail_after(lines_module.HANDSHAKE_TIMEOUT / 2):
            await settled(server, "no_request", 1)


async def test_a_refused_peer_that_does_not_hang_up_is_cut_off() -> None:
    async with running(ServerOptions(password="x")) as server, await dial(server) as stream:
        await stream.send_all(UPGRADE)
        with trio.fail_after(5):
            response = b"".join([part async for part in stream])

    assert response.startswith(b"HTTP/1.1 401 ")


async def test_a_second_connection_replaces_the_first_and_keeps_what_is_known() -> None:
    async with running() as server, connected(server, boot=True) as first, connected(server) as second:
        assert await second.ask("Heartbeat", {})  # without a boot of its own
        assert await first.close_code() == 1008
        assert await second.ask("Heartbeat", {})
        assert server.connections == 1
        record = server.record()

    assert record["connections"]["replaced"] == 1
    assert record["connections"]["opened"] == 2
    assert record["connections"]["open_max"] == 1


async def test_a_replaced_connection_that_answers_nothing_is_cut_and_the_second_goes_on() -> None:
    async with running() as server, await dial(server) as first:
        await first.send_all(b"GET /CP1 HTTP/1.1\r\n" + GOOD_HANDSHAKE + b"\r\n")
        assert await first.receive_some()
        async with connected(server, boot=True) as second:
            with trio.fail_after(5):
                rest = b"".join([part async for part in first])
            assert b"\x03\xf0" in rest  # the close frame's 1008
            assert await second.ask("Heartbeat", {})
            assert server.connections == 1


async def test_a_replaced_connection_is_not_listened_to() -> None:
    async with running(latency=(0.8, 0.8), boot_status=("Rejected", "Accepted")) as server:
        async with connected(server) as first:
            await first.websocket.send_message(json.dumps([2, "1", "BootNotification", BOOT]))
            async with connected(server) as second:
                assert (await second.boot())["status"] == "Rejected"  # as to the first boot that counts

        assert server.record()["boots"] == {"Rejected": 1}


async def test_many_connections_of_one_identity_leave_one() -> None:
    async with running() as server, trio.open_nursery() as nursery:

        async def come_and_go() -> None:
            async with connected(server) as peer:
                with suppress(ConnectionClosed):
                    while True:
                        await peer.boot()
                        await trio.sleep(0.01)

        for _ in range(20):
            nursery.start_soon(come_and_go)
        await settled(server, "replaced", 19)
        assert server.connections == 1
        nursery.cancel_scope.cancel()


async def test_a_binary_frame_closes_the_connection_with_1003() -> None:
    async with running() as server, connected(server, boot=True) as peer:
        await peer.websocket.send_message(b'[2,"1","Heartbeat",{}]')

        assert await peer.close_code() == 1003
        assert server.record()["frames"]["binary"] == 1


async def test_a_huge_frame_closes_the_connection_with_1009_and_nothing_else() -> None:
    async with running() as server, connected(server, "/other", boot=True) as other, connected(server) as peer:
        huge = '[2,"1","Heartbeat",{"a":"' + "x" * (1 << 21) + '"}]'
        async with trio.open_nursery() as nursery:
            nursery.start_soon(try_to_send, peer, huge)
            assert await peer.close_code() == 1009
        assert await other.ask("Heartbeat", {})


async def try_to_send(peer: Peer, text: str) -> None:
    with suppress(ConnectionClosed):
        await peer.websocket.send_message(text)


async def test_a_frame_of_a_megabyte_is_read() -> None:
    async with running() as server, connected(server, boot=True) as peer:
        data = "x" * ((1 << 20) - 100)

        assert await peer.ask("DataTransfer", {"vendorId": "v", "data": data}) == {"status": "UnknownVendorId"}


async def test_the_end_of_the_server_closes_with_1001() -> None:
    central = Central(EmbeddedCsms())
    with trio.fail_after(10):
        async with trio.open_nursery() as clients, trio.open_nursery() as nursery:
            server = await nursery.start(serve, ServerOptions(), central)
            codes: list[int] = []

            async def stay(name: str, ready: trio.Event) -> None:
                async with connected(server, name, boot=True) as peer:
                    ready.set()
                    codes.append(await peer.close_code())

            for name in ("/A", "/B"):
                ready = trio.Event()
                clients.start_soon(stay, name, ready)
                await ready.wait()
            nursery.cancel_scope.cancel()

    assert codes == [1001, 1001]


async def test_a_peer_that_does_not_answer_the_goodbye_does_not_hold_up_the_end() -> None:
    with trio.fail_after(10):
        async with running() as server:
            stream = await dial(server)
            await stream.send_all(UPGRADE)
            assert await stream.receive_some()
            start = trio.current_time()
        assert trio.current_time() - start < 5
        await stream.aclose()


class Exhausted:
    """A listener of a process that has no descriptor left, at first."""

    def __init__(self) -> None:
        self.tried = 0
        self.socket = trio.socket.socket()

    async def accept(self) -> trio.SocketStream:
        self.tried += 1
        if self.tried < 3:
            raise OSError(errno.EMFILE, "Too many open files")
        return await trio.sleep_forever()


async def test_a_lack_of_descriptors_is_counted_and_survived() -> None:
    listener = Exhausted()
    await listener.socket.bind(("127.0.0.1", 0))
    lines = LocalLines[Client](cast("list[trio.SocketListener]", [listener]))
    server = Server(ServerOptions(), Central(EmbeddedCsms()), lines)
    with trio.move_on_after(0.5):
        await lines.serve(server)
    lines.close()

    assert listener.tried == 3
    assert server.record()["connections"]["accepts_failed"] == 2


async def test_a_port_in_use_is_said_clearly() -> None:
    async with running() as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1, port {port}: "):
            await serve(ServerOptions(port=port), Central(EmbeddedCsms()))


@pytest.mark.parametrize("options", [ServerOptions(host="no such host"), ServerOptions(port=99999)])
async def test_a_place_that_does_not_exist_is_said_clearly(options: ServerOptions) -> None:
    with trio.fail_after(10), pytest.raises(UsageError, match="cannot listen on"):
        await serve(options, Central(EmbeddedCsms()))


async def test_three_hundred_charge_points_come_at_once(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[object] = []

    async def boot(n: int) -> None:
        async with connected(server, f"/CP{n}") as peer:
            answers.append(await peer.boot())
            await everybody.wait()

    everybody = trio.Event()
    with caplog.at_level(logging.INFO):
        async with running() as server:
            async with trio.open_nursery() as nursery:
                for n in range(300):
                    nursery.start_soon(boot, n)
                while len(answers) < 300:  # noqa: ASYNC110
                    await trio.sleep(0.01)
                assert server.connections == 300
                everybody.set()
            record = json.loads(json.dumps(server.record()))

    assert record["connections"]["open_max"] == 300
    assert record["charge_points"] == {"known": 300, "accepted": 300}
    assert caplog.records == []
