"""What the CSMS does to sessions: remote starts and stops, unlocking (OCPP 1.6, sections 5.11, 5.12, 5.18)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import SessionSettings
from loadsim.v16.memory import connector_of
from tests.support import Answer, World, boot, tag_info, world
from tests.v16.sessions import PUNCTUAL, Book, statuses_of

APP = SessionSettings(plugged_in=fixed(300.0), energy=fixed(50_000.0))


async def remote_start(w: World, id_tag: str = "APP", **more: Any) -> str:
    answer = await w.csms.latest.order("RemoteStartTransaction", {"idTag": id_tag, **more})
    return str(answer["status"])


async def remote_stop(w: World, transaction_id: int) -> str:
    answer = await w.csms.latest.order("RemoteStopTransaction", {"transactionId": transaction_id})
    return str(answer["status"])


async def unlock(w: World, connector_id: int) -> str:
    answer = await w.csms.latest.order("UnlockConnector", {"connectorId": connector_id})
    return str(answer["status"])


def actions(w: World) -> list[str]:
    return [call.action for call in w.csms.calls() if call.action not in ("BootNotification", "StatusNotification")]


@pytest.mark.parametrize("authorizes", [True, False])
async def test_rule_25_a_remote_start_is_answered_first_and_authorized_where_the_key_says_so(
    autojump_clock: MockClock, authorizes: bool
) -> None:
    configuration = {"AuthorizeRemoteTxRequests": str(authorizes).lower()}
    async with world(**{**PUNCTUAL, "Authorize": tag_info(delay=1.5)}) as w:
        await w.online(session=APP, configuration=configuration)
        w.csms.texts.clear()
        assert await remote_start(w) == "Accepted"
        await trio.sleep(40)

        assert json.loads(w.csms.texts[0][2])[0] == 3
        assert actions(w) == ["Authorize"] * authorizes + ["StartTransaction"]
        start = w.csms.calls("StartTransaction")[0]
        assert (start.payload["idTag"], start.payload["connectorId"]) == ("APP", 1)
        assert 2 <= start.at <= 10  # the driver takes the cable after having asked for it
        assert w.time("remote_start").max == pytest.approx(1.5 if authorizes else 0.0, abs=0.01)  # not the walk
        assert w.counted("sessions.from_csms") == w.counted("sessions.started") == 1


async def test_a_driver_who_takes_the_cable_after_the_end_begins_nothing(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await w.online(session=APP)
        assert await remote_start(w) == "Accepted"
        await trio.sleep(1)
        w.context.ended_at = w.context.clock.elapsed
        await trio.sleep(60)

        assert w.counted("transactions.begun") == 0
    assert w.counted("sessions.preparing") == 1


async def test_rule_25_the_driver_who_waits_is_the_one_who_is_started(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=3)
        w.arrive(charge_point, "MINE", remote=True, hurry=0.5)
        await trio.sleep(20)
        assert await remote_start(w, "APP") == "Accepted"
        await trio.sleep(20)

        start = w.csms.calls("StartTransaction")[0]
        assert (start.payload["connectorId"], start.payload["idTag"]) == (2, "APP")
        assert start.at == pytest.approx(20, abs=0.01)
        assert statuses_of(w.csms, 2) == ["Available", "Preparing", "Charging"]
        assert (w.counted("sessions.from_csms"), w.counted("sessions.started")) == (0, 1)


@pytest.mark.parametrize(
    ("connector_id", "status"), [(0, "Rejected"), (1, "Rejected"), (2, "Accepted"), (3, "Rejected")]
)
async def test_rule_25_a_remote_start_is_for_a_free_connector_that_there_is(
    autojump_clock: MockClock, connector_id: int, status: str
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2, session=APP)
        w.arrive(charge_point)  # at the first
        await trio.sleep(20)

        assert await remote_start(w, connectorId=connector_id) == status
        await trio.sleep(20)
        assert len(w.csms.calls("StartTransaction")) == 1 + (status == "Accepted")


async def test_rule_25_a_remote_start_without_a_free_connector_is_rejected(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point)
        await trio.sleep(20)

        assert await remote_start(w) == "Rejected"
        assert w.counted("commands.RemoteStartTransaction.refused") == 1


async def test_rule_25_a_remote_start_whose_tag_is_refused_starts_nothing(autojump_clock: MockClock) -> None:
    async with world(Authorize=tag_info("Invalid"), **PUNCTUAL) as w:
        await w.online(session=APP)
        assert await remote_start(w) == "Accepted"
        await trio.sleep(600)

        assert actions(w) == ["Authorize"]
        assert w.counted("sessions.refused") == 1
        assert statuses_of(w.csms, 1) == ["Available", "Preparing", "Available"]


async def test_rule_25_the_profile_of_a_remote_start_limits_its_transaction(autojump_clock: MockClock) -> None:
    schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 3600.0}]}
    profile = {
        "chargingProfileId": 5,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
    }
    async with world(**PUNCTUAL) as w:
        await w.online(session=APP, configuration={"StopTxnSampledData": "Power.Active.Import"})
        assert await remote_start(w, chargingProfile=profile) == "Accepted"
        await trio.sleep(600)

        start, stop = w.csms.calls("StartTransaction")[0], w.csms.calls("StopTransaction")[0]
        assert stop.payload["meterStop"] - start.payload["meterStart"] == pytest.approx(stop.at - start.at, abs=1)
        sampled = [each["sampledValue"][0] for each in stop.payload["transactionData"]]
        assert {(each["context"], each["value"]) for each in sampled} == {
            ("Transaction.Begin", "3600"),
            ("Sample.Periodic", "3600"),
            ("Transaction.End", "3600"),
        }


async def test_rule_10_while_pending_remote_starts_and_stops_are_refused(autojump_clock: MockClock) -> None:
    async with world(BootNotification=boot("Pending", 1000)) as w:
        w.start()
        await trio.sleep(5)

        assert await remote_start(w) == "Rejected"
        assert await remote_stop(w, 1) == "Rejected"
        await trio.sleep(30)
        assert {call.action for call in w.csms.calls()} == {"BootNotification"}


async def test_rule_26_a_remote_stop_stops_with_reason_remote_and_without_a_tag(autojump_clock: MockClock) -> None:
    book = Book(first=77)
    async with world(**book.scripts) as w:
        charge_point = await w.online()
        w.arrive(charge_point, plugged_in=5000.0)
        await trio.sleep(100)
        w.csms.texts.clear()
        assert await remote_stop(w, 77) == "Accepted"
        await trio.sleep(100)

        assert json.loads(w.csms.texts[0][2])[0] == 3
        stop = w.csms.calls("StopTransaction")[0]
        assert (stop.payload["reason"], stop.payload["transactionId"]) == ("Remote", 77)
        assert stop.at == pytest.approx(100, abs=0.01)
        assert statuses_of(w.csms, 1)[-1] == "Finishing"  # until the driver comes back
        await trio.sleep(5000)
        assert statuses_of(w.csms, 1)[-1] == "Available"


@pytest.mark.parametrize("transaction_id", [0, -1, 2, 999])
async def test_rule_26_a_remote_stop_of_what_does_not_run_is_rejected(
    autojump_clock: MockClock, transaction_id: int
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point, plugged_in=5000.0)
        await trio.sleep(20)

        assert await remote_stop(w, transaction_id) == "Rejected"
        assert w.csms.calls("StopTransaction") == []


async def test_rule_26_a_transaction_that_was_stopped_is_not_known_any_more(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point, plugged_in=20.0)
        await trio.sleep(10)
        assert await remote_stop(w, 1) == "Accepted"
        assert await remote_stop(w, 1) == "Rejected"
        await trio.sleep(100)

        assert len(w.csms.calls("StopTransaction")) == 1


async def test_rule_23_a_transaction_that_is_stopped_from_all_sides_is_stopped_once(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        w.csms.answers("StopTransaction", Answer(payload={}, delay=3.0), book.stop)
        charge_point = await w.online(reboot=fixed(5.0))
        w.arrive(charge_point, plugged_in=60.0)
        await trio.sleep(59.9)
        assert await remote_stop(w, 1) == "Accepted"
        assert await unlock(w, 1) == "Unlocked"
        assert await w.csms.latest.order("Reset", {"type": "Soft"}) == {"status": "Accepted"}
        await trio.sleep(500)

        assert [call.payload["reason"] for call in w.csms.calls("StopTransaction")] == ["Remote"]
        assert w.counted("transactions.stopped") == w.counted("transactions.ended") == 1


@pytest.mark.parametrize("connector_id", [0, 3, -1])
async def test_rule_28_an_unknown_connector_cannot_be_unlocked(autojump_clock: MockClock, connector_id: int) -> None:
    async with world(**PUNCTUAL) as w:
        await w.online(connectors=2)
        assert await unlock(w, connector_id) == "NotSupported"


async def test_rule_28_unlocking_ends_a_running_transaction(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(connectors=2)
        w.arrive(charge_point, plugged_in=5000.0)
        await trio.sleep(100)
        assert await unlock(w, 2) == "Unlocked"
        assert w.csms.calls("StopTransaction") == []
        assert await unlock(w, 1) == "Unlocked"
        await trio.sleep(20)

        stop = w.csms.calls("StopTransaction")[0]
        assert (stop.payload["reason"], "idTag" in stop.payload) == ("UnlockCommand", False)
        assert connector_of(charge_point, 1).status == "Available"
        assert statuses_of(w.csms, 1)[-2:] == ["Finishing", "Available"]


async def test_an_unlock_right_behind_a_remote_stop_lets_the_driver_go(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point, plugged_in=5000.0)
        await trio.sleep(100)
        number = connector_of(charge_point, 1).transaction
        assert number is not None
        for message_id, action, payload in (
            ("a", "RemoteStopTransaction", {"transactionId": number.id}),
            ("b", "UnlockConnector", {"connectorId": 1}),
        ):
            await w.csms.latest.send(json.dumps([2, message_id, action, payload]))
        await trio.sleep(20)

        assert connector_of(charge_point, 1).status == "Available"
