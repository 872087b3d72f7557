"""Workers share the charge points: each exactly once, evenly, over every stretch of a ramp."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.charge_point.settings import ChargePointSettings
from loadsim.scenario.plan import FleetPlan, Plan, Target
from loadsim.scenario.shard import members


def plan_with(counts: list[int]) -> Plan:
    fleets = tuple(
        FleetPlan(name=f"f{index}", count=count, pattern="{n}", settings=ChargePointSettings(), tags={})
        for index, count in enumerate(counts)
    )
    return Plan(name="t", seed=1, target=Target(), tag_classes=(), fleets=fleets, stages=())


counts = st.lists(st.integers(1, 40), min_size=1, max_size=5)


@settings(derandomize=True, deadline=None)
@given(counts, st.integers(1, 9))
def test_every_charge_point_is_in_exactly_one_shard(counts: list[int], workers: int) -> None:
    plan = plan_with(counts)
    shards = [list(members(plan, k, workers)) for k in range(workers)]

    everybody = Counter(member for shard in shards for member in shard)
    assert everybody == Counter((index, n) for index, count in enumerate(counts) for n in range(count))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.data())
def test_each_shard_has_an_equal_part_of_a_ramp(count: int, workers: int, data: st.DataObject) -> None:
    started = data.draw(st.integers(0, count))
    plan = plan_with([3, count])

    parts = [sum(index == 1 and n < started for index, n in members(plan, k, workers)) for k in range(workers)]

    assert max(parts) - min(parts) <= 1


@pytest.mark.parametrize(("k", "workers"), [(2, 2), (-1, 2), (0, 0)])
def test_a_worker_that_does_not_exist_is_an_error(k: int, workers: int) -> None:
    with pytest.raises(ValueError, match=f"worker {k} of {workers}"):
        list(members(plan_with([1]), k, workers))
