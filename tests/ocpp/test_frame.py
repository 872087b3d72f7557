"""Frames of OCPP-J 1.6, section 4.2."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.ocpp import frame
from loadsim.ocpp.frame import Call, CallError, CallResult, MalformedFrame

ids = st.text(max_size=40)
objects = st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(max_size=8))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


def content(payload: Any) -> Any:
    return json.loads(bytes(payload))


@settings(deadline=None)
@given(ids, objects, st.sampled_from([None, 1]))
def test_a_result_that_is_written_is_read_back(message_id: str, payload: dict[str, Any], indent: int | None) -> None:
    written = frame.encode_result(message_id, json.dumps(payload, indent=indent).encode())

    read = frame.decode(written)

    assert isinstance(read, CallResult)
    assert read.id == message_id
    assert content(read.payload) == payload


@settings(deadline=None)
@given(objects)
def test_a_call_that_is_written_is_read_back(payload: dict[str, Any]) -> None:
    read = frame.decode(frame.encode_call("run-1", "Heartbeat", json.dumps(payload).encode()))

    assert isinstance(read, Call)
    assert (read.id, read.action, content(read.payload)) == ("run-1", "Heartbeat", payload)


@settings(deadline=None)
@given(ids, st.sampled_from(sorted(frame.ERROR_CODES)), st.text(max_size=300))
def test_an_error_that_is_written_is_read_back_with_its_description_cut(
    message_id: str, code: str, description: str
) -> None:
    read = frame.decode(frame.encode_error(message_id, code, description))

    assert isinstance(read, CallError)
    assert (read.id, read.code, read.description) == (message_id, code, description[:255])


def test_rule_1_error_details_are_an_object_and_never_null() -> None:
    assert json.loads(frame.encode_error("a", "GenericError", "")) == [4, "a", "GenericError", "", {}]


@pytest.mark.parametrize(
    ("later", "meant"),
    [
        ("FormatViolation", "FormationViolation"),
        ("OccurrenceConstraintViolation", "OccurenceConstraintViolation"),
        ("NotSupported", "NotSupported"),
        ("SomethingOfTheirOwn", "SomethingOfTheirOwn"),
    ],
)
def test_rule_7_the_later_spellings_of_error_codes_are_read_as_what_they_mean(later: str, meant: str) -> None:
    read = frame.decode(json.dumps([4, "a", later, "", {}]))

    assert isinstance(read, CallError)
    assert read.code == meant


@pytest.mark.parametrize("tail", [[], [""], ["", {}], ["", None]])
def test_an_error_without_description_or_details_is_one_all_the_same(tail: list[Any]) -> None:
    assert isinstance(frame.decode(json.dumps([4, "a", "InternalError", *tail])), CallError)


@pytest.mark.parametrize(
    ("text", "message_id", "kind"),
    [
        ("", None, None),
        ("null", None, None),
        ("{}", None, None),
        ("[]", None, None),
        ("[3]", None, 3),
        ('[3,"a"]', "a", 3),
        ('[3,"a",{},{}]', "a", 3),
        ('[3,"a",null]', "a", 3),
        ('[3,"a",[]]', "a", 3),
        ("[3,7,{}]", None, 3),
        ('[2,"a","Reset"]', "a", 2),
        ('[2,"a",7,{}]', "a", 2),
        ('[2,"a","Reset",[]]', "a", 2),
        ('[4,"a"]', "a", 4),
        ('[4,"a",7]', "a", 4),
        ('[5,"a",{}]', "a", None),
        ('["3","a",{}]', "a", None),
        ('[3,"a",{}', None, None),
        ('[3,"a",{}] x', None, None),
    ],
)
def test_what_is_no_frame_is_malformed_and_keeps_what_could_be_read(
    text: str, message_id: str | None, kind: int | None
) -> None:
    with pytest.raises(MalformedFrame) as malformed:
        frame.decode(text)

    assert (malformed.value.id, malformed.value.kind) == (message_id, kind)


@settings(deadline=None)
@given(st.text() | st.text(st.characters()) | st.binary() | anything.map(json.dumps))
def test_any_text_is_a_frame_or_malformed(text: str | bytes) -> None:
    try:
        read = frame.decode(text)
    except MalformedFrame as malformed:
        outcome: object = malformed
    else:
        outcome = read
    assert isinstance(outcome, Call | CallResult | CallError | MalformedFrame)


@settings(deadline=None)
@given(st.sampled_from([2, 3, 4, 5, "3", None]), st.lists(anything, max_size=5))
def test_any_array_is_a_frame_or_malformed(kind: Any, rest: list[Any]) -> None:
    read_kind = kind
    try:
        frame.decode(json.dumps([kind, *rest]))
    except MalformedFrame as malformed:
        read_kind = malformed.kind
    assert read_kind in (None, kind)


def test_a_payload_nested_beyond_all_measure_is_malformed() -> None:
    with pytest.raises(MalformedFrame):
        frame.decode('[3,"a",' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "]")
