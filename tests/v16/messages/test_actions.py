"""The table of actions: complete, sent by whom the specification says, and judging answers as it says."""

from typing import Final

import pytest

from loadsim.ocpp.action import Sender, Verdict, always_accepts
from loadsim.v16.messages import (
    ACTIONS,
    BY_NAME,
    CORE,
    FIRMWARE,
    LOCAL_LIST,
    REMOTE_TRIGGER,
    RESERVATION,
    SECURITY,
    SMART_CHARGING,
)
from tests.v16.messages.oracle import SCHEMAS, Json
from tests.v16.messages.strategies import fullest

# Chapters 4 and 5 of the specification, and the white paper's messages; all else the CSMS sends.
SENT_BY_THE_CHARGE_POINT: Final = {
    *("Authorize", "BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification"),
    *("Heartbeat", "MeterValues", "StartTransaction", "StatusNotification", "StopTransaction"),
    *("LogStatusNotification", "SecurityEventNotification", "SignCertificate"),
    "SignedFirmwareStatusNotification",
}

# Statuses by verdict, of every answer that has one.
STATUSES: Final[dict[str, tuple[str, str]]] = {
    "CancelReservation": ("Accepted", "Rejected"),
    "CertificateSigned": ("Accepted", "Rejected"),
    "ChangeAvailability": ("Accepted Scheduled", "Rejected"),
    "ChangeConfiguration": ("Accepted RebootRequired", "Rejected NotSupported"),
    "ClearCache": ("Accepted", "Rejected"),
    "ClearChargingProfile": ("Accepted", "Unknown"),
    "DataTransfer": ("Accepted", "Rejected UnknownMessageId UnknownVendorId"),
    "DeleteCertificate": ("Accepted", "Failed NotFound"),
    "ExtendedTriggerMessage": ("Accepted", "Rejected NotImplemented"),
    "GetCompositeSchedule": ("Accepted", "Rejected"),
    "GetInstalledCertificateIds": ("Accepted", "NotFound"),
    "GetLog": ("Accepted AcceptedCanceled", "Rejected"),
    "InstallCertificate": ("Accepted", "Failed Rejected"),
    "RemoteStartTransaction": ("Accepted", "Rejected"),
    "RemoteStopTransaction": ("Accepted", "Rejected"),
    "ReserveNow": ("Accepted", "Faulted Occupied Rejected Unavailable"),
    "Reset": ("Accepted", "Rejected"),
    "SendLocalList": ("Accepted", "Failed NotSupported VersionMismatch"),
    "SetChargingProfile": ("Accepted", "Rejected NotSupported"),
    "SignCertificate": ("Accepted", "Rejected"),
    "SignedUpdateFirmware": ("Accepted AcceptedCanceled", "Rejected InvalidCertificate RevokedCertificate"),
    "TriggerMessage": ("Accepted", "Rejected NotImplemented"),
    "UnlockConnector": ("Unlocked", "UnlockFailed NotSupported"),
}
ID_TAG_STATUSES: Final = ("Accepted", "Blocked Expired Invalid ConcurrentTx")


def verdict(name: str, **fields: Json) -> Verdict:
    payload = fullest(SCHEMAS[f"{name}Response"]) | fields
    action = BY_NAME[name]
    return action.verdict(action.response(**{decoded(key): value for key, value in payload.items()}))


def decoded(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def test_every_schema_has_its_struct_and_every_struct_its_schema() -> None:
    assert {action.name for action in ACTIONS} | {f"{action.name}Response" for action in ACTIONS} == set(SCHEMAS)
    assert len(SCHEMAS) == 78


def test_a_struct_is_named_after_its_action() -> None:
    for action in ACTIONS:
        assert action.request.__name__ == f"{action.name}Request"
        assert action.response.__name__ == f"{action.name}Response"


def test_every_action_has_one_row_in_one_profile() -> None:
    assert [*BY_NAME.values()] == [*ACTIONS]
    profiles = (CORE, FIRMWARE, LOCAL_LIST, RESERVATION, SMART_CHARGING, REMOTE_TRIGGER, SECURITY)
    assert [len(profile) for profile in profiles] == [16, 4, 2, 2, 3, 1, 11]


@pytest.mark.parametrize("name", BY_NAME)
def test_an_action_is_sent_by_whom_the_specification_says(name: str) -> None:
    expected: Sender = "charge_point" if name in SENT_BY_THE_CHARGE_POINT else "csms"
    if name == "DataTransfer":
        expected = "both"

    assert BY_NAME[name].sender == expected


def test_every_status_of_every_answer_has_a_verdict_here() -> None:
    for name in BY_NAME:
        status = SCHEMAS[f"{name}Response"].get("properties", {}).get("status")
        if status is not None and name != "BootNotification":
            assert sorted(" ".join(STATUSES[name]).split()) == sorted(status["enum"]), name


@pytest.mark.parametrize("name", STATUSES)
def test_a_status_accepts_or_refuses(name: str) -> None:
    accepting, refusing = STATUSES[name]

    assert {verdict(name, status=status) for status in accepting.split()} == {Verdict.ACCEPTED}
    assert {verdict(name, status=status) for status in refusing.split()} == {Verdict.REJECTED}


def test_a_boot_is_accepted_refused_or_put_off() -> None:
    assert verdict("BootNotification", status="Accepted") is Verdict.ACCEPTED
    assert verdict("BootNotification", status="Rejected") is Verdict.REJECTED
    assert verdict("BootNotification", status="Pending") is Verdict.PENDING


@pytest.mark.parametrize("name", ["Authorize", "StartTransaction", "StopTransaction"])
def test_an_id_tag_that_is_not_accepted_is_a_refusal(name: str) -> None:
    action = BY_NAME[name]
    accepting, refusing = ID_TAG_STATUSES
    for status in (accepting + " " + refusing).split():
        rest = b',"transactionId":-1' if name == "StartTransaction" else b""
        response = action.decode_response(b'{"idTagInfo":{"status":"%b"}%b}' % (status.encode(), rest))

        assert action.verdict(response) is (Verdict.ACCEPTED if status == "Accepted" else Verdict.REJECTED)


def test_a_stop_answered_without_a_word_on_the_id_tag_is_accepted() -> None:
    action = BY_NAME["StopTransaction"]

    assert action.verdict(action.decode_response(b"{}")) is Verdict.ACCEPTED


def test_an_answer_without_a_status_cannot_refuse() -> None:
    can_refuse = {"BootNotification", "Authorize", "StartTransaction", "StopTransaction", *STATUSES}

    assert {action.name for action in ACTIONS if action.verdict is not always_accepts} == can_refuse
