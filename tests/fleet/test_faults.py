"""Planned faults over a fleet in virtual time: exactly who is hit, when, and what becomes of them."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, Literal

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.distribution import uniform
from loadsim.charge_point.settings import Arrivals, Backoff, HeartbeatSettings, SessionSettings
from loadsim.charge_point.trouble import drop
from loadsim.fleet import Fleet
from loadsim.scenario.plan import FaultPlan, Stage
from tests.fleet.test_fleet import Run
from tests.support import FakeCsms
from tests.tough import STEADY, ToughCsms, fault_plan, of_fault, recoveries, refuse_with_error, run_faults
from tests.v16.sessions import Book

FLAT = (Stage(name="flat", duration=400, online={"a": 40, "b": 20}, jump=True),)
COUNTS = (40, 20)
JITTERY = Backoff(first=4.0, factor=2.0, max=60.0, jitter=0.5)


@pytest.fixture(autouse=True)
def _slow_ticker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for lateness once a second: in virtual time there is none, and the looks are most of the work."""
    monkeypatch.setattr("loadsim.fleet.fleet._TICK", 1.0)


def drop_at(at: float | None = 100.0, **changed: Any) -> FaultPlan:
    return FaultPlan(**{"name": "cut", "do": "drop", "how": "reset", "at": at, **changed})


def ended(run: Run) -> list[tuple[str, float]]:
    """Return who lost a connection when, before the end of the run."""
    ends = [(each.identity, each.ended_at) for each in run.csms.connections if each.ended_at is not None]
    end = run.fleet._plan.duration
    return sorted((name, round(at - run.begun, 6)) for name, at in ends if at - run.begun < end)


@pytest.mark.parametrize(("share", "hit"), [(1.0, 60), (0.25, 15), (0.01, 0), (0.33, 20)])
async def test_a_fault_at_a_moment_hits_an_exact_share_of_each_fleet(
    autojump_clock: MockClock, share: float, hit: int
) -> None:
    run = await run_faults(fault_plan(drop_at(share=share), stages=FLAT, counts=COUNTS))

    assert of_fault(run, "cut") == {"hit": hit, "offline": hit, "back": hit, "gone": 0, "messages_lost": 0}
    assert len(ended(run)) == hit
    assert {at for _, at in ended(run)} <= {100.0}
    by_fleet = Counter(name[0] for name, _ in ended(run))
    assert by_fleet == Counter({"a": round(share * 40), "b": round(share * 20)})
    assert run.counted("connections.retried") == hit


async def test_the_share_is_of_those_that_are_planned_to_be_online_then(autojump_clock: MockClock) -> None:
    stages = (
        Stage(name="few", duration=150, online={"a": 10, "b": 0}, jump=True),
        Stage(name="many", duration=250, online={"a": 40, "b": 20}, jump=True),
    )
    faults = (drop_at(share=0.5), drop_at(300.0, name="later", share=0.5))
    run = await run_faults(fault_plan(*faults, stages=stages, counts=COUNTS))

    assert of_fault(run, "cut")["hit"] == 5
    assert {int(name[2:]) for name, at in ended(run) if at == 100} <= set(range(1, 11))
    assert of_fault(run, "later")["hit"] == 30


async def test_a_fault_of_one_fleet_leaves_the_others_alone(autojump_clock: MockClock) -> None:
    run = await run_faults(fault_plan(drop_at(fleet="b"), stages=FLAT, counts=COUNTS))

    assert {name[0] for name, _ in ended(run)} == {"b"}
    assert of_fault(run, "cut")["hit"] == 20


FAULTS = (
    drop_at(name="share", share=0.3),
    FaultPlan(name="rate", do="drop", how="close", rate=0.01, begin=20.0, end=300.0, share=0.5),
    FaultPlan(name="mute", do="silent", at=150.0, share=0.2, duration=40.0),
    FaultPlan(name="mud", do="slow", rate=0.005, end=400.0, fleet="a", latency=(0.1, 1.5), duration=20.0),
    FaultPlan(name="mess", do="malformed", rate=0.01, end=400.0, kinds=("empty", "schema", "binary", "short")),
)


@pytest.mark.parametrize("workers", [2, 4])
async def test_any_number_of_workers_hits_the_same_charge_points_at_the_same_moments(
    autojump_clock: MockClock, workers: int
) -> None:
    plan = fault_plan(*FAULTS, stages=FLAT, counts=COUNTS, reconnect=JITTERY)

    def happened(*runs: Run) -> list[tuple[str, float]]:
        return sorted(itertools.chain.from_iterable(ended(run) for run in runs))

    def malformed(*runs: Run) -> list[tuple[float, str, str]]:
        return sorted(
            (round(at - run.begun, 2), name, str(text)[:4])
            for run in runs
            for at, name, text in run.csms.malformed  # type: ignore[attr-defined]
        )

    alone = await run_faults(plan)
    shards = [await run_faults(plan, shard=shard, workers=workers) for shard in range(workers)]

    assert len(happened(alone)) > 60
    assert happened(*shards) == happened(alone)
    assert len(malformed(alone)) > 60
    assert [each[1:] for each in malformed(*shards)] == [each[1:] for each in malformed(alone)]
    for fault in FAULTS:
        parts = [of_fault(run, fault.name) for run in shards]
        assert of_fault(alone, fault.name) == {name: sum(part[name] for part in parts) for name in parts[0]}
        times = sum((run.totals.recoveries.get(fault.name, Counter()) for run in shards), Counter[int]())
        assert times == alone.totals.recoveries.get(fault.name, Counter())


async def test_arrivals_by_rate_are_poisson_of_each_charge_point_within_their_time(
    autojump_clock: MockClock,
) -> None:
    fault = drop_at(name="often", at=None, rate=0.02, begin=100.0, end=300.0)
    run = await run_faults(fault_plan(fault, stages=FLAT, counts=COUNTS, reconnect=Backoff(first=0.01, jitter=0.0)))

    times = [at for _, at in ended(run)]
    assert 100 < min(times) < 105
    assert 295 < max(times) < 300
    assert 180 < len(times) < 300  # 240 are expected, 15 is the standard deviation
    assert len(times) == of_fault(run, "often")["hit"] == of_fault(run, "often")["back"]
    each = Counter(name for name, _ in ended(run))
    assert len(each) > 50
    assert 1.5 < sum((count - 4) ** 2 for count in each.values()) / 60 < 7  # variance as the mean, 4
    gaps = Counter(round(at, 3) for at in times)
    assert max(gaps.values()) <= 2


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("away", [0.0, 60.0])
async def test_recoveries_are_what_the_csms_saw_to_the_hundredth_of_a_second(
    autojump_clock: MockClock, how: Literal["reset", "close"], away: float
) -> None:
    fault = drop_at(share=0.5, how=how, duration=away)
    run = await run_faults(
        fault_plan(fault, stages=FLAT, counts=COUNTS, reconnect=JITTERY), prepare=lambda csms: take(csms, 1.5)
    )

    assert isinstance(run.csms, ToughCsms)
    gaps = [gap for each in run.csms.gaps().values() for gap in each if gap[0] - run.begun < 399]
    seen = sorted(after - run.begun - 100 for _, after in gaps if after is not None)
    assert len(seen) == 30
    assert recoveries(run, "cut") == pytest.approx(seen, abs=0.01)
    assert min(seen) > away + 3.5


def take(csms: FakeCsms, seconds: float) -> None:
    csms.connect_delay = seconds


async def test_a_storm_of_two_thousand_comes_back(autojump_clock: MockClock) -> None:
    stages = (Stage(name="flat", duration=30, online={"a": 2000}, jump=True),)
    run = await run_faults(fault_plan(drop_at(10.0), stages=stages, counts=(2000, 0), reconnect=JITTERY))

    assert of_fault(run, "cut") == {"hit": 2000, "offline": 2000, "back": 2000, "gone": 0, "messages_lost": 0}
    assert 2.0 <= recoveries(run, "cut")[0] < recoveries(run, "cut")[-1] <= 6.1
    assert run.counted("connections.retried") == 2000
    assert run.counted("connections.attempted") == 4000


async def test_the_time_that_it_takes_to_strike_them_all_is_lateness_of_the_generators_own(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def laborious(*args: Any, **kwargs: Any) -> bool:
        autojump_clock.jump(0.01)
        return drop(*args, **kwargs)

    monkeypatch.setattr("loadsim.fleet.faults.drop", laborious)
    run = await run_faults(fault_plan(drop_at(), stages=FLAT, counts=COUNTS))

    assert run.totals.time("lateness").max == pytest.approx(0.6, rel=0.01)


@pytest.mark.parametrize(
    "fault",
    [
        drop_at(duration=20.0),
        drop_at(do="silent", how="", duration=20.0),
        drop_at(do="slow", how="", duration=20.0, latency=(0.1, 0.1)),
    ],
)
async def test_the_wake_ups_of_all_whom_a_fault_has_hit_do_not_drown_the_lateness_of_the_run(
    autojump_clock: MockClock, fault: FaultPlan
) -> None:
    async def wake_ups(*faults: FaultPlan) -> int:
        run = await run_faults(fault_plan(*faults, stages=FLAT, counts=COUNTS))
        return run.totals.time("lateness").n

    assert await wake_ups(fault) <= await wake_ups() + 5  # of the fault itself


async def test_who_is_away_when_the_plan_takes_it_offline_is_gone_and_who_is_at_the_end_is_missing(
    autojump_clock: MockClock,
) -> None:
    stages = (
        Stage(name="many", duration=120, online={"a": 40, "b": 0}, jump=True),
        Stage(name="few", duration=80, online={"a": 10}, jump=True),
    )
    run = await run_faults(fault_plan(drop_at(duration=200.0), stages=stages, counts=COUNTS))

    assert of_fault(run, "cut") == {"hit": 40, "offline": 40, "back": 0, "gone": 30, "messages_lost": 0}
    assert run.fleet.online_end == 0


async def test_calls_that_fall_due_while_it_is_offline_are_lost_and_those_before_and_after_are_not(
    autojump_clock: MockClock,
) -> None:
    plan = fault_plan(
        drop_at(duration=60.0), stages=FLAT, counts=COUNTS, authorize=Arrivals(rate=0.5, spacing="even")
    )
    run = await run_faults(plan)

    numbers = run.numbers()
    lost = numbers.skipped_offline + numbers.connection_lost
    assert of_fault(run, "cut")["messages_lost"] == lost
    assert lost == pytest.approx(60 * 65 / 2, abs=62)


@pytest.mark.parametrize("do", ["drop", "silent", "slow", "malformed"])
@pytest.mark.parametrize("at", [399.9999, 400.0, 1000.0])
async def test_nothing_happens_after_the_end_and_at_the_very_end_nothing_hangs(
    autojump_clock: MockClock, do: Any, at: float
) -> None:
    fault = FaultPlan(name="last", do=do, at=at, duration=50.0, latency=(3.0, 3.0))
    plan = fault_plan(
        fault,
        stages=FLAT,
        counts=COUNTS,
        heartbeat=HeartbeatSettings(every=7.0, regardless_of_traffic=True),
        call_timeout=20.0,
    )
    run = await run_faults(plan, graceful_stop=10.0)

    told = of_fault(run, "last")
    assert told["hit"] == (60 if at < 400 and do != "malformed" else told["hit"] if at < 400 else 0)
    assert told["back"] == told["gone"] == 0
    assert told["offline"] == (told["hit"] if do in ("drop", "silent") else 0)
    assert run.ended_after < 400 + 10 + 6
    assert max(at for at, _ in run.csms.connects) - run.begun <= 400


@pytest.mark.parametrize("end_at", [None, 170.0])
async def test_the_end_of_the_run_waits_for_a_silent_charge_point_no_longer_than_for_an_open_call(
    autojump_clock: MockClock, end_at: float | None
) -> None:
    fault = FaultPlan(name="mute", do="silent", at=150.0, duration=10_000.0)
    plan = fault_plan(
        fault,
        stages=(Stage(name="flat", duration=200, online={"a": 40, "b": 20}, jump=True),),
        counts=COUNTS,
        heartbeat=HeartbeatSettings(every=7.0, regardless_of_traffic=True),
        session=SessionSettings(plugged_in=uniform(500.0, 600.0)),
        call_timeout=25.0,
        ping=5.0,
    )
    run = await run_faults(plan, graceful_stop=20.0, end_at=end_at)

    assert of_fault(run, "mute") == {"hit": 60, "offline": 60, "back": 0, "gone": 0, "messages_lost": 0}
    assert run.ended_after <= (end_at or 200) + 41  # the stops' and the open calls' graceful stop
    assert run.numbers("Heartbeat").timeout > 0


async def test_a_charge_point_that_the_plan_stops_while_it_is_silent_makes_room(autojump_clock: MockClock) -> None:
    stages = (
        Stage(name="many", duration=120, online={"a": 40, "b": 0}, jump=True),
        Stage(name="few", duration=80, online={"a": 10}, jump=True),
        Stage(name="again", duration=100, online={"a": 40}, jump=True),
    )
    fault = FaultPlan(name="mute", do="silent", at=100.0, duration=50.0)
    run = await run_faults(fault_plan(fault, stages=stages, counts=COUNTS))

    lost = run.numbers().connection_lost  # a beat was open where the plan took one offline
    assert of_fault(run, "mute") == {"hit": 40, "offline": 40, "back": 10, "gone": 30, "messages_lost": lost}
    assert recoveries(run, "mute") == [50.0] * 10
    assert run.fleet.online_end == 40
    at_140 = [each for each in run.csms.connections if each.ended_at is None or each.ended_at - run.begun > 140]
    assert len(at_140) == 10 + 30  # those that stay, and the connections of the third stage


@pytest.mark.parametrize("early", [0.0, 0.1])
async def test_a_restart_of_the_csms_hits_who_is_online_also_where_its_clock_is_ahead(
    autojump_clock: MockClock, early: float
) -> None:
    async def restart(csms: ToughCsms, fleet: Fleet) -> None:
        await trio.sleep_until(fleet._context.clock.trio_time(100.0 - early))
        if not early:
            await trio.sleep(0.001)  # after all that happens at the moment itself
        await csms.ends_everything()
        csms.refuse = lambda identity: "refused" if fleet.elapsed < 103 else None

    fault = FaultPlan(name="restart", do="csms", how="restart", at=100.0, duration=3.0)
    run = await run_faults(
        fault_plan(fault, stages=FLAT, counts=COUNTS, reconnect=Backoff(first=1.0, jitter=0.5)), meanwhile=restart
    )

    assert of_fault(run, "restart") == {"hit": 60, "offline": 60, "back": 60, "gone": 0, "messages_lost": 0}
    assert isinstance(run.csms, ToughCsms)
    seen = sorted(after - run.begun - 100 for each in run.csms.gaps().values() for _, after in each if after)
    assert recoveries(run, "restart") == pytest.approx(seen, abs=0.01)
    assert min(seen) > 3
    assert run.counted("connections.refused.refused") > 60
    assert run.counted("connections.retried") == run.counted("connections.attempted") - 60


async def test_connections_that_break_long_after_a_fault_of_the_csms_are_not_its_doing(
    autojump_clock: MockClock,
) -> None:
    async def break_late(csms: ToughCsms, fleet: Fleet) -> None:
        await trio.sleep(105.9)
        await csms.connections[0].drop()
        await trio.sleep(0.2)
        await csms.connections[1].drop()

    fault = FaultPlan(name="stall", do="csms", how="stall", at=100.0, duration=5.0)
    run = await run_faults(fault_plan(fault, stages=FLAT, counts=COUNTS), meanwhile=break_late)

    assert of_fault(run, "stall") == {"hit": 60, "offline": 1, "back": 1, "gone": 0, "messages_lost": 0}
    assert recoveries(run, "stall") == [pytest.approx(10.9)]


async def test_every_kind_is_sent_and_told_apart(autojump_clock: MockClock) -> None:
    async def suffer(connection: Any, text: str | bytes) -> None:
        if isinstance(text, bytes):
            await connection.drop(1003)
        else:
            await refuse_with_error(connection, text)

    def prepare(csms: ToughCsms) -> None:
        csms.suffer = suffer

    fault = FaultPlan(name="mess", do="malformed", rate=0.02, end=390.0)
    plan = fault_plan(
        fault, stages=FLAT, counts=(20, 10), heartbeat=HeartbeatSettings(every=5.0, regardless_of_traffic=True)
    )
    run = await run_faults(plan, prepare=prepare)

    sent = run.totals.with_prefix("faults.mess.sent.")
    survived = run.totals.with_prefix("faults.mess.survived.")
    closed = run.totals.with_prefix("faults.mess.closed.")
    assert len(sent) == 12
    assert sum(sent.values()) == of_fault(run, "mess")["hit"] > 150
    assert set(closed) >= {"binary"}
    assert "binary" not in survived
    assert closed["binary"] == pytest.approx(sent["binary"], abs=1)
    for kind in set(sent) - {"binary"}:
        assert survived[kind] + closed.get(kind, 0) >= sent[kind] - 3
        assert closed.get(kind, 0) <= 2  # one was under way when a binary one closed the connection
    strays = run.totals.with_prefix("strays.")
    assert not any(strays.values()), strays


async def test_what_charge_points_have_to_say_of_transactions_comes_once_and_in_order_through_all_drops(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    stages = (Stage(name="s", duration=1500, online={"a": 12}, sessions={"a": 0.05}, jump=True),)
    fault = FaultPlan(name="flaky", do="drop", how="reset", rate=0.01, end=1500.0, duration=20.0)
    plan = fault_plan(
        fault,
        stages=stages,
        counts=(12, 0),
        session=SessionSettings(plugged_in=uniform(30.0, 200.0), energy=uniform(100.0, 2000.0)),
        reconnect=Backoff(first=1.0, factor=2.0, max=8.0, jitter=0.5),
        configuration={"AllowOfflineTxForUnknownId": "true"},
    )
    scripts = {action: [script] for action, script in book.scripts.items() if action != "Authorize"}
    run = await run_faults(plan, scripts=scripts)  # type: ignore[arg-type]

    assert book.problems == []
    assert of_fault(run, "flaky")["back"] > 80
    assert run.counted("transactions.stopped") > 30
    assert run.counted("transactions.lost") == run.counted("transactions.doubled") == 0
    assert run.counted("outbox_wait") == 0
    assert run.totals.time("outbox_wait").n > 20


async def test_a_plan_with_faults_costs_nothing_where_none_happens(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawned: list[object] = []
    original = ChargePoint.spawn
    monkeypatch.setattr(ChargePoint, "spawn", lambda self, *what: spawned.append(original(self, *what)))
    fault = FaultPlan(name="never", do="slow", rate=1e-9, end=400.0, duration=5.0)
    quiet = await run_faults(fault_plan(stages=FLAT, counts=COUNTS, reconnect=STEADY))
    before = len(spawned)
    run = await run_faults(fault_plan(fault, stages=FLAT, counts=COUNTS, reconnect=STEADY))

    assert len(spawned) == 2 * before
    assert run.counted("messages.sent") == quiet.counted("messages.sent")
    assert of_fault(run, "never")["hit"] == 0
