"""Doubts about the load of a scenario: drivers who find no connector, ramps that the caps cannot follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Final

from loadsim.charge_point.distribution import Distribution
from loadsim.charge_point.settings import SessionSettings
from loadsim.scenario.load_profile import stage_times
from loadsim.scenario.places import Places
from loadsim.scenario.plan import FleetPlan, Plan, Stage
from loadsim.scenario.session_arrivals import planned_sessions
from loadsim.units import duration_text, format_count, format_duration, format_things, rate_text, shown

_STAYS: Final = 64
"""Stays, equally likely ones, that stand for how they are spread."""
_MOMENTS: Final = 16
"""Moments of a stage that are looked at."""
_ROUNDING: Final = 1e-9


def warn_of_load(plan: Plan, places: Places) -> None:
    """Tell of drivers without a connector, and of connects that come later than the stages want them."""
    for fleet in plan.fleets:
        if fleet.settings.session is not None:
            _warn_of_nobody_online(plan.stages, fleet, places)
            _warn_of_few_connectors(plan.stages, fleet, fleet.settings.session, places)
    if plan.target.connect_rate is not None:
        _warn_of_connects(plan, plan.target.connect_rate, places)


def busy_connectors(stages: Sequence[Stage], fleet: str, session: SessionSettings, elapsed: float) -> float:
    """Return how many connectors the drivers who have come to *fleet* by then use, on average, if none has to wait.

    That is an infinite-server queue with arrivals by the stages: the expectation, over the stays S, of those planned
    in the last S seconds (Eick, Massey and Whitt, "The physics of the Mt/G/infinity queue", 1993, theorem 1).
    """
    come = planned_sessions(stages, fleet, elapsed)
    stays = _stays(session.plugged_in)
    left = fmean(planned_sessions(stages, fleet, max(0.0, elapsed - stay)) for stay in stays)
    return (1 - session.no_show) * (come - left)


def mean_stay(spread: Distribution) -> float:
    """Return the mean of *spread*; of a normal one that is cut off, to about a percent."""
    if spread.kind == "lognormal":
        return spread.a * math.exp(spread.b**2 / 2)
    return fmean(_stays(spread))


def _stays(spread: Distribution) -> list[float]:
    return [spread.draw((number + 0.5) / _STAYS) for number in range(_STAYS)]


def _warn_of_few_connectors(
    stages: Sequence[Stage], fleet: FleetPlan, session: SessionSettings, places: Places
) -> None:
    connectors = fleet.settings.connectors * max((stage.online.get(fleet.name, 0) for stage in stages), default=0)
    total = planned_sessions(stages, fleet.name, stage_times(stages)[-1][1])
    mean = mean_stay(session.plugged_in)
    most = max(stage.sessions.get(fleet.name, 0.0) for stage in stages)
    if not connectors or min(total, most * mean) * (1 - session.no_show) <= connectors:
        return
    moments = list(_moments(stages))
    users = [round(busy_connectors(stages, fleet.name, session, moment), 6) for _, moment in moments]
    busy = max(users)
    if busy <= connectors:
        return
    index, moment = moments[users.index(busy)]
    places.warn(
        ("stages", index, "sessions"),
        f"up to {_hourly(stages, fleet.name, index)} to the fleet {shown(fleet.name)}, each plugged in for "
        f"{format_duration(mean)} on average, need {format_count(round(busy))} connectors at "
        f"{duration_text(round(moment))}, and it has {format_count(connectors)}: about "
        f"{(1 - connectors / busy) * 100:.0f}% of the drivers will find none",
    )


def _moments(stages: Sequence[Stage]) -> Iterator[tuple[int, float]]:
    """Yield some moments of each stage, its end among them, with its index."""
    for index, (begin, end) in enumerate(stage_times(stages)):
        for part in range(1, _MOMENTS + 1) if end > begin else ():
            yield index, begin + (end - begin) * part / _MOMENTS


def _hourly(stages: Sequence[Stage], fleet: str, index: int) -> str:
    """Write the highest rate of a stage."""
    last = stages[index].sessions.get(fleet, 0.0)
    first = stages[index - 1].sessions.get(fleet, 0.0) if index and not stages[index].jump else last
    return f"{format_count(round(max(first, last) * 3600))}/h"


def _warn_of_nobody_online(stages: Sequence[Stage], fleet: FleetPlan, places: Places) -> None:
    before = 0
    for index, (stage, (begin, end)) in enumerate(zip(stages, stage_times(stages), strict=True)):
        online = stage.online.get(fleet.name, before)
        nobody = online == 0 and (before == 0 or stage.jump)
        before = online
        if not nobody:
            continue
        come = planned_sessions(stages, fleet.name, end) - planned_sessions(stages, fleet.name, begin)
        if come >= 0.5:
            places.warn(
                ("stages", index, "sessions"),
                f"about {format_things(round(come), 'driver')} for the fleet {shown(fleet.name)}, and none of its "
                "charge points is online: no connector will be found",
            )


def _warn_of_connects(plan: Plan, cap: float, places: Places) -> None:
    """Tell of ramps that are steeper than *cap*, connects a second, and of jumps that it draws out."""
    before = {fleet.name: 0 for fleet in plan.fleets}
    comes: list[tuple[int, int]] = []
    for index, stage in enumerate(plan.stages):
        online = before | stage.online
        comes.append((index, sum(max(0, online[name] - before[name]) for name in before)))
        before = online
    times = stage_times(plan.stages)
    changes = [
        index for index, stage in enumerate(plan.stages) if not index or stage.online != plan.stages[index - 1].online
    ]
    for index, count in comes:
        stage, (begin, end) = plan.stages[index], times[index]
        room = end - begin
        if stage.jump:  # it may take the stages that follow, too, as long as they keep these online
            room = next((times[other][0] for other in changes if other > index), times[-1][1]) - begin
        if count <= cap * room * (1 + _ROUNDING):
            continue
        asked = "at once" if stage.jump else f"in {duration_text(end - begin)} are {_per_second(count / room)}"
        left = f", and {duration_text(round(room, 3))} are left for it" if stage.jump else ""
        places.warn(
            ("stages", index, "online"),
            f"{format_things(count, 'connect')} {asked}, and csms.connect.rate lets {rate_text(cap)} through: it "
            f"takes {format_duration(count / cap)}{left}",
        )


def _per_second(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
