"""What the summary says of planned faults: counts that add up, exact times, and nothing where nothing is known."""

from __future__ import annotations

from typing import Any

import pytest

from loadsim.output.progress import Progress
from loadsim.output.summary import build_summary
from loadsim.scenario.plan import FaultPlan
from tests.output.builders import plan, progress, stage, take

STORM = FaultPlan(name="storm", do="drop", how="close", at=20.0)
DROPS = FaultPlan(name="drops", do="drop", how="reset", rate=0.01, end=60.0)
GARBAGE = FaultPlan(name="garbage", do="malformed", rate=0.01, kinds=("no_json", "huge"), end=60.0)


def run_with(*faults: FaultPlan) -> Progress:
    return progress(plan(faults=faults), elapsed=60.0)


def counted(fault: str, **counts: int) -> dict[str, int]:
    return {f"faults.{fault}.{what.replace('__', '.')}": count for what, count in counts.items()}


def told(run: Progress, fault: str) -> dict[str, Any]:
    numbers: dict[str, Any] = build_summary(run, duration=60.0)["faults"][fault]
    return numbers


def fault_books(run: Progress) -> list[str]:
    return [problem for problem in build_summary(run, duration=60.0)["books"] if problem.startswith("fault ")]


def test_a_fault_is_told_with_whom_it_hit_and_when_they_were_back() -> None:
    run = run_with(STORM)
    take(run, counters=counted("storm", hit=102, offline=101, gone=1, messages_lost=7), shard=0)
    take(run, recoveries={"storm": [n / 10 for n in range(1, 51)]}, shard=0)
    take(run, recoveries={"storm": [n / 10 for n in range(51, 101)]}, shard=1)

    assert told(run, "storm") == {
        "do": "drop",
        "how": "close",
        "moment_s": 20.0,
        "hit": 102,
        "offline": 101,
        "back": 100,
        "gone": 1,
        "missing": 0,
        "messages_lost": 7,
        "recovery_s": {"p50": 5.0, "p95": 9.5, "p100": 10.0},
    }
    assert fault_books(run) == []


def test_who_is_missing_counts_among_the_slowest_and_leaves_no_time_until_all_are_back() -> None:
    run = run_with(STORM)
    take(run, counters=counted("storm", hit=20, offline=20), recoveries={"storm": [1.0] * 18})

    assert told(run, "storm")["missing"] == 2
    assert told(run, "storm")["recovery_s"] == {"p50": 1.0, "p95": None, "p100": None}
    assert fault_books(run) == []


def test_a_fault_that_did_not_happen_has_no_times_and_one_by_a_rate_no_moment() -> None:
    numbers = told(run_with(DROPS), "drops")

    assert (numbers["hit"], numbers["moment_s"]) == (0, None)
    assert set(numbers["recovery_s"].values()) == {None}
    assert "malformed" not in numbers


def test_what_became_of_malformed_messages_is_told_for_each_kind_that_was_planned() -> None:
    run = run_with(GARBAGE)
    take(run, counters=counted("garbage", hit=5, sent__no_json=4, survived__no_json=3, closed__no_json=1))

    assert told(run, "garbage")["malformed"] == {
        "no_json": {"sent": 4, "survived": 3, "closed": 1},
        "huge": {"sent": 0, "survived": 0, "closed": 0},
    }
    assert fault_books(run) == []


def test_names_with_dots_are_kept_apart() -> None:
    short, long = FaultPlan(name="a", do="drop", at=1.0), FaultPlan(name="a.hit", do="drop", at=1.0)
    run = run_with(short, long)
    take(run, counters=counted("a", hit=3) | counted("a.hit", hit=5))

    assert (told(run, "a")["hit"], told(run, "a.hit")["hit"]) == (3, 5)


@pytest.mark.parametrize(
    ("counts", "back", "problem"),
    [
        ({"hit": 1, "offline": 2}, 0, "fault storm: 1 hit, 2 of them offline"),
        ({"hit": 2, "offline": 2, "gone": 1}, 2, "fault storm: 2 offline, 2 back and 1 gone"),
        ({"hit": 9, "offline": 9, "back": 1}, 2, "fault storm: 3 back, the times of 2 known"),
    ],
)
def test_books_of_a_fault_that_do_not_close_are_named(counts: dict[str, int], back: int, problem: str) -> None:
    run = run_with(STORM)
    take(run, counters=counted("storm", **{"offline": 0, **counts}))
    take(run, recoveries={"storm": [1.0] * back})

    assert fault_books(run) == [problem]


def test_more_malformed_messages_cannot_have_an_end_than_were_sent() -> None:
    run = run_with(GARBAGE)
    take(run, counters=counted("garbage", hit=1, sent__huge=1, survived__huge=1, closed__huge=1))

    assert fault_books(run) == ["fault garbage: 1 huge sent, 1 survived and 1 closed"]


def test_a_stage_says_who_was_to_be_online_and_for_how_long_they_were() -> None:
    stages = (stage("half", 20.0, 250), stage("full", 40.0, 500))
    run = progress(plan(stages=stages), elapsed=60.0)
    take(run, online_seconds={0: 2500.0, 1: 9_000.0}, shard=0)
    take(run, online_seconds={0: 2450.0, 1: 10_000.0}, shard=1)
    run.ended_at = 60.0

    half, full = (each["online"] for each in build_summary(run, duration=60.0)["stages"].values())
    assert half == {"planned_end": 250, "planned_seconds": 5000.0, "seconds": 4950.0, "share": 0.99}
    assert full == {"planned_end": 500, "planned_seconds": 20_000.0, "seconds": 19_000.0, "share": 0.95}


def test_a_stage_that_was_cut_short_is_held_against_the_time_it_had() -> None:
    stages = (stage("half", 20.0, 250), stage("full", 40.0, 500), stage("never", 10.0, 500, sessions=1.0))
    run = progress(plan(stages=stages, session=True), elapsed=30.0)
    take(run, online_seconds={0: 5000.0, 1: 5000.0})
    run.ended_at = 30.0

    of_stages = build_summary(run, duration=30.0)["stages"]
    assert of_stages["full"]["online"]["share"] == 1.0
    assert of_stages["never"]["online"] == {"planned_end": 500, "planned_seconds": 0.0, "seconds": 0.0, "share": None}
    assert of_stages["never"]["sessions"]["planned"] == 0.0


def test_drivers_of_a_stage_are_held_against_what_it_asked_for() -> None:
    stages = (stage("low", 20.0, 500, sessions=1.0), stage("high", 40.0, 500, sessions=5.0))
    run = progress(plan(stages=stages, session=True), elapsed=60.0)
    take(run, counters={"sessions.due.0": 19, "sessions.started.0": 18, "sessions.due.1": 203})
    take(run, counters={"sessions.due.1": 1, "sessions.started.1": 190, "sessions.no_free_connector.1": 9}, shard=1)
    run.ended_at = 60.0

    low, high = (each["sessions"] for each in build_summary(run, duration=60.0)["stages"].values())
    assert low == {"planned": 20.0, "due": 19, "started": 18, "no_free_connector": 0}
    assert high == {"planned": 200.0, "due": 204, "started": 190, "no_free_connector": 9}
