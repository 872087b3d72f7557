"""Every message against the OCA's JSON schema of it."""

import json
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from loadsim.ocpp.action import InvalidPayload, encode_payload
from loadsim.v16.messages import BY_NAME
from tests.v16.messages.oracle import SCHEMAS, Json, validator
from tests.v16.messages.strategies import fullest, nearly, payloads, places, replaced, spoilt, structs

each_schema = pytest.mark.parametrize("name", SCHEMAS)
some = hypothesis.settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def decode(name: str, payload: bytes) -> Any:
    if name.endswith("Response"):
        return BY_NAME[name.removesuffix("Response")].decode_response(payload)
    return BY_NAME[name].decode_request(payload)


def struct(name: str) -> type[msgspec.Struct]:
    if name.endswith("Response"):
        return BY_NAME[name.removesuffix("Response")].response
    return BY_NAME[name].request


def accepts(name: str, payload: Json, *, ascii_only: bool = False) -> bool:
    try:
        decode(name, json.dumps(payload, ensure_ascii=ascii_only).encode())
    except InvalidPayload:
        return False
    return True


def normal(schema: Json, definitions: Json) -> Json:
    """Reduce a schema to what it asserts."""
    if "$ref" in schema:
        return normal(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "enum" in schema:
        return {"enum": sorted(schema["enum"])}
    asserted = {
        key: schema[key] for key in ("type", "maxLength", "minItems", "format", "multipleOf") if key in schema
    }
    if schema["type"] == "object":
        asserted["required"] = sorted(schema.get("required", ()))
        asserted["additionalProperties"] = schema["additionalProperties"]
        properties = schema.get("properties", {})
        asserted["properties"] = {key: normal(inner, definitions) for key, inner in properties.items()}
    elif schema["type"] == "array":
        asserted["items"] = normal(schema["items"], definitions)
    return asserted


@each_schema
def test_a_struct_asserts_what_its_schema_asserts(name: str) -> None:
    ours = msgspec.json.schema(struct(name))

    assert normal(ours, ours["$defs"]) == normal(SCHEMAS[name], {})


def test_the_schemas_assert_nothing_but_what_is_compared() -> None:
    known = {
        *("type", "maxLength", "minItems", "format", "multipleOf", "enum"),
        *("required", "additionalProperties", "properties", "items"),
    }
    says_nothing = {"$schema", "$id", "id", "title", "description", "comment", "javaType", "additionalItems"}
    keywords: set[str] = set()
    for schema in SCHEMAS.values():
        for _, inner, _ in places(schema, fullest(schema)):
            keywords |= inner.keys()

    assert keywords <= known | says_nothing


@each_schema
@some
@hypothesis.given(data=st.data())
def test_what_the_schema_accepts_is_read_and_written_again_alike(name: str, data: st.DataObject) -> None:
    payload = data.draw(payloads(SCHEMAS[name]))
    validator(name).validate(payload)

    message = decode(name, json.dumps(payload, ensure_ascii=False).encode())

    assert json.loads(encode_payload(message)) == payload


@each_schema
def test_every_change_to_every_field_is_judged_as_the_schema_judges_it(name: str) -> None:
    schema = SCHEMAS[name]
    whole = fullest(schema)
    assert accepts(name, whole)

    for path, inner, value in places(schema, whole):
        for change in spoilt(inner, value):
            payload = replaced(whole, path, change)
            assert accepts(name, payload, ascii_only=True) == validator(name).is_valid(payload), payload


@each_schema
@some
@hypothesis.given(data=st.data())
def test_a_payload_changed_at_random_is_judged_as_the_schema_judges_it(name: str, data: st.DataObject) -> None:
    payload = data.draw(nearly(SCHEMAS[name]))

    assert accepts(name, payload) == validator(name).is_valid(payload)


@each_schema
@some
@hypothesis.given(data=st.data())
def test_what_we_send_the_schema_accepts(name: str, data: st.DataObject) -> None:
    message = data.draw(structs(struct(name)))

    payload = encode_payload(message)

    validator(name).validate(json.loads(payload))
    assert decode(name, payload) == message


def test_reason_of_stop_transaction_is_optional() -> None:
    assert accepts("StopTransaction", {"meterStop": 1, "timestamp": "2025-01-01T00:00:00Z", "transactionId": 0})


def test_interval_is_an_integer() -> None:
    payload = {"status": "Accepted", "currentTime": "2025-01-01T00:00:00Z", "interval": 300}

    assert accepts("BootNotificationResponse", payload)
    assert not accepts("BootNotificationResponse", payload | {"interval": "300"})
    assert not accepts("BootNotificationResponse", payload | {"interval": 0.5})


@pytest.mark.parametrize("written", ["1.0", "1e0", "1E2", "-0.0"])
def test_an_integer_is_written_without_fraction_or_exponent_also_where_draft_6_would_let_it(written: str) -> None:
    for name, payload in (
        ("UnlockConnector", f'{{"connectorId":{written}}}'),
        ("LogStatusNotification", f'{{"status":"Idle","requestId":{written}}}'),
    ):
        with pytest.raises(InvalidPayload):
            decode(name, payload.encode())


@pytest.mark.parametrize("written", ["16", "16.0", "21.4", "2.14e1", "214E-1", "21.40", "0.1", "-0.1", "0", "1e3"])
def test_a_limit_with_one_decimal_is_accepted_however_it_is_written(written: str) -> None:
    assert decode("SetChargingProfile", limited_to(written)).cs_charging_profiles.charging_schedule is not None


@pytest.mark.parametrize("written", ["21.45", "2.145e1", "1e-2", "0.05", "1e400", '"21.4"', "NaN", "Infinity"])
def test_a_limit_with_two_decimals_or_no_double_is_refused(written: str) -> None:
    with pytest.raises(InvalidPayload):
        decode("SetChargingProfile", limited_to(written))


def limited_to(limit: str) -> bytes:
    payload = fullest(SCHEMAS["SetChargingProfile"])
    payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] = "LIMIT"
    return json.dumps(payload).replace('"LIMIT"', limit).encode()
