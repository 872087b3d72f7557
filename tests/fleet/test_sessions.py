"""Charging sessions of a whole fleet in virtual time: who comes, who finds a connector, and how a run ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed, uniform
from loadsim.charge_point.settings import HardwareSettings, SessionSettings
from loadsim.fleet import Fleet
from loadsim.scenario.plan import Plan, Stage, TagClass
from loadsim.v16.session import Session
from tests.fleet.test_fleet import Run, make_plan, run_fleet
from tests.support import OUTCOMES, SILENCE, Answer, FakeCsms, Script, in_virtual_time, open_session_books, started
from tests.v16.sessions import Book, bad_statuses

USUAL_SESSION = SessionSettings(plugged_in=fixed(50.0), energy=uniform(100.0, 2000.0))


@pytest.fixture(autouse=True)
def _slow_ticker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for lateness once a second: in virtual time there is none, and the looks are most of the work."""
    monkeypatch.setattr("loadsim.fleet.fleet._TICK", 1.0)


def stages_of(*stages: tuple[float, int, float], jump: bool = True) -> tuple[Stage, ...]:
    """Make stages of fleet a: seconds, charge points online, sessions a second."""
    return tuple(
        Stage(name=f"s{n}", duration=duration, online={"a": online}, sessions={"a": rate}, jump=jump)
        for n, (duration, online, rate) in enumerate(stages)
    )


def plan_of(stages: Sequence[Stage], *, session: SessionSettings = USUAL_SESSION, **changed: Any) -> Plan:
    return make_plan(stages, **{"session": session, "authorize": None, "call_timeout": 10.0, **changed})


async def run_sessions(plan: Plan, book: Book | None = None, **arguments: Any) -> Run:
    """Run a shard on a CSMS that keeps a book, and see that the books of sessions close, too."""
    book = Book() if book is None else book
    scripts: dict[str, list[Script]] = {
        action: [script] for action, script in book.scripts.items() if action != "Authorize"
    }
    scripts["FirmwareStatusNotification"] = [Answer(payload={})]
    run = await run_fleet(plan, scripts={**scripts, **arguments.pop("scripts", {})}, **arguments)
    assert open_session_books(run.totals) == []
    assert book.problems == []
    assert bad_statuses(run.csms) == []
    return run


def outcomes(run: Run) -> dict[str, int]:
    return {name: run.counted(f"sessions.{name}") for name in OUTCOMES if run.counted(f"sessions.{name}")}


async def test_all_sessions_that_are_planned_come_and_are_accounted_for(autojump_clock: MockClock) -> None:
    plan = plan_of([Stage(name="s", duration=400, online={"a": 12}, sessions={"a": 0.2}, jump=True, arrivals="even")])
    run = await run_sessions(plan)

    assert run.counted("sessions.due") == 80
    assert outcomes(run).keys() <= {"started", "no_free_connector", "refused"}
    assert outcomes(run)["started"] > 40
    assert 10 < run.counted("sessions.refused") < 25  # a fifth of the tags is blocked


async def test_drivers_who_come_before_anybody_is_online_do_not_keep_the_later_ones_away(
    autojump_clock: MockClock,
) -> None:
    run = await run_sessions(plan_of(stages_of((100, 0, 0.1), (300, 12, 0.1))))

    assert run.counted("sessions.no_free_connector") >= 5
    assert run.counted("sessions.started") > 10


async def test_drivers_who_find_every_connector_taken_are_counted_and_later_ones_find_those_that_became_free(
    autojump_clock: MockClock,
) -> None:
    plan = plan_of([Stage(name="s", duration=600, online={"a": 1}, sessions={"a": 0.2}, jump=True, arrivals="even")])
    run = await run_sessions(plan, scripts={"Authorize": [Answer(payload={"idTagInfo": {"status": "Accepted"}})]})

    started, turned_away = run.counted("sessions.started"), run.counted("sessions.no_free_connector")
    assert started + turned_away == run.counted("sessions.due") == 120
    assert 8 <= started <= 12  # one connector, taken for 50 seconds and those that the cable takes


async def test_drivers_are_counted_in_the_stage_in_which_they_were_due(autojump_clock: MockClock) -> None:
    stages = [
        Stage(name=name, duration=seconds, online={"a": 1}, sessions={"a": rate}, jump=True, arrivals="even")
        for name, seconds, rate in (("low", 100, 0.1), ("high", 200, 0.3))
    ]
    run = await run_sessions(plan_of(stages, session=SessionSettings(plugged_in=fixed(30.0))))

    assert [run.counted(f"sessions.due.{stage}") for stage in (0, 1, 2)] == [10, 60, 0]
    for what in ("started", "no_free_connector"):
        of_stages = [run.counted(f"sessions.{what}.{stage}") for stage in (0, 1)]
        assert min(of_stages) > 0
        assert sum(of_stages) == run.counted(f"sessions.{what}")


@pytest.mark.parametrize("workers", [2, 4])
async def test_shards_bring_the_same_drivers_at_the_same_times_as_one(
    autojump_clock: MockClock, workers: int
) -> None:
    session = SessionSettings(plugged_in=uniform(5.0, 20.0), energy=uniform(100.0, 2000.0))
    plan = plan_of(
        [Stage(name="s", duration=100, online={"a": 40, "b": 24}, sessions={"a": 0.7, "b": 0.3}, jump=True)],
        session=session,
        counts=(40, 24),
        connectors=3,
    )

    def drivers(run: Run) -> Counter[tuple[str, float, str]]:
        calls = run.csms.calls("Authorize")
        return Counter((call.identity[0], round(call.at - run.begun, 6), call.payload["idTag"]) for call in calls)

    alone = await run_sessions(plan)
    shards = [await run_sessions(plan, shard=shard, workers=workers) for shard in range(workers)]
    assert sum(drivers(alone).values()) > 80
    assert sum((drivers(run) for run in shards), Counter[tuple[str, float, str]]()) == drivers(alone)
    for name in ("sessions.due", "sessions.refused", "sessions.started"):
        assert sum(run.counted(name) for run in shards) == alone.counted(name) > 5, name
    wanted = sum(run.counted("energy.delivered") for run in shards)
    assert wanted == pytest.approx(alone.counted("energy.delivered"), abs=2 * alone.counted("sessions.due"))


async def test_rule_37_who_has_a_reservation_finds_the_connector_where_others_found_none(
    autojump_clock: MockClock,
) -> None:
    """Of three tags that come at random one has the only connector reserved: it starts, whoever was turned away."""
    stage = Stage(name="s", duration=200, online={"a": 1}, sessions={"a": 0.2}, jump=True, arrivals="even")
    plan = plan_of([stage], session=SessionSettings(tags={"good": 1.0}, plugged_in=fixed(2.0)))
    plan = msgspec.structs.replace(plan, tag_classes=(TagClass(name="good", count=3, pattern="G{n}"),))

    async def reserve(csms: FakeCsms, fleet: Fleet) -> None:
        await trio.sleep(1)
        order = {"connectorId": 1, "expiryDate": "2026-11-22T10:15:00Z", "idTag": "G3", "reservationId": 1}
        assert await csms.latest.order("ReserveNow", order) == {"status": "Accepted"}

    run = await run_sessions(plan, meanwhile=reserve)

    first = run.csms.calls("StartTransaction")[0]
    assert (first.payload["idTag"], first.payload["reservationId"]) == ("G3", 1)
    turned_away = run.counted("sessions.no_free_connector")
    assert turned_away >= 2
    assert run.counted("sessions.started") == run.counted("sessions.due") - turned_away > 10


async def test_sessions_of_a_fleet_of_which_few_are_online_are_those_of_the_few(autojump_clock: MockClock) -> None:
    stage = Stage(name="s", duration=60, online={"a": 5}, sessions={"a": 0.5}, jump=True, arrivals="even")
    plan = plan_of([stage], counts=(100, 6), connectors=20, session=SessionSettings(plugged_in=fixed(500.0)))
    runs = [await run_sessions(plan, shard=shard, workers=4) for shard in range(4)]

    assert [run.counted("sessions.due") > 0 for run in runs] == [True] * 4
    assert sum(run.counted("sessions.due") for run in runs) == 30
    assert sum(run.counted("sessions.no_free_connector") for run in runs) == 0
    for run in runs:  # two of the five are the first shard's
        assert run.counted("sessions.due") == pytest.approx(12 if run is runs[0] else 6, abs=6)


async def test_sessions_that_are_planned_while_nobody_is_to_be_online_are_counted_once(
    autojump_clock: MockClock,
) -> None:
    stage = Stage(name="s", duration=60, online={"a": 0}, sessions={"a": 0.5}, jump=True, arrivals="even")
    runs = [await run_sessions(plan_of([stage]), shard=shard, workers=3) for shard in range(3)]

    assert [run.counted("sessions.no_free_connector") for run in runs] == [30, 0, 0]


async def test_a_fleet_that_ramps_down_stops_its_transactions_and_says_so(autojump_clock: MockClock) -> None:
    book = Book()
    plan = plan_of(
        stages_of((100, 12, 0.5), (100, 0, 0.0), jump=False), session=SessionSettings(plugged_in=fixed(500.0))
    )
    run = await run_sessions(plan, book)

    assert run.counted("transactions.begun") == run.counted("transactions.stopped") > 5
    assert book.open == []
    assert {entry.stop["reason"] for entry in book.entries.values() if entry.stop} == {"Other"}
    assert run.fleet.open_transactions == []


async def test_the_planned_end_leaves_transactions_open_and_tells_which(autojump_clock: MockClock) -> None:
    book = Book(first=100)
    plan = plan_of(stages_of((200, 12, 0.2)), session=SessionSettings(plugged_in=fixed(1000.0)))
    run = await run_sessions(plan, book)

    assert run.csms.calls("StopTransaction") == []
    assert run.counted("transactions.open") == len(book.open) > 5
    assert sorted(run.fleet.open_transactions) == sorted(book.open)
    assert run.counted("transactions.running") == 0  # a gauge, no counter
    assert max(run.csms.times()) <= 200 + 1e-6


async def test_a_run_that_is_interrupted_stops_its_transactions(autojump_clock: MockClock) -> None:
    book = Book()
    plan = plan_of(stages_of((200, 12, 0.2)), session=SessionSettings(plugged_in=fixed(1000.0)))
    run = await run_sessions(plan, book, end_at=150.0)

    assert run.counted("transactions.stopped") == run.counted("transactions.begun") > 5
    assert book.open == run.fleet.open_transactions == []
    assert max(run.csms.times()) < 151
    stops = [call.at - run.begun for call in run.csms.calls("StopTransaction")]
    assert min(stops) >= 150


@pytest.mark.parametrize("graceful_stop", [3.0, 12.0])
async def test_a_silent_csms_does_not_hold_up_an_interrupted_run_beyond_the_graceful_stop(
    autojump_clock: MockClock, graceful_stop: float
) -> None:
    plan = plan_of(
        stages_of((200, 12, 0.2)),
        session=SessionSettings(plugged_in=fixed(1000.0)),
        call_timeout=60.0,
        connectors=2,
    )
    run = await run_sessions(plan, scripts={"StopTransaction": [SILENCE]}, end_at=150.0, graceful_stop=graceful_stop)

    assert run.ended_after <= 150 + graceful_stop + 0.5
    stops = run.numbers("StopTransaction")
    assert stops.open_at_end == stops.sent > 3
    assert run.counted("transactions.undelivered") == run.counted("transactions.begun")


async def test_a_start_that_cannot_be_delivered_when_a_run_is_interrupted_is_a_lost_transaction(
    autojump_clock: MockClock,
) -> None:
    plan = plan_of(stages_of((200, 12, 0.2)), session=SessionSettings(plugged_in=fixed(1000.0)))
    run = await run_sessions(plan, scripts={"StartTransaction": [Answer(error="InternalError")]}, end_at=55.0)

    assert run.counted("transactions.lost") == run.counted("transactions.begun") > 3
    assert {call.payload["transactionId"] for call in run.csms.calls("StopTransaction")} == {-1}
    last = [str(call.payload) for call in run.csms.calls("StartTransaction") if call.at - run.begun >= 55]
    assert len(last) == len(set(last)) == run.counted("transactions.begun")  # each is tried once more


async def test_drivers_who_are_authorized_after_the_end_begin_nothing(autojump_clock: MockClock) -> None:
    slow = Answer(payload={"idTagInfo": {"status": "Accepted"}}, delay=8.0)
    run = await run_sessions(plan_of(stages_of((60, 12, 0.3))), scripts={"Authorize": [slow]})

    assert run.counted("sessions.preparing") >= 1
    assert run.counted("transactions.begun") == len(run.csms.calls("StartTransaction"))


async def test_a_tag_that_gets_another_status_at_the_start_than_its_class_expects_is_unexpected(
    autojump_clock: MockClock,
) -> None:
    plan = plan_of(stages_of((300, 12, 0.2)))
    accepted = Answer(payload={"idTagInfo": {"status": "Accepted"}})
    scripts: dict[str, list[Script]] = {"Authorize": [accepted], "StartTransaction": [started(1, "Blocked")]}
    run = await run_fleet(plan, scripts={**scripts, "StopTransaction": [Answer(payload={})]})

    good, blocked = run.numbers("StartTransaction", "good"), run.numbers("StartTransaction", "blocked")
    assert good.unexpected == good.answered == good.rejected > 10
    assert (blocked.unexpected, blocked.rejected) == (0, blocked.answered)
    assert blocked.answered > 0


chaos = st.lists(
    st.tuples(st.floats(0, 75), st.sampled_from(["drop one", "drop all", "stall", "refuse", "end", "reset"])),
    max_size=4,
)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(chaos, st.sampled_from([0.0, 2.0, 20.0]), st.integers(0, 1), st.booleans())
def test_the_books_of_sessions_close_whatever_happens_to_a_fleet(
    happenings: list[tuple[float, str]], graceful_stop: float, shard: int, breaks: bool
) -> None:
    plan = plan_of(
        stages_of((15, 8, 0.3), (25, 3, 0.9), (5, 0, 0.0), (30, 8, 0.9), jump=False),
        connectors=2,
        session=SessionSettings(
            rfid=0.7, no_show=0.1, other_tag=0.2, plugged_in=uniform(1.0, 30.0), energy=uniform(0.0, 500.0)
        ),
        configuration={"ConnectionTimeOut": "6", "MeterValueSampleInterval": "2"},
        hardware=HardwareSettings(
            faults=0.005 * breaks,
            fault_lasts=uniform(1.0, 20.0),
            power_losses=0.005 * breaks,
            ev_disconnects=0.03 * breaks,
        ),
        reboot=uniform(1.0, 9.0),
    )

    async def meanwhile(csms: FakeCsms, fleet: Fleet) -> None:
        for at, what in sorted(happenings):
            await trio.sleep(max(at - fleet.elapsed, 0))
            open_now = [connection for connection in csms.connections if connection.ended_at is None]
            if what == "end":
                fleet.end()
            elif what == "stall":
                csms.stalled_until = trio.current_time() + 12
            elif what == "refuse":
                csms.refuse = lambda identity: None if identity.endswith("1") else "http_503"
            elif what == "reset":
                for connection in open_now:
                    await connection.send('[2,"r","Reset",{"type":"Soft"}]')
            for connection in open_now[: {"drop one": 1, "drop all": 99}.get(what, 0)]:
                await connection.drop(1001)

    in_virtual_time(
        lambda: run_sessions(plan, graceful_stop=graceful_stop, shard=shard, workers=2, meanwhile=meanwhile)
    )


async def test_a_driver_whose_authorization_is_open_at_the_end_is_neither_refused_nor_accepted(
    autojump_clock: MockClock,
) -> None:
    run = await run_sessions(plan_of(stages_of((60, 12, 0.3)), call_timeout=80.0), scripts={"Authorize": [SILENCE]})

    assert outcomes(run).keys() == {"preparing", "no_free_connector"}
    numbers = run.numbers("Authorize")
    assert numbers.open_at_end + numbers.timeout == outcomes(run)["preparing"] > 5
    assert numbers.open_at_end > 0


async def test_sessions_for_which_the_generator_had_no_time_are_counted(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that is held up for the last 40 seconds brings nobody then, and does not hide who was due."""
    stage = Stage(name="s", duration=100, online={"a": 5}, sessions={"a": 0.5}, jump=True, arrivals="even")
    arrive, held_up = Fleet._find_connector, trio.Event()

    def slow(self: Fleet, *arguments: Any) -> bool:
        if self.elapsed > 60 and not held_up.is_set():
            held_up.set()
            autojump_clock.jump(60)  # as a loop that does something else for a minute
        return arrive(self, *arguments)

    monkeypatch.setattr(Fleet, "_find_connector", slow)
    run = await run_sessions(plan_of([stage]))

    assert run.counted("sessions.due") == 50
    assert run.counted("sessions.behind") in (19, 20)


async def test_a_mistake_of_loadsims_own_ends_one_charge_point_and_is_told(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = Session.run

    async def broken(self: Session) -> None:
        if self.charge_point.identity == "a-3":
            raise RuntimeError("a mistake")
        await begin(self)

    monkeypatch.setattr(Session, "run", broken)
    stage = Stage(name="s", duration=300, online={"a": 5}, sessions={"a": 0.2}, jump=True, arrivals="even")
    with pytest.raises(AssertionError):  # its books cannot close, and say so
        await run_sessions(plan_of([stage]))
    assert "RuntimeError: a mistake" in capsys.readouterr().err
