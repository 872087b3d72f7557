"""Reservations (OCPP 1.6, sections 3.11, 5.1 and 5.13)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.authorization import remember
from loadsim.v16.connectors import Connector
from loadsim.v16.memory import connector_of, memory_of
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.reservation import ReserveNowRequest
from loadsim.v16.messages.types import ChargePointStatus, IdTagInfo
from loadsim.v16.reservations import may_use, reservation_for
from loadsim.v16.reservations import reserve as reserve_now
from loadsim.v16.status import set_status
from tests.support import WALL, Answer, World, boot, world

DONE = Answer(payload={})
USUAL: dict[str, Any] = {
    "BootNotification": boot("Accepted", interval=1_000_000),
    "MeterValues": DONE,
    "StartTransaction": Answer(payload={"transactionId": 1, "idTagInfo": {"status": "Accepted"}}),
    "StopTransaction": DONE,
}


async def reserve(
    w: World,
    connector: int = 1,
    *,
    number: int = 5,
    tag: str = "OWNER",
    until: float = 3600.0,
    parent: str | None = None,
) -> str:
    """Reserve until so many seconds of the test."""
    request: dict[str, Any] = {
        "connectorId": connector,
        "expiryDate": format_date_time(WALL + timedelta(seconds=until)),
        "idTag": tag,
        "reservationId": number,
    }
    if parent is not None:
        request["parentIdTag"] = parent
    answer = await w.csms.latest.order("ReserveNow", request)
    await trio.testing.wait_all_tasks_blocked()
    return str(answer["status"])


async def cancel(w: World, number: int = 5) -> str:
    answer = await w.csms.latest.order("CancelReservation", {"reservationId": number})
    await trio.testing.wait_all_tasks_blocked()
    return str(answer["status"])


async def remote_start(w: World, tag: str, connector: int | None = None) -> str:
    request: dict[str, Any] = {"idTag": tag} if connector is None else {"idTag": tag, "connectorId": connector}
    return str((await w.csms.latest.order("RemoteStartTransaction", request))["status"])


async def starts(w: World, tag: str, connector: int | None = None) -> dict[str, Any]:
    """Start with an app; return what StartTransaction said."""
    assert await remote_start(w, tag, connector) == "Accepted"
    await trio.sleep(30)
    payload: dict[str, Any] = w.csms.calls("StartTransaction")[-1].payload
    assert payload["idTag"] == tag
    return payload


def said(w: World, connector: int = 1) -> list[str]:
    """Return the statuses of a connector that were said since the first."""
    payloads = [call.payload for call in w.csms.calls("StatusNotification")]
    return [each["status"] for each in payloads if each["connectorId"] == connector][1:]


def put_in(charge_point: ChargePoint, number: int, status: ChargePointStatus) -> Connector:
    connector = connector_of(charge_point, number)
    set_status(charge_point, connector, status, "OtherError" if status == "Faulted" else "NoError")
    return connector


async def test_rule_37_a_reserved_connector_is_reserved_until_the_reservation_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    async with world(**USUAL) as w:
        await w.online()
        assert await reserve(w) == "Accepted"
        assert said(w) == ["Reserved"]
        assert await cancel(w, 6) == "Rejected"
        assert await cancel(w) == "Accepted"
        assert await cancel(w) == "Rejected"
        assert said(w) == ["Reserved", "Available"]


async def test_rule_37_a_reservation_ends_when_it_expires(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        charge_point = await w.online(connectors=2)
        await reserve(w, 1, number=1, until=1000)
        await reserve(w, 2, number=2, until=500)
        await trio.sleep_until(499)
        assert said(w, 2) == ["Reserved"]
        assert not may_use(charge_point, 2, "OTHER", None)
        await trio.sleep_until(501)
        assert said(w, 2) == ["Reserved", "Available"]
        assert said(w, 1) == ["Reserved"]
        assert may_use(charge_point, 2, "OTHER", None)
        await trio.sleep_until(1001)
        assert said(w, 1) == ["Reserved", "Available"]
        assert await cancel(w, 1) == "Rejected"


async def test_a_reservation_expires_by_the_clock_that_the_csms_sets(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        await w.online()
        await reserve(w, until=4000)
        later = format_date_time(WALL + timedelta(hours=1))
        w.csms.answers("Heartbeat", Answer(payload={"currentTime": later}))
        await trio.sleep_until(300)
        await w.csms.latest.order("TriggerMessage", {"requestedMessage": "Heartbeat"})
        await trio.sleep_until(690)  # by the CSMS's clock, 3990
        assert said(w) == ["Reserved"]
        await trio.sleep_until(710)
        assert said(w) == ["Reserved", "Available"]


async def test_rule_37_a_reservation_of_the_same_id_is_replaced(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        charge_point = await w.online(connectors=2)
        await reserve(w, 1, until=500)
        assert await reserve(w, 1, tag="NEW", until=900) == "Accepted"
        assert said(w) == ["Reserved"]
        assert not may_use(charge_point, 1, "OWNER", None)
        await trio.sleep_until(600)
        assert said(w) == ["Reserved"]

        assert await reserve(w, 2, tag="NEW", until=900) == "Accepted"
        assert (said(w, 1), said(w, 2)) == (["Reserved", "Available"], ["Reserved"])
        assert await cancel(w) == "Accepted"
        assert said(w, 2) == ["Reserved", "Available"]


async def test_a_reservation_that_cannot_be_replaced_stays(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        charge_point = await w.online(connectors=2)
        await reserve(w, 1)
        put_in(charge_point, 2, "Faulted")
        assert await reserve(w, 2) == "Faulted"
        assert said(w, 1) == ["Reserved"]
        assert await cancel(w) == "Accepted"


@pytest.mark.parametrize(
    ("number", "status", "answer"),
    [
        (1, "Faulted", "Faulted"),
        (1, "Unavailable", "Unavailable"),
        (1, "Preparing", "Occupied"),
        (1, "Charging", "Occupied"),
        (0, "Faulted", "Faulted"),
        (0, "Unavailable", "Unavailable"),
    ],
)
@pytest.mark.parametrize("wanted", [0, 1])
async def test_rule_37_a_connector_that_is_not_free_cannot_be_reserved(
    autojump_clock: MockClock, wanted: int, number: int, status: ChargePointStatus, answer: str
) -> None:
    async with world(**USUAL) as w:
        charge_point = await w.online()
        put_in(charge_point, number, status)
        assert await reserve(w, wanted) == answer
        assert await cancel(w) == "Rejected"


async def test_a_connector_to_which_a_driver_has_just_come_cannot_be_reserved(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        charge_point = await w.online()
        request = ReserveNowRequest(
            connector_id=1,
            expiry_date=format_date_time(WALL + timedelta(hours=1)),
            id_tag="OWNER",
            reservation_id=5,
        )
        assert w.arrive(charge_point)
        assert memory_of(charge_point).connectors[1].status == "Available"
        assert reserve_now(charge_point, request) == "Occupied"


@pytest.mark.parametrize(
    ("statuses", "answer"),
    [
        (["Faulted", "Faulted"], "Faulted"),
        (["Faulted", "Unavailable"], "Unavailable"),
        (["Faulted", "Charging"], "Occupied"),
        (["Charging", "Charging"], "Occupied"),
        (["Faulted", "Available"], "Accepted"),
    ],
)
async def test_rule_37_any_connector_can_be_reserved_if_one_is_free(
    autojump_clock: MockClock, statuses: list[ChargePointStatus], answer: str
) -> None:
    async with world(**USUAL) as w:
        charge_point = await w.online(connectors=2)
        for number, status in enumerate(statuses, 1):
            put_in(charge_point, number, status)
        assert await reserve(w, 0) == answer


async def test_rule_37_a_reserved_connector_is_occupied_for_every_other_reservation(
    autojump_clock: MockClock,
) -> None:
    async with world(**USUAL) as w:
        await w.online()
        await reserve(w, number=1)
        assert await reserve(w, number=2) == "Occupied"
        assert await reserve(w, number=2, tag="OTHER") == "Occupied"
        assert await reserve(w, 0, number=2) == "Occupied"


@pytest.mark.parametrize(("connector", "until"), [(3, 100.0), (-1, 100.0), (1, 0.0), (1, -60.0), (0, -60.0)])
async def test_a_reservation_that_could_not_be_used_is_rejected(
    autojump_clock: MockClock, connector: int, until: float
) -> None:
    async with world(**USUAL) as w:
        await w.online(connectors=2)
        assert await reserve(w, connector, until=until) == "Rejected"
        assert said(w) == []


async def test_rule_37_without_support_for_connector_0_its_reservation_is_rejected(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        await w.online(configuration={"ReserveConnectorZeroSupported": "false"})
        assert await reserve(w, 0) == "Rejected"
        assert await reserve(w, 1) == "Accepted"


async def test_rule_37_the_owner_starts_with_the_reservation_and_nobody_else_does(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        await w.online()
        await reserve(w, until=100)
        assert await remote_start(w, "OTHER") == "Rejected"
        assert (await starts(w, "owner"))["reservationId"] == 5
        assert said(w)[:3] == ["Reserved", "Preparing", "Charging"]
        assert await cancel(w) == "Rejected"  # it is used up
        await trio.sleep_until(110)  # past its expiry
        assert said(w)[-1] == "Charging"


async def test_rule_37_a_start_without_a_reservation_names_none(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        await w.online(connectors=2)
        await reserve(w, 2)
        assert "reservationId" not in await starts(w, "OTHER", 1)
        assert await cancel(w) == "Accepted"


async def test_rule_37_another_tag_of_the_group_may_use_the_reservation(autojump_clock: MockClock) -> None:
    mate = Answer(payload={"idTagInfo": {"status": "Accepted", "parentIdTag": "GROUP"}})
    async with world(**USUAL, Authorize=mate) as w:
        charge_point = await w.online()
        await reserve(w, parent="Group")
        assert not may_use(charge_point, 1, "STRANGER", "another group")
        remember(charge_point, "MATE", IdTagInfo(status="Accepted", parent_id_tag="GROUP"))
        assert may_use(charge_point, 1, "STRANGER", "group")
        assert (await starts(w, "MATE"))["reservationId"] == 5


@pytest.mark.parametrize("asks", ["true", "false"])
async def test_rule_37_the_csms_is_asked_for_the_group_of_a_tag_that_is_not_known(
    autojump_clock: MockClock, asks: str
) -> None:
    mate = Answer(payload={"idTagInfo": {"status": "Accepted", "parentIdTag": "GROUP"}})
    stranger = Answer(payload={"idTagInfo": {"status": "Accepted", "parentIdTag": "OTHERS"}})
    async with world(**USUAL) as w:
        w.csms.answers("Authorize", stranger, mate)
        await w.online(configuration={"AuthorizeRemoteTxRequests": asks})
        await reserve(w, parent="GROUP")
        assert await remote_start(w, "STRANGER", 1) == "Accepted"
        await trio.sleep(30)
        assert w.csms.calls("StartTransaction") == []
        assert said(w) == ["Reserved", "Preparing", "Available", "Reserved"]

        assert (await starts(w, "MATE", 1))["reservationId"] == 5
        assert [call.payload["idTag"] for call in w.csms.calls("Authorize")] == ["STRANGER", "MATE"]
        assert await remote_start(w, "STRANGER", 1) == "Rejected"


async def test_rule_37_for_a_reservation_of_any_connector_one_stays_free(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        await w.online(connectors=3)
        assert await reserve(w, 0, number=9) == "Accepted"
        assert [said(w, number) for number in range(4)] == [[], [], [], []]
        assert "reservationId" not in await starts(w, "FIRST")
        assert await reserve(w, 3, number=10, tag="B") == "Accepted"
        assert await remote_start(w, "SECOND") == "Rejected"
        assert await reserve(w, 2, number=11) == "Occupied"
        assert await reserve(w, 0, number=11) == "Occupied"
        assert (await starts(w, "OWNER"))["reservationId"] == 9
        assert await cancel(w, 9) == "Rejected"


async def test_a_reservation_of_this_connector_is_used_before_one_of_any(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        charge_point = await w.online(connectors=3)
        await reserve(w, 0, number=1, until=100)
        await reserve(w, 0, number=2, until=50)
        await reserve(w, 1, number=3, until=200)

        assert [reservation_for(charge_point, 1, "OWNER", None) for _ in range(4)] == [3, 2, 1, None]


async def test_rule_37_an_owner_who_does_not_plug_in_leaves_the_connector_reserved(autojump_clock: MockClock) -> None:
    async with world(**USUAL, Authorize=Answer(payload={"idTagInfo": {"status": "Blocked"}})) as w:
        await w.online()
        await reserve(w)
        assert await remote_start(w, "OWNER") == "Accepted"
        await trio.sleep(300)
        assert w.csms.calls("StartTransaction") == []
        assert said(w) == ["Reserved", "Preparing", "Available", "Reserved"]
        assert await cancel(w) == "Accepted"
        assert said(w)[-1] == "Available"


@pytest.mark.parametrize("number", [0, 1])
async def test_rule_37_a_reservation_is_void_when_its_connector_is_taken_out_of_service(
    autojump_clock: MockClock, number: int
) -> None:
    async with world(**USUAL) as w:
        await w.online()
        await reserve(w)
        change = {"connectorId": number, "type": "Inoperative"}
        assert await w.csms.latest.order("ChangeAvailability", change) == {"status": "Accepted"}
        await trio.sleep(1)
        assert said(w) == ["Reserved", "Unavailable"]
        await w.csms.latest.order("ChangeAvailability", {**change, "type": "Operative"})
        await trio.sleep(1)
        assert said(w) == ["Reserved", "Unavailable", "Available"]
        assert await cancel(w) == "Rejected"


async def test_a_reservation_outlives_a_reset_and_expires_while_the_charge_point_is_away(
    autojump_clock: MockClock,
) -> None:
    async with world(**USUAL) as w:
        await w.online(connectors=2)
        await reserve(w, 1, number=1, until=2000)
        await reserve(w, 2, number=2, until=62)
        await trio.sleep_until(60)
        await w.csms.latest.order("Reset", {"type": "Hard"})
        await trio.sleep_until(100)

        assert len(w.csms.calls("BootNotification")) == 2
        assert said(w, 1)[-1] == "Reserved"
        assert said(w, 2)[-1] == "Available"
        assert await cancel(w, 1) == "Accepted"


async def test_a_reservation_outlives_that_the_plan_takes_its_charge_point_offline(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        charge_point = await w.online(connectors=2)
        await reserve(w, 1, number=1, until=500)
        charge_point.stop()
        await trio.sleep_until(100)
        w.live(charge_point)
        await trio.sleep_until(200)
        assert said(w, 1)[-1] == "Reserved"
        await trio.sleep_until(510)
        assert said(w, 1)[-1] == "Available"


async def test_one_task_watches_all_reservations_and_ends_with_the_last(autojump_clock: MockClock) -> None:
    async with world(**USUAL) as w:
        charge_point = await w.online(connectors=5)
        tasks = trio.lowlevel.current_statistics().tasks_living
        for number in range(1, 6):
            await reserve(w, number, number=number)
        assert trio.lowlevel.current_statistics().tasks_living == tasks + 1
        for number in range(1, 6):
            await cancel(w, number)
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        reservations = memory_of(charge_point).reservations
        assert reservations is not None
        assert not reservations.by_id
