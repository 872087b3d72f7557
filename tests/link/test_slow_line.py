"""A slow line: what is sent over it arrives late, one after the other, and never overtakes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.link.slow_line import SlowLine, SlowPipe
from loadsim.link.transport import Slowness

latencies = st.floats(0.0, 5.0)
bandwidths = st.none() | st.floats(100.0, 1e6)
# (seconds since the one before, bytes, latency, bandwidth)
sendings = st.lists(st.tuples(st.floats(0.0, 2.0), st.integers(0, 20_000), latencies, bandwidths), max_size=20)


def steady(latency: float, bandwidth: float | None = None) -> Slowness:
    return Slowness(lambda: latency, bandwidth)


def test_messages_a_millisecond_apart_arrive_a_millisecond_apart_both_by_the_latency_later() -> None:
    line = SlowLine()
    line.slowness = steady(0.5)

    assert [line.arrival(100, 10.0), line.arrival(100, 10.001)] == [10.5, 10.501]


def test_bandwidth_makes_messages_queue_for_the_line() -> None:
    line = SlowLine()
    line.slowness = steady(0.5, 1000.0)

    assert [line.arrival(1000, 0.0), line.arrival(1000, 0.0), line.arrival(500, 5.0)] == [1.5, 2.5, 6.0]


def test_what_follows_a_slowness_arrives_at_once_but_not_before_what_is_under_way() -> None:
    line = SlowLine()
    line.slowness = steady(2.0)
    line.arrival(1, 0.0)
    line.slowness = None

    assert [line.arrival(1, 1.0), line.arrival(1, 3.0)] == [2.0, 3.0]
    assert [line.busy(1.0), line.busy(3.0), line.busy(9.0)] == [2.0, 0.0, 0.0]


@given(sendings)
def test_nothing_overtakes_and_nothing_is_faster_than_latency_and_bandwidth_allow(
    sent: list[tuple[float, int, float, float | None]],
) -> None:
    line, now, arrivals = SlowLine(), 0.0, []
    for gap, size, latency, bandwidth in sent:
        now += gap
        line.slowness = steady(latency, bandwidth)
        arrivals.append(line.arrival(size, now))
        assert arrivals[-1] >= now + latency + (0.0 if bandwidth is None else size / bandwidth) - 1e-9
    assert all(before <= after for before, after in pairwise(arrivals))


@given(st.lists(st.tuples(st.binary(max_size=5000), bandwidths), max_size=10), st.integers(1, 3000))
def test_a_pipe_gives_back_the_very_bytes_in_whatever_pieces(
    sent: list[tuple[bytes, float | None]], most: int
) -> None:
    pipe = SlowPipe()
    for data, bandwidth in sent:
        pipe.line.slowness = steady(0.1, bandwidth)
        pipe.put(data, 0.0)
    assert pipe.size == sum(len(data) for data, _ in sent)

    taken = []
    while pipe:
        assert pipe.due() >= 0.1
        taken.append(pipe.take(most))
    assert b"".join(taken) == b"".join(data for data, _ in sent)
    assert max(map(len, taken), default=0) <= most
    assert pipe.size == 0


def test_a_large_message_trickles_out_at_the_bandwidth() -> None:
    pipe = SlowPipe()
    pipe.line.slowness = steady(1.0, 8000.0)
    pipe.put(bytes(16_000), 0.0)
    arrived = []
    while pipe:
        due = pipe.due()
        arrived.append((due, len(pipe.take())))

    assert arrived[0][0] == pytest.approx(1.0 + 1460 / 8000)
    assert arrived[-1][0] == pytest.approx(1.0 + 16_000 / 8000)
    assert all(size <= 1460 for _, size in arrived)
