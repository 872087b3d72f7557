"""What the central system answers, against the OCA's schemas."""

import json
from typing import Any

import msgspec
import pytest

from loadsim.errors import UsageError
from loadsim.scenario.plan import EmbeddedCsms
from loadsim.v16.central import UNKNOWN_ACTION, Central, ChargePointSession
from loadsim.v16.central.central import MOST_VERSIONS, OTHER_VERSIONS
from loadsim.v16.messages import ACTIONS
from tests.v16.central_system import BOOT, ask, booted, refused
from tests.v16.messages.oracle import SCHEMAS
from tests.v16.messages.strategies import fullest

FROM_CHARGE_POINT = sorted(action.name for action in ACTIONS if action.sender != "csms")
FROM_CSMS = sorted(action.name for action in ACTIONS if action.sender == "csms")


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


def test_no_vendor_is_known() -> None:
    session = booted(Central(EmbeddedCsms()))

    assert ask(session, "DataTransfer", {"vendorId": "com.acme"}) == {"status": "UnknownVendorId"}


def test_a_certificate_is_promised_only_where_an_authority_takes_the_request_on() -> None:
    central = Central(EmbeddedCsms())
    session = booted(central)
    seen = []
    before = ask(session, "SignCertificate", {"csr": "-----BEGIN"})

    def on_csr(charge_point: ChargePointSession, csr: str) -> bool:
        seen.append((charge_point.identity, csr))
        return csr.startswith("-----")

    central.on_csr = on_csr

    assert before == {"status": "Rejected"}
    assert ask(session, "SignCertificate", {"csr": "-----BEGIN"}) == {"status": "Accepted"}
    assert ask(session, "SignCertificate", {"csr": "garbage"}) == {"status": "Rejected"}
    assert seen == [("CP1", "-----BEGIN"), ("CP1", "garbage")]


def test_the_last_status_of_every_connector_is_known() -> None:
    central = Central(EmbeddedCsms())
    first, second = booted(central, "CP1"), booted(central, "CP2")
    for session, connector, status in [
        (first, 0, "Available"),
        (first, 1, "Preparing"),
        (first, 1, "Charging"),
        (first, 2, "Available"),
        (second, 1, "Charging"),
    ]:
        ask(session, "StatusNotification", {"connectorId": connector, "errorCode": "NoError", "status": status})

    assert first.connector_status == {0: "Available", 1: "Charging", 2: "Available"}
    assert central.record()["statuses"] == {"Available": 1, "Charging": 2}


def test_firmware_and_uploads_are_counted_by_their_last_status() -> None:
    central = Central(EmbeddedCsms())
    for n, version in enumerate(["1.0", "1.1", "1.1"]):
        session = central.charge_point(f"CP{n}")
        ask(session, "BootNotification", {**BOOT, "firmwareVersion": version})
        ask(session, "FirmwareStatusNotification", {"status": "Downloading"})
    ask(session, "SignedFirmwareStatusNotification", {"status": "InstallRebooting"})
    ask(session, "DiagnosticsStatusNotification", {"status": "Uploading"})
    ask(session, "LogStatusNotification", {"status": "UploadFailure"})
    ask(session, "SecurityEventNotification", {"type": "TamperDetection", "timestamp": "2026-03-01T12:00:00Z"})
    record = central.record()

    assert session.firmware_version == "1.1"
    assert record["firmware"] == {
        "statuses": {"Downloading": 2, "InstallRebooting": 1},
        "versions": {"1.1": 2, "1.0": 1},
    }
    assert (record["diagnostics"], record["logs"]) == ({"Uploading": 1}, {"UploadFailure": 1})
    assert record["security_events"] == 1


def test_the_firmware_version_is_that_of_the_last_boot() -> None:
    session = Central(EmbeddedCsms()).charge_point("CP1")
    versions = []
    for boot in [{"firmwareVersion": "1"}, {"firmwareVersion": "2"}, {}]:
        ask(session, "BootNotification", {**BOOT, **boot})
        versions.append(session.firmware_version)

    assert versions == ["1", "2", None]


def test_rare_firmware_versions_count_as_one_so_that_a_record_stays_short() -> None:
    central = Central(EmbeddedCsms())
    for n in range(MOST_VERSIONS + 5):
        ask(central.charge_point(f"CP{n}"), "BootNotification", {**BOOT, "firmwareVersion": str(n)})
    versions = central.record()["firmware"]["versions"]

    assert versions[OTHER_VERSIONS] == 5
    assert sum(versions.values()) == MOST_VERSIONS + 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (EmbeddedCsms(boot_status=()), "no boot status"),
        (EmbeddedCsms(boot_status=("Accepted", "accepted")), "'accepted'"),
        (EmbeddedCsms(tags={"A": "Denied"}), "'Denied'"),
        (EmbeddedCsms(reject=2), "reject"),
        (EmbeddedCsms(parents={"A": "B" * 21}), "parent"),
        (EmbeddedCsms(parents={"A": ""}), "parent"),
        (EmbeddedCsms(expiries={"A": "2026-03-01"}), "RFC 3339"),
        (EmbeddedCsms(expiries={"A": "9999-12-31T23:59:59-01:00"}), "9999"),
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
