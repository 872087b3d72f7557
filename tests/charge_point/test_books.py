"""The books of a charge point close, whatever the CSMS does and whenever the end comes."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.settings import Arrivals, Backoff, HeartbeatSettings
from tests.support import SILENCE, USUAL, Answer, Received, Script, boot, in_virtual_time, tag_info, tag_pool, world

BUSY: dict[str, Any] = {
    "authorize": Arrivals(rate=0.3),
    "call_timeout": 6.0,
    "connectors": 2,
    "heartbeat": HeartbeatSettings(every=4.0, regardless_of_traffic=True),
    "reconnect": Backoff(first=2.0, factor=2.0, max=10.0, jitter=0.5),
}
RAW: list[str | bytes] = [
    '[3,"{id}"]',
    '[4,"{id}"]',
    '[3,"{id}",{"a":1}]',
    "x",
    '[3,"other",{}]',
    '[2,"q","Reset",{}]',
    b"\x00",
]
ODD = [
    SILENCE,
    Answer(error="InternalError"),
    Answer(payload={}),
    *(Answer(raw=raw) for raw in RAW),
    Answer(drop=1001),
]


def answers(usual: Script) -> st.SearchStrategy[Answer]:
    assert isinstance(usual, Answer)
    delays = st.sampled_from([0.0, 0.0, 0.1, 3.0, 5.999, 6.0, 9.0])
    delayed = delays.map(lambda delay: Answer(payload=usual.payload, delay=delay))
    return st.one_of(delayed, delayed, delayed, st.sampled_from(ODD))


behaviours = st.fixed_dictionaries(
    {
        "BootNotification": st.lists(
            st.one_of(answers(USUAL["BootNotification"]), st.sampled_from([boot("Pending", 3), boot("Rejected", 3)])),
            min_size=1,
            max_size=4,
        ),
        "Heartbeat": st.lists(answers(USUAL["Heartbeat"]), min_size=1, max_size=4),
        "StatusNotification": st.lists(answers(USUAL["StatusNotification"]), min_size=1, max_size=4),
        "Authorize": st.lists(
            st.one_of(answers(USUAL["Authorize"]), st.just(tag_info("Blocked"))), min_size=1, max_size=8
        ),
    }
)
events = st.lists(
    st.tuples(st.floats(0, 60), st.sampled_from(["drop", "stall", "block", "trigger", "stop", "refuse"])), max_size=6
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(behaviours, events, st.floats(0.1, 80), st.booleans(), st.floats(0, 12))
def test_the_books_close_whatever_the_csms_does(
    scripts: dict[str, list[Script]],
    happenings: list[tuple[float, str]],
    end: float,
    boot_on_reconnect: bool,
    graceful: float,
) -> None:
    async def run() -> None:
        async with world() as w:
            for action, chosen in scripts.items():
                w.csms.answers(action, *(chosen * 3))
            charge_point = w.start(tags=tag_pool(good=1, Blocked=1), boot_on_reconnect=boot_on_reconnect, **BUSY)
            for at, what in sorted(happenings):
                if at < end:
                    await trio.sleep_until(at)
                    await happen(w, charge_point, what)
            await trio.sleep_until(end)
            w.context.ended_at = w.context.clock.elapsed
            sent = w.numbers().sent  # what left the charge point; it may not have arrived yet
            await trio.sleep(graceful)
            await trio.testing.wait_all_tasks_blocked()
            assert w.numbers().sent == sent, "sent after the end"
            w.context.drained_at = w.context.clock.elapsed
            await w.end()
        calls = w.numbers()
        reached = len(w.csms.received)
        assert reached <= calls.sent <= reached + calls.connection_lost + calls.timeout + calls.open_at_end
        assert calls.answered <= sum(w.csms.answered.values())

    in_virtual_time(run)


async def happen(w: Any, charge_point: Any, what: str) -> None:
    if what == "stall":
        w.csms.stalled_until = trio.current_time() + 8
    elif what == "refuse":
        w.csms.refuse = lambda identity: "http_503" if trio.current_time() < 30 else None
    elif what == "stop":
        charge_point.stop()
    elif w.csms.connections and w.csms.latest.ended_at is None:
        if what == "drop":
            await w.csms.latest.drop(1006)
        elif what == "block":
            w.csms.latest.client.blocked = True
        else:
            await w.csms.latest.send('[2,"t","TriggerMessage",{"requestedMessage":"StatusNotification"}]')


async def test_a_late_answer_is_no_success(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("Authorize", tag_info(delay=10.0), SILENCE)
        w.start(authorize=Arrivals(rate=0.05, spacing="even"), tags=tag_pool(good=1), call_timeout=5.0)
        await trio.sleep(40)

        numbers = w.numbers("Authorize")
        assert numbers.answered == 0
        assert 1 <= numbers.timeout <= numbers.sent == 2
        assert w.counted("strays.late") == 1
        assert numbers.service.n == 0


async def test_response_is_from_due_and_service_from_sent(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("StatusNotification", Answer(payload={}, delay=4.0))
        w.start(connectors=1)
        await trio.sleep(20)

        statuses = w.numbers("StatusNotification")
        assert statuses.response.total == pytest.approx(4 + 8)
        assert statuses.service.total == pytest.approx(4 + 4)


async def test_an_error_enters_the_response_times_with_the_time_to_its_end(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("StatusNotification", SILENCE)
        w.start(connectors=0, call_timeout=9.0)
        await trio.sleep(20)

        statuses = w.numbers("StatusNotification")
        assert (statuses.timeout, statuses.service.n) == (1, 0)
        assert statuses.response.total == pytest.approx(9.0)


async def test_triggered_messages_that_wait_at_the_end_are_waiting(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(connectors=2, call_timeout=100.0)
        w.csms.answers("Heartbeat", SILENCE)
        for message in ("Heartbeat", "StatusNotification", "Heartbeat"):
            await w.csms.latest.order("TriggerMessage", {"requestedMessage": message})
        await trio.sleep(5)
        w.context.ended_at = w.context.clock.elapsed
        await trio.sleep(5)
        w.charge_points[0].give_up()
        w.charge_points[0].stop()
        await trio.testing.wait_all_tasks_blocked()
        w.settle()

        beats, statuses = w.numbers("Heartbeat"), w.numbers("StatusNotification")
        assert (beats.planned, beats.open_at_end, beats.waiting_at_end) == (2, 1, 1)
        assert (statuses.planned, statuses.accepted, statuses.waiting_at_end) == (6, 3, 3)


async def test_a_call_that_the_schema_refuses_is_malformed_and_has_an_example(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", Answer(payload={"status": "Maybe"}), boot("Accepted"))
        w.start()
        await trio.sleep(20)

        assert w.numbers("BootNotification").malformed == 1
        example = w.examples[0]
        assert (example.what, example.cause, example.charge_point) == ("BootNotification", "malformed", "CP0")
        assert '"Maybe"' in example.frame


async def test_the_counts_of_the_csms_are_the_recorders_to_the_message(autojump_clock: MockClock) -> None:
    def by_tag(received: Received) -> Answer:
        return tag_info("Blocked" if received.payload["idTag"].startswith("Blocked") else "Accepted", delay=0.2)

    async with world() as w:
        w.csms.answers("Authorize", by_tag)
        w.csms.answers("BootNotification", boot("Pending", 5), boot("Accepted", 30))
        for n in range(10):
            w.start(n, authorize=Arrivals(rate=0.2), tags=tag_pool(good=0.7, Blocked=0.3))
        await trio.sleep(200)
        await w.end()

        for action in ("BootNotification", "Heartbeat", "StatusNotification", "Authorize"):
            numbers = w.numbers(action)
            assert numbers.sent == len(w.csms.calls(action)), action
            assert numbers.answered + numbers.open_at_end == numbers.sent
            assert numbers.answered in (w.csms.answered[action], w.csms.answered[action] - numbers.open_at_end)
        for tag_class in ("good", "Blocked"):
            sent = [call for call in w.csms.calls("Authorize") if call.payload["idTag"].startswith(tag_class)]
            assert w.numbers("Authorize", tag_class).sent == len(sent)
        assert w.counted("messages.sent") == len(w.csms.texts)
        assert w.counted("bytes.sent") == sum(len(text) for _, _, text in w.csms.texts)
