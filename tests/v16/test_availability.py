"""ChangeAvailability: connectors and charge points out of service (OCPP 1.6, section 5.2)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from loadsim.v16.memory import connector_of
from tests.support import World, boot, punctual_boot, world
from tests.v16.sessions import PUNCTUAL, Book, bad_statuses, statuses_of


async def change(w: World, connector_id: int, kind: str) -> str:
    answer = await w.csms.latest.order("ChangeAvailability", {"connectorId": connector_id, "type": kind})
    await trio.testing.wait_all_tasks_blocked()
    return str(answer["status"])


async def test_rule_29_a_free_connector_is_changed_at_once_and_said(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await w.online(connectors=2)
        assert await change(w, 2, "Inoperative") == "Accepted"
        assert await change(w, 2, "Operative") == "Accepted"

        assert statuses_of(w.csms, 2) == ["Available", "Unavailable", "Available"]
        assert statuses_of(w.csms, 0) == ["Available"]
        assert statuses_of(w.csms, 1) == ["Available"]


async def test_rule_29_what_is_out_of_service_is_not_found_by_drivers_nor_by_remote_starts(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2)
        await change(w, 2, "Inoperative")
        assert w.arrive(charge_point, hurry=0.9)
        await trio.sleep(10)

        assert connector_of(charge_point, 1).transaction is not None
        assert not w.arrive(charge_point, hurry=0.9)
        for payload in ({"idTag": "APP"}, {"idTag": "APP", "connectorId": 2}):
            assert await w.csms.latest.order("RemoteStartTransaction", payload) == {"status": "Rejected"}


async def test_rule_29_during_a_transaction_it_is_scheduled_and_done_when_the_connector_is_free(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(connectors=2)
        w.arrive(charge_point)
        await trio.sleep(100)
        assert await change(w, 1, "Inoperative") == "Scheduled"
        assert await change(w, 1, "Inoperative") == "Scheduled"
        await trio.sleep(1000)

        assert statuses_of(w.csms, 1) == [
            "Available",
            "Preparing",
            "Charging",
            "SuspendedEV",
            "Finishing",
            "Unavailable",
        ]
        assert [
            entry.stop["reason"] for entry in book.entries.values() if entry.stop and "reason" in entry.stop
        ] == []


async def test_rule_29_a_scheduled_change_can_be_taken_back(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point)
        await trio.sleep(100)
        assert await change(w, 1, "Inoperative") == "Scheduled"
        assert await change(w, 1, "Operative") == "Accepted"
        await trio.sleep(1000)

        assert statuses_of(w.csms, 1)[-2:] == ["Finishing", "Available"]


@pytest.mark.parametrize("kind", ["Inoperative", "Operative"])
@pytest.mark.parametrize("connector_id", [0, 1])
async def test_rule_29_the_same_state_again_is_accepted_and_said_no_second_time(
    autojump_clock: MockClock, kind: str, connector_id: int
) -> None:
    async with world(**PUNCTUAL) as w:
        await w.online(connectors=2)
        await change(w, connector_id, kind)
        before = len(w.csms.calls("StatusNotification"))
        assert await change(w, connector_id, kind) == "Accepted"

        assert len(w.csms.calls("StatusNotification")) == before


async def test_rule_29_connector_0_means_all_of_them_and_the_charge_point(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2)
        w.arrive(charge_point)
        await trio.sleep(100)
        assert await change(w, 0, "Inoperative") == "Scheduled"
        assert [statuses_of(w.csms, number)[-1] for number in (0, 1, 2)] == ["Unavailable", "Charging", "Unavailable"]
        assert not w.arrive(charge_point)
        await trio.sleep(1000)
        assert [statuses_of(w.csms, number)[-1] for number in (0, 1, 2)] == ["Unavailable"] * 3
        assert await change(w, 0, "Operative") == "Accepted"

        assert [statuses_of(w.csms, number)[-1] for number in (0, 1, 2)] == ["Available"] * 3
        assert bad_statuses(w.csms) == []


@pytest.mark.parametrize("connector_id", [3, -1])
async def test_rule_29_an_unknown_connector_is_rejected(autojump_clock: MockClock, connector_id: int) -> None:
    async with world(**PUNCTUAL) as w:
        await w.online(connectors=2)
        assert await change(w, connector_id, "Inoperative") == "Rejected"


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
async def test_rule_29_it_outlives_a_reboot_scheduled_or_not(autojump_clock: MockClock, kind: str) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=3, reboot=fixed(5.0))
        w.arrive(charge_point, plugged_in=5000.0)
        await trio.sleep(10)
        assert await change(w, 1, "Inoperative") == "Scheduled"
        assert await change(w, 2, "Inoperative") == "Accepted"
        await w.csms.latest.order("Reset", {"type": kind})
        await trio.sleep(100)
        said = [call.payload for call in w.csms.calls("StatusNotification") if call.connection == 1]
        assert [each["status"] for each in said] == ["Available", "Finishing", "Unavailable", "Available"]
        await trio.sleep(6000)

        assert [statuses_of(w.csms, number)[-1] for number in (1, 2, 3)] == [
            "Unavailable",
            "Unavailable",
            "Available",
        ]


async def test_rule_29_while_pending_it_is_done_and_said_after_the_boot(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        w.csms.answers("BootNotification", boot("Pending", 50), punctual_boot)
        w.start(connectors=1)
        await trio.sleep(5)
        assert await change(w, 1, "Inoperative") == "Accepted"
        assert w.csms.calls("StatusNotification") == []
        await trio.sleep(100)

        assert statuses_of(w.csms, 1) == ["Unavailable"]
