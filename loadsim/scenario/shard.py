"""Which charge points worker k of n simulates (pure): round robin, so each gets an equal part of every ramp."""

from __future__ import annotations

from collections.abc import Iterator

from loadsim.scenario.plan import Plan


def members(plan: Plan, k: int, workers: int) -> Iterator[tuple[int, int]]:
    """Yield (index of the fleet, number in the fleet from 0) of each charge point of worker *k* of *workers*.

    Raises:
        ValueError: *k* is not in 0 .. *workers* - 1.
    """
    if not 0 <= k < workers:
        raise ValueError(f"worker {k} of {workers}")
    before = 0
    for index, fleet in enumerate(plan.fleets):
        for n in range((k - before) % workers, fleet.count, workers):
            yield index, n
        before += fleet.count
