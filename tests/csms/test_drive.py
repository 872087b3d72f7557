"""A plan of calls carried out, in virtual time: when calls fall due, to whom, and with what in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from loadsim.csms.calling import Answered, Failed, Outcome
from loadsim.csms.drive import Drive
from loadsim.csms.options import ServerOptions
from loadsim.csms.points import Runs
from loadsim.errors import UsageError
from loadsim.ocpp.frame import Call
from loadsim.scenario.plan import EmbeddedCsms, PlannedCall, TagClass, follow_up_remote_start
from loadsim.v16.orders import make_request
from tests.csms.peer import connected, running

WALL = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)


@dataclass(frozen=True)
class Transaction:
    connector: int


@dataclass
class Known:
    """What the central system knows of a charge point."""

    accepted: bool = False
    connector_status: dict[int, str] = field(default_factory=dict)
    open_transactions: dict[int, Runs] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    at: float
    identity: str
    action: str
    payload: Any


class Stage:
    """A drive, and charge points that come, go, say things and are called."""

    def __init__(self, *plan: PlannedCall, seed: int = 1) -> None:
        self.points: dict[str, Known] = {}
        self.sent: list[Sent] = []
        self.status = "Accepted"
        self.delay = 0.0
        self.drive = Drive(plan, seed=seed, known=self.known, call=self.call, now=self.now)

    def known(self, identity: str) -> Known:
        return self.points.setdefault(identity, Known())

    def now(self) -> datetime:
        return WALL + timedelta(seconds=trio.current_time())

    async def call(self, identity: str, action: str, payload: Mapping[str, Any], *, timeout: float) -> Outcome:
        make_request(action, payload)
        self.sent.append(Sent(round(trio.current_time(), 6), identity, action, dict(payload)))
        await trio.sleep(self.delay)
        if not self.status:
            return Failed("timeout")
        return Answered(msgspec.defstruct("Response", ["status"])(self.status), msgspec.Raw(b"{}"), self.delay)

    def boots(self, identity: str, status: str = "Accepted") -> None:
        self.known(identity).accepted = status == "Accepted"
        self.drive.entered(identity)
        self._says(identity, "BootNotification", {})

    def reports(self, identity: str, connector: int, status: str) -> None:
        self.known(identity).connector_status[connector] = status
        self._says(identity, "StatusNotification", {"connectorId": connector, "status": status})

    def starts(self, identity: str, connector: int, transaction: int) -> None:
        self.known(identity).open_transactions[transaction] = Transaction(connector)
        self._says(identity, "StartTransaction", {"connectorId": connector})

    def stops(self, identity: str, transaction: int) -> None:
        del self.known(identity).open_transactions[transaction]
        self._says(identity, "StopTransaction", {})

    def leaves(self, identity: str) -> None:
        self.drive.left(identity)

    def _says(self, identity: str, action: str, payload: Mapping[str, Any]) -> None:
        self.drive.heard(identity, Call("1", action, msgspec.Raw(json.dumps(payload).encode())))

    @property
    def times(self) -> list[float]:
        return [each.at for each in self.sent]

    @property
    def payloads(self) -> list[Any]:
        return [each.payload for each in self.sent]

    def numbers(self, name: str = "it") -> dict[str, int]:
        """Return the counts that are not 0."""
        record = self.drive.record()["planned_calls"][name]
        assert record["due"] == record["called"] + record["no_target"] + record["moot"] + record["invalid"]
        return {key: record[key] for key in ("due", "called", "no_target", "moot", "invalid") if record[key]}


def planned(send: str = "ClearCache", **options: Any) -> PlannedCall:
    return PlannedCall(**{"name": "it", "send": send, **options})


@asynccontextmanager
async def playing(stage: Stage, seconds: float = 0.0) -> AsyncIterator[Stage]:
    """Carry the plan out: first what the test does at the beginning, then *seconds* of it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.drive.run)
        stage.drive.begin()
        await wait_all_tasks_blocked()
        yield stage
        await trio.sleep(seconds)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


# At a rate.


async def test_an_even_rate_is_kept_exactly(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=2.0, spacing="even")), 100) as stage:
        stage.boots("CP1")
    gaps = {round(later - before, 6) for before, later in zip(stage.times, stage.times[1:], strict=False)}

    assert len(stage.sent) in (199, 200)
    assert gaps == {0.5}


async def test_a_poisson_rate_is_kept_on_average(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=20.0)), 100) as stage:
        stage.boots("CP1")

    assert 1800 < len(stage.sent) < 2200
    assert stage.numbers() == {"due": len(stage.sent), "called": len(stage.sent)}


async def test_slow_charge_points_do_not_thin_the_load(autojump_clock: MockClock) -> None:
    stage = Stage(planned(rate=1.0, spacing="even"))
    stage.delay = 60.0
    async with playing(stage, 30):
        stage.boots("CP1")

    assert len(stage.sent) in (29, 30)


async def test_a_rate_is_spread_over_all_that_match(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=10.0, to="AC-*")), 100) as stage:
        for name in ("AC-1", "AC-2", "AC-3", "DC-1"):
            stage.boots(name)
    counts = Counter(each.identity for each in stage.sent)

    assert set(counts) == {"AC-1", "AC-2", "AC-3"}
    assert min(counts.values()) > 250


async def test_a_call_without_anybody_to_take_it_is_counted(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=1.0, spacing="even")), 10) as stage:
        stage.boots("CP1", "Pending")
    due = stage.numbers()["due"]

    assert due in (9, 10)
    assert stage.numbers() == {"due": due, "no_target": due}


async def test_who_has_left_or_is_refused_is_not_called(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=1.0)), 20) as stage:
        for name in ("CP1", "CP2", "CP3"):
            stage.boots(name)
        stage.leaves("CP1")
        stage.boots("CP3", "Rejected")

    assert {each.identity for each in stage.sent} == {"CP2"}


async def test_who_connects_again_without_a_boot_is_called(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=1.0)), 20) as stage:
        stage.boots("CP1")
        stage.leaves("CP1")
        stage.drive.entered("CP1")

    assert len(stage.sent) > 5


async def test_a_window_bounds_what_falls_due(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(rate=10.0, begin=5.0, end=7.0)), 20) as stage:
        stage.boots("CP1")

    assert stage.times
    assert min(stage.times) >= 5
    assert max(stage.times) < 7


async def test_the_same_seed_makes_the_same_calls(autojump_clock: MockClock) -> None:
    async def play(seed: int) -> list[tuple[float, str]]:
        begin = trio.current_time()
        async with playing(Stage(planned(rate=1.0), seed=seed), 20) as stage:
            for number in range(5):
                stage.boots(f"CP{number}")
        return [(round(each.at - begin, 3), each.identity) for each in stage.sent]

    first = await play(7)

    assert await play(7) == first
    assert await play(8) != first


# Of each charge point.


async def test_each_charge_point_has_a_rate_of_its_own(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("Reset", each=0.01 / 3600)), 3600) as stage:
        for number in range(10_000):
            stage.boots(f"CP{number}")

    assert 70 < len(stage.sent) < 130  # 1 % an hour of 10,000
    assert len({each.identity for each in stage.sent}) > 60
    assert stage.payloads[0] == {"type": "Soft"}


async def test_what_each_gets_does_not_depend_on_the_others(autojump_clock: MockClock) -> None:
    async def play(count: int) -> list[float]:
        begin = trio.current_time()
        async with playing(Stage(planned(each=0.1)), 100) as stage:
            for number in range(count):
                stage.boots(f"CP{number}")
        return [round(each.at - begin, 3) for each in stage.sent if each.identity == "CP0"]

    assert await play(1) == await play(20) != []


async def test_what_falls_due_at_a_charge_point_that_is_away_is_counted(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(each=1.0, spacing="even")), 10) as stage:
        stage.boots("CP1")
        await trio.sleep(5)
        stage.leaves("CP1")

    assert stage.numbers()["called"] == 5
    assert stage.numbers()["no_target"] in (9, 10)


async def test_a_reconnect_begins_no_second_schedule(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(each=1.0, spacing="even")), 10) as stage:
        for _ in range(4):
            stage.boots("CP1")

    assert len(stage.sent) in (9, 10)


# At a moment.


async def test_at_a_moment_every_known_charge_point_is_called_once(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(at=5.0)), 100) as stage:
        for number in range(20):
            stage.boots(f"CP{number}")
        await trio.sleep(10)
        stage.boots("late")

    assert sorted(each.identity for each in stage.sent) == sorted(f"CP{number}" for number in range(20))
    assert set(stage.times) == {5.0}


@pytest.mark.parametrize(("count", "share", "chosen"), [(10, 0.5, 5), (7, 0.5, 4), (1000, 0.013, 13), (3, 0.0, 0)])
async def test_a_share_is_exact(count: int, share: float, chosen: int, autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(at=1.0, share=share)), 2) as stage:
        for number in range(count):
            stage.boots(f"CP{number}")

    assert len({each.identity for each in stage.sent}) == len(stage.sent) == chosen


async def test_the_seed_chooses_the_share_whatever_the_order_of_arrival(autojump_clock: MockClock) -> None:
    async def play(seed: int, numbers: list[int]) -> set[str]:
        async with playing(Stage(planned(at=1.0, share=0.3), seed=seed), 2) as stage:
            for number in numbers:
                stage.boots(f"CP{number}")
        return {each.identity for each in stage.sent}

    upwards = await play(1, list(range(100)))

    assert await play(1, list(range(99, -1, -1))) == upwards
    assert await play(2, list(range(100))) != upwards


async def test_calls_at_a_moment_are_spread_evenly(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(at=10.0, over=120.0)), 200) as stage:
        for number in range(4):
            stage.boots(f"CP{number}")

    assert stage.times == [10.0, 40.0, 70.0, 100.0]


async def test_a_known_charge_point_that_is_away_at_its_moment_is_counted(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(at=10.0)), 20) as stage:
        for number in range(4):
            stage.boots(f"CP{number}")
        stage.leaves("CP2")

    assert stage.numbers() == {"due": 4, "called": 3, "no_target": 1}


async def test_a_moment_at_which_nobody_is_known_is_counted(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned(at=10.0)), 20) as stage:
        pass

    assert stage.numbers() == {"due": 1, "no_target": 1}


# After something.


async def test_somebody_who_waits_is_started_after_a_while(autojump_clock: MockClock) -> None:
    tags = (TagClass(name="app", count=1, tags=("APP1",)),)
    async with playing(Stage(follow_up_remote_start(tags, name="it")), 10) as stage:
        stage.boots("CP1")
        stage.reports("CP1", 1, "Available")
        stage.reports("CP1", 2, "Preparing")

    assert stage.payloads == [{"idTag": "APP1", "connectorId": 2}]
    assert 1 <= stage.times[0] < 3


@pytest.mark.parametrize("how", ["status", "start", "back"])
async def test_a_connector_that_charges_meanwhile_is_not_started(how: str, autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("RemoteStartTransaction", on="Preparing", after=(5.0, 5.0))), 20) as stage:
        stage.boots("CP1")
        stage.reports("CP1", 1, "Preparing")
        await trio.sleep(1)
        if how == "status":
            stage.reports("CP1", 1, "Charging")
        elif how == "start":
            stage.starts("CP1", 1, 0)  # a transaction's id may be 0
        else:
            stage.reports("CP1", 1, "Available")

    assert stage.numbers() == {"due": 1, "moot": 1}


async def test_a_status_that_comes_again_begins_the_wait_anew(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("RemoteStartTransaction", on="Preparing", after=(5.0, 5.0))), 20) as stage:
        stage.boots("CP1")
        stage.reports("CP1", 1, "Preparing")
        await trio.sleep(3)
        stage.reports("CP1", 1, "Preparing")

    assert stage.times == [8.0]
    assert stage.numbers() == {"due": 2, "called": 1, "moot": 1}


async def test_the_connectors_of_a_charge_point_wait_apart(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("RemoteStartTransaction", on="Preparing", after=(5.0, 5.0))), 20) as stage:
        stage.boots("CP1")
        stage.reports("CP1", 1, "Preparing")
        stage.reports("CP1", 2, "Preparing")
        stage.reports("CP1", 1, "Charging")

    assert [each["connectorId"] for each in stage.payloads] == [2]


async def test_whoever_left_is_not_started_but_counted(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("RemoteStartTransaction", on="Preparing", after=(5.0, 5.0))), 20) as stage:
        stage.boots("CP1")
        stage.reports("CP1", 1, "Preparing")
        stage.leaves("CP1")

    assert stage.numbers() == {"due": 1, "no_target": 1}


async def test_connector_0_is_nobody_s_status_to_follow(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("Reset", on="Faulted")), 20) as stage:
        stage.boots("CP1")
        stage.reports("CP1", 0, "Faulted")

    assert stage.numbers() == {}


async def test_every_accepted_boot_can_be_followed(autojump_clock: MockClock) -> None:
    plan = planned("GetConfiguration", on="boot", after=(1.0, 1.0))
    async with playing(Stage(plan), 20) as stage:
        stage.boots("CP1", "Pending")
        await trio.sleep(2)
        stage.boots("CP1")
        await trio.sleep(2)
        stage.boots("CP1")
        stage.boots("CP2")

    assert [(each.at, each.identity) for each in stage.sent] == [(3.0, "CP1"), (5.0, "CP1"), (5.0, "CP2")]


async def test_a_call_that_follows_a_charging_is_about_its_transaction(autojump_clock: MockClock) -> None:
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8}]},
    }
    plan = planned("SetChargingProfile", on="Charging", after=(1.0, 1.0), payload={"csChargingProfiles": profile})
    async with playing(Stage(plan), 20) as stage:
        stage.boots("CP1")
        stage.starts("CP1", 1, 11)
        stage.starts("CP1", 2, 22)
        stage.reports("CP1", 2, "Charging")

    assert stage.payloads == [{"connectorId": 2, "csChargingProfiles": {**profile, "transactionId": 22}}]


async def test_what_follows_a_status_is_about_that_connector_or_about_none(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("RemoteStartTransaction", on="Finishing")), 5) as stage:
        stage.boots("CP1")
        stage.reports("CP1", 2, "Available")
        stage.reports("CP1", 1, "Finishing")

    assert stage.numbers() == {"due": 1, "no_target": 1}


# What is in them.


async def test_at_a_rate_whoever_waits_is_started_first(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("RemoteStartTransaction", rate=1.0, spacing="even", end=3.0)), 20) as stage:
        for number in range(50):
            stage.boots(f"CP{number}")
            stage.reports(f"CP{number}", 1, "Available")
        stage.reports("CP7", 1, "Preparing")

    assert stage.sent[0].identity == "CP7"
    assert {each.identity for each in stage.sent[1:]}.isdisjoint({"CP7"})


async def test_nobody_is_started_twice_before_it_shows(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("RemoteStartTransaction", rate=1.0, spacing="even")), 10) as stage:
        stage.boots("CP1")
        stage.reports("CP1", 1, "Available")
        await trio.sleep(2.5)
        stage.reports("CP1", 1, "Preparing")  # the driver is not there yet

    assert len(stage.sent) == 1
    assert stage.numbers()["no_target"] > 8


@pytest.mark.parametrize("answer", ["Rejected", ""])
async def test_a_start_that_failed_is_tried_again(answer: str, autojump_clock: MockClock) -> None:
    stage = Stage(planned("RemoteStartTransaction", rate=1.0, spacing="even"))
    stage.status = answer
    async with playing(stage, 10):
        stage.boots("CP1")
        stage.reports("CP1", 1, "Preparing")

    assert len(stage.sent) > 8


async def test_the_next_driver_is_started_as_well(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("RemoteStartTransaction", rate=1.0, spacing="even")), 1.5) as stage:
        stage.boots("CP1")
        for status in ("Preparing", "Charging", "Finishing", "Available", "Preparing"):
            await trio.sleep(2)
            stage.reports("CP1", 1, status)

    assert len(stage.sent) == 2


async def test_open_transactions_are_stopped_each_once(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("RemoteStopTransaction", rate=1.0, spacing="even")), 10) as stage:
        stage.boots("CP1")
        stage.boots("CP2")
        stage.starts("CP1", 1, -1)
        stage.starts("CP1", 2, 0)
        stage.starts("CP2", 1, 5)

    assert sorted(each["transactionId"] for each in stage.payloads) == [-1, 0, 5]


async def test_a_transaction_that_is_stopped_already_is_not_asked_for(autojump_clock: MockClock) -> None:
    async with playing(Stage(planned("RemoteStopTransaction", rate=1.0)), 10) as stage:
        stage.boots("CP1")
        stage.starts("CP1", 1, 3)
        stage.stops("CP1", 3)

    assert stage.sent == []


async def test_a_reservation_is_of_a_free_connector_and_can_be_cancelled(autojump_clock: MockClock) -> None:
    reserve = PlannedCall(name="reserve", send="ReserveNow", at=1.0)
    cancel = PlannedCall(name="cancel", send="CancelReservation", rate=1.0, spacing="even", begin=2.0)
    async with playing(Stage(reserve, cancel), 10) as stage:
        stage.boots("CP1")
        stage.reports("CP1", 1, "Charging")
        stage.reports("CP1", 2, "Available")

    assert [each.action for each in stage.sent] == ["ReserveNow", "CancelReservation"]
    assert stage.payloads[0]["connectorId"] == 2
    assert stage.payloads[0]["expiryDate"] == "2026-11-22T09:30:01.000Z"
    assert stage.payloads[1] == {"reservationId": stage.payloads[0]["reservationId"]}


async def test_tags_are_drawn_from_the_classes_given(autojump_clock: MockClock) -> None:
    tags = (TagClass(name="a", count=2, pattern="A{n}"), TagClass(name="b", count=1, tags=("B",)))
    plan = planned("RemoteStartTransaction", rate=1.0, payload={"connectorId": 1}, tags=tags)
    async with playing(Stage(plan), 100) as stage:
        stage.boots("CP1")

    assert {each["idTag"] for each in stage.payloads} == {"A1", "A2", "B"}


async def test_placeholders_are_filled_in_when_the_call_falls_due(autojump_clock: MockClock) -> None:
    payload = {"location": "ftp://files/{id}.bin", "retrieveDate": "{now+10m}"}
    async with playing(Stage(planned("UpdateFirmware", at=60.0, payload=payload)), 100) as stage:
        stage.boots("CP1")

    assert stage.payloads == [{"location": "ftp://files/CP1.bin", "retrieveDate": "2026-11-22T09:26:00.000Z"}]


# Beginning and end.


async def test_nothing_begins_before_it_is_told_to(autojump_clock: MockClock) -> None:
    stage = Stage(planned(rate=1.0, spacing="even"), PlannedCall(name="each", send="ClearCache", each=1.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.drive.run)
        stage.boots("CP1")
        await trio.sleep(100)
        before = len(stage.sent)
        stage.drive.begin()
        await trio.sleep(10)
        nursery.cancel_scope.cancel()

    assert before == 0
    assert len(stage.sent) > 10
    assert min(stage.times) >= 100


async def test_after_the_end_nothing_falls_due_and_calls_come_to_their_ends(autojump_clock: MockClock) -> None:
    ended = []
    stage = Stage(planned(rate=1.0, spacing="even"), PlannedCall(name="boot", send="ClearCache", on="boot"))
    stage.delay = 5.0
    call = stage.drive._call

    async def watched(*arguments: Any, **options: Any) -> Outcome:
        outcome = await call(*arguments, **options)
        ended.append(trio.current_time())
        return outcome

    stage.drive._call = watched
    async with playing(stage, 100):
        stage.boots("CP1")
        await trio.sleep(10)
        stage.drive.rest()
        stage.boots("CP2")

    assert len(stage.sent) == len(ended) <= 11
    assert max(stage.times) <= 10 < max(ended)


def test_a_plan_of_which_no_request_can_be_made_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'it', UpdateFirmware: .*location"):
        Stage(planned("UpdateFirmware", rate=1.0))
    with pytest.raises(UsageError, match="Heartbeat is for the charge point to send"):
        Stage(planned("Heartbeat", rate=1.0))
    with pytest.raises(UsageError, match="the same name"):
        Stage(planned(rate=1.0), planned(rate=2.0))


def test_a_plan_travels_as_json() -> None:
    calls = (planned(rate=1.0), follow_up_remote_start((TagClass(name="a", count=3, pattern="A{n}"),)))
    options = ServerOptions(behaviour=EmbeddedCsms(calls=calls))

    assert msgspec.json.decode(msgspec.json.encode(options), type=ServerOptions) == options


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["boot", "pending", "leave", "Preparing", "Charging", "Available", "start", "stop", "wait"]),
        st.integers(0, 2),
        st.integers(1, 2),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(MOVES, st.sampled_from(["Accepted", "Rejected", ""]))
def test_the_books_close_and_no_request_is_senseless(moves: list[tuple[str, int, int]], answer: str) -> None:
    plan = (
        PlannedCall(name="app", send="RemoteStartTransaction", on="Preparing", after=(0.0, 2.0)),
        PlannedCall(name="rate", send="RemoteStartTransaction", rate=0.5),
        PlannedCall(name="stop", send="RemoteStopTransaction", rate=0.5),
        PlannedCall(name="each", send="UnlockConnector", each=0.5),
        PlannedCall(name="at", send="ReserveNow", at=5.0, over=5.0),
    )

    async def scenario() -> None:
        stage = Stage(*plan)
        stage.status, stage.delay = answer, 0.7
        known_when_sent = stage.drive._call

        async def checked(identity: str, action: str, payload: Mapping[str, Any], *, timeout: float) -> Outcome:
            known = stage.points[identity]
            assert known.accepted
            if action == "RemoteStartTransaction":
                busy = {each.connector for each in known.open_transactions.values()}
                assert known.connector_status[payload["connectorId"]] in ("Preparing", "Available")
                assert payload["connectorId"] not in busy
            if action == "RemoteStopTransaction":
                assert payload["transactionId"] in known.open_transactions
            return await known_when_sent(identity, action, payload, timeout=timeout)

        stage.drive._call = checked
        async with playing(stage, 10):
            for number, (move, which, connector) in enumerate(moves):
                await wait_all_tasks_blocked()
                _make(stage, move, f"CP{which}", connector, number)
                if move == "wait":
                    await trio.sleep(1.3)
        called = sum(stage.numbers(each.name).get("called", 0) for each in plan)
        assert called == len(stage.sent)

    trio.run(scenario, clock=MockClock(autojump_threshold=0))


def _make(stage: Stage, move: str, identity: str, connector: int, number: int) -> None:
    online = stage.drive._points.online(identity) is not None
    if move in ("boot", "pending"):
        stage.boots(identity, "Accepted" if move == "boot" else "Pending")
    elif move == "leave":
        stage.leaves(identity)
    elif online and move in ("Preparing", "Charging", "Available"):
        stage.reports(identity, connector, move)
    elif online and move == "start":
        stage.starts(identity, connector, number)
    elif online and move == "stop" and stage.points[identity].open_transactions:
        stage.stops(identity, next(iter(stage.points[identity].open_transactions)))


@pytest.mark.network
async def test_an_embedded_csms_carries_its_plan_out_over_real_connections() -> None:
    calls = (PlannedCall(name="starts", send="RemoteStartTransaction", on="Preparing"),)
    async with running(calls=calls) as server, connected(server, boot=True) as peer:
        await peer.ask("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"})
        kind, message_id, action, payload = await peer.receive()
        await peer.websocket.send_message(json.dumps([3, message_id, {"status": "Accepted"}]))
        await peer.ask("Heartbeat", {})
        record = server.record()

    assert (kind, action, payload["connectorId"]) == (2, "RemoteStartTransaction", 1)
    assert record["calls"]["RemoteStartTransaction"]["answered"] == 1
    assert record["planned_calls"]["starts"]["called"] == 1
