"""The recorder: what is recorded comes out once, in the interval it belongs to."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.metrics.catalogue import COUNTS, METRICS
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.snapshot import Snapshot, Totals


def folded(recorder: Recorder) -> Snapshot:
    return recorder.fold(1.0, gauges={})


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["A", "B"]), st.floats(0, 10)), max_size=20)))
def test_however_often_it_is_folded_the_totals_are_the_same(ticks: list[list[tuple[int, str, float]]]) -> None:
    often, once, totals = Recorder(), Recorder(), Totals()
    for tick in ticks:
        for stage, action, seconds in tick:
            for recorder in (often, once):
                series = recorder.series(stage, action)
                series.planned += 1
                series.sent += 1
                series.accepted += 1
                series.response.append(seconds)
                series.service.append(seconds)
                recorder.counters["messages.sent"] += 1
                recorder.lateness.append(seconds)
        totals.add(folded(often))
    expected = Totals()
    expected.add(folded(once))

    assert totals.counters == expected.counters
    assert totals.time("lateness") == expected.time("lateness")
    assert totals.calls.keys() == expected.calls.keys()
    for key, numbers in totals.calls.items():
        assert numbers.open_books() == []
        assert [getattr(numbers, name) for name in COUNTS] == [getattr(expected.calls[key], name) for name in COUNTS]
        assert numbers.response == expected.calls[key].response


def test_a_series_that_a_call_holds_on_to_counts_in_the_next_interval() -> None:
    recorder = Recorder()
    series = recorder.series(0, "Heartbeat")
    series.planned += 1
    folded(recorder)
    series.sent += 1
    series.response.append(1.0)
    delta = folded(recorder).calls[0]

    assert dict(zip(COUNTS, delta.counts, strict=True))["sent"] == 1
    assert dict(zip(COUNTS, delta.counts, strict=True))["planned"] == 0
    assert recorder.series(0, "Heartbeat") is series


def test_an_interval_without_calls_holds_none() -> None:
    recorder = Recorder(shard=3)
    recorder.series(0, "Heartbeat").planned += 1
    folded(recorder)

    assert folded(recorder) == Snapshot(shard=3, elapsed=1.0)


def test_traffic_is_told_by_the_names_of_the_catalogue_and_what_there_was_none_of_is_left_out() -> None:
    recorder = Recorder()
    recorder.traffic.messages_sent += 2
    recorder.traffic.bytes_received += 7
    recorder.counters["messages.sent"] += 1

    assert folded(recorder).counters == {"messages.sent": 3, "bytes.received": 7}
    assert folded(recorder).counters == {}
    assert {"messages.sent", "messages.received", "bytes.sent", "bytes.received"} <= {each.name for each in METRICS}


def test_lists_that_were_handed_out_go_on_counting() -> None:
    recorder = Recorder()
    lateness = recorder.lateness
    lateness.append(1.0)
    folded(recorder)
    lateness.append(2.0)

    assert folded(recorder).times["lateness"].max == 2.0


def test_the_first_twenty_failures_of_a_kind_are_kept_and_cut_short() -> None:
    recorder = Recorder()
    for _ in range(50):
        recorder.example(1.0, "CP", "Authorize", "timeout", "d" * 1000, b"\xff" * 1000)
        recorder.example(1.0, "CP", "Heartbeat", "timeout", "")
    first = folded(recorder).examples
    recorder.example(1.0, "CP", "Authorize", "timeout", "")

    assert len(first) == 40
    assert max(len(example.detail) for example in first) == 500
    assert first[0].frame.startswith("\\xff\\xff")
    assert folded(recorder).examples == ()


@settings(deadline=None)
@given(st.lists(st.floats(0, 100)))
def test_a_snapshot_survives_the_pipe(seconds: list[float]) -> None:
    recorder = Recorder()
    series = recorder.series(1, "Authorize", "drivers")
    series.planned += len(seconds) + 1
    series.response.extend(seconds)
    recorder.example(1.0, "CP", "x", "y", "z", "é")
    snapshot = folded(recorder)

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot) == snapshot


def test_a_transactions_id_of_more_than_64_bits_fits_through_the_pipe() -> None:
    snapshot = Recorder().fold(1.0, gauges={}, final=True, open_transactions=[2**64 + 1, -(2**70), 0])

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot) == snapshot
    assert snapshot.open_transactions == (str(2**64 + 1), str(-(2**70)), "0")


def test_how_late_the_generator_is_once_there_is_no_load_any_more_is_not_the_runs() -> None:
    """To let go of 19,000 charge points takes 100 ms, which hold up nothing."""
    recorder = Recorder()
    recorder.lateness.append(0.001)
    recorder.gc_pause.append(0.001)
    before = folded(recorder)

    recorder.rest()
    recorder.lateness.append(0.1)
    recorder.gc_pause.append(0.1)
    after = folded(recorder)

    assert {"lateness", "gc_pause"} <= before.times.keys()
    assert not {"lateness", "gc_pause"} & after.times.keys()
