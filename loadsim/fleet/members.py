"""Which charge points a shard has, and which id tags come to them (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from loadsim.charge_point.tags import TagClassPool, TagPool
from loadsim.scenario.load_profile import online_intervals
from loadsim.scenario.plan import FleetPlan, Plan
from loadsim.scenario.shard import members


class Member(NamedTuple):
    """One charge point of the plan: its fleet, its number there and in the run, and when it is online."""

    fleet: FleetPlan
    n: int
    number: int
    intervals: tuple[tuple[float, float], ...]


def first_numbers(plan: Plan) -> Iterator[tuple[int, FleetPlan]]:
    """Yield each fleet with the number in the run that its first charge point has."""
    before = 0
    for fleet in plan.fleets:
        yield before, fleet
        before += fleet.count


def shard_members(plan: Plan, shard: int, workers: int) -> Iterator[Member]:
    """Yield the charge points of a shard that are online at some time."""
    before = [first for first, _ in first_numbers(plan)]
    for index, n in members(plan, shard, workers):
        fleet = plan.fleets[index]
        intervals = online_intervals(plan.stages, fleet.name, n, fleet.count)
        if intervals:
            yield Member(fleet, n, before[index] + n, intervals)


def is_first(member: Member) -> bool:
    """Tell whether it is the first charge point of its fleet, and is to be online from the run's beginning."""
    return member.n == 0 and member.intervals[0][0] == 0.0


def tag_pool(plan: Plan, shares: Mapping[str, float]) -> TagPool | None:
    """Return the tags of drivers, by the *shares* of their classes; None when there are none."""
    classes = [
        TagClassPool(tags.name, tags.expect, shares[tags.name], tags.count, tags.tag)
        for tags in plan.tag_classes
        if shares.get(tags.name, 0) > 0
    ]
    return TagPool(classes) if classes else None
