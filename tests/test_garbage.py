"""The garbage policy: pauses as long as what is new, whatever is there and whatever goes."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from loadsim.garbage import GarbagePolicy

SOON = 0.3
"""Seconds in which whatever is new has been looked at, or frozen."""
FEW = 1_000
"""Objects that may be left over from looking for them."""


class Knot:
    """Garbage that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


@asynccontextmanager
async def collecting() -> AsyncIterator[list[float]]:
    """Collect by the policy, past its beginning; the list takes its pauses."""
    pauses: list[float] = []
    with GarbagePolicy(pauses) as policy:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(policy.run)
            await trio.sleep(SOON)
            yield pauses
            nursery.cancel_scope.cancel()


def young() -> int:
    return len(gc.get_objects(generation=0))


async def test_what_is_new_is_not_looked_at_for_ever(autojump_clock: MockClock) -> None:
    async with collecting():
        kept = [[number] for number in range(5_000)]

        await trio.sleep(SOON)

        assert young() < FEW
        assert len(kept) == 5_000


async def test_what_is_new_is_found_though_as_much_that_is_old_goes(autojump_clock: MockClock) -> None:
    async with collecting():
        kept = [[number] for number in range(20_000)]
        await trio.sleep(SOON)
        assert young() < FEW  # they are old now

        for number in range(20_000):
            kept[number] = [number]
        counted = gc.get_count()[0]
        assert counted < FEW < young()  # the collector's own count knows nothing of them
        await trio.sleep(SOON)

        assert young() < FEW


async def test_a_burst_that_would_take_long_is_frozen_unseen(autojump_clock: MockClock) -> None:
    async with collecting() as pauses:
        before = len(pauses)
        kept = [[number] for number in range(100_000)]

        await trio.sleep(0.06)

        assert young() < FEW
        assert len(pauses) == before
        assert len(kept) == 100_000


async def test_garbage_that_goes_on_coming_after_a_long_time_without_is_soon_found(autojump_clock: MockClock) -> None:
    gone: list[weakref.ref[Knot]] = []
    async with collecting():
        await trio.sleep(60)
        for _ in range(400):
            knots = [Knot() for _ in range(200)]
            gone.append(weakref.ref(knots[0]))
            del knots
            await trio.sleep(0.05)
        await trio.sleep(SOON)

        assert not any(ref() for ref in gone[200:])


async def test_every_collection_is_told(autojump_clock: MockClock) -> None:
    made = Counter[str]()
    gc.callbacks.append(lambda phase, _: made.update([phase]))
    try:
        async with collecting() as pauses:
            made.clear()
            before = len(pauses)
            await trio.sleep(60)

            assert len(pauses) - before == made["stop"] > 0
    finally:
        gc.callbacks.pop()


async def test_without_garbage_hardly_any_collection_is_made(autojump_clock: MockClock) -> None:
    async with collecting() as pauses:
        await trio.sleep(60)
        before = len(pauses)

        await trio.sleep(60)

        assert len(pauses) - before < 60 / 0.1 / 10


def test_the_collector_is_left_as_it_was() -> None:
    assert gc.isenabled()

    with GarbagePolicy([]):
        assert not gc.isenabled()

    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


async def test_what_is_collected_before_the_load_is_no_pause() -> None:
    pauses: list[float] = []

    with GarbagePolicy(pauses):
        assert not pauses
        gc.collect()
        assert len(pauses) == 1
