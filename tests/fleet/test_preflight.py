"""Before the run: the first charge point of each fleet connects and boots, waits, and is counted once."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from loadsim.charge_point.context import Clock, Context, Throttle
from loadsim.charge_point.preflight import CONNECT_WITHIN, Finding, Preflight
from loadsim.charge_point.settings import Arrivals, Backoff, HeartbeatSettings
from loadsim.fleet import Fleet
from loadsim.metrics.recorder import Recorder
from loadsim.scenario.load_profile import stage_at
from loadsim.scenario.plan import Plan, Stage
from tests.fleet.test_fleet import make_plan
from tests.support import (
    SILENCE,
    WALL,
    Answer,
    FakeConnection,
    FakeCsms,
    Ledger,
    Received,
    boot,
    fake_csms,
    in_virtual_time,
    open_books,
    tag_info,
    wall_clock,
)

ALL = (Stage(name="all", duration=20, online={"a": 4, "b": 3}, jump=True),)
SHORT = (
    Stage(name="short", duration=2, online={"a": 4, "b": 3}, jump=True),
    Stage(name="long", duration=18, online={}),
)


@dataclass
class Waiting:
    """A fleet whose run is still to begin."""

    csms: FakeCsms
    fleet: Fleet
    context: Context
    ledger: Ledger

    @property
    def preflight(self) -> Preflight:
        assert self.fleet.preflight is not None
        return self.fleet.preflight

    def begin(self) -> None:
        self.fleet.begin(WALL + timedelta(seconds=trio.current_time()))

    @property
    def tried(self) -> list[str]:
        return [identity for _, identity in self.csms.connects]


@asynccontextmanager
async def waiting_fleet(
    plan: Plan, csms: FakeCsms, *, shard: int = 0, workers: int = 1, rate: float | None = None
) -> AsyncIterator[Waiting]:
    """Have a shard's fleet run in the background until the block's end, where it must have ended by itself."""
    context = Context(
        recorder=Recorder(shard),
        clock=Clock(None),
        connector=csms,
        throttle=Throttle(rate, 100),
        stage_at=lambda elapsed: stage_at(plan.stages, elapsed),
        seed=plan.seed,
        run_id="test-",
        preflight=Preflight(),
    )
    fleet = Fleet(plan, context, shard=shard, workers=workers)
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await fleet.run(graceful_stop=30.0)

        nursery.start_soon(run)
        waiting = Waiting(csms, fleet, context, Ledger(context.recorder))
        yield waiting
    assert not any(context.states.values())
    assert context.connections == context.open_calls == 0
    assert open_books(waiting.ledger.fold()) == []


def plain_plan(stages: tuple[Stage, ...] = ALL, **changed: object) -> Plan:
    usual: dict[str, object] = {"authorize": None, "heartbeat": HeartbeatSettings(every=1000.0)}
    return make_plan(stages, counts=(4, 3), **{**usual, **changed})


async def test_only_the_first_of_each_fleet_comes_before_the_run_and_only_boots(autojump_clock: MockClock) -> None:
    async with fake_csms() as csms, waiting_fleet(plain_plan(authorize=Arrivals(rate=5.0)), csms) as waiting:
        await waiting.preflight.over.wait()
        await trio.sleep(25)

        assert sorted(waiting.tried) == ["a-1", "b-1"]
        assert [call.action for call in csms.received] == ["BootNotification"] * 2
        assert waiting.fleet.elapsed == 0.0
        assert (waiting.preflight.problems, waiting.preflight.notes) == ([], [])
        waiting.begin()


async def test_the_first_stay_connected_and_are_counted_once(autojump_clock: MockClock) -> None:
    async with fake_csms() as csms, waiting_fleet(plain_plan(), csms) as waiting:
        await waiting.preflight.over.wait()
        await trio.sleep(3)
        waiting.begin()
        await waiting.fleet.ended.wait()
        numbers = waiting.ledger.fold()

        boots = waiting.ledger.numbers("BootNotification")
        assert boots.planned == boots.sent == boots.accepted == len(csms.calls("BootNotification")) == 7
        assert numbers.counters["connections.attempted"] == numbers.counters["connections.opened"] == 7
        assert numbers.counters["boots.accepted"] == 7
        assert numbers.counters["generator.due"] == waiting.fleet.started == 7
        assert numbers.counters["generator.behind"] == 0
        assert sorted(waiting.tried) == ["a-1", "a-2", "a-3", "a-4", "b-1", "b-2", "b-3"]
        assert waiting.fleet.online_end == 7


async def test_the_run_lasts_as_long_as_planned_from_its_beginning(autojump_clock: MockClock) -> None:
    async with fake_csms() as csms, waiting_fleet(plain_plan(), csms) as waiting:
        await trio.sleep(7.5)
        waiting.begin()

        await waiting.fleet.ended.wait()
        assert trio.current_time() == pytest.approx(27.5, abs=0.05)
        assert waiting.fleet.elapsed == pytest.approx(20.0, abs=0.05)


async def test_the_time_of_a_boot_before_the_run_is_from_due_to_its_answer(autojump_clock: MockClock) -> None:
    async with fake_csms(BootNotification=boot("Accepted", delay=0.4)) as csms:
        csms.connect_delay = 3.0
        async with waiting_fleet(plain_plan(SHORT), csms) as waiting:
            await waiting.preflight.over.wait()
            assert trio.current_time() == pytest.approx(3.4)
            await trio.sleep(6)
            waiting.begin()
            await waiting.fleet.ended.wait()

            boots = waiting.ledger.numbers("BootNotification")
            assert boots.response.n == boots.service.n == 7
            assert boots.response.max == pytest.approx(0.4, rel=0.01)
            assert boots.service.total == pytest.approx(7 * 0.4, rel=0.01)


async def test_a_preflight_longer_than_the_first_stage_belongs_to_it_all_the_same(autojump_clock: MockClock) -> None:
    async with fake_csms() as csms, waiting_fleet(plain_plan(SHORT), csms) as waiting:
        await waiting.preflight.over.wait()
        await trio.sleep(9)
        waiting.begin()
        await waiting.fleet.ended.wait()

        totals = waiting.ledger.fold()
        assert totals.select(action="BootNotification", stages=[0]).answered == 7
        assert totals.select(action="BootNotification", stages=[1]).planned == 0


async def test_the_arrivals_of_the_first_count_from_the_run_s_beginning(autojump_clock: MockClock) -> None:
    plan = plain_plan(authorize=Arrivals(rate=0.5, spacing="even"))
    times = []
    for wait in (0.0, 11.3):
        async with fake_csms() as csms, waiting_fleet(plan, csms) as waiting:
            await waiting.preflight.over.wait()
            await trio.sleep(wait)
            began = trio.current_time()
            waiting.begin()
            await waiting.fleet.ended.wait()
            reached = csms.calls("Authorize", "a-1")
            times.append([round(call.at - began, 6) for call in reached])
            assert waiting.ledger.numbers("Authorize").response.max < 0.01

    assert times[0] == times[1]
    assert len(times[0]) == 10


async def test_heartbeats_count_from_the_run_s_beginning(autojump_clock: MockClock) -> None:
    async with fake_csms() as csms:
        plan = plain_plan(heartbeat=HeartbeatSettings(every=4.0, regardless_of_traffic=True))
        async with waiting_fleet(plan, csms) as waiting:
            await waiting.preflight.over.wait()
            await trio.sleep(30)
            began = trio.current_time()
            waiting.begin()
            await waiting.fleet.ended.wait()

            beats = [call.at - began for call in csms.calls("Heartbeat", "a-1")]
            assert len(beats) == 5
            assert 0 <= beats[0] <= 4
            assert waiting.ledger.numbers("Heartbeat").response.max < 0.01


async def test_the_time_of_day_that_the_csms_told_before_the_run_goes_on(autojump_clock: MockClock) -> None:
    def punctual(received: Received) -> Answer:
        return boot("Accepted", 1000, current_time=wall_clock(received.at + 3600))

    async with fake_csms(BootNotification=punctual) as csms, waiting_fleet(plain_plan(), csms) as waiting:
        await waiting.preflight.over.wait()
        await trio.sleep(12)
        waiting.begin()
        await trio.sleep(5)

        (first,) = [each for each in waiting.fleet._charge_points.values() if each.identity == "a-1"]
        assert abs(first.now() - (WALL + timedelta(seconds=trio.current_time() + 3600))) < timedelta(seconds=0.01)


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
async def test_one_that_is_not_accepted_goes_on_with_a_note_and_boots_again_after_the_interval(
    status: str, autojump_clock: MockClock
) -> None:
    answers = {"a-1": [boot(status, 10), boot("Accepted")]}

    def script(received: Received) -> Answer:
        return answers.get(received.identity, [boot("Accepted")]).pop(0)

    async with fake_csms(BootNotification=script) as csms, waiting_fleet(plain_plan(), csms) as waiting:
        answers["b-1"] = [boot("Accepted")]
        await waiting.preflight.over.wait()
        assert waiting.preflight.notes == [Finding("a-1", "boot", status, "interval 10 s")]
        assert waiting.preflight.problems == []
        await trio.sleep(4)
        waiting.begin()
        await waiting.fleet.ended.wait()

        assert csms.times("BootNotification", "a-1") == pytest.approx([0.0, 10.0], abs=0.05)  # not 14
        boots = waiting.ledger.numbers("BootNotification")
        assert (boots.planned, boots.accepted, boots.response.max < 0.05) == (8, 7, True)


async def test_what_the_csms_asks_before_the_run_is_answered_when_it_has_begun(autojump_clock: MockClock) -> None:
    asked: list[tuple[float, str]] = []

    async def ask(connection: FakeConnection) -> None:
        await trio.sleep(1)
        if connection.identity == "a-1":
            answer = await connection.order("TriggerMessage", {"requestedMessage": "Heartbeat"})
            asked.append((trio.current_time(), answer["status"]))

    async with fake_csms() as csms:
        csms.on_connect = ask
        async with waiting_fleet(plain_plan(), csms) as waiting:
            await waiting.preflight.over.wait()
            await trio.sleep(6)
            assert asked == []
            assert not csms.calls("Heartbeat")
            waiting.begin()
            await trio.sleep(1)

            ((at, status),) = asked
            assert (round(at, 2), status) == (6.0, "Accepted")
            assert len(csms.calls("Heartbeat", "a-1")) == 1
            assert waiting.ledger.numbers("Heartbeat").response.max < 0.05


async def test_a_connection_lost_between_boot_and_beginning_is_made_again_in_the_run(
    autojump_clock: MockClock,
) -> None:
    async with fake_csms() as csms:
        plan = plain_plan(reconnect=Backoff(first=1.0, factor=1.0, max=1.0, jitter=0.0))
        async with waiting_fleet(plan, csms) as waiting:
            await waiting.preflight.over.wait()
            await csms.connections[0].drop()
            await trio.sleep(8)
            assert len(csms.connects) == 2
            waiting.begin()
            await waiting.fleet.ended.wait()

            totals = waiting.ledger.fold()
            assert totals.counters["connections.attempted"] == 8
            assert totals.counters["connections.lost.1006"] == 1
            assert len(csms.calls("BootNotification")) == 7  # a plain reconnect is no boot
            lost = csms.connections[0].identity
            assert [round(at, 3) for at, identity in csms.connects if identity == lost] == [0.0, 9.0]
            assert waiting.fleet.online_end == 7


REFUSALS = {
    "a connect that is refused": ("connect", "http_401"),
    "silence after the boot": ("boot", "timeout"),
    "an error": ("boot", "callerror"),
    "an answer that is none": ("boot", "malformed"),
    "a connection that is closed": ("boot", "connection_lost"),
}


@pytest.mark.parametrize("what", REFUSALS)
async def test_one_that_gets_no_answer_to_its_boot_forbids_the_run(what: str, autojump_clock: MockClock) -> None:
    scripts = {
        "silence after the boot": SILENCE,
        "an error": Answer(error="InternalError"),
        "an answer that is none": Answer(payload={"status": "Perhaps"}),
        "a connection that is closed": Answer(drop=1008),
    }
    step, outcome = REFUSALS[what]

    def script(received: Received) -> Answer:
        return scripts.get(what, boot("Accepted")) if received.identity == "b-1" else boot("Accepted")

    async with fake_csms(BootNotification=script) as csms:
        if step == "connect":
            csms.refuse = lambda identity: outcome if identity == "b-1" else None
        async with waiting_fleet(plain_plan(call_timeout=5.0), csms) as waiting:
            await waiting.preflight.over.wait()
            (problem,) = waiting.preflight.problems
            assert (problem.charge_point, problem.step, problem.outcome) == ("b-1", step, outcome)
            assert trio.current_time() == pytest.approx(5.0 if outcome == "timeout" else 0.0, abs=0.05)
            await trio.sleep(60)
            assert sorted(waiting.tried) == ["a-1", "b-1"]  # nobody tries again
            waiting.fleet.end()
            await waiting.fleet.ended.wait()
            began_to_end = trio.current_time()

            totals = waiting.ledger.fold()
            assert totals.counters["connections.attempted"] == 2
            assert totals.counters["generator.due"] == waiting.fleet.started == 2
    assert trio.current_time() - began_to_end < 1.0


async def test_a_connection_that_does_not_come_is_waited_for_no_longer_than_ten_seconds(
    autojump_clock: MockClock,
) -> None:
    async with fake_csms() as csms:
        csms.connect_delay = math.inf
        async with waiting_fleet(plain_plan(call_timeout=60.0), csms) as waiting:
            await waiting.preflight.over.wait()
            assert trio.current_time() == pytest.approx(CONNECT_WITHIN)
            assert {each.charge_point for each in waiting.preflight.problems} == {"a-1", "b-1"}
            assert {each.outcome for each in waiting.preflight.problems} == {"timeout"}
            waiting.fleet.end()
            await waiting.fleet.ended.wait()
            assert waiting.ledger.fold().counters["connections.attempted"] == 2


async def test_the_wait_for_its_turn_to_connect_is_no_connect_that_takes_long(autojump_clock: MockClock) -> None:
    async with fake_csms() as csms, waiting_fleet(plain_plan(), csms, rate=1 / 30) as waiting:
        await waiting.preflight.over.wait()
        assert [at for at, _ in csms.connects] == [0.0, 30.0]
        assert waiting.preflight.problems == []
        waiting.fleet.end()


async def test_a_slow_boot_has_its_call_timeout_whatever_the_connect_took(autojump_clock: MockClock) -> None:
    async with fake_csms(BootNotification=boot("Accepted", delay=25.0)) as csms:
        csms.connect_delay = 9.0
        async with waiting_fleet(plain_plan(call_timeout=30.0), csms) as waiting:
            await waiting.preflight.over.wait()
            assert trio.current_time() == pytest.approx(34.0)
            assert waiting.preflight.problems == []
            waiting.begin()


async def test_an_end_during_the_preflight_ends_it_at_once(autojump_clock: MockClock) -> None:
    async with fake_csms(BootNotification=SILENCE) as csms:
        async with waiting_fleet(plain_plan(), csms) as waiting:
            await wait_all_tasks_blocked()
            waiting.fleet.end()
            await waiting.fleet.ended.wait()
            await trio.sleep(0.01)
            boots = waiting.ledger.numbers("BootNotification")
            assert (boots.sent, boots.open_at_end) == (2, 2)
        assert trio.current_time() < 1.0


async def test_a_fleet_that_is_not_planned_online_at_the_beginning_is_not_tried(autojump_clock: MockClock) -> None:
    stages = (
        Stage(name="a first", duration=5, online={"a": 2, "b": 0}, jump=True),
        Stage(name="b too", duration=5, online={"b": 2}, jump=True),
    )
    async with fake_csms() as csms, waiting_fleet(plain_plan(stages), csms) as waiting:
        await waiting.preflight.over.wait()
        await trio.sleep(30)
        assert waiting.tried == ["a-1"]
        waiting.begin()
        await waiting.fleet.ended.wait()
        assert sorted(waiting.tried) == ["a-1", "a-2", "b-1", "b-2"]
        assert waiting.ledger.fold().counters["generator.due"] == 4


async def test_a_shard_without_a_first_charge_point_has_nothing_to_try(autojump_clock: MockClock) -> None:
    async with fake_csms() as csms, waiting_fleet(plain_plan(), csms, shard=2, workers=3) as waiting:
        await waiting.preflight.over.wait()
        assert waiting.tried == []
        waiting.begin()


@settings(deadline=None, max_examples=25)
@given(
    before=st.floats(0, 40),
    delay=st.floats(0, 9),
    statuses=st.lists(st.sampled_from(["Pending", "Rejected"]), max_size=2),
    interval=st.integers(0, 15),
    rate=st.floats(0.1, 2.0),
)
def test_however_long_the_preflight_is_books_close_and_no_time_is_negative(
    before: float, delay: float, statuses: list[str], interval: int, rate: float
) -> None:
    async def run() -> None:
        left = {"a-1": list(statuses)}

        def script(received: Received) -> Answer:
            refusals = left.get(received.identity)
            return boot(refusals.pop(0) if refusals else "Accepted", interval, delay=delay)

        async with fake_csms(BootNotification=script, Authorize=tag_info(delay=delay / 10)) as csms:
            plan = plain_plan(authorize=Arrivals(rate=rate), heartbeat=HeartbeatSettings(every=3.0))
            async with waiting_fleet(plan, csms) as waiting:
                await waiting.preflight.over.wait()
                assert waiting.preflight.problems == []
                await trio.sleep(before)
                began = trio.current_time()
                waiting.begin()
                await waiting.fleet.ended.wait()
                await trio.sleep(0.1)
                totals = waiting.ledger.fold()
                for numbers in totals.group(lambda key: key.action).values():
                    assert numbers.open_books() == []
                    if numbers.service.n:
                        assert numbers.service.total <= numbers.response.total + 1e-6
                assert totals.counters["connections.attempted"] == 7
                assert min(call.at for call in csms.received if call.action != "BootNotification") >= began
                assert trio.current_time() - began < 20 + 31

    in_virtual_time(run)
