"""A generator that was late for a short time, or in a part of it, does not pass its own delay off as the CSMS's."""

from __future__ import annotations

import math

import pytest

from loadsim.metrics.calls import CallDelta
from loadsim.metrics.catalogue import COUNTS
from loadsim.metrics.histogram import Histogram
from loadsim.metrics.judge import Late, MeasuredStage, Result, evaluate, holds
from loadsim.metrics.own_delay import OwnDelay
from loadsim.metrics.snapshot import Snapshot, Totals
from loadsim.metrics.thresholds import parse

RAMP, PEAK, SOAK = 60.0, 60.0, 3480.0
STAGES = (
    MeasuredStage("ramp", RAMP, measure=False),
    MeasuredStage("peak", PEAK, measure=True),
    MeasuredStage("soak", SOAK, measure=True),
)
ENDS = (RAMP, RAMP + PEAK, RAMP + PEAK + SOAK)
PUNCTUAL = 0.001
TIMEOUT = 2.0


def late(delay: OwnDelay, seconds: float, begin: float, end: float, *, shard: int = 0) -> None:
    """Be late by *seconds* at every tick from *begin* to *end*."""
    ticks = Histogram.of([seconds] * round((end - begin) * 100))
    delay.take(Snapshot(shard=shard, elapsed=end, times={"lateness": ticks.sparse()}), begin)


def stall(delay: OwnDelay, seconds: float, at: float, *, shard: int = 0) -> None:
    """Stand still for *seconds*, as a process that is stopped: the ticks that were due come all at once."""
    ticks = Histogram.of([seconds - 0.01 * tick for tick in range(round(seconds * 100))])
    delay.take(Snapshot(shard=shard, elapsed=at + seconds, times={"lateness": ticks.sparse()}), at)


def punctual(workers: int = 1) -> OwnDelay:
    """Be punctual in every stage."""
    delay = OwnDelay(ENDS)
    for shard in range(workers):
        for begin, end in zip((0.0, *ENDS), ENDS, strict=False):
            late(delay, PUNCTUAL, begin, end, shard=shard)
    return delay


def worst(delay: OwnDelay) -> dict[str, float]:
    return {each.part: each.seconds for each in delay.latest(STAGES)}


def calls(seconds: list[float], *, stage: int = 1, **counts: int) -> Totals:
    numbers = dict.fromkeys(COUNTS, 0) | {"sent": len(seconds), "accepted": len(seconds)} | counts
    totals = Totals()
    times = Histogram.of(seconds).sparse()
    delta = CallDelta(stage, "Heartbeat", "", tuple(numbers[name] for name in COUNTS), times, times)
    totals.add(Snapshot(shard=0, elapsed=100.0, calls=(delta,)))
    return totals


def test_a_peak_in_which_the_core_was_taken_away_is_not_lost_in_an_hour_of_punctuality() -> None:
    delay = punctual()
    late(delay, 0.4, 70.0, 72.0)

    assert worst(delay) == {" during 'peak'": pytest.approx(0.4, rel=1e-3)}


def test_a_hiccup_is_not_the_p99_of_a_stage() -> None:
    delay = punctual()
    late(delay, 0.4, 70.0, 70.5)
    short = OwnDelay((10.0,))
    late(short, PUNCTUAL, 0.0, 9.75)
    late(short, 0.2, 9.75, 10.0)

    assert worst(delay)[" during 'peak'"] == pytest.approx(PUNCTUAL)
    assert list(short.latest([MeasuredStage("only", 10.0, measure=True)])) == []
    assert [
        each.seconds for each in short.latest([MeasuredStage("a", 10.0, True), MeasuredStage("b", 0.0, True)])
    ] == [pytest.approx(PUNCTUAL)]


def test_a_stage_that_is_not_measured_is_judged_with_the_whole_run_alone() -> None:
    delay = punctual()
    late(delay, 0.4, 10.0, 40.0)

    assert list(worst(delay).values()) == [pytest.approx(PUNCTUAL)]
    assert " during 'ramp'" not in worst(delay)


def test_one_worker_among_many_is_told_apart() -> None:
    delay = punctual(workers=8)
    late(delay, 0.3, 1000.0, 1060.0, shard=5)  # a sixtieth of its time, a five-hundredth of that of all

    assert Late(" of worker 5", 0.3) in [Late(each.part, round(each.seconds, 3)) for each in delay.latest(STAGES)]


@pytest.mark.parametrize(
    ("check", "times", "own"),
    [
        ("all max < 500ms", [0.005] * 9999 + [1.505], True),
        ("all p99.9 < 500ms", [0.005] * 999 + [1.2] * 2, False),  # the generator was late less often than that
        ("Heartbeat p99 < 500ms", [0.005] * 20 + [1.5], True),  # of few calls a percentile is the slowest
        ("all max < 500ms during peak", [0.005] * 9999 + [1.505], True),
        ("all max < 500ms during soak", [0.005] * 9999 + [1.505], False),
        ("all max < 500ms", [0.005] * 9999 + [30.0], False),
        ("all p95 < 500ms", [0.005] * 90 + [1.0] * 10, False),
        ("all mean < 500ms", [0.6] * 100, False),
        ("all max > 2s", [0.005] * 9999 + [1.505], False),  # waiting makes no answer faster
        ("all max < 2s", [0.005] * 9999 + [1.505], False),  # it holds: less would hold, too
    ],
)
def test_a_time_that_would_be_short_enough_without_the_generators_own_stall_is_no_failure_of_the_csms(
    check: str, times: list[float], own: bool
) -> None:
    delay = punctual()
    stall(delay, 1.5, 70.0)
    totals = calls(times, stage=2 if "soak" in check else 1)
    result = evaluate(parse(check), totals, STAGES)

    why = delay.own_doing(result, totals, STAGES, TIMEOUT)

    assert (why is not None) == own
    if why is not None:
        assert why.startswith(f"'{check}' may have failed by the generator alone: of the ")
        assert why.endswith("1500.0 ms may be its own lateness")


def test_a_csms_that_is_slow_fails_by_itself_whatever_the_threshold_is() -> None:
    delay = punctual()
    totals = calls([3.0] * 100)

    for check in ("p50 < 1s", "p99 < 2s", "p99.9 < 2.9s", "max < 2.9s", "mean < 2.99s"):
        result = evaluate(parse(f"all {check}"), totals, STAGES)
        assert not result.ok
        assert delay.own_doing(result, totals, STAGES, TIMEOUT) is None


@pytest.mark.parametrize(("window", "own"), [((66.0, 71.0), True), ((71.0, 76.0), True), ((80.0, 85.0), False)])
def test_a_window_is_the_generators_doing_if_it_stood_still_in_it(window: tuple[float, float], own: bool) -> None:
    delay = punctual()
    stall(delay, 1.5, 70.0)
    check = parse("all p95 < 500ms")
    result = Result(check, 1.505, False, 5.0, window)

    assert (delay.own_doing(result, calls([1.505]), STAGES, TIMEOUT) is not None) == own


@pytest.mark.parametrize(
    ("check", "stood_still", "timeout", "callerror", "own"),
    [
        ("all errors == 0", 1.5, 3, 0, True),
        ("all errors == 2", 1.5, 3, 0, False),
        ("all errors < 1", 1.5, 3, 0, True),
        ("all errors < 1%", 1.5, 3, 0, True),
        ("all errors < 1", 1.5, 3, 1, False),
        ("all errors < 1", 0.9, 3, 0, False),
        ("all errors < 1", 1.5, 0, 3, False),
        ("all rejected < 1", 1.5, 3, 0, False),
    ],
)
def test_time_outs_are_the_generators_doing_if_it_stood_still_for_half_of_one(
    check: str, stood_still: float, timeout: int, callerror: int, own: bool
) -> None:
    delay = punctual()
    stall(delay, stood_still, 70.0)
    totals = calls([0.1] * 100, accepted=90 - timeout - callerror, rejected=10, timeout=timeout, callerror=callerror)
    result = evaluate(parse(check), totals, STAGES)

    assert not result.ok
    assert (delay.own_doing(result, totals, STAGES, TIMEOUT) is not None) == own


def test_what_holds_and_what_has_no_samples_is_nobodys_doing() -> None:
    delay = punctual()
    stall(delay, 1.5, 70.0)

    for check in ("all max < 2s", "online >= 99%", "transactions lost == 0", "Authorize p95 < 1s"):
        result = evaluate(parse(check), calls([1.505]), STAGES)
        assert delay.own_doing(result, calls([1.505]), STAGES, TIMEOUT) is None


def test_a_week_of_stalls_takes_no_more_memory_than_its_first_hour() -> None:
    delay = OwnDelay((math.inf,))
    for second in range(5000):
        stall(delay, 0.2 + second % 7 / 10, float(second))

    assert len(delay) == 1000


def test_of_many_stalls_the_longest_are_kept() -> None:
    delay = OwnDelay((math.inf,))
    stall(delay, 1.5, 3.0)
    for second in range(2000):
        stall(delay, 0.2, 100.0 + second)
    result = Result(parse("all p95 < 500ms"), 1.505, False, 5.0, (0.0, 5.0))

    assert not holds(result.check, result.actual)
    assert delay.own_doing(result, calls([1.505]), STAGES, TIMEOUT) is not None
