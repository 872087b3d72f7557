"""The TCP stream that acts first: what it promises beside speed."""

from __future__ import annotations

import socket

import pytest
import trio

from loadsim.link.eager_stream import EagerStream

pytestmark = pytest.mark.network


def pair() -> tuple[EagerStream, socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    return EagerStream(near), far


async def test_what_is_sent_arrives_whole_and_in_order_however_slowly_it_is_read() -> None:
    near, far = pair()
    data = bytes(range(256)) * 40_000
    got = bytearray()

    def read_slowly() -> None:
        while len(got) < len(data):
            got.extend(far.recv(50_000))

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, read_slowly)
            await near.send_all(data)
    assert bytes(got) == data
    await near.aclose()
    far.close()


async def test_a_blocked_send_can_be_cancelled_and_goes_no_further() -> None:
    near, far = pair()
    with trio.move_on_after(0.1) as scope:
        await near.send_all(b"x" * 50_000_000)
    assert scope.cancelled_caught
    await near.aclose()
    far.close()


async def test_receiving_waits_for_data_and_ends_with_nothing() -> None:
    near, far = pair()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                await trio.sleep(0.05)
                far.sendall(b"one")
                await trio.sleep(0.05)
                far.close()

            nursery.start_soon(talk)
            assert await near.receive_some() == b"one"
            assert await near.receive_some() == b""
    await near.aclose()


async def test_a_peer_that_resets_breaks_the_stream() -> None:
    near, far = pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far.close()
    with trio.fail_after(5):
        with pytest.raises(trio.BrokenResourceError):
            await near.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await near.send_all(b"x")
    await near.aclose()


async def test_closing_wakes_who_waits_and_ends_everything() -> None:
    near, far = pair()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:

            async def close() -> None:
                await trio.sleep(0.05)
                await near.aclose()

            nursery.start_soon(close)
            with pytest.raises(trio.ClosedResourceError):
                await near.receive_some()
        with pytest.raises(trio.ClosedResourceError):
            await near.receive_some()
        with pytest.raises(trio.ClosedResourceError):
            await near.send_all(b"x")
        await near.aclose()
    far.close()
