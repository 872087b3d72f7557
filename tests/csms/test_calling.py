"""Calls of the embedded CSMS to its charge points: one at a time, matched, timed and counted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from loadsim.csms.calling import Answered, CallCounts, Callee, Calls, Failed, LineLost, Outcome
from loadsim.ocpp.action import InvalidPayload
from loadsim.v16.orders import make_request

Reaction = Callable[["FakeLine", str, str], None]


class FakeLine:
    """A charge point's end of the line: keeps the calls that arrive, and reacts to each."""

    def __init__(self, reaction: Reaction | None = None) -> None:
        self.calls = Calls()
        self.callee: Callee = self.calls.callee("CP1", self, legacy=False)
        self.sent: list[tuple[float, str, str, Any]] = []
        self.reaction = reaction
        self.lost = False
        self.blocked = False
        self.was_cut = False

    async def send(self, text: str) -> None:
        if self.blocked:
            await trio.sleep_forever()
        if self.lost:
            raise LineLost
        await trio.lowlevel.checkpoint()
        kind, message_id, action, payload = json.loads(text)
        assert kind == 2
        self.sent.append((trio.current_time(), message_id, action, payload))
        if self.reaction is not None:
            self.reaction(self, message_id, action)

    def cut(self) -> None:
        self.was_cut = True

    def says(self, text: str) -> None:
        self.calls.receive("CP1", self.callee, text)

    def again(self, *, legacy: bool = False) -> None:
        """Lose the connection and come back."""
        self.callee.end()
        self.callee = self.calls.callee("CP1", self, legacy=legacy)

    async def call(self, action: str = "ClearCache", timeout: float = 30.0, **payload: Any) -> Outcome:
        return await self.callee.call(make_request(action, payload), timeout=timeout)

    def record(self, action: str = "ClearCache") -> Any:
        return self.calls.record()["calls"][action]

    @property
    def strays(self) -> dict[str, int]:
        return {kind: count for kind, count in self.calls.record()["strays"].items() if count}


def accepted(line: FakeLine, message_id: str, action: str) -> None:
    line.says(json.dumps([3, message_id, {"status": "Accepted"}]))


@asynccontextmanager
async def asking(line: FakeLine, *arguments: Any, **options: Any) -> AsyncIterator[list[Outcome]]:
    """Call in the background; the list holds the outcome once there is one."""
    outcomes: list[Outcome] = []

    async def ask() -> None:
        outcomes.append(await line.call(*arguments, **options))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        yield outcomes


async def test_an_answer_ends_its_call(autojump_clock: MockClock) -> None:
    line = FakeLine()
    async with asking(line, "Reset", type="Soft") as outcomes:
        (_, message_id, action, payload) = line.sent[0]
        await trio.sleep(1.5)
        line.says(json.dumps([3, message_id, {"status": "Accepted"}]))

    assert (action, payload) == ("Reset", {"type": "Soft"})
    (outcome,) = outcomes
    assert isinstance(outcome, Answered)
    assert outcome.response.status == "Accepted"
    assert outcome.seconds == pytest.approx(1.5)
    assert line.record("Reset")["answer_s"] == pytest.approx(
        {"p50": 1.5, "p95": 1.5, "p99": 1.5, "max": 1.5}, rel=1e-3
    )


async def test_an_answer_that_comes_before_the_sending_has_returned_counts(autojump_clock: MockClock) -> None:
    assert isinstance(await FakeLine(accepted).call(), Answered)


async def test_a_refusal_is_an_answer_and_counted_by_its_status(autojump_clock: MockClock) -> None:
    line = FakeLine(lambda line, message_id, action: line.says(json.dumps([3, message_id, {"status": "Rejected"}])))

    assert isinstance(await line.call(), Answered)
    assert (line.record()["answered"], line.record()["refused"]) == (1, {"Rejected": 1})


async def test_what_an_action_calls_success_is_no_refusal(autojump_clock: MockClock) -> None:
    line = FakeLine(lambda line, message_id, action: line.says(json.dumps([3, message_id, {"status": "Scheduled"}])))

    await line.call("ChangeAvailability", connectorId=0, type="Inoperative")

    assert line.record("ChangeAvailability")["refused"] == {}


async def test_an_error_ends_the_call_with_its_code(autojump_clock: MockClock) -> None:
    def reaction(line: FakeLine, message_id: str, action: str) -> None:
        line.says(json.dumps([4, message_id, "NotSupported", "no cache here", {}]))

    line = FakeLine(reaction)

    assert await line.call() == Failed("error", "NotSupported", "no cache here")
    assert line.record()["errors"] == {"NotSupported": 1}


async def test_codes_of_a_charge_point_s_own_count_as_one(autojump_clock: MockClock) -> None:
    codes = iter(["Mine", "Own", "FormatViolation"])
    line = FakeLine(lambda line, message_id, _: line.says(json.dumps([4, message_id, next(codes), "", {}])))
    for _ in range(3):
        await line.call()

    assert line.record()["errors"] == {"(unknown)": 2, "FormationViolation": 1}


@pytest.mark.parametrize(
    "text", ['[3,"ID",{"status":"Maybe"}]', '[3,"ID",{}]', '[3,"ID"]', '[3,"ID",null]', '[4,"ID"]', '[3,"ID",{},1]']
)
async def test_an_answer_that_is_none_ends_the_call_as_malformed(text: str, autojump_clock: MockClock) -> None:
    line = FakeLine(lambda line, message_id, action: line.says(text.replace("ID", message_id)))

    outcome = await line.call()

    assert isinstance(outcome, Failed)
    assert outcome.cause == "malformed"
    assert (line.record()["malformed"], line.record()["answered"], line.strays) == (1, 0, {})


async def test_one_call_is_open_at_a_time_and_the_next_goes_after_its_answer(autojump_clock: MockClock) -> None:
    line = FakeLine()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(line.call)
        for number in range(3):
            await trio.sleep(10)
            assert len(line.sent) == number + 1
            accepted(line, line.sent[-1][1], "")

    assert [at for at, *_ in line.sent] == [0, 10, 20]
    assert line.record()["answered"] == 3


async def test_a_time_out_ends_the_call_and_lets_the_next_go(autojump_clock: MockClock) -> None:
    line = FakeLine()
    first = await line.call(timeout=5)
    line.reaction = accepted

    assert first == Failed("timeout", description="no answer within 5 s")
    assert trio.current_time() == 5
    assert isinstance(await line.call(), Answered)
    assert (line.record()["timeouts"], line.record()["answered"], line.record()["sent"]) == (1, 1, 2)


async def test_a_late_answer_is_counted_and_ends_no_other_call(autojump_clock: MockClock) -> None:
    line = FakeLine()
    await line.call(timeout=5)
    async with asking(line) as outcomes:
        late = line.sent[0][1]
        line.says(json.dumps([3, late, {"status": "Accepted"}]))
        await wait_all_tasks_blocked()
        assert outcomes == []
        accepted(line, line.sent[1][1], "")

    assert isinstance(outcomes[0], Answered)
    assert line.strays == {"late": 1}


async def test_a_late_answer_is_known_after_a_reconnect(autojump_clock: MockClock) -> None:
    line = FakeLine()
    async with asking(line) as outcomes:
        line.again()
    line.says(json.dumps([3, line.sent[0][1], {"status": "Accepted"}]))

    assert outcomes == [Failed("lost", description="the connection ended before the answer")]
    assert (line.record()["lost"], line.strays) == (1, {"late": 1})


async def test_what_answers_nothing_is_counted_by_what_it_is(autojump_clock: MockClock) -> None:
    line = FakeLine(accepted)
    await line.call()
    accepted(line, line.sent[0][1], "")  # once more
    accepted(line, "invented", "")
    line.says('[3,"x"]')

    assert line.strays == {"duplicate": 1, "unknown_id": 1, "malformed": 1}


async def test_what_a_charge_point_that_was_never_called_answers_is_counted() -> None:
    calls = Calls()
    calls.receive("CP7", None, '[3,"1",{}]')
    calls.receive("CP7", None, '[4,"1"]')

    assert calls.record()["strays"] == {"late": 0, "unknown_id": 1, "duplicate": 0, "malformed": 1}


async def test_the_end_of_the_connection_ends_the_open_call_and_those_that_wait(autojump_clock: MockClock) -> None:
    line = FakeLine()
    async with asking(line) as first, asking(line) as second:
        line.callee.end()

    assert [each.cause for each in (*first, *second) if isinstance(each, Failed)] == ["lost", "not_sent"]
    assert (line.record()["sent"], line.record()["lost"], line.record()["not_sent"]) == (1, 1, 1)


async def test_a_connection_that_ends_while_a_call_is_sent_loses_it(autojump_clock: MockClock) -> None:
    line = FakeLine()
    line.lost = True

    assert await line.call() == Failed("lost", description="the connection ended before the answer")
    assert not line.was_cut


async def test_a_call_behind_a_silent_one_gives_up_its_turn_after_its_time_out(autojump_clock: MockClock) -> None:
    line = FakeLine()
    async with asking(line, timeout=100) as first:
        assert await line.call(timeout=7) == Failed("not_sent", description="another call was open for 7 s")
        accepted(line, line.sent[0][1], "")

    assert isinstance(first[0], Answered)


async def test_a_connection_that_takes_half_a_frame_is_cut(autojump_clock: MockClock) -> None:
    line = FakeLine()
    line.blocked = True

    assert isinstance(await line.call(timeout=3), Failed)
    assert line.was_cut


async def test_a_legacy_charge_point_may_answer_under_any_id(autojump_clock: MockClock) -> None:
    line = FakeLine(lambda line, message_id, action: line.says('[3,"12345",{"status":"Accepted"}]'))
    line.calls = Calls()
    line.callee = line.calls.callee("CP1", line, legacy=True)

    assert isinstance(await line.call(), Answered)


async def test_ids_are_short_and_never_used_again_by_anybody(autojump_clock: MockClock) -> None:
    calls, lines = Calls(), [FakeLine(accepted) for _ in range(20)]
    for number, line in enumerate(lines):
        line.calls = calls
        line.callee = calls.callee(f"CP{number}", line, legacy=False)
        line.reaction = lambda line, message_id, action: line.callee.end()
        await line.call()
        line.callee = calls.callee(f"CP{number}", line, legacy=False)
        await line.call()
    ids = [message_id for line in lines for _, message_id, *_ in line.sent]

    assert len(set(ids)) == len(ids) == 40
    assert max(map(len, ids)) <= 36
    assert Calls()._token != Calls()._token  # a restart begins others


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Nonsense", {}, "NotImplemented"),
        ("Heartbeat", {}, "NotSupported"),
        ("Reset", {}, "OccurenceConstraintViolation"),
        ("Reset", {"type": "Gentle"}, "PropertyConstraintViolation"),
        ("Reset", {"type": 1}, "TypeConstraintViolation"),
        ("Reset", {"type": "Soft", "now": True}, "FormationViolation"),
        ("DataTransfer", {"vendorId": "x", "data": object()}, "FormationViolation"),
    ],
)
def test_a_request_that_its_schema_refuses_is_not_sent(action: str, payload: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        make_request(action, payload)

    assert caught.value.code == code


def test_without_answers_there_are_no_times() -> None:
    assert CallCounts().as_dict()["answer_s"] == {"p50": None, "p95": None, "p99": None, "max": None}


def test_times_are_kept_however_many_there_are() -> None:
    counts = CallCounts()
    for number in range(10_000):
        counts.took(number / 1000)

    times = counts.as_dict()["answer_s"]
    assert len(counts._recent) < 5000
    assert times["max"] == 9.999
    assert times["p50"] == pytest.approx(5.0, rel=2e-3)


ENDS = st.sampled_from(["answer", "refuse", "error", "garbage", "late", "stray", "drop", "nothing"])


@settings(max_examples=60)
@given(st.lists(ENDS, min_size=1, max_size=12), st.integers(1, 4))
def test_the_books_close_whatever_a_charge_point_does(ends: list[str], at_a_time: int) -> None:
    script = list(ends)

    def reaction(line: FakeLine, message_id: str, action: str) -> None:
        what = script.pop(0) if script else "answer"
        if what in ("answer", "refuse"):
            line.says(json.dumps([3, message_id, {"status": "Accepted" if what == "answer" else "Rejected"}]))
        elif what == "error":
            line.says(json.dumps([4, message_id, "GenericError", "", {}]))
        elif what == "garbage":
            line.says(json.dumps([3, message_id, {"status": 7}]))
        elif what == "late" and len(line.sent) > 1:
            accepted(line, line.sent[-2][1], "")
        elif what == "stray":
            line.says('[3,"never",{}]')
        elif what == "drop":
            line.again()

    async def scenario() -> dict[str, Any]:
        line = FakeLine(reaction)
        outcomes: list[Outcome] = []

        async def ask(count: int) -> None:
            outcomes.extend([await line.call(timeout=10) for _ in range(count)])

        async with trio.open_nursery() as nursery:
            for number in range(at_a_time):
                nursery.start_soon(ask, len(ends[number::at_a_time]))
        record: dict[str, Any] = line.record()
        assert len(outcomes) == len(ends) == record["sent"] + record["not_sent"]
        assert sum(isinstance(each, Answered) for each in outcomes) == record["answered"]
        return record

    record = trio.run(scenario, clock=MockClock(autojump_threshold=0))
    assert record["open"] == 0
    errors = sum(record["errors"].values())
    ended = record["answered"] + errors + record["malformed"] + record["timeouts"] + record["lost"]
    assert record["sent"] == ended
