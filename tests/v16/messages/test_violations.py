"""CALLERROR codes (OCPP-J 1.6, section 4.2.3) for the payloads of real messages."""

import json

import pytest

from loadsim.ocpp.action import InvalidPayload
from loadsim.v16.messages import BY_NAME
from tests.v16.messages.oracle import SCHEMAS, Json
from tests.v16.messages.strategies import fullest, replaced

START = fullest(SCHEMAS["StartTransaction"])
PROFILE = fullest(SCHEMAS["SetChargingProfile"])
SCHEDULE = ("csChargingProfiles", "chargingSchedule")
METER_VALUES = fullest(SCHEMAS["MeterValues"])


def code(action: str, payload: Json) -> str:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    with pytest.raises(InvalidPayload) as raised:
        BY_NAME[action].decode_request(text)
    return raised.value.code


@pytest.mark.parametrize("payload", [b"", b"{", b'{"idTag":"a"}x', b'{"idTag":"\xff"}', b'{"idTag":"\\ud800"}'])
def test_what_is_no_json_is_a_formation_violation(payload: bytes) -> None:
    assert code("Authorize", payload) == "FormationViolation"


def test_an_unknown_field_is_a_formation_violation() -> None:
    assert code("Heartbeat", {"idTag": "a"}) == "FormationViolation"
    assert code("StartTransaction", {**START, "id_tag": "a"}) == "FormationViolation"
    assert code("SetChargingProfile", replaced(PROFILE, (*SCHEDULE, "more"), 1)) == "FormationViolation"


def test_a_missing_field_is_an_occurence_violation() -> None:
    assert code("Authorize", {}) == "OccurenceConstraintViolation"
    assert code("SetChargingProfile", replaced(PROFILE, SCHEDULE, {})) == "OccurenceConstraintViolation"


def test_an_array_too_short_is_an_occurence_violation() -> None:
    assert code("MeterValues", {**METER_VALUES, "meterValue": []}) == "OccurenceConstraintViolation"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("idTag", 5),
        ("idTag", None),
        ("idTag", {}),
        ("meterStart", "5"),
        ("meterStart", 5.0),
        ("meterStart", True),
        ("timestamp", 5),
        ("reservationId", None),
        ("connectorId", []),
    ],
)
def test_another_json_type_is_a_type_violation(field: str, value: Json) -> None:
    assert code("StartTransaction", {**START, field: value}) == "TypeConstraintViolation"


def test_another_json_type_than_object_array_number_or_literal_is_a_type_violation() -> None:
    assert code("Heartbeat", []) == "TypeConstraintViolation"
    assert code("MeterValues", {**METER_VALUES, "meterValue": {}}) == "TypeConstraintViolation"
    assert code("Reset", {"type": 1}) == "TypeConstraintViolation"
    rate = replaced(PROFILE, (*SCHEDULE, "minChargingRate"), "21.4")
    assert code("SetChargingProfile", rate) == "TypeConstraintViolation"


@pytest.mark.parametrize(
    ("field", "value"),
    [("idTag", "a" * 21), ("timestamp", "now"), ("timestamp", "2025-01-01T00:00:00")],
)
def test_a_text_too_long_or_out_of_format_is_a_property_violation(field: str, value: Json) -> None:
    assert code("StartTransaction", {**START, field: value}) == "PropertyConstraintViolation"


def test_a_location_that_is_no_uri_is_a_property_violation() -> None:
    assert code("GetDiagnostics", {"location": "a, got b"}) == "PropertyConstraintViolation"


def test_an_unknown_literal_is_a_property_violation() -> None:
    assert code("Reset", {"type": "Warm"}) == "PropertyConstraintViolation"
    assert code("Reset", {"type": "Expected `x`, got `y`"}) == "PropertyConstraintViolation"
    unit = replaced(PROFILE, (*SCHEDULE, "chargingRateUnit"), "kW")
    assert code("SetChargingProfile", unit) == "PropertyConstraintViolation"


def test_no_multiple_of_a_tenth_is_a_property_violation() -> None:
    for path in ((*SCHEDULE, "minChargingRate"), (*SCHEDULE, "chargingSchedulePeriod", 0, "limit")):
        assert code("SetChargingProfile", replaced(PROFILE, path, 21.45)) == "PropertyConstraintViolation"


def test_a_number_out_of_range_is_a_property_violation() -> None:
    assert code("UnlockConnector", b'{"connectorId":1' + b"0" * 5000 + b"}") == "PropertyConstraintViolation"
