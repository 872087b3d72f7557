"""A plan of calls carried out, in virtual time: what follows what charge points say, and what is in the calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from loadsim.csms.calling import Outcome
from loadsim.scenario.plan import PlannedCall, TagClass, follow_up_remote_start
from tests.csms.driven import Stage, planned, playing
from tests.csms.peer import connected, running

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


async def test_a_boot_before_the_beginning_is_followed_as_if_it_had_been_then(autojump_clock: MockClock) -> None:
    stage = Stage(planned("GetConfiguration", on="boot", after=(1.0, 1.0)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.drive.run)
        for identity in ("CP1", "CP2", "CP3"):
            stage.boots(identity, "Pending" if identity == "CP2" else "Accepted")
        stage.leaves("CP3")
        await trio.sleep(10)
        assert stage.sent == []
        stage.drive.begin()
        await trio.sleep(5)
        nursery.cancel_scope.cancel()

    assert [(each.at, each.identity) for each in stage.sent] == [(11.0, "CP1")]


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
