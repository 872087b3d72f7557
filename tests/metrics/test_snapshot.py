"""Totals: any number of workers counts as one, and calls are selected by what they are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.metrics.calls import CallKey, CallNumbers
from loadsim.metrics.catalogue import CAUSES, COUNTS
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.snapshot import Snapshot, Totals

OUTCOMES = ["accepted", "rejected", "pending", *CAUSES, "open_at_end", "waiting_at_end", "skipped_offline"]
Call = tuple[int, int, str, str, str, float]
calls = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 2),
        st.sampled_from(["Authorize", "Heartbeat"]),
        st.sampled_from(["", "drivers"]),
        st.sampled_from(OUTCOMES),
        st.floats(0, 60),
    ),
    max_size=60,
)


def record(recorder: Recorder, call: Call) -> None:
    """Record one call as a charge point does."""
    _, stage, action, tag_class, outcome, seconds = call
    series = recorder.series(stage, action, tag_class)
    series.planned += 1
    setattr(series, outcome, getattr(series, outcome) + 1)
    if outcome not in ("waiting_at_end", "skipped_offline"):
        series.sent += 1
    if outcome != "skipped_offline":
        series.response.append(seconds)
    if outcome in ("accepted", "rejected", "pending"):
        series.service.append(seconds)
    recorder.counters[f"strays.{outcome}"] += 1
    recorder.recovered(outcome, seconds)


def totals_of(happened: list[Call], workers: int) -> Totals:
    recorders = [Recorder(shard) for shard in range(workers)]
    for call in happened:
        record(recorders[call[0] % workers], call)
    totals = Totals()
    for recorder in recorders:
        totals.add(recorder.fold(1.0, gauges={"charge_points.online": 2}))
    return totals


def content(numbers: CallNumbers) -> list[int]:
    return [getattr(numbers, name) for name in COUNTS]


@settings(deadline=None)
@given(calls, st.integers(2, 4))
def test_any_number_of_workers_counts_as_one(happened: list[Call], workers: int) -> None:
    one, many = totals_of(happened, 1), totals_of(happened, workers)

    assert one.counters == many.counters
    assert one.recoveries == many.recoveries
    assert one.calls.keys() == many.calls.keys()
    for key, numbers in one.calls.items():
        assert content(numbers) == content(many.calls[key])
        assert numbers.response == many.calls[key].response
        assert numbers.service == many.calls[key].service


@settings(deadline=None)
@given(calls)
def test_the_books_of_calls_recorded_as_they_should_be_close(happened: list[Call]) -> None:
    totals = totals_of(happened, 2)

    assert totals.select().open_books() == []
    assert totals.select().planned == len(happened)
    assert all(numbers.open_books() == [] for numbers in totals.calls.values())


@settings(deadline=None)
@given(calls, st.sampled_from(COUNTS))
def test_a_book_with_one_count_too_many_does_not_close(happened: list[Call], name: str) -> None:
    numbers = totals_of(happened, 1).select()
    setattr(numbers, name, getattr(numbers, name) + 1)

    assert bool(numbers.open_books()) == (name != "unexpected")


@settings(deadline=None)
@given(calls)
def test_the_groups_make_up_the_whole(happened: list[Call]) -> None:
    totals = totals_of(happened, 1)
    whole = CallNumbers()
    groups = totals.group(lambda key: key.action)
    for numbers in groups.values():
        whole.merge(numbers)

    assert content(whole) == content(totals.select())
    assert whole.response == totals.select().response
    assert list(groups) == sorted(groups)


@settings(deadline=None)
@given(calls)
def test_calls_are_selected_by_action_class_and_stage(happened: list[Call]) -> None:
    totals = totals_of(happened, 2)

    for action in (None, "Authorize"):
        for tag_class in (None, "", "drivers"):
            for stages in (None, [], [1], [0, 2]):
                wanted = [
                    call
                    for call in happened
                    if action in (None, call[2])
                    and tag_class in (None, call[3])
                    and (stages is None or call[1] in stages)
                ]
                selected = totals.select(action=action, tag_class=tag_class, stages=stages)
                assert selected.planned == len(wanted)


def test_a_gauge_is_the_sum_of_the_workers_last_words() -> None:
    totals = Totals()
    for shard, online in [(0, 5), (1, 7), (0, 3)]:
        totals.add(Snapshot(shard=shard, elapsed=1.0, gauges={"charge_points.online": online}))

    assert totals.gauge("charge_points.online") == 10
    assert totals.gauge("nonsense") == 0


def test_counters_are_read_by_prefix() -> None:
    totals = Totals()
    totals.add(Snapshot(shard=0, elapsed=1.0, counters={"a.z": 1, "a.b": 2, "c.d": 3}))

    assert totals.with_prefix("a.") == {"b": 2, "z": 1}


def test_without_answers_there_is_no_rejection_rate() -> None:
    numbers = CallNumbers()
    assert numbers.rejection_rate is None

    numbers.accepted, numbers.rejected, numbers.pending = 6, 2, 2
    assert numbers.rejection_rate == 0.2


def test_a_key_sorts_by_stage_action_and_class() -> None:
    assert sorted([CallKey(1, "A"), CallKey(0, "B"), CallKey(0, "A", "x")])[0] == CallKey(0, "A", "x")
