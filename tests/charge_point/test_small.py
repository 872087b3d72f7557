"""Thousands of charge points fit a process: what sleeps takes neither a task nor a scope (docs/design/0025)."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.settings import Arrivals, SessionSettings
from tests.support import World, fake_csms, make_context, tag_pool, world

GOOD = tag_pool(good=1)
SELDOM = Arrivals(rate=1 / 3600)


def tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="idle"),
        pytest.param({"authorize": SELDOM, "tags": GOOD}, id="authorizing"),
        pytest.param({"ping": 600.0}, id="pinging"),
    ],
)
async def test_a_charge_point_that_waits_is_one_task(autojump_clock: MockClock, settings: dict[str, Any]) -> None:
    async with world() as w:
        await w.online(0)  # what the shard has once is there
        before = tasks()
        for n in range(1, 11):
            w.start(n, **settings)
        await trio.sleep(5)

        # One is the charge point's; of a connection in memory each end has one that reads.
        assert tasks() - before <= 10 * 3 + 2


async def test_one_that_charges_is_a_task_more(autojump_clock: MockClock) -> None:
    async with world() as w:
        for n in range(10):
            await w.online(n, session=SessionSettings(), configuration={"MeterValueSampleInterval": "60"})
        await trio.sleep(5)
        before = tasks()
        for charge_point in w.charge_points:
            assert w.arrive(charge_point)
        await trio.sleep(100)

        assert w.context.charging == 10
        assert tasks() - before <= 10 + 1


async def test_a_charge_point_that_waits_has_no_cancel_scope_but_its_nurserys(autojump_clock: MockClock) -> None:
    def scopes() -> int:
        gc.collect()
        return sum(isinstance(each, trio.CancelScope) for each in gc.get_objects())

    async with world() as w:
        await w.online(0, authorize=SELDOM, tags=GOOD)
        await trio.sleep(5)
        before = scopes()
        for n in range(1, 11):
            await w.online(n, authorize=SELDOM, tags=GOOD)
        await trio.sleep(5)

        assert scopes() - before <= 10 + 1


async def test_what_falls_due_while_a_charge_point_is_being_cancelled_breaks_nothing(
    autojump_clock: MockClock,
) -> None:
    begun: list[int] = []

    async def begin(number: int) -> None:
        begun.append(number)
        await trio.sleep_forever()

    async with fake_csms() as csms, trio.open_nursery() as around:
        charge_point = World(around, csms, make_context(csms)).make()
        with trio.CancelScope() as life:

            async def cancel_and_spawn() -> None:
                await trio.sleep(5)
                charge_point.spawn(begin, -1)
                life.cancel()
                for number in range(20):  # passes of trio, in one of which its nursery is closed and not yet left
                    charge_point.spawn(begin, number)
                    charge_point.spawn_beside(begin, number)
                    await trio.lowlevel.checkpoint()

            around.start_soon(cancel_and_spawn)
            await charge_point.live()
        assert -1 in begun
        assert 19 not in begun
