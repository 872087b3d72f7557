"""Thresholds held against the numbers; what makes a run invalid; the verdict."""

from __future__ import annotations

from typing import Any

import pytest

from loadsim.metrics.judge import GeneratorHealth, MeasuredStage, Result, evaluate, invalid_because, verdict
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.snapshot import Totals
from loadsim.metrics.thresholds import parse

STAGES = [
    MeasuredStage("rollout", 100.0, True, 500.0),
    MeasuredStage("warm", 50.0, False, 500.0),
    MeasuredStage("peak", 200.0, True, 2000.0),
]


def totals() -> Totals:
    """rollout: 10 Authorize of 0.1 s. warm: 90 errors of 30 s. peak: 80 accepted, 20 rejected, 0.01 .. 1 s."""
    recorder = Recorder()
    for stage, count, seconds in ((0, 10, 0.1), (2, 100, None)):
        for n in range(count):
            series = recorder.series(stage, "Authorize", "drivers" if n % 2 else "stolen")
            series.planned += 1
            series.sent += 1
            series.accepted += stage == 0 or n < 80
            series.rejected += stage == 2 and n >= 80
            series.unexpected += stage == 2 and n >= 95
            series.response.append(seconds or (n + 1) / 100)
    warm = recorder.series(1, "Authorize", "drivers")
    warm.planned = warm.sent = warm.timeout = 90
    warm.response.extend([30.0] * 90)
    beats = recorder.series(2, "Heartbeat")
    beats.planned = beats.sent = beats.callerror = 5
    beats.response.extend([2.0] * 5)
    recorder.recovered("outage", 12.5)
    recorder.counters.update({"faults.outage.hit": 2, "faults.outage.offline": 1, "faults.missing.hit": 1})
    recorder.counters["faults.missing.offline"] += 1
    result = Totals()
    result.add(recorder.fold(350.0, gauges={}))
    result.online_seconds = {0: 400.0, 1: 0.0, 2: 1990.0}
    return result


def judged(check: str) -> Result:
    return evaluate(parse(check), totals(), STAGES)


@pytest.mark.parametrize(
    ("check", "actual", "ok"),
    [
        ("Authorize p50 < 500ms during peak", 0.5, False),
        ("Authorize p50 <= 501ms during peak", 0.5, True),
        ("Authorize p99 < 1s during peak", 0.99, True),
        ("Authorize max == 1s during peak", 1.0, True),
        ("Authorize mean > 500ms during peak", 0.505, True),
        ("Authorize mean < 110ms during rollout", 0.1, True),
        ("Authorize rejected < 20% during peak", 0.2, False),
        ("Authorize rejected <= 20% during peak", 0.2, True),
        ("Authorize rejected == 20 during peak", 20, True),
        ("Authorize rejected <= 18% during rollout", 0.0, True),
        ("Authorize accepted == 90", 90, True),
        ("Authorize accepted >= 81%", 90 / 110, True),
        ("Authorize unexpected == 5", 5, True),
        ("Authorize[stolen] unexpected == 2", 2, True),
        ("Authorize[drivers] rejected == 10", 10, True),
        ("Authorize errors == 0", 0, True),
        ("Heartbeat errors == 100%", 1.0, True),
        ("Heartbeat errors == 5", 5, True),
        ("all errors < 5%", 5 / 115, True),
        ("all max < 3s", 2.0, True),
        ("Authorize rate >= 0.5/s during peak", 0.5, True),
        ("Authorize rate < 0.3666/s", 110 / 300, False),
        ("online >= 99.5% during peak", 0.995, True),
        ("online > 99.5% during peak", 0.995, False),
        ("online >= 96%", 2390 / 2500, False),
        ("recovery[outage] <= 12.5s", 12.5, True),
        ("recovery[outage] < 12.5s", 12.5, False),
    ],
)
def test_a_check_is_held_against_the_measured_calls(check: str, actual: float, ok: bool) -> None:
    result = judged(check)

    assert result.actual == pytest.approx(actual, rel=1e-3)
    assert result.ok is ok


@pytest.mark.parametrize(
    "check",
    [
        "Authorize p99 < 1h during warm",
        "Authorize errors >= 0 during warm",
        "BootNotification errors == 0",
        "BootNotification p95 < 1s",
        "BootNotification rate >= 0/s",
        "Heartbeat rejected == 0",
        "Heartbeat[drivers] max < 1h",
        "Heartbeat mean < 1h during rollout",
        "Heartbeat accepted >= 0%",
        "online >= 0% during warm",
        "recovery[missing] < 1h",
        "recovery[nobody] < 1h",
    ],
)
def test_a_check_without_samples_fails(check: str) -> None:
    result = judged(check)

    assert result.actual is None
    assert not result.ok


def test_a_stage_that_is_not_measured_counts_nowhere() -> None:
    assert judged("Authorize errors == 0").ok
    assert judged("Authorize max <= 1s").ok


def health(**changed: Any) -> GeneratorHealth:
    right: dict[str, Any] = {
        "workers": 1,
        "lateness_p99": 0.001,
        "lateness_max": 0.5,
        "gc_pause_max": 0.5,
        "cpu_max": 1.0,
        "busy_seconds": 9.9,
        "rss_max": 0,
        "rss_empty": 0,
        "descriptors_max": 0,
        "descriptor_limit": 0,
        "exhausted": {},
        "behind": 0,
        "due": 100,
    }
    return GeneratorHealth(**{**right, **changed})


@pytest.mark.parametrize(
    ("changed", "checks"),
    [
        ({}, []),
        ({"lateness_p99": None}, []),
        ({"lateness_p99": 0.020}, []),
        ({"lateness_p99": 0.0099}, ["all p95 < 100ms", "all p99 < 2s"]),
        ({"lateness_p99": 0.019}, ["all p95 > 100ms", "all errors < 1", "all rate > 1/s"]),
        ({"lateness_p99": 0.0199}, ["recovery[outage] < 100ms", "all p95 drift < 1%"]),
        ({"lateness_p99": 0.0049}, ["all p95 < 10ms"]),
        ({"behind": 2, "sessions_behind": 2, "sessions_due": 100}, []),
    ],
)
def test_a_run_is_valid_up_to_every_limit(changed: dict[str, Any], checks: list[str]) -> None:
    assert invalid_because(health(**changed), [parse(check) for check in checks]) == []


@pytest.mark.parametrize(
    ("changed", "checks", "why"),
    [
        (
            {"lateness_p99": 0.0201},
            ["all p95 < 10s"],
            "p99 lateness 20.1 ms, more than 20.0 ms: use more workers, or fewer charge points a worker",
        ),
        (
            {"lateness_p99": 0.0101},
            ["all p95 < 100ms"],
            "p99 lateness 10.1 ms, more than 10.0 ms (a tenth of what 'all p95 < 100ms' allows): "
            "use more workers, or fewer charge points a worker",
        ),
        (
            {"lateness_p99": 0.3, "cpu_max": 0.2},
            [],
            "p99 lateness 300.0 ms, more than 20.0 ms: no worker took more than 20% of a core, so end what else "
            "takes this machine's cores, or run on another one",
        ),
        (
            {"busy_seconds": 10.0},
            [],
            "a worker above 90% of a core for 10 s, 10 s are too long: "
            "use more workers, or fewer charge points a worker",
        ),
        (
            {"busy_seconds": 12.0, "workers": 2, "cores": 2},
            [],
            "a worker above 90% of a core for 12 s, 10 s are too long: "
            "use fewer charge points a worker, or a machine with more than 2 cores for more workers",
        ),
        (
            {"behind": 3},
            [],
            "3 of 100 charge points that were due were not begun by the end, more than 2%: "
            "use more workers, or fewer charge points a worker",
        ),
        (
            {"sessions_behind": 21, "sessions_due": 1000},
            [],
            "21 of 1000 sessions that were due were not begun by the end, more than 2%: "
            "use more workers, or fewer charge points a worker",
        ),
        (
            {"exhausted": {"EMFILE": 3}},
            [],
            "3 connects failed with EMFILE on this machine: use more workers, or raise the descriptor limit",
        ),
        (
            {"exhausted": {"EADDRNOTAVAIL": 1}},
            [],
            "1 connects failed with EADDRNOTAVAIL on this machine: use more source_addresses, or fewer charge points",
        ),
    ],
)
def test_a_run_is_invalid_by_each_limit_of_the_generator_and_says_what_helps(
    changed: dict[str, Any], checks: list[str], why: str
) -> None:
    assert invalid_because(health(**changed), [parse(check) for check in checks]) == [why]


def test_every_limit_that_was_crossed_is_named() -> None:
    reasons = invalid_because(health(lateness_p99=1.0, busy_seconds=20.0, behind=50, exhausted={"EMFILE": 1}), [])

    assert len(reasons) == 4


def test_a_drift_is_never_told_from_totals() -> None:
    with pytest.raises(ValueError, match="a drift cannot be told from totals"):
        judged("Authorize p95 drift < 10%")


def test_a_threshold_over_windows_says_so() -> None:
    check = parse("all errors < 5%")

    assert Result(check, None, False, 60.0).text == "all errors < 5% over 1m"
    assert Result(check, None, False).text == "all errors < 5%"


def test_the_verdict_is_invalid_before_it_is_failed_or_passed() -> None:
    good, bad = judged("Authorize errors == 0"), judged("Authorize errors > 0")

    assert verdict([good], []) == "passed"
    assert verdict([], []) == "passed"
    assert verdict([good, bad], []) == "failed"
    assert verdict([good, bad], ["a reason"]) == "invalid"
