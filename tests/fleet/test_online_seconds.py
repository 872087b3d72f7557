"""How long charge points were online, by stage: exact, and held against what the plan wants."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.settings import Backoff
from loadsim.fleet import Fleet
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.snapshot import Totals
from loadsim.scenario.load_profile import planned_online_seconds, stage_at, stage_ends, stage_times
from loadsim.scenario.plan import Plan, Stage
from tests.fleet.test_fleet import STAGES, end_early, flat, make_plan
from tests.support import FakeCsms, boot, fake_csms, make_context

AT_ONCE = Backoff(first=3.0, factor=1.0, max=3.0, jitter=0.0)


async def online_seconds(
    plan: Plan,
    *,
    connect_delay: float = 0.0,
    boot_delay: float = 0.0,
    drop_at: float | None = None,
    end_at: float | None = None,
) -> dict[int, float]:
    async with fake_csms() as csms:
        csms.connect_delay = connect_delay
        csms.answers("BootNotification", boot("Accepted", delay=boot_delay))
        recorder = Recorder(stage_ends=stage_ends(plan.stages))
        context = make_context(
            csms, recorder=recorder, stage_at=lambda elapsed: stage_at(plan.stages, elapsed), seed=plan.seed
        )
        fleet = Fleet(plan, context, shard=0, workers=1)
        async with trio.open_nursery() as nursery:
            if drop_at is not None:
                nursery.start_soon(drop_all, csms, drop_at)
            if end_at is not None:
                nursery.start_soon(end_early, fleet, end_at)
            await fleet.run(graceful_stop=30.0)
            nursery.cancel_scope.cancel()
        totals = Totals()
        totals.add(recorder.fold(fleet.elapsed, gauges={}))
        return totals.online_seconds


async def drop_all(csms: FakeCsms, at: float) -> None:
    await trio.sleep(at)
    for connection in list(csms.connections):
        await connection.drop()


def planned(stages: Sequence[Stage]) -> dict[int, float]:
    seconds = {
        index: sum(planned_online_seconds(stages, fleet, begin, end) for fleet in "ab")
        for index, (begin, end) in enumerate(stage_times(stages))
    }
    return {index: each for index, each in seconds.items() if each}


async def test_a_csms_without_delay_has_charge_points_online_exactly_as_long_as_planned(
    autojump_clock: MockClock,
) -> None:
    seconds = await online_seconds(make_plan(authorize=None))

    assert seconds == pytest.approx(planned(STAGES), abs=1e-3)


async def test_it_takes_an_open_socket_and_an_accepted_boot_to_be_online(autojump_clock: MockClock) -> None:
    seconds = await online_seconds(make_plan(flat(20), authorize=None), connect_delay=1.0, boot_delay=0.5)

    assert seconds == pytest.approx({0: 4 * (20 - 1.5)}, abs=1e-6)


async def test_a_connection_that_breaks_is_time_offline_until_it_is_back(autojump_clock: MockClock) -> None:
    plan = make_plan(flat(20), authorize=None, reconnect=AT_ONCE)

    seconds = await online_seconds(plan, drop_at=10.0, connect_delay=1.0)

    assert seconds == pytest.approx({0: 4 * (20 - 1 - 3 - 1)}, abs=1e-6)


async def test_a_run_that_is_ended_early_counts_up_to_its_end(autojump_clock: MockClock) -> None:
    seconds = await online_seconds(make_plan(flat(20), authorize=None), end_at=7.0)

    assert seconds == pytest.approx({0: 4 * 7.0}, abs=1e-6)
