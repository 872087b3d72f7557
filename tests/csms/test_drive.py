"""A plan of calls carried out, in virtual time: when calls fall due, and to whom."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from loadsim.csms.calling import Outcome
from loadsim.csms.options import ServerOptions
from loadsim.errors import UsageError
from loadsim.scenario.plan import EmbeddedCsms, PlannedCall, TagClass, follow_up_remote_start
from tests.csms.driven import Stage, planned, playing

# At a rate.


async def test_an_even_rate_is_kept_exactly(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=2.0, spacing="even")), 100) as stage:
        stage.boots("CP1")
    gaps = {round(later - before, 6) for before, later in zip(stage.times, stage.times[1:], strict=False)}

    assert len(stage.sent) in (199, 200)
    assert gaps == {0.5}


async def test_a_poisson_rate_is_kept_on_average(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=20.0)), 100) as stage:
        stage.boots("CP1")

    assert 1800 < len(stage.sent) < 2200
    assert stage.numbers() == {"due": len(stage.sent), "called": len(stage.sent)}


async def test_slow_charge_points_do_not_thin_the_load(autojump_clock: MockClock) -> None:
    stage = Stage(planned(rate=1.0, spacing="even"))
    stage.delay = 60.0
    async with playing(stage, 30):
        stage.boots("CP1")

    assert len(stage.sent) in (29, 30)


async def test_a_rate_is_spread_over_all_that_match(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=10.0, to="AC-*")), 100) as stage:
        for name in ("AC-1", "AC-2", "AC-3", "DC-1"):
            stage.boots(name)
    counts = Counter(each.identity for each in stage.sent)

    assert set(counts) == {"AC-1", "AC-2", "AC-3"}
    assert min(counts.values()) > 250


async def test_a_call_without_anybody_to_take_it_is_counted(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=1.0, spacing="even")), 10) as stage:
        stage.boots("CP1", "Pending")
    due = stage.numbers()["due"]

    assert due in (9, 10)
    assert stage.numbers() == {"due": due, "no_target": due}


async def test_who_has_left_or_is_refused_is_not_called(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=1.0)), 20) as stage:
        for name in ("CP1", "CP2", "CP3"):
            stage.boots(name)
        stage.leaves("CP1")
        stage.boots("CP3", "Rejected")

    assert {each.identity for each in stage.sent} == {"CP2"}


async def test_who_connects_again_without_a_boot_is_called(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=1.0)), 20) as stage:
        stage.boots("CP1")
        stage.leaves("CP1")
        stage.drive.entered("CP1")

    assert len(stage.sent) > 5


async def test_a_window_bounds_what_falls_due(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=10.0, begin=5.0, end=7.0)), 20) as stage:
        stage.boots("CP1")

    assert stage.times
    assert min(stage.times) >= 5
    assert max(stage.times) < 7


async def test_the_same_seed_makes_the_same_calls(autojump_clock: MockClock) -> None:
    async def play(seed: int) -> list[tuple[float, str]]:
        begin = trio.current_time()
        async with playing(Stage(planned(rate=1.0), seed=seed), 20) as stage:
            for number in range(5):
                stage.boots(f"CP{number}")
        return [(round(each.at - begin, 3), each.identity) for each in stage.sent]

    first = await play(7)

    assert await play(7) == first
    assert await play(8) != first


# Of each charge point.


async def test_each_charge_point_has_a_rate_of_its_own(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("Reset", each=0.01 / 3600)), 3600) as stage:
        for number in range(10_000):
            stage.boots(f"CP{number}")

    assert 70 < len(stage.sent) < 130  # 1 % an hour of 10,000
    assert len({each.identity for each in stage.sent}) > 60
    assert stage.payloads[0] == {"type": "Soft"}


async def test_what_each_gets_does_not_depend_on_the_others(autojump_clock: MockClock) -> None:
    async def play(count: int) -> list[float]:
        begin = trio.current_time()
        async with playing(Stage(planned(each=0.1)), 100) as stage:
            for number in range(count):
                stage.boots(f"CP{number}")
        return [round(each.at - begin, 3) for each in stage.sent if each.identity == "CP0"]

    assert await play(1) == await play(20) != []


async def test_what_falls_due_at_a_charge_point_that_is_away_is_counted(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(each=1.0, spacing="even")), 10) as stage:
        stage.boots("CP1")
        await trio.sleep(5)
        stage.leaves("CP1")

    assert stage.numbers()["called"] == 5
    assert stage.numbers()["no_target"] in (9, 10)


async def test_a_reconnect_begins_no_second_schedule(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(each=1.0, spacing="even")), 10) as stage:
        for _ in range(4):
            stage.boots("CP1")

    assert len(stage.sent) in (9, 10)


# At a moment.


async def test_at_a_moment_every_known_charge_point_is_called_once(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(at=5.0)), 100) as stage:
        for number in range(20):
            stage.boots(f"CP{number}")
        await trio.sleep(10)
        stage.boots("late")

    assert sorted(each.identity for each in stage.sent) == sorted(f"CP{number}" for number in range(20))
    assert set(stage.times) == {5.0}


@pytest.mark.parametrize(("count", "share", "chosen"), [(10, 0.5, 5), (7, 0.5, 4), (1000, 0.013, 13), (3, 0.0, 0)])
async def test_a_share_is_exact(count: int, share: float, chosen: int, autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(at=1.0, share=share)), 2) as stage:
        for number in range(count):
            stage.boots(f"CP{number}")

    assert len({each.identity for each in stage.sent}) == len(stage.sent) == chosen


async def test_the_seed_chooses_the_share_whatever_the_order_of_arrival(autojump_clock: MockClock) -> None:
    async def play(seed: int, numbers: list[int]) -> set[str]:
        async with playing(Stage(planned(at=1.0, share=0.3), seed=seed), 2) as stage:
            for number in numbers:
                stage.boots(f"CP{number}")
        return {each.identity for each in stage.sent}

    upwards = await play(1, list(range(100)))

    assert await play(1, list(range(99, -1, -1))) == upwards
    assert await play(2, list(range(100))) != upwards


async def test_calls_at_a_moment_are_spread_evenly(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(at=10.0, over=120.0)), 200) as stage:
        for number in range(4):
            stage.boots(f"CP{number}")

    assert stage.times == [10.0, 40.0, 70.0, 100.0]


async def test_a_known_charge_point_that_is_away_at_its_moment_is_counted(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(at=10.0)), 20) as stage:
        for number in range(4):
            stage.boots(f"CP{number}")
        stage.leaves("CP2")

    assert stage.numbers() == {"due": 4, "called": 3, "no_target": 1}


async def test_a_moment_at_which_nobody_is_known_is_counted(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(at=10.0)), 20) as stage:
        pass

    assert stage.numbers() == {"due": 1, "no_target": 1}


# Beginning and end.


async def test_nothing_begins_before_it_is_told_to(autojump_clock: MockClock) -> None:
    stage = Stage(planned(rate=1.0, spacing="even"), PlannedCall(name="each", send="ClearCache", each=1.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.drive.run)
        stage.boots("CP1")
        await trio.sleep(100)
        before = len(stage.sent)
        stage.drive.begin()
        await trio.sleep(10)
        nursery.cancel_scope.cancel()

    assert before == 0
    assert len(stage.sent) > 10
    assert min(stage.times) >= 100


async def test_after_the_end_nothing_falls_due_and_calls_come_to_their_ends(autojump_clock: MockClock) -> None:
    ended = []
    stage = Stage(planned(rate=1.0, spacing="even"), PlannedCall(name="boot", send="ClearCache", on="boot"))
    stage.delay = 5.0
    call = stage.drive._call

    async def watched(*arguments: Any, **options: Any) -> Outcome:
        outcome = await call(*arguments, **options)
        ended.append(trio.current_time())
        return outcome

    stage.drive._call = watched
    async with playing(stage, 100):
        stage.boots("CP1")
        await trio.sleep(10)
        stage.drive.rest()
        stage.boots("CP2")

    assert len(stage.sent) == len(ended) <= 11
    assert max(stage.times) <= 10 < max(ended)


def test_a_plan_of_which_no_request_can_be_made_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'it', UpdateFirmware: .*location"):
        Stage(planned("UpdateFirmware", rate=1.0))
    with pytest.raises(UsageError, match="Heartbeat is for the charge point to send"):
        Stage(planned("Heartbeat", rate=1.0))
    with pytest.raises(UsageError, match="the same name"):
        Stage(planned(rate=1.0), planned(rate=2.0))


def test_a_plan_travels_as_json() -> None:
    calls = (planned(rate=1.0), follow_up_remote_start((TagClass(name="a", count=3, pattern="A{n}"),)))
    options = ServerOptions(behaviour=EmbeddedCsms(calls=calls))

    assert msgspec.json.decode(msgspec.json.encode(options), type=ServerOptions) == options
