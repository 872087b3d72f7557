"""What is filled into the requests of a plan: placeholders, what was left open, and whom a request suits."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.units import duration_text
from loadsim.v16.messages.formats import parse_date_time
from loadsim.v16.orders import SAMPLE, Need, Sight, fill, make_request, need_of, suits

NOW = datetime(2026, 11, 22, 10, 15, 0, 250_000, tzinfo=timezone(timedelta(hours=1)))
TX_PROFILE = {"chargingProfilePurpose": "TxProfile"}


def sight(**changes: Any) -> Sight:
    return msgspec.structs.replace(SAMPLE, now=NOW, **changes)


def data_of(text: Any) -> Any:
    return fill("DataTransfer", {"vendorId": "v", "data": text}, sight(identity="CP7"))["data"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{now}", "2026-11-22T09:15:00.250Z"),
        ("{now+1h30m}", "2026-11-22T10:45:00.250Z"),
        ("{now-250ms}", "2026-11-22T09:15:00.000Z"),
        ("{now+0s}", "2026-11-22T09:15:00.250Z"),
        ("by {authority}", "by -----BEGIN CERTIFICATE-----"),
        ("from {now} at {id}", "from 2026-11-22T09:15:00.250Z at CP7"),
        ({"a": ["{id}", 1, None, {"b": "{id}"}]}, {"a": ["CP7", 1, None, {"b": "CP7"}]}),
    ],
)
def test_placeholders_are_replaced_however_deep(text: Any, expected: Any) -> None:
    assert data_of(text) == expected


@pytest.mark.parametrize(
    "text", ["{then}", "{id+1m}", "{authority+1m}", "{now+}", "{now+10}", "{now+-1m}", "{now+999999999999d}", "{Now}"]
)
def test_a_placeholder_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder|duration|9999"):
        data_of(text)


@given(st.text())
def test_text_without_a_placeholder_stays_as_it_is(text: str) -> None:
    if not re.search(r"\{[A-Za-z_]+([+-][^{}]*)?\}", text):
        assert data_of(text) == text


@pytest.mark.parametrize("text", ['{"a": 1}', "{}", "{{", "}{", "{1}", "{ now }", "{now*2}"])
def test_other_braces_are_text(text: str) -> None:
    assert data_of(text) == text


@given(st.timedeltas(timedelta(0), timedelta(days=3000)), st.sampled_from("+-"))
def test_a_moment_is_off_by_its_duration_to_the_millisecond(off: timedelta, sign: str) -> None:
    milliseconds = round(off.total_seconds() * 1000)
    text = f"{{now{sign}{duration_text(milliseconds / 1000)}}}"
    expected = NOW.astimezone(UTC) + (1 if sign == "+" else -1) * timedelta(milliseconds=milliseconds)

    assert abs(parse_date_time(data_of(text)) - expected) <= timedelta(milliseconds=1)


def test_what_is_given_is_not_filled_in() -> None:
    given_start = {"idTag": "MINE", "connectorId": 9}

    assert fill("RemoteStartTransaction", given_start, sight()) == given_start
    assert fill("Reset", {"type": "Hard"}, sight()) == {"type": "Hard"}
    assert fill("ChangeAvailability", {"connectorId": 3, "type": "Operative"}, sight())["connectorId"] == 3


def test_whoever_waits_is_started_before_a_free_connector() -> None:
    connectors = {1: "Available", 2: "Charging", 3: "Preparing"}

    assert fill("RemoteStartTransaction", {}, sight(connectors=connectors))["connectorId"] == 3
    assert fill("ReserveNow", {}, sight(connectors=connectors))["connectorId"] == 1


def test_a_charge_point_of_which_no_connector_is_known_is_unlocked_at_its_first() -> None:
    assert fill("UnlockConnector", {}, sight(connectors={})) == {"connectorId": 1}


def test_a_transaction_may_have_any_id() -> None:
    assert fill("RemoteStopTransaction", {}, sight(transactions={0: 1})) == {"transactionId": 0}
    assert fill("RemoteStopTransaction", {}, sight(transactions={-5: 1})) == {"transactionId": -5}


def test_a_tx_profile_gets_a_transaction_and_its_connector() -> None:
    filled = fill("SetChargingProfile", {"csChargingProfiles": TX_PROFILE}, sight(transactions={12: 2}))

    assert filled == {"connectorId": 2, "csChargingProfiles": {**TX_PROFILE, "transactionId": 12}}
    assert TX_PROFILE == {"chargingProfilePurpose": "TxProfile"}  # the plan's own stays as it is


def test_a_tx_profile_with_a_transaction_is_sent_as_it_is() -> None:
    profile = {**TX_PROFILE, "transactionId": 3}

    assert fill("SetChargingProfile", {"csChargingProfiles": profile, "connectorId": 1}, sight())[
        "csChargingProfiles"
    ] == profile  # fmt: skip


@pytest.mark.parametrize(
    ("action", "payload", "need"),
    [
        ("RemoteStartTransaction", {}, Need.START),
        ("RemoteStartTransaction", {"connectorId": 1}, Need.NOTHING),
        ("ReserveNow", {}, Need.FREE),
        ("ReserveNow", {"connectorId": 0}, Need.NOTHING),
        ("RemoteStopTransaction", {}, Need.TRANSACTION),
        ("RemoteStopTransaction", {"transactionId": 0}, Need.NOTHING),
        ("CancelReservation", {}, Need.RESERVATION),
        ("CancelReservation", {"reservationId": 1}, Need.NOTHING),
        ("SetChargingProfile", {}, Need.NOTHING),
        ("SetChargingProfile", {"csChargingProfiles": TX_PROFILE}, Need.TRANSACTION),
        ("Reset", {}, Need.NOTHING),
    ],
)
def test_what_is_left_open_decides_whom_a_request_suits(action: str, payload: dict[str, Any], need: Need) -> None:
    nothing = sight(connectors={1: "Faulted"}, transactions={}, reservation=None)
    has = {
        Need.START: sight(connectors={1: "Preparing"}),
        Need.FREE: sight(connectors={1: "Available"}),
        Need.TRANSACTION: sight(transactions={0: 1}),
        Need.RESERVATION: sight(reservation=0),
        Need.NOTHING: nothing,
    }

    assert need_of(action, payload) is need
    assert suits(need, has[need])
    assert suits(need, nothing) is (need is Need.NOTHING)


def test_a_request_made_of_it_is_accepted_by_its_schema() -> None:
    request = make_request("SetChargingProfile", fill("SetChargingProfile", {}, sight()))

    assert request.action.decode_request(request.payload).cs_charging_profiles.stack_level == 0
