"""The turn of a call: one at a time, first come first served, and nobody is forgotten."""

from __future__ import annotations

import trio
import trio.testing
from trio.testing import MockClock

from loadsim.charge_point.turn import Turn


async def hold(turn: Turn, name: str, seconds: float, took: list[tuple[str, float]]) -> None:
    await turn.take()
    took.append((name, trio.current_time()))
    try:
        await trio.sleep(seconds)
    finally:
        turn.release()


async def test_the_turn_is_taken_in_the_order_of_asking(autojump_clock: MockClock) -> None:
    turn, took = Turn(), list[tuple[str, float]]()
    async with trio.open_nursery() as nursery:
        for name in "abcd":
            nursery.start_soon(hold, turn, name, 1.0, took)
            await trio.testing.wait_all_tasks_blocked()

    assert took == [("a", 0.0), ("b", 1.0), ("c", 2.0), ("d", 3.0)]


async def test_one_who_gives_up_waiting_is_passed_over(autojump_clock: MockClock) -> None:
    turn, took = Turn(), list[tuple[str, float]]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, turn, "a", 10.0, took)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await turn.take()
        nursery.start_soon(hold, turn, "c", 1.0, took)

    assert took == [("a", 0.0), ("c", 10.0)]


async def test_one_who_is_cancelled_as_the_turn_comes_still_hands_it_on(autojump_clock: MockClock) -> None:
    turn, took = Turn(), list[tuple[str, float]]()
    async with trio.open_nursery() as nursery:
        await turn.take()
        with trio.CancelScope() as scope:
            nursery.start_soon(hold, turn, "b", 1.0, took)
            await trio.testing.wait_all_tasks_blocked()
            turn.release()
            scope.cancel()
        nursery.start_soon(hold, turn, "c", 1.0, took)

    assert [name for name, _ in took] == ["b", "c"]


async def test_a_cancelled_task_does_not_take_a_free_turn(autojump_clock: MockClock) -> None:
    turn = Turn()
    with trio.CancelScope() as scope:
        scope.cancel()
        await turn.take()

    await turn.take()  # would wait for ever if it were taken
