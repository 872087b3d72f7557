"""Windows of a run: each interval counts in one, each window is given out once, and memory stays as it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadsim.metrics.snapshot import Snapshot
from loadsim.output.grid import Grid, Standing


class Ends:
    """A window that remembers what came."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.ends: list[float] = []

    def take(self, snapshot: Snapshot) -> None:
        self.ends.append(snapshot.elapsed)


def at(elapsed: float, shard: int = 0) -> Snapshot:
    return Snapshot(shard=shard, elapsed=elapsed)


def test_an_interval_belongs_to_the_window_in_which_it_ended() -> None:
    grid = Grid(1.0, Ends)
    for tick in range(1, 7):
        grid.take(at(tick / 2 + 0.003))

    assert [(window.index, window.ends) for window in grid.rest()] == [
        (0, [0.503, 1.003]),
        (1, [1.503, 2.003]),
        (2, [2.503, 3.003]),
    ]


def test_a_last_word_just_after_the_end_is_not_of_the_window_before_it() -> None:
    grid = Grid(1.0, Ends)
    for elapsed in (0.503, 1.003, 1.02, 1.2):
        grid.take(at(elapsed))
    grid.take(at(1.01, shard=1))  # all of its interval but a little lies before

    assert [(window.index, window.ends) for window in grid.rest()] == [(0, [0.503, 1.003, 1.01]), (1, [1.02, 1.2])]


def test_what_begins_a_little_before_the_run_counts_in_its_first_window() -> None:
    grid = Grid(1.0, Ends)
    grid.take(at(-0.4))
    grid.take(at(0.1))

    assert [(window.index, window.ends) for window in grid.rest()] == [(0, [-0.4, 0.1])]


def test_a_window_is_given_out_when_every_worker_has_reported_or_has_had_time_to() -> None:
    grid = Grid(5.0, Ends)
    grid.take(at(4.0))

    assert list(grid.over(4.5, 5.0)) == []
    assert list(grid.over(4.5, 6.9)) == []
    assert [window.index for window in grid.over(4.5, 7.0)] == [0]
    assert list(grid.over(99.0, 99.0)) == []


@given(
    st.lists(st.tuples(st.floats(0.3, 4.0), st.integers(0, 2), st.booleans()), max_size=60),
    st.sampled_from([1.0, 5.0]),
)
def test_every_interval_is_given_out_once_in_a_window_not_before_its_end(
    steps: list[tuple[float, int, bool]], width: float
) -> None:
    grid = Grid(width, Ends)
    reached = dict.fromkeys(range(3), 0.0)
    given_out: list[Ends] = []
    sent: list[float] = []
    for step, shard, flushed in steps:
        reached[shard] += step
        grid.take(at(reached[shard], shard))
        sent.append(reached[shard])
        if flushed:
            given_out += grid.over(min(reached.values()), max(reached.values()))
    given_out += grid.rest()

    assert [window.index for window in given_out] == sorted({window.index for window in given_out})
    assert sorted(end for window in given_out for end in window.ends) == sorted(sent)
    for window in given_out:
        assert all(end - 0.25 < (window.index + 1) * width for end in window.ends)
    assert len(grid) == 0


def test_a_worker_that_says_nothing_stands_as_it_did_and_one_that_is_lost_does_not() -> None:
    standing = Standing()
    standing.take({0: {"online": 3, "waiting": 1}, 1: {"online": 4}, 2: {"online": 5}})
    standing.take({0: {"online": 2, "waiting": 0}})

    assert standing.of_all_but({2}) == {"online": 6, "waiting": 0}
