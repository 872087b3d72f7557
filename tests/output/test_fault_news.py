"""What is said of faults while the run goes on: whom they hit, when they were back, and never a flood."""

from __future__ import annotations

from itertools import pairwise

import pytest

from loadsim.output.progress import Progress
from loadsim.scenario.plan import FaultPlan
from tests.output.builders import plan, progress, stage, take
from tests.output.test_console_screen import line, picture

STORM = FaultPlan(name="csms_restart", do="drop", how="close", at=100.0)
DROPS = FaultPlan(name="lte_drops", do="drop", how="reset", rate=0.2 / 3600, end=3600.0)
DAY = 86400.0


def run_with(*faults: FaultPlan, seconds: float = 600.0) -> Progress:
    return progress(plan(faults=faults, stages=(stage("main", seconds, 5000),)), workers=2)


def counted(fault: str, **counts: int) -> dict[str, int]:
    return {f"faults.{fault}.{what}": count for what, count in counts.items()}


def told(run: Progress) -> list[tuple[float, str]]:
    return [(happening.at, happening.text) for happening in run.happenings]


def test_a_storm_is_told_once_all_workers_have_and_again_when_all_are_back() -> None:
    run = run_with(STORM)
    take(run, at=100.5, counters=counted("csms_restart", hit=2500, offline=2500), shard=0)
    take(run, at=100.6, counters=counted("csms_restart", hit=2487, offline=2487), shard=1)
    take(run, at=101.5, recoveries={"csms_restart": [1.0] * 2500}, shard=0)
    take(run, at=130.0, recoveries={"csms_restart": [20.0] * 2486}, shard=1)
    take(run, at=148.5, recoveries={"csms_restart": [48.2]}, shard=1)
    take(run, at=149.0, shard=0)

    assert told(run) == [
        (101.5, "fault csms_restart: 4,987 offline"),
        (148.5, "fault csms_restart: all 4,987 back after 48.2s"),
    ]


def test_who_is_back_within_the_moment_is_still_told_of_first() -> None:
    run = run_with(STORM)
    take(run, at=100.5, counters=counted("csms_restart", hit=1, offline=1), recoveries={"csms_restart": [0.2]})
    for at in (101.5, 102.0, 102.5):
        take(run, at=at)

    assert [text for _, text in told(run)] == [
        "fault csms_restart: 1 offline",
        "fault csms_restart: back after 200ms",
    ]


def test_those_that_the_plan_took_offline_meanwhile_are_not_waited_for() -> None:
    run = run_with(STORM)
    take(run, at=100.5, counters=counted("csms_restart", hit=10, offline=10))
    take(run, at=102.0, recoveries={"csms_restart": [2.0] * 7})
    take(run, at=110.0, counters=counted("csms_restart", gone=3))

    assert told(run)[-1] == (
        110.0,
        "fault csms_restart: all 7 back after 2.0s, 3 taken offline by the plan meanwhile",
    )


@pytest.mark.parametrize(
    ("do", "offline", "sentence"),
    [("slow", 0, "500 slowed down"), ("slow", 3, "500 slowed down, 3 offline"), ("csms", 500, "500 offline")],
)
def test_a_fault_that_is_no_drop_says_whom_it_hit_and_whom_it_took_offline(
    do: str, offline: int, sentence: str
) -> None:
    run = run_with(FaultPlan(name="trouble", do=do, at=100.0, duration=60.0))  # type: ignore[arg-type]
    take(run, at=100.5, counters=counted("trouble", hit=500, offline=offline))
    take(run, at=101.5)
    take(run, at=110.0)

    assert [text for _, text in told(run)] == [f"fault trouble: {sentence}"]


def test_a_charge_point_that_is_dropped_now_and_then_is_told_of_when_it_is_back() -> None:
    run = run_with(DROPS)
    for second in range(1, 200):
        counters = counted("lte_drops", hit=1, offline=1) if second == 123 else {}
        take(run, at=float(second), counters=counters, recoveries={"lte_drops": [7.0]} if second == 130 else {})

    assert told(run) == [(130.0, "fault lte_drops: 1 dropped, back after 7.0s")]


def test_one_that_stays_away_is_told_of_all_the_same() -> None:
    run = run_with(DROPS)
    for second in range(1, 200):
        take(run, at=float(second), counters=counted("lte_drops", hit=1, offline=1) if second == 123 else {})

    assert told(run) == [(132.0, "fault lte_drops: 1 dropped, 1 not yet back")]


@pytest.mark.parametrize(("seconds", "gap"), [(600.0, 5.0), (DAY, 60.0)])
def test_a_fault_that_happens_all_the_time_says_a_sentence_now_and_then_and_all_of_them_add_up(
    seconds: float, gap: float
) -> None:
    run = run_with(DROPS, seconds=seconds)
    lines: list[tuple[float, str]] = []
    for half in range(1, 1200):
        recoveries = {"lte_drops": [5.0]} if half > 10 else {}
        take(run, at=half / 2, counters=counted("lte_drops", hit=1, offline=1), recoveries=recoveries)
        lines += [each for each in told(run) if each not in lines]

    assert 600 / gap / 3 < len(lines) <= 600 / gap + 1
    assert min(after[0] - before[0] for before, after in pairwise(lines)) >= gap
    assert 1190 - 4 * gap < sum(int(text.split()[2]) for _, text in lines) <= 1199


def test_the_screen_says_how_many_are_back_while_a_fault_is_open() -> None:
    run = run_with(STORM, DROPS)
    take(run, at=100.5, counters=counted("csms_restart", hit=4990, offline=4990, gone=3))
    assert line(picture(run), "faults").split()[1:] == ["csms_restart", "0", "of", "4,987", "back"]

    take(run, at=103.0, recoveries={"csms_restart": [2.0] * 3120}, counters=counted("lte_drops", hit=2, offline=2))
    shown = line(picture(run), "faults")
    assert "csms_restart 3,120 of 4,987 back   lte_drops 2 offline" in shown

    take(run, at=120.0, recoveries={"csms_restart": [9.0] * 1867, "lte_drops": [5.0, 6.0]})
    assert "\nfaults" not in picture(run)


def test_a_run_without_faults_says_nothing_of_any() -> None:
    run = run_with()
    take(run, at=1.0)

    assert "faults" not in picture(run)
    assert told(run) == []
