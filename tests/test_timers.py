"""Timers fall due at their moment, whichever of them were set, set again or unset before; alarms wake or ring."""

from __future__ import annotations

import itertools
import math
import weakref

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.alarm import Alarm
from loadsim.timers import TASK, Timer, _timers_of_this_run
from tests.support import in_virtual_time


class Noting(Timer):
    """A timer that notes when it falls due."""

    def __init__(self) -> None:
        super().__init__()
        self.fell_due: list[float] = []

    def fall_due(self) -> None:
        self.fell_due.append(trio.current_time())


moments = st.one_of(st.integers(0, 20).map(float), st.integers(0, 40).map(lambda number: number / 16))
orders = st.lists(
    st.tuples(moments, st.integers(0, 3), st.one_of(st.none(), moments, st.just(math.inf))), max_size=30
)


def expected(orders: list[tuple[float, int, float | None]], timer: int) -> list[float]:
    """Say when a timer falls due of which each order (at, timer, after; None: unset) is obeyed in turn."""
    due, fell_due = math.inf, []
    for at, number, after in sorted(orders, key=lambda order: order[0]):
        if number != timer:
            continue
        if due <= at:
            fell_due.append(due)
            due = math.inf
        due = math.inf if after is None else at + after
    return [*fell_due, due] if due < math.inf else fell_due


@pytest.mark.parametrize("least_pruned", [0, 3, 10_000])
@given(orders=orders)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_timer_falls_due_at_the_time_that_it_was_set_to_last(
    orders: list[tuple[float, int, float | None]], least_pruned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often what was unset is cleared away meanwhile, and wherever a slot ends."""
    monkeypatch.setattr("loadsim.timers._LEAST_PRUNED", least_pruned)
    monkeypatch.setattr("loadsim.timers._PRUNED_AT_A_TIME", 1)

    async def run() -> None:
        timers = [Noting() for _ in range(4)]
        begin = trio.current_time()
        for at, number, after in sorted(orders, key=lambda order: order[0]):
            await trio.sleep_until(begin + at)
            await trio.testing.wait_all_tasks_blocked()
            if after is None:
                timers[number].unset()
            else:
                timers[number].set(begin + at + after)
        await trio.sleep_until(begin + 100)
        for number, timer in enumerate(timers):
            assert [at - begin for at in timer.fell_due] == expected(orders, number)

    in_virtual_time(run)


async def test_those_of_one_moment_fall_due_in_the_order_in_which_they_were_set(autojump_clock: MockClock) -> None:
    order: list[int] = []

    class Named(Timer):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def fall_due(self) -> None:
            order.append(self.number)

    timers = [Named(number) for number in range(500)]
    for timer in timers:
        timer.set(7.0)

    await trio.sleep(8)

    assert order == list(range(500))


async def test_thousands_of_one_moment_let_others_go_on_between_them(autojump_clock: MockClock) -> None:
    timers = [Noting() for _ in range(1000)]
    for timer in timers:
        timer.set(1.0)
    seen: list[int] = []

    async def look() -> None:
        await trio.sleep_until(1.0)
        while len(seen) < 2 or seen[-1] < 1000:
            seen.append(sum(len(timer.fell_due) for timer in timers))
            await trio.lowlevel.checkpoint()

    await look()

    assert len(set(seen)) > 5


async def test_what_is_set_and_unset_for_a_far_moment_takes_no_place_for_ever(autojump_clock: MockClock) -> None:
    kept = [Noting() for _ in range(10)]
    for timer in kept:
        timer.set(3600.0)
    for number in range(30_000):
        timer = Noting()
        timer.set(3600.0 + number)
        timer.unset()
    forgotten = Noting()
    forgotten.set(1e6)
    forgotten.unset()
    gone = weakref.WeakSet[Noting]()
    for _ in range(30_000):
        timer = Noting()
        gone.add(timer)
        timer.set(1e5)
        timer.unset()
    assert len(gone) < 25_000
    forgotten.set(2e6)

    await trio.sleep_until(1e7)

    assert all(timer.fell_due == [3600.0] for timer in kept)
    assert forgotten.fell_due == [2e6]


async def test_thousands_that_are_unset_before_their_moment_wake_nobody_for_each(autojump_clock: MockClock) -> None:
    class Tasks(trio.abc.Instrument):
        steps = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.steps += task.name == TASK

    tasks = Tasks()
    many = [Noting() for _ in range(5000)]
    for number, timer in enumerate(many):
        timer.set(trio.current_time() + 30)
        await trio.sleep(0.001)
        if number % 2:
            timer.unset()
        else:
            timer.set(1000.0)
    trio.lowlevel.add_instrument(tasks)
    await trio.sleep_until(999)

    assert 0 < tasks.steps < 50
    assert {timer.queued_at for timer in many} == {1000.0, math.inf}

    await trio.sleep_until(1001)

    assert [len(timer.fell_due) for timer in many] == [1, 0] * 2500


async def test_there_is_no_task_when_nothing_is_set(autojump_clock: MockClock) -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    timer = Noting()
    for _ in range(2):  # and begins again
        timer.set(trio.current_time() + 5)
        await trio.sleep(1)
        assert trio.lowlevel.current_statistics().tasks_living == before + 1
        await trio.sleep(9)
        assert trio.lowlevel.current_statistics().tasks_living == before
    assert timer.fell_due == [5.0, 15.0]


async def test_an_alarm_sleeps_until_its_time_and_tells_that_it_did_not_ring(autojump_clock: MockClock) -> None:
    assert not await Alarm().sleep_until(12.5)
    assert trio.current_time() == 12.5


async def test_an_alarm_that_rings_ends_the_sleep_at_once(autojump_clock: MockClock) -> None:
    alarm = Alarm()

    async def ring() -> None:
        await trio.sleep(3)
        alarm.ring()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ring)
        assert await alarm.sleep_until(10)
    assert trio.current_time() == 3
    assert not await alarm.sleep_until(5)
    assert trio.current_time() == 5


async def test_to_ring_for_nobody_is_forgotten(autojump_clock: MockClock) -> None:
    alarm = Alarm()
    alarm.ring()

    assert not await alarm.sleep_until(4)
    assert trio.current_time() == 4


async def test_a_sleep_that_is_cancelled_leaves_an_alarm_as_it_was(autojump_clock: MockClock) -> None:
    alarm = Alarm()

    with trio.move_on_after(2):
        await alarm.sleep_until(5)
    assert trio.current_time() == 2

    assert not await alarm.sleep_until(20)
    assert trio.current_time() == 20


async def test_an_alarm_wakes_one_task_and_says_so_to_a_second(autojump_clock: MockClock) -> None:
    alarm = Alarm()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(alarm.sleep_until, 5.0)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="one task"):
            await alarm.sleep_until(3)


async def test_a_timer_that_is_put_off_to_one_time_again_and_again_does_not_fill_the_queue(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadsim.timers._LEAST_PRUNED", 50)
    put_off, another, before = Noting(), Noting(), Noting()
    far = trio.current_time() + 10_000
    before.set(far - 1)
    for _ in range(500):
        put_off.set(trio.current_time() + 1)
        await trio.sleep(2)
        put_off.set(far)
        another.set(trio.current_time() + 1)
        await trio.sleep(2)

    assert len(_timers_of_this_run()) <= 60
    await trio.sleep_until(far + 1)
    assert put_off.fell_due == [*(4.0 * number + 1 for number in range(500)), far]


async def test_clearing_a_full_queue_is_done_in_small_pieces(autojump_clock: MockClock) -> None:
    """Else a shard of 19,000 charge points stands still for 25 ms."""
    kept = [Noting() for _ in range(30_000)]
    for number, timer in enumerate(kept):
        timer.set(100.0 + number / 50)
    unset = [Noting() for _ in range(40_000)]
    for number, timer in enumerate(unset):
        timer.set(100.0 + number / 50)
        timer.unset()
    queue = _timers_of_this_run()
    sizes = [len(queue)]

    for number in range(10_000):
        kept[number].set(50.0)
        sizes.append(len(queue))

    fell = [before - after for before, after in itertools.pairwise(sizes)]
    assert max(fell) < 500
    assert sizes[-1] < 45_000
    await trio.sleep_until(1000.0)
    assert {len(timer.fell_due) for timer in kept} == {1}
    assert {len(timer.fell_due) for timer in unset} == {0}
