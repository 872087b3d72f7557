"""What a charge point has to say: order, retries and what is dropped (OCPP 1.6, sections 3.7 and 3.7.1)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loadsim.charge_point.outbox import Backlog, Message, Outbox
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import HeartbeatRequest


class Kept(Message):
    __slots__ = ()

    action = BY_NAME["StopTransaction"]
    kept = True

    def request(self) -> HeartbeatRequest:
        return HeartbeatRequest()


class Other(Message):
    __slots__ = ()

    action = BY_NAME["StatusNotification"]

    def request(self) -> HeartbeatRequest:
        return HeartbeatRequest()


def emptied(outbox: Outbox) -> list[Message]:
    """Deliver all, and return it in its order."""
    sent = []
    while (message := outbox.next(10.0)) is not None:
        sent.append(message)
        outbox.remove(message)
    return sent


def test_rule_20_what_is_kept_goes_out_in_the_order_of_its_events() -> None:
    outbox = Outbox()
    messages = [Kept(float(n)) for n in range(4)]
    for message in messages:
        outbox.put(message)

    assert emptied(outbox) == messages


def test_rule_20_others_overtake_what_waits_for_its_next_try_and_nothing_else() -> None:
    outbox = Outbox()
    first, second, other = Kept(0.0), Kept(1.0), Other(2.0)
    for message in (first, second, other):
        outbox.put(message)
    assert outbox.next(5.0) is first
    outbox.failed(first, 5.0, attempts=3, interval=60)

    assert outbox.next(5.0) is other
    outbox.remove(other)
    assert outbox.next(64.9) is None
    assert outbox.next_at() == 65.0
    assert outbox.next(65.0) is first


@pytest.mark.parametrize(("attempts", "waits"), [(1, []), (2, [60]), (4, [60, 120, 180])])
def test_rule_21_tries_are_an_interval_times_the_tries_so_far_apart_and_then_it_is_skipped(
    attempts: int, waits: list[int]
) -> None:
    outbox = Outbox()
    message, following = Kept(0.0), Kept(1.0)
    outbox.put(message)
    outbox.put(following)
    now = 0.0
    seen = []
    while not outbox.failed(message, now, attempts=attempts, interval=60):
        assert outbox.next(now) is None
        seen.append(message.ready - now)
        now = message.ready
        assert outbox.next(now) is message

    assert seen == waits
    assert outbox.next(now) is following


def test_what_is_not_kept_is_tried_once_and_dropped_with_the_connection() -> None:
    outbox = Outbox()
    kept, first, second = Kept(0.0), Other(0.0), Other(1.0)
    for message in (kept, first, second):
        outbox.put(message)

    assert outbox.failed(first, 1.0, attempts=5, interval=1)
    assert outbox.drop_others() == [second]
    assert list(outbox.kept) == [kept]
    assert len(outbox) == 1


def test_an_empty_outbox_has_nothing_to_say_ever() -> None:
    assert Outbox().next(math.inf) is None
    assert Outbox().next_at() == math.inf
    assert not Outbox()


class Sending(RuleBasedStateMachine):
    """A CSMS that fails now and then: no message is lost unless its tries are used up, and the order holds."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog = Backlog()
        self.outbox = Outbox(self.backlog)
        self.neighbour = Outbox(self.backlog)
        self.now = 0.0
        self.waiting: list[Message] = []
        self.tries: dict[Message, list[float]] = {}

    @rule(kept=st.booleans(), later=st.sampled_from([0.0, 0.0, 10.0]))
    def put(self, kept: bool, later: float) -> None:
        message = Kept(self.now) if kept else Other(self.now, self.now + later)
        self.outbox.put(message)
        self.waiting.append(message)

    @rule(seconds=st.sampled_from([0.5, 5.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.outbox.next(self.now) is not None)
    @rule(succeeds=st.booleans())
    def send(self, succeeds: bool) -> None:
        message = self.outbox.next(self.now)
        assert message is not None
        assert message.ready <= self.now
        if message.kept:
            assert message is next(each for each in self.waiting if each.kept)
        tries = self.tries.setdefault(message, [])
        tries.append(self.now)
        if succeeds:
            self.outbox.remove(message)
            self.waiting.remove(message)
        elif self.outbox.failed(message, self.now, attempts=3, interval=20):
            assert len(tries) == (3 if message.kept else 1)
            self.waiting.remove(message)
        else:
            assert message.ready == self.now + 20 * len(tries)

    @precondition(lambda self: self.waiting)
    @rule()
    def lose_the_connection(self) -> None:
        dropped = self.outbox.drop_others()
        assert dropped == [message for message in self.waiting if not message.kept]
        self.waiting = [message for message in self.waiting if message.kept]

    @rule(kept=st.booleans())
    def let_the_neighbour_put(self, kept: bool) -> None:
        self.neighbour.put(Kept(self.now) if kept else Other(self.now))

    @rule()
    def end_the_neighbours_life(self) -> None:
        left = self.neighbour.clear()
        assert len(left) == len(set(left))
        assert not self.neighbour

    @invariant()
    def the_backlog_is_what_is_kept_in_all_outboxes(self) -> None:
        assert self.backlog.messages == len(self.outbox.kept) + len(self.neighbour.kept)

    @invariant()
    def what_waits_is_all_there_is(self) -> None:
        both = sorted((*self.outbox.kept, *self.outbox.others), key=lambda message: message.order)
        assert both == self.waiting
        assert len(self.outbox) == len(self.waiting)

    @invariant()
    def the_next_try_is_foreseen(self) -> None:
        at = self.outbox.next_at()
        assert (self.outbox.next(self.now) is not None) == (at <= self.now)
        if at < math.inf:
            assert self.outbox.next(at) is not None


TestSending = Sending.TestCase


@given(st.lists(st.booleans(), max_size=12))
def test_messages_that_are_ready_go_out_in_the_order_in_which_they_were_put(kinds: list[bool]) -> None:
    outbox = Outbox()
    messages: list[Message] = [Kept(0.0) if kept else Other(0.0) for kept in kinds]
    for message in messages:
        outbox.put(message)

    assert emptied(outbox) == messages
