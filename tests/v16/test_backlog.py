"""The gauge of transaction messages not delivered yet: at any moment what the outboxes hold, and 0 at the end."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.memory import memory_of
from tests.support import Answer, Received, world
from tests.v16.sessions import PUNCTUAL, Book, go_offline


def kept(charge_points: list[ChargePoint]) -> int:
    outboxes = [memory_of(each).outbox for each in charge_points]
    return sum(len(outbox.kept) for outbox in outboxes if outbox is not None)


async def test_what_is_begun_offline_waits_and_what_is_delivered_does_not(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(configuration={"AllowOfflineTxForUnknownId": "true"})
        backlog = w.context.backlog
        await go_offline(w, 1000)
        w.arrive(charge_point, plugged_in=150.0, energy=50_000.0)
        seen = []
        for _ in range(5):
            await trio.sleep(45)
            seen.append(backlog.messages)
        await trio.sleep(1500)

        assert seen == [1, 2, 3, 4, 4]  # the start, a sample a minute, the stop
        assert backlog.messages == 0


@pytest.mark.parametrize("seed", range(3))
async def test_the_gauge_is_the_sum_of_the_outboxes_whatever_happens(autojump_clock: MockClock, seed: int) -> None:
    chance = Random(seed)

    def now_and_then(received: Received) -> Answer:
        return Answer(error="InternalError") if chance.random() < 0.4 else Answer()

    async with world(MeterValues=now_and_then, StopTransaction=Answer(error="InternalError"), **PUNCTUAL) as w:
        charge_points = [await w.online(n, configuration={"AllowOfflineTxForUnknownId": "true"}) for n in range(3)]
        most = 0
        for _ in range(120):
            chosen = chance.choice(charge_points)
            match chance.randrange(4):
                case 0:
                    w.arrive(chosen, plugged_in=chance.uniform(60.0, 600.0))
                case 1:
                    await go_offline(w, chance.uniform(10.0, 400.0))
                case 2:
                    chosen.reboot(30.0, abrupt=chance.random() < 0.5)
                case _:
                    pass
            await trio.sleep(chance.uniform(1.0, 120.0))
            assert w.context.backlog.messages == kept(charge_points)
            most = max(most, w.context.backlog.messages)

        assert most > 5
        for charge_point in charge_points:
            charge_point.stop()
        await trio.sleep(100)
        for charge_point in charge_points:
            charge_point.dialect.settle(charge_point)
        assert w.context.backlog.messages == 0
