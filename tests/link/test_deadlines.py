"""Deadlines: each that is reached expires at its very moment, and one that is not costs nearly nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.link.deadlines import Deadlines, deadlines_of_this_run
from tests.support import in_virtual_time


class Call:
    """Something that waits, at times, until a deadline."""

    def __init__(self, deadlines: Deadlines, name: str = "") -> None:
        self.deadlines = deadlines
        self.name = name
        self.entered_at = math.inf
        self.deadline = math.inf
        self.expired: list[float] = []
        self.asked = 0

    def begin(self, timeout: float) -> None:
        self.deadline = trio.current_time() + timeout
        if self.deadline < self.entered_at:
            self.deadlines.enter(self, self.deadline)

    def end(self) -> None:
        self.deadline = math.inf

    def expire(self) -> None:
        self.expired.append(trio.current_time())
        self.end()


@pytest.fixture
def calls() -> Callable[..., Call]:
    deadlines = Deadlines()
    return lambda name="": Call(deadlines, name)


async def test_a_deadline_is_reached_at_its_moment(autojump_clock: MockClock, calls: Callable[..., Call]) -> None:
    call = calls()
    call.begin(7.25)
    await trio.sleep(100)

    assert call.expired == [7.25]


async def test_an_end_before_the_deadline_is_the_end_of_it(
    autojump_clock: MockClock, calls: Callable[..., Call]
) -> None:
    call = calls()
    call.begin(7)
    await trio.sleep(6.999)
    call.end()
    await trio.sleep(100)

    assert call.expired == []


async def test_a_shorter_time_than_before_is_kept_to(autojump_clock: MockClock, calls: Callable[..., Call]) -> None:
    call = calls()
    call.begin(30)
    await trio.sleep(1)
    call.end()
    call.begin(2)
    await trio.sleep(100)

    assert call.expired == [3.0]


async def test_an_earlier_deadline_of_another_is_not_slept_through(
    autojump_clock: MockClock, calls: Callable[..., Call]
) -> None:
    late, early = calls(), calls()
    late.begin(30)
    await trio.sleep(1)
    early.begin(5)
    await trio.sleep(100)

    assert (early.expired, late.expired) == ([6.0], [30.0])


async def test_what_has_no_deadline_any_more_is_let_go(autojump_clock: MockClock, calls: Callable[..., Call]) -> None:
    call = calls()
    call.begin(30)
    call.end()
    await trio.sleep(31)

    assert call.entered_at == math.inf
    assert call.deadlines._entries == []


async def test_thousands_of_calls_that_are_answered_wake_nobody_for_each(
    autojump_clock: MockClock, calls: Callable[..., Call]
) -> None:
    class Tasks(trio.abc.Instrument):
        steps = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.steps += task.name == "deadlines of calls"

    tasks = Tasks()
    many = [calls() for _ in range(5000)]
    for call in many:
        call.begin(30)
        await trio.sleep(0.001)
        call.end()
    trio.lowlevel.add_instrument(tasks)
    await trio.sleep(100)

    assert 0 < tasks.steps < 50
    assert [call for call in many if call.entered_at < math.inf] == []


async def test_it_sleeps_in_no_task_when_nothing_is_watched(
    autojump_clock: MockClock, calls: Callable[..., Call]
) -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    call = calls()
    for _ in range(2):  # and begins again
        call.begin(5)
        await trio.sleep(1)
        assert trio.lowlevel.current_statistics().tasks_living == before + 1
        await trio.sleep(9)
        assert trio.lowlevel.current_statistics().tasks_living == before
    assert call.expired == [5.0, 15.0]


async def test_a_run_has_one_of_its_own() -> None:
    assert deadlines_of_this_run() is deadlines_of_this_run()


steps = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["begin", "end"]), st.integers(0, 40), st.integers(0, 20)),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(steps)
def test_whatever_begins_and_ends_each_expires_when_a_scope_of_its_own_would(
    steps: list[tuple[int, str, int, int]],
) -> None:
    """Calls of four, each with one open at a time, against the plain reckoning of when each must expire."""

    async def run() -> tuple[list[list[float]], list[list[float]]]:
        deadlines = Deadlines()
        four = [Call(deadlines) for _ in range(4)]
        due = [math.inf] * 4
        expected: list[list[float]] = [[] for _ in four]

        def pass_to(now: float) -> None:
            for which, at in enumerate(due):
                if at <= now:
                    expected[which].append(at)
                    due[which] = math.inf

        for which, what, timeout, pause in steps:
            call = four[which]
            if what == "end":
                call.end()
                due[which] = math.inf
            elif call.deadline == math.inf:
                call.begin(timeout + 0.5)
                due[which] = trio.current_time() + timeout + 0.5
            await trio.sleep(pause)
            pass_to(trio.current_time())
        await trio.sleep(100)
        pass_to(trio.current_time())
        return [call.expired for call in four], expected

    expired, expected = in_virtual_time(run)
    assert expired == expected
