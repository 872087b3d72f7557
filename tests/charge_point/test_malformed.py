"""What a charge point sends that a CSMS must survive is malformed as its kind says, under an id of its own."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.charge_point.malformed import DEEP, HUGE, KINDS, malformed
from loadsim.ocpp.action import InvalidPayload
from loadsim.ocpp.frame import Call, MalformedFrame, decode
from loadsim.scenario.plan import MALFORMED_KINDS
from loadsim.v16.messages import BY_NAME

uniforms = st.floats(0, 1, exclude_max=True)


def content_of(kind: str, uniform: float = 0.0) -> Any:
    return json.loads(malformed(kind, "id-1", uniform).message)


def test_every_kind_of_the_plan_can_be_built_and_no_other() -> None:
    assert KINDS == MALFORMED_KINDS


@given(st.sampled_from(["no_json", "no_array", "short", "empty", "unknown_type"]), uniforms)
def test_these_kinds_are_no_frames(kind: str, uniform: float) -> None:
    built = malformed(kind, "id-1", uniform)

    with pytest.raises(MalformedFrame):
        decode(built.message)
    assert built.nameless


@given(uniforms)
def test_no_json_is_no_json(uniform: float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the parser says of it
        content_of("no_json", uniform)


@given(uniforms)
def test_no_array_is_json_and_no_call_of_the_legacy_framing(uniform: float) -> None:
    content = content_of("no_array", uniform)

    assert not isinstance(content, list)
    assert not (isinstance(content, dict) and "call_type" in content)


@given(uniforms)
def test_short_is_an_array_with_too_few_elements(uniform: float) -> None:
    assert len(content_of("short", uniform)) < 4


def test_short_comes_in_every_length() -> None:
    assert {len(content_of("short", n / 4)) for n in range(4)} == {0, 1, 2, 3}


def test_an_unknown_type_has_an_id_of_its_own() -> None:
    assert content_of("unknown_type") == [9, "id-1", {}]


def test_an_unknown_action_is_a_call_of_nothing_that_ocpp_knows() -> None:
    call = decode(malformed("unknown_action", "id-1", 0.0).message)

    assert isinstance(call, Call)
    assert call.action not in BY_NAME


@given(uniforms)
def test_schema_is_a_call_whose_payload_the_action_refuses(uniform: float) -> None:
    _, message_id, action, payload = content_of("schema", uniform)

    assert message_id == "id-1"
    with pytest.raises(InvalidPayload):
        BY_NAME[action].decode_request(msgspec.Raw(json.dumps(payload).encode()))


@given(uniforms)
def test_binary_is_bytes(uniform: float) -> None:
    assert isinstance(malformed("binary", "id-1", uniform).message, bytes)


def test_huge_is_a_call_of_more_than_a_mebibyte() -> None:
    built = malformed("huge", "id-1", 0.0)

    assert len(built.message) > HUGE > 2**20
    assert isinstance(decode(built.message), Call)


def test_deep_is_nothing_but_arrays_in_arrays() -> None:
    message = malformed("deep", "id-1", 0.0).message

    assert message == "[" * DEEP + "]" * DEEP


def test_fragmented_is_a_sound_heartbeat_with_a_frame_for_each_character() -> None:
    built = malformed("fragmented", "id-1", 0.0)
    call = decode(built.message)

    assert isinstance(call, Call)
    assert (call.id, call.action, built.frames) == ("id-1", "Heartbeat", len(built.message))


@given(st.sampled_from(KINDS), uniforms)
def test_only_what_is_sent_in_fragments_has_more_than_one_frame(kind: str, uniform: float) -> None:
    built = malformed(kind, "id-1", uniform)

    assert (built.frames > 1) == (kind == "fragmented")
    assert built.message_id == "id-1"
    assert isinstance(built.message, bytes) or built.message.isascii()
