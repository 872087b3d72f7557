"""Pollers: who watches sockets tells what can be read, and costs nothing when nothing is watched."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from loadsim.link.poller import BATCH, EpollPoller, Poller, TaskPoller

pytestmark = pytest.mark.network

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")


@pytest.fixture(params=[pytest.param(EpollPoller, marks=LINUX), TaskPoller])
def poller(request: pytest.FixtureRequest) -> Poller:
    made: Poller = request.param()
    return made


@pytest.fixture
def make_pair() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    made: list[socket.socket] = []

    def make() -> tuple[socket.socket, socket.socket]:
        near, far = socket.socketpair()
        near.setblocking(False)
        made.extend((near, far))
        return near, far

    yield make
    for each in made:
        each.close()


Pairs = Callable[[], tuple[socket.socket, socket.socket]]


def tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


async def test_who_has_something_is_told_until_it_is_taken(poller: Poller, make_pair: Pairs) -> None:
    near, far = make_pair()
    told = []

    def take() -> None:
        told.append(near.recv(2))

    poller.watch(near, take)
    await wait_all_tasks_blocked()
    assert told == []
    far.send(b"abcde")
    await wait_all_tasks_blocked(0.02)
    assert told == [b"ab", b"cd", b"e"]
    far.send(b"f")
    await wait_all_tasks_blocked(0.02)
    assert told[3:] == [b"f"]
    poller.unwatch(near)


async def test_the_end_is_told_as_well(poller: Poller, make_pair: Pairs) -> None:
    near, far = make_pair()
    told = []

    def take() -> None:
        told.append(near.recv(2))
        poller.unwatch(near)

    poller.watch(near, take)
    far.close()
    await wait_all_tasks_blocked(0.02)
    assert told == [b""]


async def test_who_is_not_watched_any_more_is_told_nothing_and_is_told_again_when_it_is(
    poller: Poller, make_pair: Pairs
) -> None:
    near, far = make_pair()
    told = []

    def take() -> None:
        told.append(near.recv(10))

    poller.watch(near, take)
    poller.unwatch(near)
    poller.unwatch(near)
    far.send(b"kept")
    await wait_all_tasks_blocked(0.02)
    assert told == []
    poller.watch(near, take)
    await wait_all_tasks_blocked(0.02)
    assert told == [b"kept"]
    poller.unwatch(near)


async def test_who_is_unwatched_by_another_in_the_same_turn_is_not_told(poller: Poller, make_pair: Pairs) -> None:
    pairs = [make_pair() for _ in range(2)]
    told = []

    def first_of_all() -> None:
        told.append(1)
        for near, _ in pairs:
            poller.unwatch(near)

    for near, far in pairs:
        far.send(b"x")
        poller.watch(near, first_of_all)
    await wait_all_tasks_blocked(0.02)
    assert told == [1]


async def test_who_has_always_more_does_not_keep_others_waiting(poller: Poller, make_pair: Pairs) -> None:
    flooded = [make_pair() for _ in range(BATCH + 10)]
    quiet, far = make_pair()
    turns, told = [0], trio.Event()

    def never_take() -> None:
        turns[0] += 1

    def take() -> None:
        quiet.recv(1)
        told.set()

    for near, other in flooded:
        other.send(b"x")
        poller.watch(near, never_take)
    poller.watch(quiet, take)
    await trio.sleep(0.02)
    far.send(b"x")
    before = turns[0]
    with trio.fail_after(5):
        await told.wait()  # and this task has its turn, too
    assert turns[0] - before < 100 * len(flooded)
    for near, _ in (*flooded, (quiet, far)):
        poller.unwatch(near)


async def test_nothing_runs_when_nothing_is_watched(poller: Poller, make_pair: Pairs) -> None:
    pairs = [make_pair() for _ in range(3)]
    before = tasks()
    for _ in range(3):
        for near, _far in pairs:
            poller.watch(near, lambda: None)
        await wait_all_tasks_blocked()
        assert tasks() > before
        for near, _far in pairs:
            poller.unwatch(near)
        await wait_all_tasks_blocked()
        assert tasks() == before


@LINUX
async def test_with_epoll_a_thousand_take_one_task(make_pair: Pairs) -> None:
    poller = EpollPoller()
    pairs = [make_pair() for _ in range(200)]
    before = tasks()
    for near, _ in pairs:
        poller.watch(near, lambda: None)
    await wait_all_tasks_blocked()
    assert tasks() == before + 1
    for near, _ in pairs:
        poller.unwatch(near)


def test_a_run_that_left_sockets_watched_is_in_no_later_runs_way(poller: Poller, make_pair: Pairs) -> None:
    near, far = make_pair()
    told = []

    async def run() -> None:
        poller.watch(near, lambda: told.append(near.recv(10)))
        far.send(b"x")
        await wait_all_tasks_blocked(0.02)

    trio.run(run)
    trio.run(run)
    assert told == [b"x", b"x"]
