"""What the central system answers, against the OCA's schemas."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.errors import UsageError
from loadsim.ocpp.frame import Call, CallError, CallResult
from loadsim.scenario.plan import EmbeddedCsms
from loadsim.v16.central import UNKNOWN_ACTION, Central, ChargePointSession, Share
from loadsim.v16.messages import ACTIONS
from tests.v16.messages.oracle import SCHEMAS, validator
from tests.v16.messages.strategies import fullest

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
BOOT = {"chargePointVendor": "Acme", "chargePointModel": "AC22"}
START = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
STOP = {"meterStop": 9, "timestamp": "2026-03-01T13:00:00Z"}
FROM_CHARGE_POINT = sorted(action.name for action in ACTIONS if action.sender != "csms")
FROM_CSMS = sorted(action.name for action in ACTIONS if action.sender == "csms")


def call(action: str, payload: Any) -> Call:
    return Call("id-1", action, msgspec.Raw(json.dumps(payload).encode()))


def ask(session: ChargePointSession, action: str, payload: Any) -> Any:
    reply = session.answer(call(action, payload), NOW)
    assert isinstance(reply, CallResult), reply
    assert reply.id == "id-1"
    content = json.loads(bytes(reply.payload))
    validator(f"{action}Response").validate(content)
    return content


def refused(session: ChargePointSession, action: str, payload: Any) -> str:
    reply = session.answer(call(action, payload), NOW)
    assert isinstance(reply, CallError), reply
    assert reply.id == "id-1"
    return reply.code


def booted(central: Central, identity: str = "CP1") -> ChargePointSession:
    session = central.charge_point(identity)
    ask(session, "BootNotification", BOOT)
    return session


def tag_status(content: Any) -> str:
    return str(content["idTagInfo"]["status"])


@pytest.mark.parametrize("action", FROM_CHARGE_POINT)
def test_every_action_of_a_charge_point_gets_a_valid_answer(action: str) -> None:
    central = Central(EmbeddedCsms())
    session = booted(central)

    ask(session, action, fullest(SCHEMAS[action]))

    counts = central.record()["actions"][action]
    assert counts["received"] == counts["answered"] == (2 if action == "BootNotification" else 1)


@pytest.mark.parametrize("action", FROM_CSMS)
def test_an_action_that_a_csms_sends_is_not_supported(action: str) -> None:
    assert refused(booted(Central(EmbeddedCsms())), action, fullest(SCHEMAS[action])) == "NotSupported"


def test_the_charge_point_actions_are_those_of_the_specification() -> None:
    assert FROM_CHARGE_POINT == [
        "Authorize",
        "BootNotification",
        "DataTransfer",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignCertificate",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    ]


def test_an_unknown_action_is_not_implemented() -> None:
    central = Central(EmbeddedCsms())

    assert refused(booted(central), "TransactionEvent", {}) == "NotImplemented"
    assert refused(central.charge_point("never booted"), "Boot" * 1000, {}) == "NotImplemented"
    assert central.record()["actions"][UNKNOWN_ACTION]["errors"] == {"NotImplemented": 2}


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Authorize", {}, "OccurenceConstraintViolation"),
        ("Authorize", {"idTag": "A", "more": 1}, "FormationViolation"),
        ("Authorize", {"idTag": 5}, "TypeConstraintViolation"),
        ("Authorize", {"idTag": "A" * 21}, "PropertyConstraintViolation"),
        (
            "StatusNotification",
            {"connectorId": 1, "errorCode": "NoError", "status": "Free"},
            "PropertyConstraintViolation",
        ),
        ("BootNotification", {"chargePointVendor": "Acme"}, "OccurenceConstraintViolation"),
    ],
)
def test_a_bad_payload_gets_the_code_of_its_mistake(action: str, payload: Any, code: str) -> None:
    central = Central(EmbeddedCsms())

    assert refused(booted(central), action, payload) == code
    assert central.record()["actions"][action]["errors"] == {code: 1}


def test_the_time_is_given_in_utc_and_milliseconds() -> None:
    session = booted(Central(EmbeddedCsms()))

    assert ask(session, "Heartbeat", {})["currentTime"] == "2026-03-01T12:00:00.123Z"


def test_boots_are_answered_in_turn_and_the_last_answer_stays() -> None:
    central = Central(EmbeddedCsms(boot_status=("Rejected", "Pending", "Accepted"), interval=7))
    boots = [ask(central.charge_point("CP1"), "BootNotification", BOOT) for _ in range(5)]

    assert [boot["status"] for boot in boots] == ["Rejected", "Pending", "Accepted", "Accepted", "Accepted"]
    assert {boot["interval"] for boot in boots} == {7}
    assert central.record()["boots"] == {"Rejected": 1, "Pending": 1, "Accepted": 3}
    assert central.record()["actions"]["BootNotification"]["refused"] == {"Rejected": 1, "Pending": 1}


def test_every_identity_has_its_own_boots() -> None:
    central = Central(EmbeddedCsms(boot_status=("Pending", "Accepted")))

    assert [ask(central.charge_point(name), "BootNotification", BOOT)["status"] for name in "ABAB"] == [
        "Pending",
        "Pending",
        "Accepted",
        "Accepted",
    ]


@pytest.mark.parametrize("status", [(), ("Pending",), ("Rejected",)])
def test_nothing_but_a_boot_is_handled_before_one_is_accepted(status: tuple[str, ...]) -> None:
    central = Central(EmbeddedCsms(boot_status=status or ("Accepted",)))
    session = central.charge_point("CP1")
    for _ in status:
        ask(session, "BootNotification", BOOT)

    assert refused(session, "Heartbeat", {}) == "SecurityError"
    assert refused(session, "Heartbeat", {"bad": "payload"}) == "SecurityError"


def test_a_boot_with_a_mistake_does_not_count() -> None:
    central = Central(EmbeddedCsms(boot_status=("Pending", "Accepted")))
    session = central.charge_point("CP1")
    refused(session, "BootNotification", {})

    assert ask(session, "BootNotification", BOOT)["status"] == "Pending"


def test_an_accepted_charge_point_stays_so_when_it_comes_back() -> None:
    central = Central(EmbeddedCsms())
    booted(central, "CP1")

    assert ask(central.charge_point("CP1"), "Heartbeat", {})
    assert refused(central.charge_point("CP2"), "Heartbeat", {}) == "SecurityError"


def test_a_later_boot_that_is_rejected_takes_the_acceptance_back() -> None:
    session = booted(Central(EmbeddedCsms(boot_status=("Accepted", "Rejected"))))
    ask(session, "BootNotification", BOOT)

    assert refused(session, "Heartbeat", {}) == "SecurityError"


def test_tags_are_judged_by_the_list_in_any_case() -> None:
    central = Central(EmbeddedCsms(tags={"Good": "Accepted", "BAD": "Expired"}))
    session = booted(central)
    judged = [tag_status(ask(session, "Authorize", {"idTag": tag})) for tag in ("gOOD", "bad", "unknown")]

    assert judged == ["Accepted", "Expired", "Invalid"]
    assert central.record()["actions"]["Authorize"]["refused"] == {"Expired": 1, "Invalid": 1}


def test_without_a_list_every_tag_is_accepted_and_with_an_empty_one_none() -> None:
    assert tag_status(ask(booted(Central(EmbeddedCsms())), "Authorize", {"idTag": "x"})) == "Accepted"
    assert tag_status(ask(booted(Central(EmbeddedCsms(tags={}))), "Authorize", {"idTag": "x"})) == "Invalid"


@given(st.floats(0, 1), st.integers(0, 400))
def test_a_share_is_exact_at_every_moment(share: float, count: int) -> None:
    picker = Share(share)

    assert sum(picker.pick() for _ in range(count)) == round(count * share)


@pytest.mark.parametrize("action", ["Authorize", "StartTransaction"])
def test_the_share_of_good_tags_is_blocked(action: str) -> None:
    central = Central(EmbeddedCsms(reject=0.02, tags={"good": "Accepted", "bad": "Invalid"}))
    sessions = [booted(central, f"CP{n}") for n in range(10)]
    for n in range(1000):
        payload = {"Authorize": {}, "StartTransaction": {**START, "meterStart": n}}[action]
        ask(sessions[n % 10], action, {**payload, "idTag": "good"})
        ask(sessions[n % 10], action, {**payload, "idTag": "bad"})

    assert central.record()["actions"][action]["refused"] == {"Blocked": 20, "Invalid": 1000}


def test_a_transaction_has_an_id_of_its_own_until_it_is_stopped() -> None:
    central = Central(EmbeddedCsms())
    first, second = booted(central, "CP1"), booted(central, "CP2")
    ids = [ask(session, "StartTransaction", START)["transactionId"] for session in (first, second)]
    ask(first, "StopTransaction", {**STOP, "transactionId": ids[0]})
    ask(first, "StopTransaction", {**STOP, "transactionId": ids[1]})

    assert len(set(ids)) == 2
    assert central.record()["transactions"] == {
        "started": 2,
        "repeated_starts": 0,
        "stopped": 1,
        "unknown_stops": 1,
        "open": 1,
    }


def test_a_start_sent_again_is_the_same_transaction() -> None:
    session = booted(Central(EmbeddedCsms()))
    first = ask(session, "StartTransaction", START)

    assert ask(session, "StartTransaction", START) == first

    ask(session, "StopTransaction", {**STOP, "transactionId": first["transactionId"]})

    assert ask(session, "StartTransaction", START) != first


def test_a_stop_tells_of_the_tag_only_when_one_was_sent() -> None:
    session = booted(Central(EmbeddedCsms(tags={"bad": "Blocked"})))

    assert ask(session, "StopTransaction", {**STOP, "transactionId": -1}) == {}
    assert tag_status(ask(session, "StopTransaction", {**STOP, "transactionId": -1, "idTag": "bad"})) == "Blocked"


def test_no_vendor_is_known_and_nothing_is_signed() -> None:
    session = booted(Central(EmbeddedCsms()))

    assert ask(session, "DataTransfer", {"vendorId": "com.acme"}) == {"status": "UnknownVendorId"}
    assert ask(session, "SignCertificate", {"csr": "-----BEGIN"}) == {"status": "Rejected"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (EmbeddedCsms(boot_status=()), "no boot status"),
        (EmbeddedCsms(boot_status=("Accepted", "accepted")), "'accepted'"),
        (EmbeddedCsms(tags={"A": "Denied"}), "'Denied'"),
        (EmbeddedCsms(reject=2), "reject"),
    ],
)
def test_settings_that_no_answer_could_follow_are_refused(settings: EmbeddedCsms, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Central(settings)


def test_the_record_closes_its_books_and_is_json() -> None:
    central = Central(EmbeddedCsms(reject=0.5))
    session = booted(central)
    for _ in range(4):
        ask(session, "Authorize", {"idTag": "A"})
    refused(session, "Authorize", {})
    record = json.loads(msgspec.json.encode(central.record()))

    assert record["charge_points"] == {"known": 1, "accepted": 1}
    assert record["actions"]["Authorize"] == {
        "received": 5,
        "answered": 4,
        "refused": {"Blocked": 2},
        "errors": {"OccurenceConstraintViolation": 1},
    }
