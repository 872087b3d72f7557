"""A virtual evening: a fleet by a whole scenario, from its file to its last frame, in the time of a `MockClock`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
import trio._core._run as _trio_run
from trio.testing import MockClock

from loadsim.charge_point.context import Clock, Context, Throttle
from loadsim.fleet import Fleet
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.snapshot import Totals
from loadsim.scenario.load_profile import stage_at
from loadsim.scenario.plan import Plan
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve
from loadsim.v16.configuration import initial_problem
from loadsim.v16.memory import connector_of, is_accepted, memory_of
from loadsim.v16.messages import BY_NAME
from tests.support import WALL, Ledger
from tests.v16.authorities import Held
from tests.v16.evening_csms import EveningCsms
from tests.v16.frames import Frame

SCENARIO = Path(__file__).with_name("evening.yaml")
TROUBLES = (150.0, 3400.0, 12.0)
"""When connections break: begin and end in seconds, and the mean seconds from one to the next."""
OUTAGE = (1800.0, 300.0)
"""When the CSMS is away, and for how long, in seconds."""


@dataclass(frozen=True)
class Evening:
    """An evening that is over."""

    plan: Plan
    csms: EveningCsms
    fleet: Fleet
    totals: Totals
    unknown: list[str]
    """Connectors of which the CSMS knew another status, just before the end, than they had."""

    @property
    def frames(self) -> list[Frame]:
        return self.csms.frames


def evening_plan(operator: Held, maker: Held) -> Plan:
    """Resolve the scenario of the evening, as `loadsim run` does."""
    certificates = {"OPERATOR": operator.pem, "MAKER": maker.pem, "SIGNER": maker.issue("signer").pem}
    scenario = read_scenario(SCENARIO, certificates, actions=list(BY_NAME), configuration=initial_problem)
    return resolve(scenario)


def spend(plan: Plan, operator: Held) -> Evening:
    """Spend the evening of *plan*; the same seed makes the same one, but for keys and certificates."""
    with pytest.MonkeyPatch.context() as patch:
        # In virtual time no wake-up is late; a tick of 10 ms would only cost 360,000 of them.
        patch.setattr("loadsim.fleet.fleet._TICK", 60.0)
        _trio_run._r.seed(plan.seed)  # pytest-trio has made the order of tasks depend on it, and on nothing else
        return trio.run(_spend, plan, operator, clock=MockClock(autojump_threshold=0))


async def _spend(plan: Plan, operator: Held) -> Evening:
    async with trio.open_nursery() as nursery:
        clock = Clock(WALL)
        csms = EveningCsms(nursery, plan, clock, operator)
        context = Context(
            recorder=Recorder(),
            clock=clock,
            connector=csms,
            throttle=Throttle(None, 100),
            stage_at=lambda elapsed: stage_at(plan.stages, elapsed),
            seed=plan.seed,
            run_id="evening-",
        )
        fleet = Fleet(plan, context)
        unknown: list[str] = []
        nursery.start_soon(csms.drive.run)
        csms.drive.begin()
        nursery.start_soon(csms.break_connections, *TROUBLES)
        nursery.start_soon(csms.be_down, *OUTAGE)
        nursery.start_soon(csms.replace_roots, [f"DC-{1 + n % 5:03}" for n in range(15)], 200.0)
        nursery.start_soon(_compare_statuses, fleet, csms, plan.duration - 1.0, unknown)
        await fleet.run(graceful_stop=30.0)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return Evening(plan, csms, fleet, Ledger(context.recorder).fold(), unknown)


async def _compare_statuses(fleet: Fleet, csms: EveningCsms, at: float, unknown: list[str]) -> None:
    """Hold what the CSMS knows of connectors against what they are, where nothing is on its way."""
    await trio.sleep_until(csms.clock.trio_time(at))
    for charge_point in fleet._charge_points.values():
        memory = memory_of(charge_point)
        if not charge_point.linked or not is_accepted(charge_point) or memory.outbox or charge_point._turn._taken:
            continue
        csms.told["compared"] += 1
        said = csms.central.charge_point(charge_point.identity).connector_status
        for number in range(charge_point.settings.connectors + 1):
            status = connector_of(charge_point, number).status
            if said[number] != status:
                unknown.append(f"{charge_point.identity} {number}: {status}, said {said[number]}")
