"""Doubts about the faults of a scenario: those that hit nobody, and those whose end is not seen."""

from __future__ import annotations

from collections.abc import Sequence

from loadsim.scenario.load_profile import planned_online, planned_online_seconds
from loadsim.scenario.model_faults import FaultModel
from loadsim.scenario.places import Places
from loadsim.scenario.plan import FaultPlan, FleetPlan, Plan
from loadsim.units import duration_text, format_things, rate_text, share_text, shown


def warn_of_faults(plan: Plan, models: Sequence[FaultModel], places: Places) -> None:
    """Tell of faults that hit nobody or hardly ever, and of those that last longer than the run."""
    stages = {stage.name for stage in plan.stages}
    for index, (fault, model) in enumerate(zip(plan.faults, models, strict=True)):
        if model.at is not None and model.at.stage is None and model.at.text in stages:
            places.warn(
                ("faults", index, "at"),
                f"{model.at.text} is a stage's name, too; this is the moment {model.at.text} after the run's "
                f"beginning, and that of the stage is written {model.at.text}+0s",
            )
        doubt = hits_nobody(plan, fault)
        if doubt is not None:
            places.warn(("faults", index), doubt)
        elif fault.at is not None and fault.at + fault.duration > plan.duration:
            places.warn(
                ("faults", index, "for"),
                f"it lasts until {duration_text(fault.at + fault.duration)}, and the run ends at "
                f"{duration_text(plan.duration)}: who would be back later is not seen",
            )


def hits_nobody(plan: Plan, fault: FaultPlan) -> str | None:
    """Return why *fault* hits nobody, or hardly ever; None where it hits, or its rate of 0 says that it is not to.

    A share is of each fleet, and so is its rounding.
    """
    fleets = [fleet for fleet in plan.fleets if fault.fleet in (None, fleet.name)]
    whose = "" if fault.fleet is None else f" of the fleet {shown(fault.fleet)}"
    if fault.at is not None:
        among = [planned_online(plan.stages, fleet.name, fault.at) for fleet in fleets]
        if not any(among):
            return f"it hits nobody: no charge point{whose} is to be online at {duration_text(fault.at)}"
        return _rounds_to_nobody(fault, among, f"{whose} to be online at {duration_text(fault.at)}")
    among = [fleet.count for fleet in fleets]
    doubt = _rounds_to_nobody(fault, among, whose)
    return doubt or _hardly_ever(plan, fault, fleets)


def planned_hits(plan: Plan, fault: FaultPlan) -> int:
    """Return how many charge points a *fault* that has its moment is to hit."""
    fleets = [fleet for fleet in plan.fleets if fault.fleet in (None, fleet.name)]
    return sum(round(fault.share * planned_online(plan.stages, fleet.name, fault.at or 0.0)) for fleet in fleets)


def _rounds_to_nobody(fault: FaultPlan, among: Sequence[int], which: str) -> str | None:
    if any(round(fault.share * count) for count in among):
        return None
    each = " in each fleet" if len(among) > 1 else ""
    return (
        f"it hits nobody: {share_text(fault.share)} of {format_things(sum(among), 'charge point')}{which} "
        f"rounds to none{each}"
    )


def _hardly_ever(plan: Plan, fault: FaultPlan, fleets: Sequence[FleetPlan]) -> str | None:
    if not fault.rate:
        return None
    seconds = sum(
        planned_online_seconds(plan.stages, fleet.name, fault.begin, fault.end)
        * (round(fault.share * fleet.count) / fleet.count)
        for fleet in fleets
    )
    times = fault.rate * seconds
    if times >= 0.5:
        return None
    return (
        f"it will hardly happen: {rate_text(fault.rate)} of each charge point, which are to be online for "
        f"{duration_text(round(seconds))} in all, is {times:.2g} times"
    )
