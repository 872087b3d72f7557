"""A line that is held and slowed down: the bytes arrive whole, in order, and not too early.

The two ends are sockets of this machine, so that what is sent is there at once, and the clock is virtual.
"""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.link.transport import Slowness
from tests.link.line import Line, sockets

pytestmark = [pytest.mark.network, pytest.mark.timed]

TICK: Final = 0.01
"""Seconds in which what was sent is surely read, if it can be."""
CLOCK: Final = 0.001
"""Real seconds of quiet after which the virtual clock jumps."""


def steady(latency: float, bandwidth: float | None = None) -> Slowness:
    return Slowness(lambda: latency, bandwidth)


class End:
    """One end of a connection, read to its end; *got* is what came, *at* when."""

    def __init__(self, connected: socket.socket, nursery: trio.Nursery) -> None:
        connected.setblocking(False)
        self.stream = Line(connected, nursery)
        self.got = bytearray()
        self.at: list[tuple[int, float]] = []
        self.end: BaseException | float | None = None

    async def read(self) -> None:
        self.stream.begin()
        try:
            while data := await self.stream.receive_some():
                self.got += data
                self.at.append((len(self.got), trio.current_time()))
            self.end = trio.current_time()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.end = error

    def arrived(self, size: int) -> float:
        """Return when the first *size* bytes had come."""
        return next(at for total, at in self.at if total >= size)


@asynccontextmanager
async def ends(*, idle: bool = False) -> AsyncIterator[tuple[End, End, trio.Nursery]]:
    """Yield the end that is in trouble, the other one, which is not read if *idle*, and a nursery for their tasks."""
    async with trio.open_nursery() as nursery:
        near, far = sockets()
        here, there = End(near, nursery), End(far, nursery)
        try:
            nursery.start_soon(here.read)
            if not idle:
                nursery.start_soon(there.read)
            yield here, there, nursery
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await here.stream.aclose()
                await there.stream.aclose()


@pytest.fixture
def virtual() -> MockClock:
    return MockClock(autojump_threshold=CLOCK)


async def test_who_sends_does_not_wait_for_the_latency(virtual: MockClock) -> None:
    async with ends() as (here, there, nursery):
        here.stream.slow_down(steady(0.5), nursery)
        begin = trio.current_time()
        await here.stream.send_all(b"a")
        await there.stream.send_all(b"x")
        await trio.sleep(0.001)
        await here.stream.send_all(b"b")
        await there.stream.send_all(b"y")
        assert trio.current_time() - begin == pytest.approx(0.001)
        await trio.sleep(2)

        assert (bytes(there.got), bytes(here.got)) == (b"ab", b"xy")
        for end in (here, there):
            assert [at - begin for _, at in end.at] == pytest.approx([0.5, 0.501])


async def test_bandwidth_lets_a_large_message_trickle_both_ways(virtual: MockClock) -> None:
    async with ends() as (here, there, nursery):
        here.stream.slow_down(steady(0.5, 8000.0), nursery)
        begin = trio.current_time()
        await here.stream.send_all(bytes(16_000))
        await there.stream.send_all(bytes(16_000))
        assert trio.current_time() == begin
        await trio.sleep(5)

        for end in (here, there):
            assert end.arrived(16_000) - begin == pytest.approx(2.5)
            assert end.arrived(8000) - begin == pytest.approx(1.5, abs=0.2)


async def test_a_sender_waits_when_much_is_under_way_already(virtual: MockClock) -> None:
    async with ends() as (here, there, nursery):
        here.stream.slow_down(steady(0.0, 10_000.0), nursery)
        begin = trio.current_time()
        await here.stream.send_all(bytes(100_000))
        assert trio.current_time() == begin
        with trio.move_on_after(1) as scope:
            await here.stream.send_all(b"given up")
        assert scope.cancelled_caught
        await here.stream.send_all(b"end")
        assert trio.current_time() - begin == pytest.approx(3.45, abs=0.3)  # 64 KiB are left
        await trio.sleep(10)

        assert bytes(there.got) == bytes(100_000) + b"end"


async def test_the_end_comes_behind_what_is_under_way(virtual: MockClock) -> None:
    async with ends() as (here, there, nursery):
        here.stream.slow_down(steady(1.0), nursery)
        begin = trio.current_time()
        await there.stream.send_all(b"goodbye")
        await there.stream.aclose()
        await trio.sleep(3)

        assert bytes(here.got) == b"goodbye"
        assert here.end == pytest.approx(begin + 1.0)


async def test_a_reset_breaks_a_slow_stream(virtual: MockClock) -> None:
    async with ends() as (here, there, nursery):
        here.stream.slow_down(steady(1.0), nursery)
        there.stream.reset_on_close()
        await there.stream.aclose()
        await trio.sleep(3)
        assert isinstance(here.end, trio.BrokenResourceError)

        await here.stream.send_all(b"into the void")
        await trio.sleep(3)
        with pytest.raises(trio.BrokenResourceError):
            await here.stream.send_all(b"more")


async def test_closing_drops_what_is_under_way_and_leaves_no_task(virtual: MockClock) -> None:
    async with ends() as (here, there, _):
        async with trio.open_nursery() as carriers:
            here.stream.slow_down(steady(100.0), carriers)
            begin = trio.current_time()
            await here.stream.send_all(b"never")
            await there.stream.send_all(b"never")
            await trio.sleep(1)
            await here.stream.aclose()
        await trio.sleep(1)

        assert trio.current_time() - begin < 3
        assert isinstance(here.end, trio.ClosedResourceError)
        assert (bytes(here.got), bytes(there.got)) == (b"", b"")
        assert there.end is not None
        with pytest.raises(trio.ClosedResourceError):
            await here.stream.send_all(b"more")


async def test_while_held_nothing_passes_and_then_all_does(virtual: MockClock) -> None:
    async with ends() as (here, there, nursery):
        here.stream.hold()
        nursery.start_soon(here.stream.send_all, b"out")
        await there.stream.send_all(b"in")
        await trio.sleep(5)
        assert (bytes(here.got), bytes(there.got)) == (b"", b"")

        here.stream.release()
        await trio.sleep(TICK)
        assert (bytes(here.got), bytes(there.got)) == (b"in", b"out")


async def test_a_held_stream_lets_the_others_window_fill(virtual: MockClock) -> None:
    async with ends() as (here, there, nursery):
        here.stream.hold()
        data = bytes(range(256)) * 100_000
        sent = trio.Event()

        async def send() -> None:
            await there.stream.send_all(data)
            sent.set()

        nursery.start_soon(send)
        await trio.sleep(5)
        assert not sent.is_set()

        here.stream.release()
        with trio.fail_after(1000):
            while len(here.got) < len(data):  # noqa: ASYNC110
                await trio.sleep(TICK)
        assert bytes(here.got) == data


async def test_a_send_in_the_middle_of_which_the_stream_is_held_goes_on_where_it_was(virtual: MockClock) -> None:
    async with ends(idle=True) as (here, there, nursery):
        data = bytes(range(256)) * 100_000
        nursery.start_soon(here.stream.send_all, data)
        await trio.sleep(1)  # the other side reads nothing yet: the buffers are full
        here.stream.hold()
        await is_held_and_goes_on(here, there, nursery, data)


async def is_held_and_goes_on(here: End, there: End, nursery: trio.Nursery, data: bytes) -> None:
    nursery.start_soon(there.read)
    await trio.sleep(1)
    held = len(there.got)
    await trio.sleep(10)
    assert 0 < len(there.got) == held < len(data)

    here.stream.release()
    with trio.fail_after(1000):
        while len(there.got) < len(data):  # noqa: ASYNC110
            await trio.sleep(TICK)
    assert bytes(there.got) == data


async def test_closing_a_held_stream_wakes_all_who_wait(virtual: MockClock) -> None:
    async with ends() as (here, _, nursery):
        here.stream.hold()
        refused = trio.Event()

        async def send() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await here.stream.send_all(b"never")
            refused.set()

        nursery.start_soon(send)
        await trio.sleep(1)
        begin = trio.current_time()
        await here.stream.aclose()
        await refused.wait()
        await here.stream.released()
        await trio.sleep(TICK)

        assert isinstance(here.end, trio.ClosedResourceError)
        assert trio.current_time() - begin == pytest.approx(TICK)


async def test_a_stream_that_is_held_while_slow_delivers_what_was_due_at_its_release(virtual: MockClock) -> None:
    async with ends() as (here, there, nursery):
        begin = trio.current_time()
        here.stream.slow_down(steady(1.0), nursery)
        await here.stream.send_all(b"out")
        await there.stream.send_all(b"in")
        await trio.sleep(0.5)
        here.stream.hold()
        await trio.sleep(4.5)
        assert (bytes(here.got), bytes(there.got)) == (b"", b"")

        here.stream.release()
        await trio.sleep(TICK)
        assert (bytes(here.got), bytes(there.got)) == (b"in", b"out")
        assert here.arrived(2) - begin == pytest.approx(5.0)


async def test_what_comes_while_a_slow_stream_is_held_is_late_from_its_release_on(virtual: MockClock) -> None:
    async with ends() as (here, there, nursery):
        here.stream.slow_down(steady(1.0), nursery)
        await trio.sleep(TICK)
        here.stream.hold()
        await there.stream.send_all(b"in")
        await trio.sleep(5)
        here.stream.release()
        begin = trio.current_time()
        await trio.sleep(2)

        assert here.arrived(2) - begin == pytest.approx(1.0, abs=TICK)


async def test_what_is_carried_slowly_stops_when_the_stream_is_held(virtual: MockClock) -> None:
    async with ends(idle=True) as (here, there, nursery):
        data = bytes(range(256)) * 100_000
        here.stream.slow_down(steady(0.0), nursery)
        await here.stream.send_all(data)
        await trio.sleep(1)  # the other side reads nothing yet: the buffers are full
        here.stream.hold()
        await is_held_and_goes_on(here, there, nursery, data)


async def test_a_slow_stream_takes_no_more_than_it_can_carry(virtual: MockClock) -> None:
    async with ends() as (here, there, nursery):
        here.stream.slow_down(steady(0.0, 8000.0), nursery)
        sent = trio.Event()

        async def send() -> None:
            await there.stream.send_all(bytes(50_000_000))
            sent.set()

        nursery.start_soon(send)
        await trio.sleep(5)
        assert len(here.got) <= 40_000
        assert not sent.is_set()


async def test_a_reset_is_told_to_the_other_side(virtual: MockClock) -> None:
    near, far = sockets()
    async with trio.open_nursery() as nursery:
        line = Line(near, nursery)
        line.reset_on_close()
        await line.aclose()
    with pytest.raises(OSError) as told:  # noqa: PT011 - its number is what counts
        far.recv(1)
    assert told.value.errno == errno.ECONNRESET
    far.close()


# Any sequence of troubles.

durations = st.floats(0.001, 3.0)
operations = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 40_000)),
    st.tuples(st.just("receive"), st.integers(1, 16_000)),
    st.tuples(st.just("slow"), st.tuples(durations, durations, st.none() | st.floats(2_000.0, 1e6))),
    st.tuples(st.just("fast"), st.none()),
    st.tuples(st.just("hold"), st.none()),
    st.tuples(st.just("release"), st.none()),
    st.tuples(st.just("wait"), durations),
)


class Story:
    """Does one operation after the other to one end, and knows before when no byte may be there."""

    def __init__(self, here: End, there: End, nursery: trio.Nursery) -> None:
        self.here = here
        self.there = there
        self.nursery = nursery
        self.slowest: tuple[float, float | None] = (0.0, None)
        self.held_since: float | None = None
        self.held: list[tuple[float, float]] = []
        self.sent = {"send": bytearray(), "receive": bytearray()}
        self.earliest: dict[str, list[tuple[int, float]]] = {"send": [], "receive": []}
        self._to_send, self._sending = trio.open_memory_channel[bytes](1000)
        self._random = random.Random(1)
        self._count = 0

    async def act(self, name: str, value: Any) -> None:
        if name in ("send", "receive"):
            self._count += 1
            data = (b"%d." % self._count) * value
            data = data[:value]
            self.sent[name] += data
            if name == "send":
                await self._to_send.send(data)
            else:
                await self.there.stream.send_all(data)
                if self.held_since is None:
                    self._expect("receive", value, len(self.sent["receive"]))
        elif name == "slow":
            low, more, bandwidth = value
            self.slowest = low, bandwidth
            self.here.stream.slow_down(Slowness(lambda: low + more * self._random.random(), bandwidth), self.nursery)
        elif name == "fast":
            self.slowest = 0.0, None
            self.here.stream.slow_down(None, self.nursery)
        elif name == "hold":
            self.here.stream.hold()
            self.held_since = self.held_since or trio.current_time()
        elif name == "release":
            self.release()
        else:
            await trio.sleep(value)
        await trio.sleep(TICK)

    def release(self) -> None:
        if self.held_since is not None:
            self.held.append((self.held_since, trio.current_time()))
            self.held_since = None
        self.here.stream.release()

    async def send(self) -> None:
        total = 0
        async for data in self._sending:
            await self.here.stream.send_all(data)
            total += len(data)
            self._expect("send", len(data), total)  # nothing has happened since it went

    def _expect(self, way: str, size: int, total: int) -> None:
        latency, bandwidth = self.slowest
        due = trio.current_time() + latency + (0.0 if bandwidth is None else size / bandwidth)
        self.earliest[way].append((total, due))

    def check(self) -> None:
        assert bytes(self.there.got) == bytes(self.sent["send"])
        assert bytes(self.here.got) == bytes(self.sent["receive"])
        for end, way in ((self.there, "send"), (self.here, "receive")):
            for total, due in self.earliest[way]:
                assert end.arrived(total) >= due - 1e-6, (way, total)
            for _, at in end.at:
                assert not any(since + TICK < at < until for since, until in self.held), (way, at)


@settings(max_examples=40, deadline=None)
@given(st.lists(operations, max_size=15))
@example([("slow", (1.0, 0.1, 2000.0)), *[("send", 40_000)] * 5, ("hold", None), ("wait", 3.0), ("fast", None)])
@example([("slow", (1.0, 2.0, None)), *[("receive", 100)] * 5, ("fast", None), ("receive", 10), ("send", 10)])
def test_whatever_happens_the_bytes_arrive_whole_in_order_and_not_too_early(
    operations: list[tuple[str, Any]],
) -> None:
    async def run() -> None:
        async with ends() as (here, there, nursery):
            story = Story(here, there, nursery)
            nursery.start_soon(story.send)
            for name, value in operations:
                await story.act(name, value)
            story.release()
            with trio.move_on_after(1000):
                while len(there.got) < len(story.sent["send"]) or len(here.got) < len(story.sent["receive"]):  # noqa: ASYNC110
                    await trio.sleep(0.5)
            story.check()

    trio.run(run, clock=MockClock(autojump_threshold=CLOCK))
