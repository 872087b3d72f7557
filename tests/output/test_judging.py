"""Thresholds while a run goes on: windows of several workers, what ends a run, and what that leaves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from loadsim.metrics.calls import CallDelta
from loadsim.metrics.snapshot import Snapshot
from loadsim.output.progress import Progress
from loadsim.output.summary import build_summary
from loadsim.scenario.plan import Plan, Stage, Threshold
from tests.output.builders import calls, plan, stage

FAILED = calls("Heartbeat", (1.0,), accepted=0, timeout=1)
GOOD = calls("Heartbeat", (0.1,))


def judged(*thresholds: Threshold, workers: int = 1, stages: tuple[Stage, ...] | None = None) -> Progress:
    the_plan = plan(count=10, stages=stages)
    return Progress(
        Plan(
            name="judged",
            seed=1,
            target=the_plan.target,
            tag_classes=(),
            fleets=the_plan.fleets,
            stages=the_plan.stages,
            thresholds=thresholds,
        ),
        workers=workers,
    )


def take(
    run: Progress,
    until: float,
    *deltas: CallDelta,
    shard: int = 0,
    online: dict[int, float] | None = None,
    counters: dict[str, int] | None = None,
) -> None:
    run.elapsed = until
    run.take(
        Snapshot(shard=shard, elapsed=until, calls=deltas, online_seconds=online or {}, counters=dict(counters or {}))
    )


def tick(run: Progress, seconds: Sequence[float], *deltas: CallDelta) -> None:
    for until in seconds:
        take(run, until, *deltas)


def test_a_threshold_that_fails_ends_the_run_if_it_was_asked_to() -> None:
    run = judged(Threshold(check="all errors < 5%", abort=True), Threshold(check="all p99 < 1ms"))
    assert run.aborting() is None
    take(run, 0.5, GOOD)
    assert run.aborting() is None

    take(run, 1.0, FAILED)

    assert run.aborting() == "all errors < 5%"
    assert run.happenings[-1].text == "threshold failed, which ends the run: all errors < 5%"


def test_what_ended_a_run_has_failed_whatever_comes_after() -> None:
    run = judged(Threshold(check="all errors < 5%", abort=True))
    take(run, 1.0, FAILED)
    assert run.aborting() is not None
    run.ended_at = 1.1
    for until in range(2, 40):
        take(run, float(until), GOOD)

    summary = build_summary(run, duration=1.1)

    assert summary["verdict"] == "failed"
    assert summary["exit_code"] == 99
    assert summary["complete"] is False
    assert summary["aborted_by"] == "all errors < 5%"
    assert summary["thresholds"][0]["actual"] == 1.0
    assert summary["thresholds"][0]["aborted_at_s"] == 1.0
    assert run.aborting() == "all errors < 5%"


def test_a_check_without_samples_does_not_end_a_run() -> None:
    run = judged(
        Threshold(check="Authorize p99 < 1s", abort=True),
        Threshold(check="recovery[outage] < 1s", abort=True),
        Threshold(check="all p95 drift < 1%", abort=True),
        Threshold(check="all errors < 5%", over=10.0, abort=True),
    )
    tick(run, range(1, 9), GOOD)

    assert run.aborting() is None


def test_a_rate_so_far_is_over_the_time_that_the_workers_have_told_of() -> None:
    run = judged(Threshold(check="all rate > 1.9/s", abort=True))
    tick(run, [each / 2 for each in range(1, 21)], GOOD)

    run.elapsed = 15.0  # the conductor had no time to read what came meanwhile

    assert run.aborting() is None
    assert run.judge()[0].actual == 2.0


def test_numbers_of_one_worker_that_are_far_ahead_of_anothers_end_no_run() -> None:
    run = judged(Threshold(check="all rate < 5/s", abort=True), workers=2)
    for until in range(1, 11):
        for shard in range(2):
            take(run, float(until), GOOD, GOOD, shard=shard)
    for until in range(11, 20):
        take(run, float(until), GOOD, GOOD, shard=0)
    take(run, 10.5, GOOD, shard=1)
    run.elapsed = 20.0
    assert run.aborting() is None  # 59 calls, of 10.5 seconds of one and of 19 of the other

    for until in range(11, 20):
        take(run, float(until), GOOD, GOOD, shard=1)
    assert run.aborting() is None
    take(run, 20.0, *[GOOD] * 50, shard=0)
    take(run, 20.0, *[GOOD] * 50, shard=1)
    assert run.aborting() == "all rate < 5/s"


def test_no_threshold_ends_a_run_before_its_moment() -> None:
    run = judged(Threshold(check="all errors < 5%", abort=True, after=10.0))
    take(run, 1.0, FAILED)
    take(run, 9.9)
    assert run.aborting() is None

    take(run, 10.0)

    assert run.aborting() == "all errors < 5%"


def test_what_came_before_its_moment_does_not_count_in_windows() -> None:
    run = judged(Threshold(check="all errors < 5%", over=5.0, abort=True, after=10.0))
    tick(run, range(1, 11), FAILED)
    tick(run, range(11, 20), GOOD)
    assert run.aborting() is None
    assert run.judge()[0].ok

    tick(run, range(20, 22), FAILED)

    assert run.aborting() == "all errors < 5% over 5s"
    aborted = run.aborted
    assert aborted is not None
    assert aborted.window == (16.0, 21.0)


def test_a_run_that_has_ended_is_not_ended_again() -> None:
    run = judged(Threshold(check="all errors < 5%", abort=True))
    take(run, 60.0, GOOD)
    run.ended_at = 60.0
    take(run, 61.0, FAILED)

    assert run.aborting() is None
    assert build_summary(run, duration=60.0)["aborted_by"] is None


def test_a_window_is_judged_when_every_worker_has_told_of_it() -> None:
    run = judged(Threshold(check="all errors < 50%", over=5.0), workers=2)
    for until in range(1, 8):
        take(run, float(until), FAILED)
    assert run.judge()[0].actual is None

    for until in range(1, 6):
        take(run, float(until), GOOD, GOOD, shard=1)

    assert run.judge()[0].actual == pytest.approx(1 / 3)


def test_a_worker_that_is_lost_is_not_waited_for() -> None:
    run = judged(Threshold(check="all errors < 50%", over=5.0), workers=2)
    for until in range(1, 8):
        take(run, float(until), FAILED)

    run.lose(1, "killed")

    assert run.judge()[0].actual == 1.0


def test_what_is_online_is_held_against_what_the_plan_wants_so_far() -> None:
    run = judged(Threshold(check="online >= 99%"), stages=(stage("up", 10.0, 10), stage("hold", 50.0, 5)))
    assert run.judge()[0].actual is None

    take(run, 10.0, online={0: 95.0})
    assert run.judge()[0].actual == pytest.approx(0.95)

    take(run, 20.0, online={1: 50.0})
    assert run.judge()[0].actual == pytest.approx(145 / 150)


def test_a_run_that_is_ended_early_is_held_against_its_plan_up_to_there() -> None:
    run = judged(Threshold(check="online >= 99%", abort=True))
    take(run, 10.0, online={0: 95.0})
    assert run.aborting() == "online >= 99%"

    run = judged(Threshold(check="online >= 94%"))
    take(run, 10.0, online={0: 95.0})
    run.ended_at = 10.0
    take(run, 15.0)

    assert run.judge()[0].actual == pytest.approx(0.95)


def test_online_in_a_window_is_held_against_the_plan_of_that_window() -> None:
    run = judged(Threshold(check="online >= 99%", over=2.0), stages=(stage("up", 4.0, 10), stage("more", 4.0, 100)))
    for until, seconds in enumerate((10, 10, 10, 10, 100, 90, 90, 100), 1):
        take(run, float(until), online={0 if until <= 4 else 1: float(seconds)})

    result = run.judge()[0]
    assert result.actual == pytest.approx(0.9)
    assert result.window == (5.0, 7.0)


def test_the_summary_tells_which_window_was_the_worst() -> None:
    run = judged(Threshold(check="all errors < 5%", over=5.0))
    tick(run, range(1, 61), GOOD)
    run.ended_at = 60.0

    shown = build_summary(run, duration=60.0)["thresholds"][0]

    assert shown["check"] == "all errors < 5%"
    assert (shown["ok"], shown["actual"], shown["over_s"]) == (True, 0.0, 5.0)
    assert shown["worst_window_s"] == [0.0, 5.0]


def test_a_drift_ends_a_run_when_its_last_third_is_over() -> None:
    stages = (stage("peak", 30.0, 10), stage("rest", 30.0, 10))
    run = judged(Threshold(check="all p50 drift < 10% during peak", abort=True), stages=stages)
    tick(run, range(1, 11), GOOD)
    tick(run, range(11, 30), calls("Heartbeat", (0.2,)))
    assert not run.judge()[0].ok
    assert run.aborting() is None

    tick(run, [30.0])

    assert run.aborting() == "all p50 drift < 10% during peak"


def test_a_drift_is_judged_from_snapshots() -> None:
    run = judged(Threshold(check="all p50 drift < 10%"))
    tick(run, range(1, 31), GOOD)
    assert run.judge()[0].actual is None
    tick(run, range(31, 61), calls("Heartbeat", (0.2,)))

    assert run.judge()[0].actual == pytest.approx(1.0, rel=1e-2)
    assert not run.judge()[0].ok
