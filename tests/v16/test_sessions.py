"""Charging sessions, from the cable or the card until it is free again (OCPP 1.6, sections 3.5, 4.1, 4.8)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.tags import DrawnTag
from loadsim.v16.memory import connector_of, memory_of
from tests.support import Answer, Received, World, started, tag_info, wall_clock, world
from tests.v16.sessions import PUNCTUAL, Book, bad_statuses, statuses_of

BEGUN = ["Available", "Preparing"]
LEFT = ["Finishing", "Available"]
NEVER = {"MeterValueSampleInterval": "0"}


def sent(w: World) -> list[str]:
    """Return what was sent since the charge point came online, one word a message."""
    words = {"StatusNotification": "status", "Authorize": "Authorize"}
    calls = [call for call in w.csms.calls() if call.at > 0]
    return [call.payload.get(words.get(call.action, ""), call.action) for call in calls]


async def configure(w: World, **values: Any) -> None:
    for key, value in values.items():
        answer = await w.csms.latest.order("ChangeConfiguration", {"key": key, "value": str(value)})
        assert answer == {"status": "Accepted"}


async def test_rule_16_the_card_is_authorized_before_the_start_and_not_at_the_stop(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration=NEVER)
        await trio.sleep(5)
        w.arrive(charge_point, energy=100_000.0)
        await trio.sleep(700)

        assert sent(w) == [
            "Authorize",
            "Preparing",
            "StartTransaction",
            "Charging",
            "StopTransaction",
            "Finishing",
            "Available",
        ]
        start, stop = w.csms.calls("StartTransaction")[0], w.csms.calls("StopTransaction")[0]
        assert start.payload["idTag"] == stop.payload["idTag"] == "TAG"
        assert "reason" not in stop.payload
        assert (start.at, stop.at) == (5.0, 605.0)
        assert stop.payload["meterStop"] - start.payload["meterStart"] in (1833, 1834)  # 11 kW for 10 minutes


@pytest.mark.parametrize("status", ["Blocked", "Expired", "Invalid", "ConcurrentTx"])
async def test_rule_16_a_tag_that_the_csms_refuses_starts_nothing(autojump_clock: MockClock, status: str) -> None:
    async with world(Authorize=tag_info(status), **PUNCTUAL) as w:
        charge_point = await w.online()
        await trio.sleep(5)
        w.arrive(charge_point)
        await trio.sleep(700)

        assert sent(w) == ["Authorize", "Preparing", "Available"]
        assert w.counted("sessions.refused") == 1


@pytest.mark.parametrize("answer", [Answer(error="InternalError"), Answer(payload={})])
async def test_rule_16_an_authorize_that_fails_is_no_permission(autojump_clock: MockClock, answer: Answer) -> None:
    async with world(Authorize=answer, **PUNCTUAL) as w:
        charge_point = await w.online(configuration={"AllowOfflineTxForUnknownId": "true"})
        w.arrive(charge_point)
        await trio.sleep(700)

        assert w.csms.calls("StartTransaction") == []
        assert w.counted("sessions.not_authorized") == 1


def grouped(received: Received) -> Answer:
    """Say that tags are of the group that their first letter names, and that those with Z are Blocked."""
    tag = received.payload["idTag"]
    status = "Blocked" if tag.endswith("Z") else "Accepted"
    return Answer(payload={"idTagInfo": {"status": status, "parentIdTag": tag[0]}})


@pytest.mark.parametrize(
    ("other", "at_stop", "asked"),
    [("A2", "A2", True), ("B2", "A1", True), ("AZ", "A1", True), ("A1", "A1", False)],
)
async def test_rule_16_another_card_at_the_stop_must_be_of_the_same_group(
    autojump_clock: MockClock, other: str, at_stop: str, asked: bool
) -> None:
    async with world(Authorize=grouped, **PUNCTUAL) as w:
        charge_point = await w.online(configuration=NEVER)
        w.arrive(charge_point, "A1", other_tag=other)
        await trio.sleep(700)

        assert [call.payload["idTag"] for call in w.csms.calls("Authorize")] == ["A1", *([other] * asked)]
        assert [call.payload["idTag"] for call in w.csms.calls("StopTransaction")] == [at_stop]


async def test_rule_16_cards_without_a_group_are_not_of_one_group(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration=NEVER)
        w.arrive(charge_point, "A1", other_tag="A2")
        await trio.sleep(700)

        assert [call.payload["idTag"] for call in w.csms.calls("StopTransaction")] == ["A1"]


@pytest.mark.parametrize(("answer", "unexpected"), [("Accepted", 0), ("Blocked", 1)])
async def test_rule_16_another_card_at_the_stop_counts_in_its_class_and_against_what_that_expects(
    autojump_clock: MockClock, answer: str, unexpected: int
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration=NEVER)
        w.csms.answers("Authorize", tag_info(), tag_info(answer))
        w.arrive(charge_point, tag=DrawnTag("A1", "drivers", "Accepted"), other_tag="A2")
        await trio.sleep(700)

        numbers = w.numbers("Authorize", "drivers")
        assert [call.payload["idTag"] for call in w.csms.calls("Authorize")] == ["A1", "A2"]
        assert (numbers.answered, numbers.accepted, numbers.unexpected) == (2, 2 - unexpected, unexpected)


async def test_a_csms_that_is_slow_to_know_the_card_at_the_stop_stops_neither_power_nor_samples(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MeterValueSampleInterval": "10"})
        w.csms.answers("Authorize", tag_info(), tag_info(delay=25.0))
        w.arrive(charge_point, "A1", other_tag="A2", plugged_in=100.0, energy=100_000.0)
        await trio.sleep(300)

        samples = [call.payload["meterValue"][0]["timestamp"] for call in w.csms.calls("MeterValues")]
        assert samples == [wall_clock(10.0 * n) for n in range(1, 13)]
        (stop,) = w.csms.calls("StopTransaction")
        assert stop.at == 125.0


@pytest.mark.parametrize("stops", [True, False])
async def test_rule_18_a_start_that_is_not_accepted_stops_the_transaction_or_the_energy(
    autojump_clock: MockClock, stops: bool
) -> None:
    configuration = {**NEVER, "StopTransactionOnInvalidId": str(stops).lower(), "MaxEnergyOnInvalidId": "0"}
    async with world(StartTransaction=started(9, "Blocked"), **PUNCTUAL) as w:
        charge_point = await w.online(configuration=configuration)
        await trio.sleep(5)
        w.arrive(charge_point, energy=100_000.0)
        await trio.sleep(700)

        start, stop = w.csms.calls("StartTransaction")[0], w.csms.calls("StopTransaction")[0]
        assert stop.payload["meterStop"] == start.payload["meterStart"]
        assert stop.payload["transactionId"] == 9
        if stops:
            assert (stop.at, stop.payload["reason"], "idTag" in stop.payload) == (5.0, "DeAuthorized", False)
            assert sent(w)[-2:] == ["Finishing", "Available"]
        else:
            assert (stop.at, "reason" in stop.payload, stop.payload["idTag"]) == (605.0, False, "TAG")
            assert sent(w)[3:] == ["Charging", "SuspendedEVSE", "StopTransaction", "Finishing", "Available"]


async def test_rule_18_a_start_that_is_not_accepted_gives_max_energy_on_invalid_id_and_no_more(
    autojump_clock: MockClock,
) -> None:
    configuration = {**NEVER, "StopTransactionOnInvalidId": "false", "MaxEnergyOnInvalidId": "500"}
    async with world(StartTransaction=started(9, "Expired", delay=10.0), **PUNCTUAL) as w:
        charge_point = await w.online(configuration=configuration)
        w.arrive(charge_point, energy=100_000.0)
        await trio.sleep(700)

        start, stop = w.csms.calls("StartTransaction")[0], w.csms.calls("StopTransaction")[0]
        until_answered = 11_000 * 10 / 3600
        assert stop.payload["meterStop"] - start.payload["meterStart"] == pytest.approx(500 + until_answered, abs=1)
        assert statuses_of(w.csms, 1) == [*BEGUN, "Charging", "SuspendedEVSE", *LEFT]


async def test_a_full_car_is_suspended_by_itself_until_it_leaves(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration=NEVER)
        w.arrive(charge_point, energy=100.0)
        await trio.sleep(700)

        assert statuses_of(w.csms, 1) == [*BEGUN, "Charging", "SuspendedEV", *LEFT]
        assert w.counted("energy.delivered") in (100, 101)


async def test_a_driver_who_authorizes_and_does_not_plug_in_has_until_connection_time_out(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"ConnectionTimeOut": "35"})
        await trio.sleep(5)
        w.arrive(charge_point, no_show=True)
        await trio.sleep(100)

        assert sent(w) == ["Authorize", "Preparing", "Available"]
        assert w.csms.calls("StatusNotification")[-1].at == 40.0
        assert w.counted("sessions.no_show") == 1


async def test_whoever_waits_for_a_remote_start_in_vain_leaves(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2)
        w.arrive(charge_point, remote=True, plugged_in=120.0)
        w.arrive(charge_point, remote=True, plugged_in=120.0, no_show=True)
        await trio.sleep(200)

        assert [connector_of(charge_point, number).status for number in (1, 2)] == ["Available", "Available"]
        assert w.counted("sessions.no_remote_start") == 2
        assert w.csms.calls("Authorize") == []


async def test_every_free_connector_is_found_and_then_none(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=3)
        came = [w.arrive(charge_point, f"TAG{n}", hurry=0.99) for n in range(5)]
        await trio.sleep(60)

        assert came == [True, True, True, False, False]
        assert {call.payload["connectorId"] for call in w.csms.calls("StartTransaction")} == {1, 2, 3}
        assert w.counted("sessions.no_free_connector") == 2


async def test_nobody_begins_at_a_charge_point_that_is_being_stopped(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        w.csms.answers("Authorize", tag_info(delay=20.0))
        charge_point = await w.online(connectors=2)
        w.arrive(charge_point)
        await trio.sleep(1)
        charge_point.stop()
        assert not w.arrive(charge_point, "LATER")
        await trio.sleep(100)

        assert (w.counted("sessions.preparing"), w.counted("sessions.no_free_connector")) == (1, 1)


async def test_a_driver_who_comes_in_the_moment_of_the_stop_is_counted(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point)
        charge_point.stop()
        await trio.sleep(100)

        assert w.counted("sessions.preparing") == 1
        assert not charge_point.linked


async def test_rule_20_a_charge_point_that_the_plan_takes_offline_stops_its_transactions_first(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(connectors=2)
        w.arrive(charge_point)
        w.arrive(charge_point, hurry=0.9)
        await trio.sleep(100)
        charge_point.stop()
        await trio.sleep(100)

        assert w.csms.online == 0
        assert book.open == []
        assert {entry.stop["reason"] for entry in book.entries.values() if entry.stop} == {"Other"}
        assert w.counted("transactions.stopped") == 2


async def test_a_charge_point_that_comes_back_is_found_repaired_and_with_nobody_there(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2)
        w.arrive(charge_point)
        number = 1 if connector_of(charge_point, 1).session else 2
        await trio.sleep(10)
        order = {"connectorId": number, "type": "Inoperative"}
        assert await w.csms.latest.order("ChangeAvailability", order) == {"status": "Scheduled"}
        charge_point.stop()
        await trio.sleep(100)
        w.live(charge_point)
        await trio.sleep(100)

        assert connector_of(charge_point, number).status == "Unavailable"
        assert connector_of(charge_point, number).session is None
        assert connector_of(charge_point, 3 - number).status == "Available"
        assert bad_statuses(w.csms) == []


@pytest.mark.parametrize("busy", [False, True])
async def test_rule_15_what_changes_while_the_statuses_are_said_is_said_once(
    autojump_clock: MockClock, busy: bool
) -> None:
    async with world(StatusNotification=Answer(payload={}, delay=1.0), **PUNCTUAL) as w:
        charge_point = await w.online(connectors=3, configuration=NEVER)
        if busy:
            await trio.sleep(2.5)  # connector 2 is being said
        for hurry in (0.0, 0.4, 0.8):
            w.arrive(charge_point, hurry=hurry)
        await trio.sleep(60)

        assert bad_statuses(w.csms) == []
        for number in (1, 2, 3):
            assert statuses_of(w.csms, number)[-1] == "Charging"
        assert not memory_of(charge_point).unannounced


async def test_a_start_that_waits_for_its_turn_is_no_start_yet(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={**NEVER, "AuthorizeRemoteTxRequests": "false"})
        w.arrive(charge_point, remote=True)
        await trio.sleep(10)
        w.csms.answers("Heartbeat", Answer(payload={"currentTime": "2026-11-22T09:15:10Z"}, delay=8.0))
        await w.csms.latest.order("TriggerMessage", {"requestedMessage": "Heartbeat"})
        await w.csms.latest.order("RemoteStartTransaction", {"idTag": "TAG"})
        await trio.sleep(30)

        assert w.csms.calls("StartTransaction")[0].at == pytest.approx(18.0, abs=0.01)
        assert w.time("remote_start").max == pytest.approx(8.0, abs=0.01)
        assert charge_point.context.charging == 1
