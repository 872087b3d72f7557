"""A link: each call ends with an outcome, and the reader waits for nobody."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from loadsim.link.link import CallFailed, Link
from loadsim.link.memory import MemoryTransport, memory_pair
from loadsim.link.transport import ConnectionLost
from loadsim.metrics.traffic import Traffic
from loadsim.ocpp.action import Action
from loadsim.ocpp.frame import Call
from loadsim.ocpp.rpc import AskedBadly, Rpc, Stray
from tests.support import BlockingTransport


class Said(msgspec.Struct, rename="camel", omit_defaults=True):
    """An answer that says nothing wrong."""

    a: int | str = 0
    late: bool = False
    current_time: str = ""


HEARTBEAT = Action("Heartbeat", Said, Said, "charge_point")


class Wire:
    """A link, and the CSMS's end of its connection."""

    def __init__(self, nursery: trio.Nursery, rpc: Rpc | None = None, framing: str = "array") -> None:
        end, self.csms = memory_pair()
        self.transport = BlockingTransport(end)
        self.rpc = rpc or Rpc("a-", any_id_answers=framing == "object")
        self.traffic = Traffic()
        self.link = Link(self.transport, self.rpc, self.traffic, framing=framing)
        self.calls: list[Call | AskedBadly] = []
        self.strays: list[Stray] = []
        self.outcomes: list[Any] = []
        self.nursery = nursery
        self.link.listen(nursery, self)

    def asked(self, link: Link, call: Call | AskedBadly) -> None:
        self.calls.append(call)

    def strayed(self, link: Link, stray: Stray, text: str | bytes) -> None:
        self.strays.append(stray)

    def ended(self, link: Link) -> None:
        assert link.lost is not None

    async def call(self, timeout: float = 30.0) -> None:
        """Call, and keep the outcome: (payload, time) or (cause, time)."""
        try:
            response, at = await self.link.call(HEARTBEAT, b"{}", now=trio.current_time(), timeout=timeout)
        except CallFailed as failed:
            self.outcomes.append((failed.cause, failed.at))
        else:
            self.outcomes.append((msgspec.to_builtins(response), at))

    async def opened(self, timeout: float = 30.0) -> str:
        """Begin a call, and return the id under which the CSMS got it."""
        self.nursery.start_soon(self.call, timeout)
        message = json.loads(await self.csms.receive())
        return str(message["id"] if isinstance(message, dict) else message[1])

    async def say(self, *parts: Any) -> None:
        await self.csms.send(json.dumps(parts))

    @property
    def stray_kinds(self) -> list[str]:
        return [stray.kind for stray in self.strays]


@pytest.fixture
def wires(nursery: trio.Nursery) -> Callable[..., Wire]:
    return lambda **options: Wire(nursery, **options)


@asynccontextmanager
async def settled() -> AsyncIterator[None]:
    yield
    await trio.testing.wait_all_tasks_blocked()


async def test_a_call_is_answered(autojump_clock: MockClock, wires: Callable[..., Wire]) -> None:
    wire = wires()
    message_id = await wire.opened()
    await trio.sleep(2)
    async with settled():
        await wire.say(3, message_id, {"a": 1})

    assert wire.outcomes == [({"a": 1}, 2.0)]
    assert wire.strays == []


@pytest.mark.parametrize("code", ["OccurenceConstraintViolation", "OccurrenceConstraintViolation"])
async def test_rule_7_a_call_error_in_either_spelling_ends_the_call(
    autojump_clock: MockClock, wires: Callable[..., Wire], code: str
) -> None:
    wire = wires()
    message_id = await wire.opened()
    async with settled():
        await wire.say(4, message_id, code, "", {})

    assert wire.outcomes == [("callerror", 0.0)]


async def test_rule_6_a_call_times_out_and_its_late_answer_is_not_taken_for_the_next_ones(
    autojump_clock: MockClock,
    wires: Callable[..., Wire],
) -> None:
    wire = wires()
    first = await wire.opened(timeout=10)
    await trio.sleep(11)
    second = await wire.opened(timeout=10)
    async with settled():
        await wire.say(3, first, {"late": True})
    assert wire.outcomes == [("timeout", 10.0)]
    assert wire.stray_kinds == ["late"]

    async with settled():
        await wire.say(3, second, {})
    assert wire.outcomes[1:] == [({}, 11.0)]


async def test_rule_6_an_answer_on_the_next_connection_is_known_to_be_late(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    first = await wire.opened()
    async with settled():
        await wire.csms.abort()
    again = wires(rpc=wire.rpc)
    second = await again.opened()
    async with settled():
        await again.say(3, first, {})
        await again.say(3, first, {})
        await again.say(3, second, {})

    assert wire.outcomes == [("connection_lost", 0.0)]
    assert again.stray_kinds == ["late", "duplicate"]
    assert again.outcomes == [({}, 0.0)]


@pytest.mark.parametrize("broken", [[3, "{}"], [3, "{}", None], [3, "{}", []], [4, "{}"], [4, "{}", 7, "", {}]])
async def test_a_malformed_answer_ends_the_call(
    autojump_clock: MockClock, wires: Callable[..., Wire], broken: list[Any]
) -> None:
    wire = wires()
    message_id = await wire.opened()
    async with settled():
        await wire.csms.send(json.dumps(broken).replace("{}", message_id, 1))

    assert wire.outcomes == [("malformed", 0.0)]
    assert wire.strays == []


@pytest.mark.parametrize("noise", ["", "x", "[]", '[3,"a-9",{}]', b"\x00", "[7,1]", "null", "[3,"])
async def test_noise_is_a_stray_and_the_call_goes_on(
    autojump_clock: MockClock, wires: Callable[..., Wire], noise: str | bytes
) -> None:
    wire = wires()
    message_id = await wire.opened()
    async with settled():
        await wire.csms.send(noise)
        await wire.say(3, message_id, {})

    assert len(wire.strays) == 1
    assert wire.outcomes == [({}, 0.0)]


async def test_a_connection_lost_while_waiting_ends_the_call_at_once(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    await wire.opened()
    await trio.sleep(3)
    async with settled():
        wire.transport.close_code = 1001
        await wire.csms.abort()

    assert wire.outcomes == [("connection_lost", 3.0)]
    assert wire.link.lost is not None
    assert wire.link.lost.code == 1001


async def test_a_connection_lost_while_sending_ends_the_call_and_counts_no_message(
    autojump_clock: MockClock,
    wires: Callable[..., Wire],
) -> None:
    wire = wires()
    await wire.csms.abort()
    async with settled():
        await wire.call()

    assert wire.outcomes == [("connection_lost", 0.0)]
    assert wire.traffic.drain() == {}


async def test_a_call_that_is_given_up_says_so(autojump_clock: MockClock, wires: Callable[..., Wire]) -> None:
    wire = wires()
    message_id = await wire.opened()
    async with settled():
        await trio.sleep(3)
        wire.link.fail_open_call("open_at_end given up")
    assert wire.outcomes == [("open_at_end", 3.0)]

    async with settled():
        await wire.say(3, message_id, {})
    assert wire.stray_kinds == ["late"]


async def test_an_answer_that_came_just_before_it_was_given_up_counts(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    message_id = await wire.opened()
    await wire.say(3, message_id, {})
    await trio.testing.wait_all_tasks_blocked()
    wire.link.fail_open_call("open_at_end given up")

    assert wire.outcomes == [({}, 0.0)]


async def test_a_send_that_nobody_reads_times_out_and_ends_the_connection(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    wire.transport.blocked = True
    await wire.call(timeout=10)

    assert wire.outcomes == [("timeout", 10.0)]
    assert wire.link.lost is not None
    with pytest.raises(ConnectionLost):
        await wire.link.send("more")


async def test_a_send_that_nobody_reads_ends_when_its_call_is_given_up(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    wire.transport.blocked = True
    wire.nursery.start_soon(wire.call, 10)
    await trio.sleep(3)
    async with settled():
        wire.link.fail_open_call("open_at_end given up")

    assert wire.outcomes == [("open_at_end", 3.0)]
    assert wire.link.lost is not None
    assert wire.traffic.drain() == {}


@pytest.mark.parametrize("trouble", ["blocked", "held"])
async def test_a_call_that_cannot_be_sent_yet_is_not_cancelled_from_outside_either(
    autojump_clock: MockClock, wires: Callable[..., Wire], trouble: str
) -> None:
    wire = wires()
    if trouble == "blocked":
        wire.transport.blocked = True
    else:
        wire.transport.hold()
    with trio.move_on_after(2):
        await wire.call(timeout=10)

    assert wire.outcomes == [("timeout", 10.0)]


async def test_a_call_that_is_given_up_while_its_connection_is_held_was_not_sent(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    wire.transport.hold()
    wire.nursery.start_soon(wire.call, 10)
    await trio.sleep(3)
    async with settled():
        wire.link.fail_open_call("open_at_end given up")

    assert wire.outcomes == [("open_at_end", 3.0)]
    assert wire.link.lost is None
    assert wire.traffic.drain() == {}


async def test_each_of_many_calls_times_out_at_its_own_moment(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    many = [wires() for _ in range(50)]
    for number, wire in enumerate(many):
        await wire.opened(timeout=30 - 0.5 * number)
        await trio.sleep(0.125)
    await trio.sleep(40)

    assert [wire.outcomes for wire in many] == [
        [("timeout", 0.125 * number + 30 - 0.5 * number)] for number in range(50)
    ]


async def test_an_answer_at_the_very_moment_of_the_deadline_is_taken_or_late_and_never_both(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    many = [wires() for _ in range(20)]
    ids = [await wire.opened(timeout=10) for wire in many]
    await trio.sleep_until(10)
    for wire, message_id in zip(many, ids, strict=True):
        await wire.say(3, message_id, {})
    await trio.testing.wait_all_tasks_blocked()

    for wire in many:
        (outcome,) = wire.outcomes
        assert (outcome, wire.stray_kinds) in [(({}, 10.0), []), (("timeout", 10.0), ["late"])]


async def test_a_call_that_times_out_while_its_connection_is_held_was_not_sent_and_the_connection_goes_on(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    wire.transport.hold()
    await wire.call(timeout=10)
    assert wire.outcomes == [("timeout", 10.0)]
    assert wire.link.lost is None

    wire.transport.release()
    second = await wire.opened(timeout=10)
    async with settled():
        await wire.say(3, second, {})
    assert wire.outcomes[1:] == [({}, 10.0)]
    assert wire.traffic.messages_sent == 1


async def test_a_call_that_was_sent_before_the_hold_has_its_answer_after_it(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    message_id = await wire.opened(timeout=10)
    wire.transport.hold()
    await wire.say(3, message_id, {})
    await trio.sleep(5)
    assert wire.outcomes == []

    async with settled():
        wire.transport.release()
    assert wire.outcomes == [({}, 5.0)]


@pytest.mark.parametrize("end", ["reset", "abort", "aclose"])
async def test_a_call_that_waits_for_a_held_connection_ends_with_it(
    autojump_clock: MockClock, wires: Callable[..., Wire], end: str
) -> None:
    wire = wires()
    wire.transport.hold()
    wire.nursery.start_soon(wire.call, 30.0)
    await trio.sleep(3)
    async with settled():
        await getattr(wire.transport, end)()

    assert wire.outcomes == [("connection_lost", 3.0)]


async def test_what_is_sent_raw_is_counted_as_it_is(autojump_clock: MockClock, wires: Callable[..., Wire]) -> None:
    wire = wires()
    await wire.link.send_raw("\ud800é", frames=2)
    await wire.link.send_raw(b"\x00")

    assert [await wire.csms.receive() for _ in range(2)] == ["\ud800é", b"\x00"]
    assert wire.traffic.drain() == {"messages.sent": 2, "bytes.sent": 6}


async def test_an_answer_while_the_connection_is_being_dropped_is_for_no_call(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires(framing="object")
    wire.transport.blocked = True
    wire.nursery.start_soon(wire.call, 10)
    await trio.testing.wait_all_tasks_blocked()

    async def abort_slowly() -> None:
        await trio.sleep(5)
        await MemoryTransport.abort(wire.transport)

    wire.transport.abort = abort_slowly  # type: ignore[method-assign]
    await trio.sleep(12)
    await wire.say(3, "12345", {})
    await trio.sleep(5)

    assert wire.outcomes == [("timeout", 15.0)]
    assert wire.stray_kinds == ["unknown_id"]


async def test_rule_5_calls_of_the_csms_are_handed_on_while_the_own_call_is_open(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    message_id = await wire.opened()
    async with settled():
        await wire.say(2, "x", "Reset", {"type": "Soft"})
    assert [call.id for call in wire.calls] == ["x"]
    assert wire.outcomes == []

    async with settled():
        await wire.say(3, message_id, {})
    assert wire.outcomes == [({}, 0.0)]


async def test_a_malformed_call_with_an_id_is_a_stray_and_is_handed_on_to_be_refused(
    autojump_clock: MockClock,
    wires: Callable[..., Wire],
) -> None:
    wire = wires()
    async with settled():
        await wire.say(2, "x", "Reset")

    assert wire.stray_kinds == ["malformed"]
    assert isinstance(wire.calls[0], AskedBadly)


async def test_a_call_that_is_cancelled_from_outside_still_has_its_outcome(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wire.call)
            message_id = json.loads(await wire.csms.receive())[1]
            scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
                await wire.say(3, message_id, {})

    assert wire.outcomes == [({}, 2.0)]


async def test_messages_and_bytes_are_counted_in_both_directions(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    message_id = await wire.opened()
    async with settled():
        await wire.csms.send(f'[3,"{message_id}",{{"a":"é"}}]')

    assert wire.traffic.drain() == {
        "messages.sent": 1,
        "bytes.sent": len('[2,"a-1","Heartbeat",{}]'),
        "messages.received": 1,
        "bytes.received": len('[3,"a-1",{"a":"é"}]'.encode()),
    }


async def test_the_time_of_the_last_traffic_is_that_of_either_direction(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires()
    await trio.sleep(3)
    await wire.link.send("out")
    assert wire.link.last_traffic == 3.0

    await trio.sleep(3)
    async with settled():
        await wire.say(2, "x", "Reset", {})
    assert wire.link.last_traffic == 6.0


async def test_in_the_object_framing_a_call_is_an_object_and_any_id_answers_it(
    autojump_clock: MockClock, wires: Callable[..., Wire]
) -> None:
    wire = wires(framing="object")
    assert await wire.opened() == "a-1"
    async with settled():
        await wire.say(3, "12345", {"currentTime": "now"})

    assert wire.outcomes == [({"currentTime": "now"}, 0.0)]
