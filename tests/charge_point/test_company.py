"""Tasks in company end together, and are waited for together, as in a nursery of their own."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.company import Company


async def test_tasks_that_are_dismissed_are_cancelled_and_tidy_up_before_they_are_gone(
    autojump_clock: MockClock,
) -> None:
    done: list[str] = []

    async def work(name: str, takes: float) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(takes)
            done.append(name)

    async with trio.open_nursery() as nursery:
        company = Company()
        company.start(nursery, work, "slow", 5.0)
        company.start(nursery, work, "quick", 2.0)
        await trio.sleep(10)
        company.dismiss()
        await company.gone()

        assert done == ["quick", "slow"]
        assert trio.current_time() == 15


async def test_others_in_the_nursery_go_on(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        mine, others = Company(), Company()
        mine.start(nursery, trio.sleep_forever)
        others.start(nursery, trio.sleep, 20.0)
        await trio.sleep(1)
        mine.dismiss()
        await mine.gone()
        assert trio.current_time() == 1
        await others.gone()
        assert trio.current_time() == 20


async def test_what_is_started_after_the_dismissal_begins_and_is_cancelled(autojump_clock: MockClock) -> None:
    begun: list[str] = []

    async def work() -> None:
        begun.append("begun")
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        company = Company()
        company.dismiss()
        company.start(nursery, work)
        await company.gone()
    assert begun == ["begun"]


async def test_nobody_is_waited_for_where_nobody_is(autojump_clock: MockClock) -> None:
    await Company().gone()
    assert trio.current_time() == 0


async def test_what_a_task_raises_goes_to_the_nursery(autojump_clock: MockClock) -> None:
    async def work() -> None:
        await trio.sleep(3)
        raise ValueError("a mistake")

    with pytest.RaisesGroup(ValueError):
        async with trio.open_nursery() as nursery:
            company = Company()
            company.start(nursery, work)
            company.start(nursery, trio.sleep_forever)
            await company.gone()
    assert trio.current_time() == 3


async def test_who_waits_is_not_woken_by_a_cancellation_before_all_are_gone(autojump_clock: MockClock) -> None:
    async def work() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(7)

    async with trio.open_nursery() as nursery:
        company = Company()
        company.start(nursery, work)
        with trio.move_on_after(1):
            await company.gone()
        assert trio.current_time() == 7
