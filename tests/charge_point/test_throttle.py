"""Connects are paced: never faster than the cap, whatever has held them up, and a cap keeps nobody out for ever."""

from __future__ import annotations

import time

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.context import Throttle
from tests.support import in_virtual_time


class Door:
    """Counts who goes through a throttle, each of whom takes *seconds*."""

    def __init__(self, throttle: Throttle) -> None:
        self.throttle = throttle
        self.begun: list[float] = []
        self.inside = self.most_inside = 0

    async def go_through(self, seconds: float, gives_up_after: float = 1e9) -> None:
        with trio.move_on_after(gives_up_after):
            async with self.throttle:
                self.begun.append(trio.current_time())
                self.inside += 1
                self.most_inside = max(self.most_inside, self.inside)
                try:
                    await trio.sleep(seconds)
                finally:
                    self.inside -= 1

    def most_within(self, seconds: float) -> int:
        """Return how many began in the fullest span of so many seconds."""
        return max(sum(at <= other < at + seconds - 1e-6 for other in self.begun) for at in self.begun)


async def test_those_whom_slow_handshakes_have_held_up_come_no_faster_afterwards(autojump_clock: MockClock) -> None:
    door = Door(Throttle(50.0, 20))
    async with trio.open_nursery() as nursery:
        for n in range(200):
            nursery.start_soon(door.go_through, 5.0 if n < 20 else 0.01)
            await trio.lowlevel.checkpoint()  # one after the other

    assert len(door.begun) == 200
    assert door.most_inside == 20
    assert door.most_within(1.0) <= 50
    assert max(door.begun) == pytest.approx(5.0 + 179 / 50)


async def test_those_whom_this_machine_has_held_up_come_no_faster_afterwards() -> None:
    door = Door(Throttle(50.0, 100))
    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(door.go_through, 0.0)
        await trio.sleep(0.1)
        time.sleep(0.4)  # noqa: ASYNC251 - nobody comes to do anything

    gaps = [later - earlier for earlier, later in zip(door.begun, door.begun[1:], strict=False)]
    assert len(door.begun) == 40
    assert sum(gap < 0.01 for gap in gaps) <= 2  # 20 were due meanwhile


async def test_punctual_connects_keep_the_rate_exactly(autojump_clock: MockClock) -> None:
    door = Door(Throttle(10.0, 100))
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(door.go_through, 0.0)

    assert [round(at, 6) for at in door.begun] == [round(n / 10, 6) for n in range(50)]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 2), st.floats(0, 3) | st.just(1e9)), min_size=1, max_size=40),
    st.sampled_from([None, 3.0, 20.0]),
    st.integers(1, 5),
)
def test_whoever_gives_up_takes_nobodys_place_along(
    comers: list[tuple[float, float, float]], rate: float | None, in_flight: int
) -> None:
    async def run() -> None:
        door = Door(Throttle(rate, in_flight))

        async def come(at: float, seconds: float, gives_up_after: float) -> None:
            await trio.sleep(at)
            await door.go_through(seconds, gives_up_after)

        async with trio.open_nursery() as nursery:
            for each in comers:
                nursery.start_soon(come, *each)
        assert door.most_inside <= in_flight
        if rate is not None and door.begun:
            assert door.most_within(1.0) <= rate + 1
        came = len(door.begun)
        async with trio.open_nursery() as nursery:
            for _ in range(in_flight):
                nursery.start_soon(door.go_through, 5.0)
            await trio.sleep(4.0)
            assert door.inside == in_flight
        assert len(door.begun) == came + in_flight

    in_virtual_time(run)
