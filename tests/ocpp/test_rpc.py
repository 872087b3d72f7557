"""The RPC of one charge point: what each incoming text means, held against a model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from loadsim.metrics.catalogue import STRAYS
from loadsim.ocpp.frame import CallError, CallResult
from loadsim.ocpp.rpc import Answered, Asked, AskedBadly, Rpc, Spoilt, Stray
from tests.ocpp.test_frame import anything

LATE_IDS_KEPT = 32


def result(message_id: str) -> str:
    return json.dumps([3, message_id, {}])


def stray_kind(event: object) -> str:
    assert isinstance(event, Stray), event
    return event.kind


def test_rule_5_a_second_call_is_not_opened_beside_the_first() -> None:
    rpc = Rpc("a-")
    rpc.open_call()

    with pytest.raises(RuntimeError):
        rpc.open_call()


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=60), st.integers(1, 3000))
def test_rule_2_ids_are_at_most_36_characters_and_never_used_twice(prefix: str, calls: int) -> None:
    rpc = Rpc(prefix)
    seen = set()
    for _ in range(calls):
        seen.add(rpc.open_call())
        rpc.give_up()

    assert len(seen) == calls
    assert max(map(len, seen)) <= 36


def test_rule_2_of_a_long_prefix_the_end_counts_which_is_the_charge_points_own() -> None:
    assert Rpc("run" * 20 + "-1-").open_call() != Rpc("run" * 20 + "-2-").open_call()


@pytest.mark.parametrize("code", ["OccurenceConstraintViolation", "OccurrenceConstraintViolation"])
def test_rule_7_a_call_error_in_either_spelling_answers_the_call(code: str) -> None:
    rpc = Rpc("a-")

    event = rpc.receive(json.dumps([4, rpc.open_call(), code, "", {}]))

    assert isinstance(event, Answered)
    assert isinstance(event.answer, CallError)
    assert event.answer.code == "OccurenceConstraintViolation"


def test_rule_7_an_unknown_message_type_is_ignored_also_under_the_open_id() -> None:
    rpc = Rpc("a-")
    message_id = rpc.open_call()

    assert stray_kind(rpc.receive(json.dumps([6, message_id, {}]))) == "malformed"
    assert rpc.open_id == message_id


@pytest.mark.parametrize("text", ['[2,"x","Reset"]', '[2,"x",5,{}]', '[2,"x","Reset",null]'])
def test_a_call_that_is_malformed_but_has_an_id_can_be_answered(text: str) -> None:
    event = Rpc("a-").receive(text)

    assert isinstance(event, AskedBadly)
    assert event.id == "x"


def test_a_call_of_the_csms_is_none_of_the_open_calls_business() -> None:
    rpc = Rpc("a-")
    message_id = rpc.open_call()

    assert isinstance(rpc.receive(json.dumps([2, message_id, "Reset", {}])), Asked)
    assert rpc.open_id == message_id


@pytest.mark.parametrize("message_id", ["12345", "", "a-0", "a-01", "a-2", "a-x"])
def test_in_the_object_framing_an_answer_under_any_id_is_for_the_open_call(message_id: str) -> None:
    rpc = Rpc("a-", any_id_answers=True)
    rpc.open_call()

    assert isinstance(rpc.receive(result(message_id)), Answered)
    assert stray_kind(rpc.receive(result(message_id))) == "unknown_id"


@pytest.mark.parametrize("text", ['[3,"12345"]', '[3,"12345",null]', "[3,12345,{}]", '[4,"12345"]'])
def test_in_the_object_framing_a_malformed_answer_under_any_id_spoils_the_open_call(text: str) -> None:
    rpc = Rpc("a-", any_id_answers=True)
    rpc.open_call()

    assert isinstance(rpc.receive(text), Spoilt)
    assert rpc.open_id is None


def test_in_the_object_framing_too_a_late_answer_is_never_matched_to_the_next_call() -> None:
    rpc = Rpc("a-", any_id_answers=True)
    first = rpc.open_call()
    rpc.give_up()
    second = rpc.open_call()

    assert stray_kind(rpc.receive(result(first))) == "late"
    assert rpc.open_id == second


def test_in_the_array_framing_an_answer_under_another_id_is_for_nobody() -> None:
    rpc = Rpc("a-")
    rpc.open_call()

    assert stray_kind(rpc.receive(result("12345"))) == "unknown_id"
    assert rpc.open_id is not None


def test_a_binary_message_is_a_stray() -> None:
    rpc = Rpc("a-")

    assert stray_kind(rpc.receive(result(rpc.open_call()).encode())) == "malformed"


@settings(deadline=None)
@given(st.booleans(), st.text() | st.text(st.characters()) | st.binary() | anything.map(json.dumps))
def test_any_message_is_classified_and_nothing_is_raised(any_id: bool, text: str | bytes) -> None:
    rpc = Rpc("a-", any_id_answers=any_id)
    rpc.open_call()

    event = rpc.receive(text)

    assert isinstance(event, Answered | Spoilt | Asked | AskedBadly | Stray)
    assert (rpc.open_id is None) == isinstance(event, Answered | Spoilt)


class RpcMachine(RuleBasedStateMachine):
    """An Rpc against a model that remembers everything."""

    def __init__(self) -> None:
        super().__init__()
        self.open: str | None = None
        self.used: list[str] = []
        self.unanswered: list[str] = []

    @initialize(prefix=st.sampled_from(["", "a-", "0", "run" * 20 + "-f-"]), any_id=st.booleans())
    def begin(self, prefix: str, any_id: bool) -> None:
        self.rpc = Rpc(prefix, any_id_answers=any_id)
        self.any_id = any_id

    @precondition(lambda self: self.open is None)
    @rule()
    def opens(self) -> None:
        self.open = self.rpc.open_call()
        assert self.open not in self.used
        assert len(self.open) <= 36
        self.used.append(self.open)

    @rule()
    def gives_up(self) -> None:
        self.rpc.give_up()
        if self.open is not None:
            self.unanswered.append(self.open)
            del self.unanswered[:-LATE_IDS_KEPT]
            self.open = None

    @precondition(lambda self: self.open is not None)
    @rule(error=st.booleans())
    def is_answered(self, error: bool) -> None:
        text = json.dumps([4, self.open, "InternalError", "", {}] if error else [3, self.open, {}])
        event = self.rpc.receive(text)
        assert isinstance(event, Answered)
        assert isinstance(event.answer, CallError if error else CallResult)
        assert event.answer.id == self.open
        self.open = None

    @precondition(lambda self: self.open is not None)
    @rule(broken=st.sampled_from([[3, "{id}"], [3, "{id}", None], [4, "{id}"], [3, "{id}", {}, 1]]))
    def is_answered_badly(self, broken: list[Any]) -> None:
        text = json.dumps(broken).replace("{id}", str(self.open))
        assert isinstance(self.rpc.receive(text), Spoilt)
        self.open = None

    @precondition(lambda self: self.unanswered)
    @rule(data=st.data())
    def is_answered_late(self, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from(self.unanswered))
        self.unanswered.remove(message_id)
        assert stray_kind(self.rpc.receive(result(message_id))) == "late"

    @precondition(lambda self: any(self.is_over(used) for used in self.used))
    @rule(data=st.data())
    def is_answered_again(self, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from([used for used in self.used if self.is_over(used)]))
        assert stray_kind(self.rpc.receive(result(message_id))) == "duplicate"

    @rule(message_id=st.sampled_from(["zzz", "a-zz", "a--1", "\u0661", "a-+1", "a- 1", "a-1_0", "12345", "a-01"]))
    def is_answered_under_a_strange_id(self, message_id: str) -> None:
        event = self.rpc.receive(result(message_id))
        if self.any_id and self.open is not None:
            assert isinstance(event, Answered)
            self.open = None
        else:
            assert stray_kind(event) == "unknown_id"

    @rule(text=st.sampled_from(["", "[]", "[2]", '[9,"a"]', "{}", "[3,", '[2,"a","Reset",{}]', '[2,"a"]']))
    def receives_what_concerns_no_call(self, text: str) -> None:
        event = self.rpc.receive(text)
        assert isinstance(event, Asked | AskedBadly) or stray_kind(event) == "malformed"

    def is_over(self, message_id: str) -> bool:
        return message_id != self.open and message_id not in self.unanswered

    @invariant()
    def knows_its_open_call(self) -> None:
        if self.used or self.open:
            assert self.rpc.open_id == self.open


RpcMachine.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
TestRpcAgainstItsModel = RpcMachine.TestCase


def test_every_kind_of_stray_is_in_the_catalogue() -> None:
    rpc = Rpc("a-")
    late = rpc.open_call()
    rpc.give_up()

    kinds = {stray_kind(rpc.receive(text)) for text in (result(late), result("b"), "x")}
    kinds.add(stray_kind(rpc.receive(result(late))))

    assert kinds == set(STRAYS)


def test_an_answer_that_comes_after_many_more_time_outs_is_late_and_no_duplicate() -> None:
    rpc = Rpc("p-")
    ids = []
    for _ in range(100):
        ids.append(rpc.open_call())
        rpc.give_up()

    kinds = [rpc.receive(f'[3,"{message_id}",{{}}]') for message_id in ids]
    assert [event.kind for event in kinds if isinstance(event, Stray)] == ["late"] * 100
