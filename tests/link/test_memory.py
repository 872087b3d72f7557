"""The pair in memory: the same troubles as on a wire, in virtual time."""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from loadsim.link.memory import MemoryTransport, memory_pair
from loadsim.link.transport import ConnectionLost, Slowness
from tests.support import in_virtual_time


class Reader:
    """Reads one end to its end; *got* is what came, and when."""

    def __init__(self, nursery: trio.Nursery, transport: MemoryTransport) -> None:
        self.got: list[tuple[str | bytes, float]] = []
        self.lost_at: float | None = None
        nursery.start_soon(self._read, transport)

    async def _read(self, transport: MemoryTransport) -> None:
        try:
            while True:
                self.got.append((await transport.receive(), round(trio.current_time(), 6)))
        except ConnectionLost:
            self.lost_at = trio.current_time()


def steady(latency: float, bandwidth: float | None = None) -> Slowness:
    return Slowness(lambda: latency, bandwidth)


async def test_while_an_end_is_held_nothing_passes_and_then_all_does_in_order(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    here, there = memory_pair()
    at_here, at_there = Reader(nursery, here), Reader(nursery, there)
    here.hold()
    for number in range(3):
        await there.send(f"{number}")
    nursery.start_soon(here.send, "late")
    await trio.sleep(5)
    assert (at_here.got, at_there.got) == ([], [])

    here.release()
    await wait_all_tasks_blocked()
    assert at_here.got == [("0", 5.0), ("1", 5.0), ("2", 5.0)]
    assert at_there.got == [("late", 5.0)]


async def test_what_was_sent_before_the_hold_is_there_for_who_reads_it_later(autojump_clock: MockClock) -> None:
    here, there = memory_pair()
    await here.send("before")
    await trio.sleep(1)
    here.hold()

    assert await there.receive() == "before"


async def test_a_send_that_is_cancelled_while_held_was_never_sent(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    here, there = memory_pair()
    at_there = Reader(nursery, there)
    here.hold()
    with trio.move_on_after(3):
        await here.send("given up")
    here.release()
    await here.send("sent")
    await wait_all_tasks_blocked()

    assert at_there.got == [("sent", 3.0)]


async def test_that_the_other_end_hung_up_is_seen_only_after_the_hold(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    here, there = memory_pair()
    at_here = Reader(nursery, here)
    here.hold()
    await there.send("goodbye")
    await there.abort()
    await trio.sleep(5)
    assert at_here.lost_at is None

    here.release()
    await wait_all_tasks_blocked()
    assert at_here.got == [("goodbye", 5.0)]
    assert at_here.lost_at == 5.0


@pytest.mark.parametrize("end", ["abort", "aclose", "reset"])
async def test_a_held_end_can_be_ended_and_nobody_hangs(
    autojump_clock: MockClock, nursery: trio.Nursery, end: str
) -> None:
    here, there = memory_pair()
    at_here, at_there = Reader(nursery, here), Reader(nursery, there)
    here.hold()
    lost = trio.Event()

    async def send() -> None:
        with pytest.raises(ConnectionLost):
            await here.send("never")
        lost.set()

    nursery.start_soon(send)
    await trio.sleep(1)
    await getattr(here, end)()
    await lost.wait()
    await wait_all_tasks_blocked()

    assert (at_here.lost_at, at_there.lost_at) == (1.0, 1.0)
    assert at_there.got == []


async def test_a_slow_end_delays_both_ways_and_holds_up_nobody(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    here, there = memory_pair()
    at_here, at_there = Reader(nursery, here), Reader(nursery, there)
    here.slow_down(steady(0.5))
    await here.send("a")
    await there.send("x")
    await trio.sleep(0.001)
    await here.send("b")
    await there.send("y")
    assert trio.current_time() == 0.001
    await trio.sleep(1)

    assert at_there.got == [("a", 0.5), ("b", 0.501)]
    assert at_here.got == [("x", 0.5), ("y", 0.501)]


async def test_two_slow_ends_add_up(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    here, there = memory_pair()
    at_there = Reader(nursery, there)
    here.slow_down(steady(0.5))
    there.slow_down(steady(0.25, bandwidth=10.0))
    await here.send("12345")
    await trio.sleep(5)

    assert at_there.got == [("12345", 1.25)]


async def test_after_a_slowness_what_is_under_way_arrives_first(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    here, there = memory_pair()
    at_there = Reader(nursery, there)
    here.slow_down(steady(2.0))
    await here.send("a")
    here.slow_down(None)
    await here.send("b")
    await trio.sleep(3)
    await here.send("c")
    await wait_all_tasks_blocked()

    assert at_there.got == [("a", 2.0), ("b", 2.0), ("c", 3.0)]


async def test_what_is_under_way_when_a_slow_end_is_closed_is_lost(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    here, there = memory_pair()
    at_there = Reader(nursery, there)
    here.slow_down(steady(2.0))
    await here.send("arrives")
    await trio.sleep(1)
    await here.send("lost")
    await trio.sleep(1.5)
    await here.reset()
    await trio.sleep(5)

    assert at_there.got == [("arrives", 2.0)]
    assert at_there.lost_at == 2.5


async def test_what_was_under_way_from_a_held_end_is_lost_with_it(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    here, there = memory_pair()
    at_there = Reader(nursery, there)
    here.slow_down(steady(2.0))
    await here.send("lost")
    await trio.sleep(1)
    here.hold()
    await trio.sleep(5)
    await here.abort()
    await wait_all_tasks_blocked()

    assert (at_there.got, at_there.lost_at) == ([], 6.0)


async def test_a_hang_up_is_heard_of_behind_what_is_under_way_to_a_slow_end(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    here, there = memory_pair()
    at_here = Reader(nursery, here)
    here.slow_down(steady(2.0))
    await there.send("goodbye")
    await trio.sleep(1)
    await there.abort()
    await trio.sleep(5)

    assert at_here.got == [("goodbye", 2.0)]
    assert at_here.lost_at == 3.0


async def test_a_ping_takes_a_round_trip_and_none_comes_back_from_a_held_end(autojump_clock: MockClock) -> None:
    here, there = memory_pair()
    here.slow_down(steady(0.5))
    await here.ping()
    assert trio.current_time() == 1.0

    there.hold()
    with trio.move_on_after(10) as scope:
        await here.ping()
    assert scope.cancelled_caught


durations = st.floats(0.001, 3.0)
operations = st.tuples(
    st.integers(0, 1),
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2000)),
        st.tuples(st.just("slow"), st.tuples(durations, durations, st.none() | st.floats(500.0, 1e5))),
        st.tuples(st.sampled_from(["fast", "hold", "release"]), st.none()),
        st.tuples(st.just("wait"), durations),
    ),
)


class Story:
    """Does one operation after the other to either end, and knows before when no message may be there."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.ends = memory_pair()
        self.readers = [Reader(nursery, end) for end in self.ends]
        self.slowest: list[tuple[float, float | None]] = [(0.0, None), (0.0, None)]
        self.sent: tuple[list[str], list[str]] = [], []
        self.earliest: tuple[list[float], list[float]] = [], []
        self._draws = random.Random(1)
        self._to_send = []
        for end in (0, 1):
            put, take = trio.open_memory_channel[str](1000)
            self._to_send.append(put)
            nursery.start_soon(self._send, end, take)

    async def act(self, end: int, name: str, value: Any) -> None:
        if name == "send":
            message = f"{len(self.sent[end])}.".ljust(value, "x")
            self.sent[end].append(message)
            await self._to_send[end].send(message)
        elif name == "slow":
            low, more, bandwidth = value
            self.slowest[end] = low, bandwidth
            self.ends[end].slow_down(Slowness(lambda: low + more * self._draws.random(), bandwidth))
        elif name == "fast":
            self.slowest[end] = 0.0, None
            self.ends[end].slow_down(None)
        elif name == "wait":
            await trio.sleep(value)
        else:
            getattr(self.ends[end], name)()
        await wait_all_tasks_blocked()

    async def _send(self, end: int, messages: trio.MemoryReceiveChannel[str]) -> None:
        async for message in messages:
            await self.ends[end].send(message)
            due = trio.current_time()
            for latency, bandwidth in self.slowest:
                due += latency + (0.0 if bandwidth is None else len(message) / bandwidth)
            self.earliest[end].append(due)

    def check(self) -> None:
        for end in (0, 1):
            got = self.readers[1 - end].got
            assert [message for message, _ in got] == self.sent[end]
            assert all(at >= due - 1e-5 for (_, at), due in zip(got, self.earliest[end], strict=True))


@given(st.lists(operations, max_size=25))
def test_whatever_happens_the_messages_arrive_in_order_and_not_too_early(
    operations: list[tuple[int, tuple[str, Any]]],
) -> None:
    async def run() -> None:
        async with trio.open_nursery() as nursery:
            story = Story(nursery)
            for end, (name, value) in operations:
                await story.act(end, name, value)
            for either in story.ends:
                either.release()
            await trio.sleep(1000)
            nursery.cancel_scope.cancel()
        story.check()

    in_virtual_time(run)


@pytest.mark.parametrize("passes", range(6))
async def test_what_is_being_received_while_its_end_is_aborted_is_not_handed_over(
    autojump_clock: MockClock, nursery: trio.Nursery, passes: int
) -> None:
    for _ in range(10):  # the order of what happens in one pass is drawn by trio
        here, there = memory_pair()
        got: list[str | bytes] = []
        here.listen(nursery, got.append, lambda lost: None)
        await wait_all_tasks_blocked()
        await there.send("too late")
        for _ in range(passes):
            await trio.lowlevel.checkpoint()
        before = list(got)
        await here.abort()
        await wait_all_tasks_blocked()

        assert got == before
