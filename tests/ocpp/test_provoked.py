"""Answers that malformed messages provoke: expected, once each, and never taken for a mistake of the CSMS."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.ocpp.rpc import Answered, Provoked, Rpc, Spoilt, Stray


def result(message_id: str | None) -> str:
    return json.dumps([3, message_id, {}])


def error(message_id: str | int | None) -> str:
    return json.dumps([4, message_id, "FormationViolation", "", {}])


def kind(event: object) -> str:
    assert isinstance(event, Stray), event
    return event.kind


@pytest.mark.parametrize("answer", [result, error])
def test_an_answer_under_the_id_of_a_malformed_message_is_provoked_and_the_second_a_duplicate(answer: object) -> None:
    assert callable(answer)
    rpc = Rpc("a-")
    message_id = rpc.new_id()
    rpc.provoke(message_id)

    assert isinstance(rpc.receive(answer(message_id)), Provoked)
    assert kind(rpc.receive(answer(message_id))) == "duplicate"


@pytest.mark.parametrize("made_up", ["-1", "", "unknown", None, 7])
def test_a_refusal_under_a_made_up_id_is_provoked_where_no_id_could_be_read(made_up: str | int | None) -> None:
    rpc = Rpc("a-")
    rpc.provoke(rpc.new_id(), nameless=True)

    assert isinstance(rpc.receive(error(made_up)), Provoked)
    assert kind(rpc.receive(error(made_up))) == ("unknown_id" if isinstance(made_up, str) else "malformed")


def test_a_result_under_a_made_up_id_is_a_stray_all_the_same() -> None:
    rpc = Rpc("a-")
    rpc.provoke(rpc.new_id(), nameless=True)

    assert kind(rpc.receive(result("-1"))) == "unknown_id"


def test_a_refusal_under_a_made_up_id_is_a_stray_where_the_id_could_be_read() -> None:
    rpc = Rpc("a-")
    rpc.provoke(rpc.new_id())

    assert kind(rpc.receive(error("-1"))) == "unknown_id"


def test_one_malformed_message_provokes_one_answer_under_whatever_id() -> None:
    rpc = Rpc("a-")
    message_id = rpc.new_id()
    rpc.provoke(message_id, nameless=True)

    assert isinstance(rpc.receive(error(message_id)), Provoked)
    assert kind(rpc.receive(error("-1"))) == "unknown_id"


def test_the_open_call_has_its_answer_also_after_a_malformed_message() -> None:
    rpc = Rpc("a-")
    rpc.provoke(rpc.new_id(), nameless=True)
    message_id = rpc.open_call()

    assert isinstance(rpc.receive(error("-1")), Provoked)
    assert isinstance(rpc.receive(result(message_id)), Answered)


def test_in_the_object_framing_a_refusal_of_what_is_malformed_is_not_taken_for_the_open_calls_answer() -> None:
    rpc = Rpc("a-", any_id_answers=True)
    rpc.provoke(rpc.new_id(), nameless=True)
    rpc.open_call()

    assert isinstance(rpc.receive(error("12345")), Provoked)
    assert isinstance(rpc.receive(result("12345")), Answered)


def test_a_second_call_under_the_last_id_provokes_a_second_answer() -> None:
    rpc = Rpc("a-")
    message_id = rpc.open_call()
    assert isinstance(rpc.receive(result(message_id)), Answered)
    assert rpc.last_id == message_id
    rpc.provoke(message_id)

    assert isinstance(rpc.receive(result(message_id)), Provoked)
    assert kind(rpc.receive(result(message_id))) == "duplicate"


def test_the_late_answer_to_the_call_itself_comes_before_the_one_to_its_double() -> None:
    rpc = Rpc("a-")
    message_id = rpc.open_call()
    rpc.give_up()
    rpc.provoke(message_id)

    assert kind(rpc.receive(result(message_id))) == "late"
    assert isinstance(rpc.receive(result(message_id)), Provoked)


def test_a_new_connection_brings_no_answer_to_what_was_malformed_on_the_last_one() -> None:
    rpc = Rpc("a-")
    message_id = rpc.new_id()
    rpc.provoke(message_id, nameless=True)
    rpc.connected()

    assert kind(rpc.receive(error("-1"))) == "unknown_id"
    assert kind(rpc.receive(error(message_id))) == "duplicate"


def test_before_the_first_call_there_is_no_last_id() -> None:
    assert Rpc("a-").last_id is None


@given(st.lists(st.sampled_from(["call", "answer", "give up", "malformed"]), max_size=40), st.booleans())
def test_ids_are_never_used_twice_whatever_they_are_for(steps: list[str], nameless: bool) -> None:
    rpc = Rpc("a-")
    used: list[str] = []
    for step in steps:
        if step == "malformed":
            used.append(rpc.new_id())
            rpc.provoke(used[-1], nameless=nameless)
        elif step == "call" and rpc.open_id is None:
            used.append(rpc.open_call())
        elif step == "give up":
            rpc.give_up()
        elif rpc.open_id is not None:
            assert isinstance(rpc.receive(result(rpc.open_id)), Answered | Spoilt)

    assert len(set(used)) == len(used)
