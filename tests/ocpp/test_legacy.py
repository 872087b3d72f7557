"""The legacy framing: requests as objects with snake_case properties."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.ocpp.frame import MalformedFrame
from loadsim.ocpp.legacy import camel_case, decode_call, encode_call, is_object, snake_case
from tests.v16.messages.oracle import SCHEMAS

BOOT = """{"call_type": 2, "id": "msg_001", "type": "BootNotification",
 "properties": {"charge_point_vendor": "VENDOR", "charge_point_model": "CP001",
  "charge_point_serial_number": "CJ-12345ABCD", "charge_box_serial_number": "CJ-ABCD12345",
  "firmware_version": "1.1", "iccid": "1", "imsi": "1", "meter_type": "dual-gun",
  "meter_serial_number": "CJ-ABC123ABC"}}"""


def field_names(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {name for part in schema for name in field_names(part)}
    if not isinstance(schema, dict):
        return set()
    own = schema.get("properties", {})
    return set(own if isinstance(own, dict) else ()) | field_names(list(schema.values()))


NAMES = sorted(field_names(list(SCHEMAS.values())))
PAYLOADS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
)


def test_the_boot_of_the_first_programs_is_read() -> None:
    call = decode_call(BOOT)

    assert (call.id, call.action) == ("msg_001", "BootNotification")
    assert json.loads(bytes(call.payload)) == {
        "chargePointVendor": "VENDOR",
        "chargePointModel": "CP001",
        "chargePointSerialNumber": "CJ-12345ABCD",
        "chargeBoxSerialNumber": "CJ-ABCD12345",
        "firmwareVersion": "1.1",
        "iccid": "1",
        "imsi": "1",
        "meterType": "dual-gun",
        "meterSerialNumber": "CJ-ABC123ABC",
    }


def test_the_boot_of_the_first_programs_is_written() -> None:
    call = decode_call(BOOT)

    assert json.loads(encode_call(call.id, call.action, bytes(call.payload))) == json.loads(BOOT)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_schemas_survives_both_directions(name: str) -> None:
    assert camel_case(snake_case(name)) == name


def test_no_two_names_of_the_schemas_share_a_snake_case_name() -> None:
    assert len(NAMES) > 90
    assert len({snake_case(name) for name in NAMES}) == len(NAMES)
    assert all(snake_case(name).islower() for name in NAMES)


@given(st.text(max_size=40), st.text(max_size=40), st.dictionaries(st.sampled_from(NAMES), PAYLOADS, max_size=5))
def test_a_call_is_read_as_it_was_written(message_id: str, action: str, payload: dict[str, Any]) -> None:
    text = encode_call(message_id, action, json.dumps(payload).encode())
    call = decode_call(text)

    assert is_object(text)
    assert (call.id, call.action, json.loads(bytes(call.payload))) == (message_id, action, payload)


@given(st.text() | st.from_regex(r"\{.*\}") | st.dictionaries(st.text(), PAYLOADS).map(json.dumps))
def test_anything_else_is_malformed_and_nothing_worse(text: str) -> None:
    with pytest.raises(MalformedFrame):
        decode_call(text)


def test_a_call_without_properties_has_an_empty_payload() -> None:
    assert bytes(decode_call('{"call_type": 2, "id": "1", "type": "Heartbeat"}').payload) == b"{}"


def test_what_is_wrong_is_said_under_the_id() -> None:
    with pytest.raises(MalformedFrame) as raised:
        decode_call('{"call_type": 2, "id": "7", "properties": {}}')

    assert (raised.value.id, raised.value.kind) == ("7", 2)
    assert "type" in raised.value.reason


def test_another_message_type_is_unknown() -> None:
    with pytest.raises(MalformedFrame, match="unknown message type 3") as raised:
        decode_call('{"call_type": 3, "id": "7", "type": "Heartbeat"}')

    assert (raised.value.id, raised.value.kind) == ("7", None)


def test_a_lone_surrogate_is_malformed() -> None:
    with pytest.raises(MalformedFrame):
        decode_call('{"call_type": 2, "id": "\ud800", "type": "Heartbeat"}')


@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_nesting_is_malformed(depth: int) -> None:
    with pytest.raises(MalformedFrame):
        decode_call('{"call_type":2,"id":"1","type":"A","properties":{"a":' + "[" * depth + "]" * depth + "}}")


@pytest.mark.parametrize(("text", "expected"), [('{"a": 1}', True), (" \n{", True), ("[2]", False), ("", False)])
def test_the_framing_is_told_by_the_first_character(text: str, expected: bool) -> None:
    assert is_object(text) is expected
