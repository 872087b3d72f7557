"""An answer that is read in one go means what it means when it is read part by part."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.ocpp.action import Action, InvalidPayload
from loadsim.ocpp.frame import CallResult
from loadsim.ocpp.rpc import Answered, Event, Responded, Rpc
from loadsim.v16.messages import BY_NAME
from tests.ocpp.test_frame import anything

HEARTBEAT, AUTHORIZE = BY_NAME["Heartbeat"], BY_NAME["Authorize"]
TIME = "2026-11-22T09:15:00.000Z"

payloads: st.SearchStrategy[Any] = st.sampled_from(
    [
        {"currentTime": TIME},
        {"currentTime": TIME, "vendor": [1, {"x": None}]},
        {"currentTime": "now"},
        {"currentTime": 7},
        {},
        {"idTagInfo": {"status": "Accepted"}},
        {"idTagInfo": {"status": "Accepted", "expiryDate": TIME, "parentIdTag": "é"}},
        {"idTagInfo": {"status": "Sometimes"}},
        {"idTagInfo": {"status": "Accepted", "parentIdTag": "x" * 21}},
        {"idTagInfo": None},
        None,
        [],
        "{}",
    ]
)
kinds = st.sampled_from([3, 3, 3, 3.0, 4, 2, 5, "3", True, None])
ids = st.sampled_from(["a-2", "a-2", "a-2", "a-1", "a-3", "", "b", 7, None])
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:")])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Frames of which most are answers, right and wrong, and some are cut, doubled or spoilt in one place."""
    parts: list[Any] = [draw(kinds), draw(ids), draw(payloads), *draw(st.lists(anything, max_size=1))]
    del parts[draw(st.sampled_from([4, 4, 4, 2, 1, 0])) :]
    text = json.dumps(parts, separators=draw(separators), ensure_ascii=draw(st.booleans()))
    place = draw(st.integers(0, len(text)))
    spoil = draw(st.sampled_from(["", "", "", "cut", "add", "escape"]))
    if spoil == "cut":
        return text[:place]
    if spoil == "add":
        return (
            text[:place] + draw(st.sampled_from(["]", "}", '"', ",", "0", "\ud800", "é", " ", "\x00"])) + text[place:]
        )
    if spoil == "escape":
        return text.replace("a-", "\\u0061-")
    return text


def outcome(text: str | bytes, action: Action, *, at_once: bool, any_id: bool) -> tuple[Event | Any, str | None]:
    """Return what the second call of a charge point, or else its Rpc, makes of *text*; and the call still open."""
    rpc = Rpc("a-", any_id_answers=any_id)
    rpc.open_call()
    rpc.give_up()
    rpc.open_call()
    event = rpc.receive(text, action) if at_once else rpc.receive(text)
    if isinstance(event, Responded):
        return event.response, rpc.open_id
    if isinstance(event, Answered) and isinstance(event.answer, CallResult):
        try:
            return action.decode_response(event.answer.payload), rpc.open_id
        except InvalidPayload as error:
            return str(error), rpc.open_id
    return event, rpc.open_id


@settings(deadline=None, max_examples=1500)
@given(texts() | anything.map(json.dumps), st.sampled_from([HEARTBEAT, AUTHORIZE]), st.booleans())
def test_an_answer_means_the_same_at_once_and_part_by_part(text: str, action: Action, any_id: bool) -> None:
    assert outcome(text, action, at_once=True, any_id=any_id) == outcome(text, action, at_once=False, any_id=any_id)


@pytest.mark.parametrize(
    "text", [f'[3,"a-1",{{"currentTime":"{TIME}"}}]', f'[3, "a-1", {{"currentTime": "{TIME}"}}]']
)
def test_a_usual_answer_is_read_at_once(text: str) -> None:
    rpc = Rpc("a-")
    rpc.open_call()
    event = rpc.receive(text, HEARTBEAT)

    assert isinstance(event, Responded)
    assert event.response == HEARTBEAT.response(current_time=TIME)
    assert rpc.open_id is None


def test_an_answer_when_no_call_is_open_is_read_for_none() -> None:
    rpc = Rpc("a-")
    rpc.open_call()
    text = f'[3,"a-1",{{"currentTime":"{TIME}"}}]'
    rpc.receive(text, HEARTBEAT)

    assert rpc.receive(text, HEARTBEAT) == rpc.receive(text)
