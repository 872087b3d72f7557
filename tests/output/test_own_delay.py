"""A generator that was late in a part of a run makes it INVALID where that decides; a slow CSMS never does."""

from __future__ import annotations

import pytest

from loadsim.metrics.histogram import Histogram
from loadsim.metrics.snapshot import Snapshot
from loadsim.output.progress import Progress
from loadsim.output.summary import build_summary
from loadsim.scenario.plan import FaultPlan
from tests.output.builders import calls, plan, progress, stage, take

STAGES = (stage("ramp", 30.0, 10, measure=False), stage("peak", 60.0, 10), stage("soak", 510.0, 10))


def lived(
    *checks: str, response: float, slow: tuple[float, float], stalls: tuple[float, ...] = (), workers: int = 1
) -> Progress:
    """Live through ten minutes in which a call a second takes *response* from and to the moments of *slow*.

    Worker 0 stands still for 1.5 s at each of the moments *stalls*.
    """
    run = progress(plan(count=10, stages=STAGES, checks=checks), workers=workers)
    for tick in range(1, 1201):
        at = tick / 2
        index = 0 if at <= 30 else 1 if at <= 90 else 2
        took = response if slow[0] < at <= slow[1] else 0.005
        for shard in range(workers):
            late = [0.01 * each for each in range(150)] if shard == 0 and at in stalls else [0.001] * 50
            run.elapsed = at
            run.take(
                Snapshot(
                    shard=shard,
                    elapsed=at,
                    calls=(calls("Heartbeat", [took], stage=index),),
                    times={"lateness": Histogram.of(late).sparse()},
                )
            )
    run.ended_at = 600.0
    return run


def told(run: Progress) -> tuple[str, int, list[str]]:
    summary = build_summary(run, duration=600.0)
    return summary["verdict"], summary["exit_code"], summary["invalid_because"]


def test_a_stall_of_the_generator_is_no_failure_of_the_csms() -> None:
    verdict, code, because = told(lived("all max < 500ms", response=1.5, slow=(200.0, 200.5), stalls=(200.5,)))

    assert (verdict, code) == ("invalid", 4)
    assert because[0].startswith("'all max < 500ms' may have failed by the generator alone: of the 1500.0 ms")
    assert because[0].partition(": ")[2].partition(": ")[2].startswith("use ")


def test_a_stall_that_no_threshold_has_noticed_is_no_reason() -> None:
    run = lived("all p95 < 500ms", "all max < 2s", response=1.5, slow=(200.0, 200.5), stalls=(200.5,))

    assert told(run) == ("passed", 0, [])


def test_a_csms_that_stalls_fails_by_itself() -> None:
    for checks in (["all max < 500ms"], ["all mean < 5ms"], ["all p99 < 500ms during peak"]):
        run = lived(*checks, response=5.0, slow=(60.0, 80.0))

        assert told(run) == ("failed", 99, [])


def test_a_stall_before_the_measured_stages_decides_nothing() -> None:
    run = lived("all max < 500ms", response=1.5, slow=(200.0, 200.5), stalls=(20.0,))

    assert told(run) == ("failed", 99, [])


def test_a_starved_peak_makes_a_long_run_invalid() -> None:
    verdict, code, because = told(lived(response=0.0, slow=(0.0, 0.0), stalls=(50.0, 60.0, 70.0)))

    assert (verdict, code) == ("invalid", 4)
    assert because[0].startswith("p99 lateness during 'peak' ")


def test_a_starved_worker_makes_a_run_of_many_invalid() -> None:
    stalls = tuple(range(100, 600, 60))
    verdict, code, because = told(lived(response=0.0, slow=(0.0, 0.0), stalls=stalls, workers=4))

    assert (verdict, code) == ("invalid", 4)
    assert because[0].startswith("p99 lateness of worker 0 ")


@pytest.mark.parametrize(("stalled_at", "code"), [(205.0, 4), (400.0, 99)])
def test_a_recovery_that_a_stall_of_the_generator_has_made_longer_is_not_the_csmss(
    stalled_at: float, code: int
) -> None:
    outage = FaultPlan(name="outage", do="drop", how="reset", at=200.0)
    run = progress(plan(count=10, stages=STAGES, checks=("recovery[outage] < 5s",), faults=(outage,)))
    hit = {"faults.outage.hit": 1, "faults.outage.offline": 1}
    for tick in range(1, 1201):
        at = tick / 2
        late = [0.01 * each for each in range(150)] if at == stalled_at else [0.001] * 50
        back = {"outage": [5.5]} if at == 206.0 else None
        take(run, at=at, lateness=late, counters=hit if at == 200.5 else None, recoveries=back)
    run.ended_at = 600.0

    assert told(run)[1] == code
