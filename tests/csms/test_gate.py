"""What a stall holds up, in virtual time."""

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from loadsim.csms.gate import Gate


async def come(gate: Gate, at: float, number: int, through: list[tuple[float, int]]) -> None:
    await trio.sleep(at)
    await gate.passed()
    through.append((trio.current_time(), number))


async def test_an_open_gate_holds_up_nothing(autojump_clock: MockClock) -> None:
    gate = Gate()
    await gate.passed()

    assert (trio.current_time(), gate.held, gate.shut) == (0.0, 0, False)


async def test_what_comes_while_it_is_shut_is_let_through_afterwards_in_its_order(autojump_clock: MockClock) -> None:
    gate, through = Gate(), list[tuple[float, int]]()
    async with trio.open_nursery() as nursery:
        gate.close()
        for number in range(50):
            nursery.start_soon(come, gate, 1 + number / 100, number, through)
        await trio.sleep(5)
        assert through == []
        await gate.open()

    assert through == [(5.0, number) for number in range(50)]
    assert gate.held == 50


async def test_it_is_open_when_it_was_opened_as_often_as_it_was_shut(autojump_clock: MockClock) -> None:
    gate, through = Gate(), list[tuple[float, int]]()
    async with trio.open_nursery() as nursery:
        gate.close()
        gate.close()
        nursery.start_soon(come, gate, 0, 1, through)
        await trio.sleep(2)
        await gate.open()
        await wait_all_tasks_blocked()
        assert (gate.shut, through) == (True, [])
        await trio.sleep(1)
        await gate.open()

    assert (gate.shut, through) == (False, [(3.0, 1)])


async def test_one_that_comes_again_and_again_does_not_keep_it_shut(autojump_clock: MockClock) -> None:
    gate = Gate()

    async def loop() -> None:
        while True:
            await gate.passed()
            await trio.lowlevel.checkpoint()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            gate.close()
            for _ in range(3):
                nursery.start_soon(loop)
            await trio.sleep(1)
            await gate.open()
            assert not gate.shut
            nursery.cancel_scope.cancel()


async def test_cancelled_while_it_opens_it_is_open(autojump_clock: MockClock) -> None:
    gate, through = Gate(), list[tuple[float, int]]()
    async with trio.open_nursery() as nursery:
        gate.close()
        for number in range(3):
            nursery.start_soon(come, gate, 0, number, through)
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await gate.open()

    assert not gate.shut
    assert sorted(number for _, number in through) == [0, 1, 2]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)), min_size=1, max_size=5),
    st.lists(st.integers(0, 40), min_size=1, max_size=20, unique=True),
)
def test_each_waits_exactly_for_the_end_of_all_stalls_that_overlap(
    whole: list[tuple[int, int]], arrivals: list[int]
) -> None:
    """Stalls begin at whole seconds and end at quarters past, and who comes comes at half past."""
    through: list[tuple[float, int]] = []
    stalls = [(begin, begin + seconds + 0.25) for begin, seconds in whole]

    async def stall(gate: Gate, begin: float, end: float) -> None:
        await trio.sleep(begin)
        gate.close()
        await trio.sleep(end - begin)
        await gate.open()

    async def main() -> None:
        gate = Gate()
        async with trio.open_nursery() as nursery:
            for begin, end in stalls:
                nursery.start_soon(stall, gate, begin, end)
            for at in arrivals:
                nursery.start_soon(come, gate, at + 0.5, at, through)

    trio.run(main, clock=MockClock(autojump_threshold=0))

    def passes(at: float) -> float:
        while ends := [end for begin, end in stalls if begin <= at < end]:
            at = max(ends)
        return at

    assert {at: when for when, at in through} == {at: passes(at + 0.5) for at in arrivals}
