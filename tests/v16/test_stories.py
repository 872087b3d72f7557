"""What judges the frames of a virtual evening finds what is wrong with them: each test spoils a good conversation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.v16.frames import Frame, read, unanswered
from tests.v16.stories import bad_statuses, transactions

Said = list[tuple[bool, Any]]
CHARGE_POINT, CSMS = False, True
INFO = {"idTagInfo": {"status": "Accepted"}}


def at(second: int) -> str:
    return f"2026-11-22T09:15:{second:02}.000Z"


def status(status: str, second: int, connector: int = 1, code: str = "NoError") -> Any:
    return {"connectorId": connector, "errorCode": code, "status": status, "timestamp": at(second)}


def values(second: int, watt_hours: int, **more: Any) -> Any:
    sample = {"timestamp": at(second), "sampledValue": [{"value": str(watt_hours)}]}
    return {"connectorId": 1, "transactionId": 7, "meterValue": [sample], **more}


START = {"connectorId": 1, "idTag": "A", "meterStart": 100, "timestamp": at(2)}
STOP = {"transactionId": 7, "meterStop": 300, "timestamp": at(9)}


def good() -> Said:
    calls: list[tuple[bool, str, Any, Any]] = [
        (CHARGE_POINT, "StatusNotification", status("Available", 0), {}),
        (CHARGE_POINT, "StatusNotification", status("Preparing", 1), {}),
        (CHARGE_POINT, "StartTransaction", START, {"transactionId": 7, **INFO}),
        (CHARGE_POINT, "StatusNotification", status("Charging", 2), {}),
        (CHARGE_POINT, "MeterValues", values(5, 200), {}),
        (CSMS, "TriggerMessage", {"requestedMessage": "StatusNotification"}, {"status": "Accepted"}),
        (CHARGE_POINT, "StatusNotification", status("Charging", 6), {}),
        (CHARGE_POINT, "StopTransaction", STOP, INFO),
        (CHARGE_POINT, "StatusNotification", status("Finishing", 9), {}),
    ]
    said: Said = []
    for number, (sender, action, payload, answer) in enumerate(calls):
        said.append((sender, [2, str(number), action, payload]))
        said.append((not sender, [3, str(number), answer]))
    return said


def frames(said: Said) -> list[Frame]:
    return [
        Frame(float(second), "CP1", 0, by_csms, parts if isinstance(parts, str) else json.dumps(parts))
        for second, (by_csms, parts) in enumerate(said)
    ]


def problems(spoil: Callable[[Said], object]) -> list[str]:
    said = good()
    spoil(said)
    reading = read(frames(said))
    return reading.problems or [*bad_statuses(reading), *transactions(reading).problems]


def put(place: int, sender: bool, *parts: Any) -> Callable[[Said], object]:
    return lambda said: said.insert(place, (sender, list(parts)))


def call(place: int, action: str, payload: Any, answer: Any, sender: bool = CHARGE_POINT) -> Callable[[Said], object]:
    def spoil(said: Said) -> None:
        said[place:place] = [(sender, [2, "new", action, payload]), (not sender, [3, "new", answer])]

    return spoil


def change(place: int, part: int, value: Any) -> Callable[[Said], object]:
    def spoil(said: Said) -> None:
        said[place][1][part] = value

    return spoil


def test_a_good_conversation_has_no_problems() -> None:
    assert problems(lambda said: None) == []
    story = transactions(read(frames(good())))
    assert (len(story.told), len(story.confirmed), story.energy) == (1, 1, 200)


@pytest.mark.parametrize(
    ("said", "spoil"),
    [
        ("no JSON", lambda said: said.insert(0, (CHARGE_POINT, "[2,"))),
        ("no frame", put(0, CHARGE_POINT, 2, "x", "Heartbeat")),
        ("no frame", put(0, CSMS, 5, "x", {})),
        ("a bad id", change(0, 1, "x" * 37)),
        ("a bad id", change(0, 1, 1)),
        ("was used before", change(2, 1, "0")),
        ("another call is open", put(1, CHARGE_POINT, 2, "x", "Heartbeat", {})),
        ("not an action of this side", put(0, CHARGE_POINT, 2, "x", "Reset", {"type": "Soft"})),
        ("not an action of this side", put(0, CSMS, 2, "x", "Heartbeat", {})),
        ("is a required property", change(0, 3, {"connectorId": 1})),
        ("is not one of", change(5, 2, {"transactionId": 7, "idTagInfo": {"status": "Fine"}})),
        ("no open call", put(2, CSMS, 3, "0", {})),
        ("no open call", change(1, 1, "1")),
        ("a CALLERROR that is none", lambda said: said.__setitem__(1, (CSMS, [4, "0", "FormatViolation", "", {}]))),
        ("a CALLERROR that is none", lambda said: said.__setitem__(1, (CSMS, [4, "0", "GenericError", "", None]))),
    ],
)
def test_a_frame_that_is_wrong_is_found(said: str, spoil: Callable[[Said], object]) -> None:
    found = problems(spoil)

    assert any(said in each for each in found), found


@pytest.mark.parametrize(
    ("said", "spoil"),
    [
        ("it was Preparing", change(6, 3, status("Reserved", 2))),
        ("a fault and its code", change(6, 3, status("Faulted", 2))),
        ("a fault and its code", change(6, 3, status("Charging", 2, code="GroundFailure"))),
        ("connector 0 cannot be so", call(0, "StatusNotification", status("Charging", 0, connector=0), {})),
        ("nobody has asked", call(4, "StatusNotification", status("Preparing", 1), {})),
        ("older than what was said before", change(6, 3, status("Charging", 0))),
    ],
)
def test_a_status_that_cannot_be_is_found(said: str, spoil: Callable[[Said], object]) -> None:
    found = problems(spoil)

    assert any(said in each for each in found), found


def test_a_local_list_conflict_is_no_status() -> None:
    assert problems(call(4, "StatusNotification", status("Preparing", 1, code="LocalListConflict"), {})) == []


@pytest.mark.parametrize(
    ("said", "spoil"),
    [
        ("it has the ids [7, 8]", call(6, "StartTransaction", START, {"transactionId": 8, **INFO})),
        ("has its id", call(6, "StartTransaction", {**START, "idTag": "B"}, {"transactionId": 7, **INFO})),
        ("never began", change(8, 3, values(5, 200, transactionId=8))),
        ("never began", change(14, 3, {**STOP, "transactionId": -1})),
        ("of another connector", change(8, 3, values(5, 200, connectorId=2))),
        ("a sample after the stop", call(16, "MeterValues", values(9, 300), {})),
        ("older than what was said before", change(8, 3, values(1, 200))),
        ("older than what was said before", change(14, 3, {**STOP, "timestamp": at(4)})),
        ("has shown more before", change(8, 3, values(5, 99))),
        ("has shown more before", change(14, 3, {**STOP, "meterStop": 199})),
        ("data out of order", change(14, 3, {**STOP, "transactionData": values(1, 100)["meterValue"]})),
        ("stopped 2 times", call(16, "StopTransaction", {**STOP, "reason": "Remote"}, INFO)),
    ],
)
def test_a_transaction_that_cannot_be_is_found(said: str, spoil: Callable[[Said], object]) -> None:
    found = problems(spoil)

    assert any(said in each for each in found), found


def test_what_is_sent_again_word_for_word_is_no_problem() -> None:
    again = call(6, "StartTransaction", START, {"transactionId": 7, **INFO})

    assert problems(again) == []
    assert problems(call(16, "StopTransaction", STOP, INFO)) == []


def test_a_call_without_an_answer_is_found_where_its_connection_went_on() -> None:
    said = good()
    del said[5]
    reading = read(frames(said)[:5])

    (found,) = unanswered(reading, {0: 5.5}, 1.0)
    assert "StartTransaction" in found
    assert unanswered(reading, {0: 4.5}, 1.0) == unanswered(reading, {0: 9.0}, 60.0) == []
    assert len(unanswered(reading, {0: 4.5}, 0.4)) == 3  # every answer takes a second
