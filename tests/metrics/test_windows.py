"""Sliding windows: each is what its calls are by themselves, and the worst one counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.metrics.calls import CallDelta
from loadsim.metrics.catalogue import COUNTS
from loadsim.metrics.histogram import Histogram
from loadsim.metrics.snapshot import Snapshot
from loadsim.metrics.stretches import StageTime, Stretch, measured_stretches
from loadsim.metrics.thresholds import parse
from loadsim.metrics.windows import MOST_STEPS, SlidingWindows, Worst

STEADY = settings(derandomize=True, deadline=None)
TICK = 0.5


def calls(seconds: tuple[float, ...] = (), *, stage: int = 0, action: str = "Heartbeat", **counts: int) -> CallDelta:
    numbers = dict.fromkeys(COUNTS, 0) | {"sent": len(seconds), "accepted": len(seconds)} | counts
    return CallDelta(
        stage,
        action,
        "",
        tuple(numbers[name] for name in COUNTS),
        Histogram.of(seconds).sparse(),
        Histogram().sparse(),
    )


class Watched:
    """Windows of a check, and the snapshots that one worker gives them."""

    def __init__(self, check: str, over: float, *stretches: Stretch, online: float = 10.0) -> None:
        self.windows = SlidingWindows(
            parse(check),
            over,
            stretches or (Stretch(0.0, 60.0, frozenset({0})),),
            lambda begin, end: online * (end - begin),
        )
        self.at = 0.0

    def take(self, *deltas: CallDelta, seconds: float = TICK, online: dict[int, float] | None = None) -> None:
        since, self.at = self.at, self.at + seconds
        self.windows.take(Snapshot(shard=0, elapsed=self.at, calls=deltas, online_seconds=online or {}), since)
        self.windows.advance(self.at)

    def idle(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.take()


def test_the_worst_window_is_told_with_its_time() -> None:
    watched = Watched("all errors < 50%", 10.0)
    watched.idle(20.0)
    watched.take(calls((1.0,) * 3, timeout=1, accepted=2))
    watched.idle(9.5)
    watched.take(calls((0.1,) * 9))
    watched.idle(30.0)

    assert watched.windows.worst() == Worst(pytest.approx(1 / 3), 11.0, 21.0)  # type: ignore[arg-type]


def test_a_window_that_is_not_wholly_over_does_not_count() -> None:
    watched = Watched("all errors == 0", 10.0)
    watched.take(calls((1.0,), timeout=1, accepted=0))
    watched.idle(9.0)

    assert watched.windows.worst() is None
    watched.idle(0.5)
    assert watched.windows.worst() == Worst(1.0, 0.0, 10.0)


def test_windows_without_samples_are_left_out_and_none_with_any_is_no_value() -> None:
    watched = Watched("all p95 > 1s", 5.0)
    watched.idle(30.0)
    assert watched.windows.worst() is None

    watched.take(calls((2.0,)))
    watched.idle(29.5)
    worst = watched.windows.worst()
    assert worst is not None
    assert worst.value == pytest.approx(2.0, rel=1e-3)


def test_errors_in_a_window_are_of_the_calls_that_ended_in_it() -> None:
    """Of those that were sent in it they could be more than all."""
    watched = Watched("all errors < 5%", 5.0)
    watched.take(calls(sent=10))
    watched.idle(30.0)
    watched.take(calls((30.0,) * 10, sent=0, accepted=2, timeout=8))
    watched.idle(10.0)

    worst = watched.windows.worst()
    assert worst is not None
    assert worst.value == pytest.approx(0.8)


def test_a_rate_of_nothing_is_a_rate_unless_nothing_was_ever_sent() -> None:
    watched = Watched("all rate >= 1/s", 10.0)
    watched.idle(10.0)
    assert watched.windows.worst() is None

    for _ in range(40):
        watched.take(calls((0.1,) * 2))
    assert watched.windows.worst() == Worst(0.0, 0.0, 10.0)


def test_a_mean_and_a_maximum_of_a_window_are_exact() -> None:
    for check, worst in (("all mean < 1s", 0.425), ("all max < 1s", 0.7)):
        watched = Watched(check, 5.0)
        watched.take(calls((0.1, 0.2)))
        watched.idle(9.5)
        watched.take(calls((0.15, 0.7)))
        watched.idle(20.0)

        found = watched.windows.worst()
        assert found is not None
        assert found.value == pytest.approx(worst, rel=1e-12)


def test_what_ends_after_its_stage_belongs_to_its_last_window() -> None:
    stretches = (Stretch(0.0, 10.0, frozenset({0})),)
    watched = Watched("all errors < 1% during peak", 5.0, *stretches)
    watched.take(calls((0.1,)))
    watched.idle(10.0)
    assert watched.windows.worst() == Worst(0.0, 0.0, 5.0)

    watched.idle(20.0)
    watched.take(calls((25.0,), accepted=0, timeout=1, sent=0))
    watched.take(calls((9.0,), stage=1, accepted=0, timeout=1))

    assert watched.windows.worst() == Worst(1.0, 5.0, 10.0)


@pytest.mark.parametrize("check", ["all errors < 11", "all errors <= 10", "all errors == 0"])
def test_no_window_counts_what_ended_in_a_longer_time_than_its_own(check: str) -> None:
    watched = Watched(f"{check} during peak", 5.0, Stretch(0.0, 20.0, frozenset({0})))
    for _ in range(52):  # one every half second, each after a wait of 6 s
        watched.take(calls((6.0,), accepted=0, timeout=1))
    watched.idle(5.0)

    worst = watched.windows.worst()
    assert worst is not None
    assert worst.value == 10.0


def test_a_count_sees_what_ends_long_after_its_stage_and_says_when() -> None:
    watched = Watched("all errors == 0 during peak", 5.0, Stretch(0.0, 10.0, frozenset({0})))
    watched.take(calls((0.1,)))
    watched.idle(29.5)
    watched.take(calls((25.0,), accepted=0, timeout=1, sent=0))
    watched.take(calls((9.0,), stage=1, accepted=0, timeout=1))
    watched.idle(10.0)

    assert watched.windows.worst() == Worst(1.0, 26.0, 31.0)


def test_a_count_sees_what_ends_after_the_run_in_windows_of_their_length() -> None:
    watched = Watched("all errors < 11", 5.0)
    for _ in range(24):
        watched.take(calls((3.0,), accepted=0, timeout=1))
    for tick in range(1, 15):  # the open calls, of which nobody advances the windows any more
        late = calls((3.0,), accepted=0, timeout=1 + (tick > 10))
        watched.windows.take(Snapshot(shard=0, elapsed=12.0 + tick / 2, calls=(late,)), 11.5 + tick / 2)

    assert watched.windows.worst(ended_at=12.0) == Worst(14.0, 14.0, 19.0)
    assert watched.windows.worst() == Worst(10.0, 0.0, 5.0)


def test_a_count_that_must_be_reached_is_of_windows_in_its_stage_alone() -> None:
    watched = Watched("all accepted >= 10 during peak", 5.0, Stretch(0.0, 20.0, frozenset({0})))
    for _ in range(40):
        watched.take(calls((0.1,)))
    watched.take(calls((0.1,)))
    watched.idle(10.0)

    assert watched.windows.worst() == Worst(10.0, 0.0, 5.0)


@STEADY
@given(st.lists(st.integers(0, 4), min_size=20, max_size=60), st.integers(1, 6), st.integers(4, 10))
def test_the_most_errors_of_any_window_are_counted_wherever_they_ended(
    ticks: list[int], over: int, seconds: int
) -> None:
    end = float(max(seconds, over))
    watched = Watched("all errors < 1", float(over), Stretch(0.0, end, frozenset({0})))
    for failed in ticks:
        watched.take(calls((0.1,) * failed, accepted=0, timeout=failed))
    told = math.floor(watched.at)

    worst = watched.windows.worst(ended_at=watched.at)

    by_second = [sum(ticks[2 * second : 2 * second + 2]) for second in range(told + 1)]
    sums = [sum(by_second[max(0, last - over + 1) : last + 1]) for last in range(over - 1, told + 1)]
    assert (0.0 if worst is None else worst.value) == max(sums)


def test_what_ends_after_a_run_that_was_ended_early_belongs_to_its_last_window() -> None:
    watched = Watched("all p95 < 1s", 5.0)
    for _ in range(20):
        watched.take(calls((0.1,) * 2))
    since, end = watched.at, watched.at + 20
    watched.windows.take(Snapshot(shard=0, elapsed=end, calls=(calls((20.0,) * 4),)), since)
    watched.windows.advance(10.2)

    worst = watched.windows.worst(ended_at=10.2)
    assert worst is not None
    assert (worst.begin, worst.end) == (5.0, 10.0)
    assert worst.value == pytest.approx(20.0, rel=1e-3)


def test_what_is_sent_after_its_stage_is_no_rate_of_it() -> None:
    watched = Watched("all rate < 1/s during peak", 5.0, Stretch(0.0, 10.0, frozenset({0})))
    watched.take(calls((0.1,)))
    watched.idle(12.0)
    watched.take(calls((0.1,) * 100))

    assert watched.windows.worst() == Worst(0.2, 0.0, 5.0)


def test_a_call_of_another_stage_action_or_class_is_not_of_the_check() -> None:
    watched = Watched("Authorize errors == 0", 5.0)
    watched.take(
        calls((1.0,), timeout=1, accepted=0), calls((1.0,), stage=1, action="Authorize", timeout=1, accepted=0)
    )
    watched.take(calls((0.1,), action="Authorize"))
    watched.idle(10.0)

    assert watched.windows.worst() == Worst(0.0, 0.0, 5.0)


def test_who_is_online_in_a_window_is_shared_out_over_what_a_snapshot_spans() -> None:
    watched = Watched("online >= 99%", 2.0, Stretch(0.0, 8.0, frozenset({0})), online=10.0)
    watched.take(seconds=0.75, online={0: 7.5})
    for _ in range(6):
        watched.take(seconds=1.0, online={0: 10.0})
    assert watched.windows.worst() == Worst(pytest.approx(1.0), 0.0, 2.0)  # type: ignore[arg-type]

    watched.take(seconds=1.5, online={0: 2.5})
    worst = watched.windows.worst()
    assert worst is not None
    assert (worst.begin, worst.end) == (6.0, 8.0)
    assert worst.value == pytest.approx((7.5 + 2.5) / 20)


def test_for_equality_the_farthest_from_the_limit_is_the_worst() -> None:
    watched = Watched("all errors == 2", 5.0)
    for errors in (2, 5, 1):
        watched.take(calls((1.0,) * errors, accepted=0, timeout=errors))
        watched.idle(5.5)

    worst = watched.windows.worst()
    assert worst is not None
    assert worst.value == 5


@pytest.mark.parametrize("over", [0.7, 1.0, 1.5, 2.5, 60.0])
def test_a_window_is_exactly_as_long_as_it_is_asked_to_be(over: float) -> None:
    watched = Watched("all p50 < 1s", over)
    for _ in range(120):
        watched.take(calls((0.1,)))

    worst = watched.windows.worst()
    assert worst is not None
    assert worst.end - worst.begin == pytest.approx(over)


def test_a_window_of_a_day_keeps_no_more_than_so_many_steps() -> None:
    watched = Watched("all p50 < 1s", 86400.0, Stretch(0.0, 100_000.0, frozenset({0})))
    for _ in range(1100):
        watched.take(calls((0.1,)), seconds=90.0)

    assert sum(len(slide._window) for slide in watched.windows._slides) <= MOST_STEPS
    worst = watched.windows.worst()
    assert worst is not None
    assert worst.end - worst.begin == pytest.approx(86400.0)


@STEADY
@given(
    st.lists(st.lists(st.integers(1, 5_000_000), max_size=3), min_size=8, max_size=40),
    st.integers(1, 6),
    st.sampled_from(["p50", "p95", "mean", "max", "errors", "rate"]),
    st.sampled_from("<>"),
)
def test_every_window_is_what_its_calls_are_by_themselves(
    ticks: list[list[int]], over: int, aggregate: str, op: str
) -> None:
    """Adding and subtracting gives what counting each window anew gives."""
    value = {"errors": "50%", "rate": "1/s"}.get(aggregate, "1s")
    end = len(ticks) * TICK
    watched = Watched(f"all {aggregate} {op} {value}", float(over), Stretch(0.0, end, frozenset({0})))
    seconds = [tuple(each / 1e6 for each in tick) for tick in ticks]
    errors = [sum(each % 2 for each in tick) for tick in ticks]
    for tick, failed in zip(seconds, errors, strict=True):
        watched.take(calls(tick, timeout=failed, accepted=len(tick) - failed))
    watched.idle(1.0)

    values = []
    for begin in range(math.floor(end) - over + 1):
        chosen = slice(begin * 2, (begin + over) * 2)
        times = [each for tick in seconds[chosen] for each in tick]
        histogram = Histogram.of(times)
        if aggregate == "rate":
            values.append(len(times) / over)
        elif times:
            of = {"mean": histogram.mean, "max": histogram.max, "errors": sum(errors[chosen]) / len(times)}
            value_of = of[aggregate] if aggregate in of else histogram.percentile(float(aggregate[1:]))
            assert value_of is not None
            values.append(value_of)
    expected = None if not values or (aggregate == "rate" and not any(ticks)) else (max if op == "<" else min)(values)
    worst = watched.windows.worst()
    # What lies behind the last whole second joins the last window, which may make it worse, and never better.
    if expected is None:
        assert worst is None or len(ticks) % 2
    elif len(ticks) % 2 == 0:
        assert worst is not None
        assert worst.value == pytest.approx(expected, rel=1e-9)
    else:
        assert worst is not None
        assert worst.value >= expected - 1e-9 if op == "<" else worst.value <= expected + 1e-9


STAGES = (
    StageTime("ramp", 0.0, 10.0, True),
    StageTime("warm", 10.0, 20.0, False),
    StageTime("jump", 20.0, 20.0, True),
    StageTime("peak", 20.0, 40.0, True),
    StageTime("soak", 40.0, 90.0, True),
)


@pytest.mark.parametrize(
    ("stage", "after", "stretches"),
    [
        (None, 0.0, [Stretch(0.0, 10.0, frozenset({0})), Stretch(20.0, 90.0, frozenset({3, 4}))]),
        (None, 30.0, [Stretch(30.0, 90.0, frozenset({3, 4}))]),
        ("peak", 0.0, [Stretch(20.0, 40.0, frozenset({3}))]),
        ("peak", 25.0, [Stretch(25.0, 40.0, frozenset({3}))]),
        ("peak", 40.0, []),
        ("warm", 0.0, []),
    ],
)
def test_windows_lie_in_measured_stages_that_follow_each_other(
    stage: str | None, after: float, stretches: list[Stretch]
) -> None:
    assert measured_stretches(STAGES, stage, after) == stretches


def test_nothing_before_a_stretch_begins_counts_in_its_windows() -> None:
    watched = Watched("all errors == 0", 5.0, Stretch(10.0, 60.0, frozenset({0})))
    watched.take(calls((1.0,), timeout=1, accepted=0))
    watched.idle(9.5)
    watched.take(calls((0.1,)))
    watched.idle(10.0)

    assert watched.windows.worst() == Worst(0.0, 10.0, 15.0)


def test_who_is_online_as_planned_is_so_for_100_percent_in_every_window_also_where_the_plan_jumps() -> None:
    def planned(begin: float, end: float) -> float:
        return 12 * (min(end, 10.0) - min(begin, 10.0)) + 6 * (max(end, 10.0) - max(begin, 10.0))

    windows = SlidingWindows(
        parse("online >= 100%"), 1.0, [Stretch(0.0, 20.0, frozenset({0, 1}))], planned, [(0.0, 10.0), (10.0, 20.0)]
    )
    since = 0.0
    for tick in range(1, 42):
        until = tick / 2 + 0.003
        seconds = {0: planned(since, min(until, 10.0)), 1: planned(max(since, 10.0), min(until, 20.0))}
        seconds = {stage: each for stage, each in seconds.items() if each > 0}
        windows.take(Snapshot(shard=0, elapsed=until, online_seconds=seconds), since)
        windows.advance(until)
        since = until

    worst = windows.worst()
    assert worst is not None
    assert worst.value == 1.0
