"""A whole fleet in virtual time: the plan is followed, and every book closes at the end."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.settings import Arrivals, Backoff, ChargePointSettings, HeartbeatSettings
from loadsim.fleet import Fleet
from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.catalogue import COUNTS
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.snapshot import Totals
from loadsim.scenario.load_profile import planned_online, stage_at
from loadsim.scenario.plan import FleetPlan, Plan, Stage, TagClass, Target
from tests.charge_point.test_books import behaviours
from tests.support import (
    SILENCE,
    Answer,
    FakeCsms,
    Ledger,
    Received,
    Script,
    boot,
    fake_csms,
    in_virtual_time,
    make_context,
    open_books,
    tag_info,
)

GOOD = TagClass(name="good", count=50, pattern="G{n:04}")
BLOCKED = TagClass(name="blocked", count=5, pattern="B{n:04}", expect="Blocked")
STAGES = (
    Stage(name="up", duration=20, online={"a": 10, "b": 6}),
    Stage(name="hold", duration=10, online={}),
    Stage(name="down", duration=20, online={"a": 3, "b": 0}),
    Stage(name="jump", duration=10, online={"a": 8}, jump=True),
    Stage(name="again", duration=20, online={"a": 12, "b": 6}),
)


def make_plan(stages: Sequence[Stage] = STAGES, *, counts: Sequence[int] = (12, 6), **changed: object) -> Plan:
    usual: dict[str, object] = {
        "authorize": Arrivals(rate=0.2),
        "call_timeout": 10.0,
        "reconnect": Backoff(first=1.0, factor=2.0, max=8.0, jitter=0.5),
    }
    chosen = ChargePointSettings(**{**usual, **changed})  # type: ignore[arg-type]
    return Plan(
        name="test",
        seed=7,
        target=Target(),
        tag_classes=(GOOD, BLOCKED),
        fleets=tuple(
            FleetPlan(
                name=name, count=count, pattern="{fleet}-{n}", settings=chosen, tags={"good": 0.8, "blocked": 0.2}
            )
            for name, count in zip("ab", counts, strict=True)
        ),
        stages=tuple(stages),
    )


def flat(duration: float, online: int = 4) -> tuple[Stage, ...]:
    return (Stage(name="flat", duration=duration, online={"a": online}, jump=True),)


@dataclass
class Run:
    """A fleet's run that has ended."""

    csms: FakeCsms
    fleet: Fleet
    ledger: Ledger
    begun: float
    ended_after: float

    @property
    def totals(self) -> Totals:
        return self.ledger.fold()

    def numbers(self, action: str | None = None, tag_class: str | None = None) -> CallNumbers:
        return self.ledger.numbers(action, tag_class)

    def counted(self, name: str) -> int:
        return self.totals.counters[name]


def by_tag(received: Received) -> Answer:
    return tag_info("Blocked" if received.payload["idTag"].startswith("B") else "Accepted", delay=0.05)


async def run_fleet(
    plan: Plan,
    *,
    graceful_stop: float = 30.0,
    scripts: dict[str, list[Script]] | None = None,
    shard: int = 0,
    workers: int = 1,
    end_at: float | None = None,
    meanwhile: object = None,
) -> Run:
    """Run one shard to its end, and see that its books close."""
    async with fake_csms(Authorize=by_tag) as csms:
        for action, chosen in (scripts or {}).items():
            csms.answers(action, *chosen)
        context = make_context(
            csms, recorder=Recorder(shard), stage_at=lambda elapsed: stage_at(plan.stages, elapsed), seed=plan.seed
        )
        fleet = Fleet(plan, context, shard=shard, workers=workers)
        async with trio.open_nursery() as nursery:
            if meanwhile is not None:
                nursery.start_soon(meanwhile, csms, fleet)  # type: ignore[arg-type]
            if end_at is not None:
                nursery.start_soon(end_early, fleet, end_at)
            await fleet.run(graceful_stop=graceful_stop)
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        run = Run(csms, fleet, Ledger(context.recorder), context.clock.trio_time(0.0), fleet.elapsed)
    assert open_books(run.totals) == []
    assert not any(context.states.values())
    assert context.open_calls == 0
    assert context.connections == 0
    return run


async def end_early(fleet: Fleet, at: float) -> None:
    await trio.sleep(at)
    fleet.end()


async def test_the_planned_numbers_are_online_all_along(autojump_clock: MockClock) -> None:
    plan = make_plan(authorize=None)
    seen: list[tuple[float, dict[str, int], dict[str, int]]] = []

    async def watch(csms: FakeCsms, fleet: Fleet) -> None:
        for at in (x + 0.37 for x in itertools.count()):
            await trio.sleep(at - fleet.elapsed)
            open_now = [connection.identity for connection in csms.connections if connection.ended_at is None]
            is_now = {name: sum(identity.startswith(name) for identity in open_now) for name in "ab"}
            seen.append((at, is_now, {name: planned_online(plan.stages, name, at) for name in "ab"}))

    run = await run_fleet(plan, meanwhile=watch)

    assert len(seen) >= 79
    assert [(at, is_now) for at, is_now, _ in seen] == [(at, wanted) for at, _, wanted in seen]
    assert run.fleet.online_end == 18
    assert run.fleet.started == 18


async def test_a_charge_point_that_comes_back_does_not_boot_again(autojump_clock: MockClock) -> None:
    run = await run_fleet(make_plan())

    assert len(run.csms.calls("BootNotification")) == run.counted("boots.accepted") == 18
    assert run.counted("connections.closed") == run.counted("connections.opened") > 18


async def test_the_counts_of_the_csms_are_the_recorders_to_the_message(autojump_clock: MockClock) -> None:
    run = await run_fleet(make_plan(heartbeat=HeartbeatSettings(every=7.0)))

    for action in ("BootNotification", "StatusNotification", "Heartbeat", "Authorize"):
        numbers = run.numbers(action)
        assert numbers.planned == numbers.sent == numbers.answered == len(run.csms.calls(action)) > 0, action
        assert numbers.answered == run.csms.answered[action]
    for tag_class, letter in (("good", "G"), ("blocked", "B")):
        reached = [call for call in run.csms.calls("Authorize") if call.payload["idTag"][0] == letter]
        numbers = run.numbers("Authorize", tag_class)
        assert numbers.sent == len(reached)
        assert (numbers.rejected, numbers.unexpected) == (len(reached) if letter == "B" else 0, 0)
    assert run.counted("messages.sent") == len(run.csms.texts) == len(run.csms.received)
    assert run.counted("messages.received") == sum(run.csms.answered.values())


async def test_calls_belong_to_the_stage_they_fell_due_in(autojump_clock: MockClock) -> None:
    run = await run_fleet(make_plan())

    begins = [0, 20, 30, 50, 60, 80]
    for index, (begin, end) in enumerate(itertools.pairwise(begins)):
        reached = [call for call in run.csms.calls("Authorize") if begin <= call.at < end]
        assert run.totals.select(action="Authorize", stages=[index]).sent == len(reached)


async def test_calls_open_at_the_planned_end_are_awaited_and_counted_as_answered(autojump_clock: MockClock) -> None:
    plan = make_plan(flat(20), call_timeout=60.0)
    run = await run_fleet(plan, scripts={"Authorize": [tag_info(delay=8.0)]})

    numbers = run.numbers("Authorize")
    assert numbers.open_at_end == 0
    assert numbers.answered == numbers.sent == len(run.csms.calls("Authorize"))
    assert max(run.csms.times()) <= 20
    assert 20 < run.ended_after <= 28.1


async def test_calls_not_answered_within_the_graceful_stop_are_open_at_the_end(autojump_clock: MockClock) -> None:
    plan = make_plan(flat(20), call_timeout=60.0)
    run = await run_fleet(plan, scripts={"Authorize": [SILENCE]}, graceful_stop=5.0)

    numbers = run.numbers("Authorize")
    assert numbers.open_at_end == numbers.sent == 4
    assert numbers.planned == numbers.sent + numbers.waiting_at_end
    assert numbers.waiting_at_end > 0
    assert run.ended_after == pytest.approx(25.0, abs=0.1)
    assert numbers.service.n == 0


async def test_what_waits_at_the_end_enters_the_response_times_with_its_wait(autojump_clock: MockClock) -> None:
    plan = make_plan(flat(20, online=1), call_timeout=60.0, authorize=Arrivals(rate=0.5, spacing="even"))
    run = await run_fleet(plan, scripts={"Authorize": [SILENCE]}, graceful_stop=5.0)

    numbers = run.numbers("Authorize")
    first = run.csms.times("Authorize")[0]
    waits = [25 - (first + 2 * n) for n in range(10)]
    assert (numbers.open_at_end, numbers.waiting_at_end) == (1, 9)
    assert numbers.response.total == pytest.approx(sum(waits), abs=0.01)


async def test_the_call_timeout_bounds_the_graceful_stop(autojump_clock: MockClock) -> None:
    plan = make_plan(flat(20), call_timeout=3.0)
    run = await run_fleet(plan, scripts={"Authorize": [SILENCE]}, graceful_stop=30.0)

    assert run.ended_after <= 23.1
    assert run.numbers("Authorize").open_at_end + run.numbers("Authorize").timeout == run.numbers("Authorize").sent


async def test_nothing_is_sent_after_the_planned_end(autojump_clock: MockClock) -> None:
    plan = make_plan(flat(20), call_timeout=60.0, heartbeat=HeartbeatSettings(every=2.0, regardless_of_traffic=True))
    scripts: dict[str, list[Script]] = {"Authorize": [*[tag_info()] * 3, SILENCE]}
    run = await run_fleet(plan, scripts=scripts, graceful_stop=15.0)

    assert max(at for at, _, _ in run.csms.texts) <= 20
    assert run.ended_after > 30


async def test_no_connection_is_begun_after_the_planned_end(autojump_clock: MockClock) -> None:
    async def drop_all(csms: FakeCsms, fleet: Fleet) -> None:
        await trio.sleep(19.9)
        for connection in csms.connections[1:]:
            await connection.drop(1001)

    plan = make_plan(flat(20), call_timeout=60.0)
    run = await run_fleet(plan, scripts={"Authorize": [SILENCE]}, graceful_stop=15.0, meanwhile=drop_all)

    assert max(at for at, _ in run.csms.connects) <= 20
    assert run.counted("connections.lost.1001") == 3
    assert run.fleet.online_end == 1


async def test_a_status_does_not_fall_due_after_the_end_although_the_boot_was_accepted_then(
    autojump_clock: MockClock,
) -> None:
    run = await run_fleet(make_plan(flat(20)), scripts={"BootNotification": [boot("Accepted", delay=22.0)]})
    late = await run_fleet(
        make_plan(flat(20), call_timeout=60.0), scripts={"BootNotification": [boot("Accepted", delay=22.0)]}
    )

    assert run.numbers("StatusNotification").planned == 0
    assert late.numbers("BootNotification").accepted == 4
    assert late.numbers("StatusNotification").planned == 0


async def test_an_end_asked_for_is_as_the_planned_one(autojump_clock: MockClock) -> None:
    plan = make_plan(call_timeout=60.0)
    run = await run_fleet(plan, scripts={"Authorize": [tag_info(delay=4.0)]}, end_at=27.0)

    numbers = run.numbers("Authorize")
    assert max(at for at, _, _ in run.csms.texts) <= 27
    assert max(at for at, _ in run.csms.connects) <= 27
    assert numbers.answered == numbers.sent > 0
    assert numbers.waiting_at_end > 0
    assert run.fleet.online_end == 16
    assert run.counted("connections.closed") == 16
    assert run.ended_after <= 31.1


async def test_an_end_asked_for_before_the_beginning_sends_nothing(autojump_clock: MockClock) -> None:
    plan = make_plan()
    async with fake_csms() as csms:
        fleet = Fleet(plan, make_context(csms))
        fleet.end()
        await fleet.run(graceful_stop=30.0)

        assert csms.received == []
        assert fleet.elapsed < 0.1


async def test_two_shards_count_as_one_run(autojump_clock: MockClock) -> None:
    plan = make_plan(authorize=Arrivals(rate=0.3))
    alone = await run_fleet(plan)
    shards = [await run_fleet(plan, shard=shard, workers=2) for shard in range(2)]

    def sent(run: Run) -> list[tuple[str, float, str, str]]:
        calls = run.csms.received
        return [(c.identity, round(c.at - run.begun, 5), c.action, str(c.payload.get("idTag"))) for c in calls]

    assert sorted(sent(shards[0]) + sent(shards[1])) == sorted(sent(alone))
    for key, numbers in alone.totals.calls.items():
        parts = CallNumbers()
        for run in shards:
            parts.merge(run.totals.calls.get(key, CallNumbers()))
        assert [getattr(parts, name) for name in COUNTS] == [getattr(numbers, name) for name in COUNTS]


async def test_an_interval_that_passed_while_the_last_answer_was_awaited_is_not_caught_up(
    autojump_clock: MockClock,
) -> None:
    stages = (
        Stage(name="on", duration=10, online={"a": 1}, jump=True),
        Stage(name="off", duration=5, online={"a": 0}, jump=True),
        Stage(name="on again", duration=5, online={"a": 1}, jump=True),
        Stage(name="off again", duration=60, online={"a": 0}, jump=True),
    )
    plan = make_plan(stages, call_timeout=30.0, authorize=Arrivals(rate=1.0, spacing="even"))
    run = await run_fleet(plan, scripts={"Authorize": [SILENCE]})

    assert len(run.csms.connections) == 1
    assert run.csms.connections[0].ended_at == pytest.approx(30.0, abs=1.1)
    assert run.fleet.online_end == 0


async def test_a_fleet_of_which_nobody_is_ever_online_ends(autojump_clock: MockClock) -> None:
    run = await run_fleet(make_plan(flat(5, online=0)))

    assert (run.fleet.started, run.csms.connects) == (0, [])
    assert run.ended_after == pytest.approx(5.0, abs=0.1)


async def test_the_generators_own_lateness_is_measured_all_along(autojump_clock: MockClock) -> None:
    run = await run_fleet(make_plan(flat(10)))

    lateness = run.totals.time("lateness")
    assert lateness.n >= 1000
    assert lateness.max < 1e-6


events = st.lists(
    st.tuples(st.floats(0, 16), st.sampled_from(["drop one", "drop all", "stall", "block", "refuse", "end"])),
    max_size=4,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(behaviours, events, st.sampled_from([0.0, 2.0, 7.0, 30.0]), st.booleans())
def test_the_books_of_a_fleet_close_whatever_the_csms_does(
    scripts: dict[str, list[Script]], happenings: list[tuple[float, str]], graceful_stop: float, regardless: bool
) -> None:
    stages = (
        Stage(name="up", duration=4, online={"a": 4, "b": 2}),
        Stage(name="down", duration=4, online={"a": 1, "b": 0}),
        Stage(name="jump", duration=8, online={"a": 3, "b": 2}, jump=True),
    )
    plan = make_plan(
        stages,
        counts=(4, 2),
        call_timeout=6.0,
        authorize=Arrivals(rate=0.5),
        heartbeat=HeartbeatSettings(every=3.0, regardless_of_traffic=regardless),
    )

    async def meanwhile(csms: FakeCsms, fleet: Fleet) -> None:
        for at, what in sorted(happenings):
            await trio.sleep(max(at - fleet.elapsed, 0))
            open_now = [connection for connection in csms.connections if connection.ended_at is None]
            if what == "end":
                fleet.end()
            elif what == "stall":
                csms.stalled_until = trio.current_time() + 7
            elif what == "refuse":
                csms.refuse = lambda identity: None if identity.endswith("1") else "http_503"
            for connection in open_now[: {"drop one": 1, "drop all": 99, "block": 1}.get(what, 0)]:
                if what == "block":
                    connection.client.blocked = True
                else:
                    await connection.drop(1001)

    async def run() -> None:
        run = await run_fleet(
            plan,
            scripts={action: chosen * 6 for action, chosen in scripts.items()},
            graceful_stop=graceful_stop,
            meanwhile=meanwhile,
        )
        ends = [at for at, what in happenings if what == "end"]
        planned_end = min([16.0, *ends])
        assert max([0.0, *run.csms.times()]) <= planned_end + 1e-6
        assert max([0.0, *(at for at, _ in run.csms.connects)]) <= planned_end + 1e-6
        calls, reached = run.numbers(), len(run.csms.received)
        assert reached <= calls.sent <= reached + calls.connection_lost + calls.timeout + calls.open_at_end

    in_virtual_time(run)
