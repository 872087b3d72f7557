"""MinimumStatusDuration: a status that does not last is not said (OCPP 1.6, sections 4.9 and 9.1.19)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.support import Answer, tag_info, world
from tests.v16.sessions import PUNCTUAL, statuses_of


async def test_a_status_that_was_not_yet_said_when_the_charge_point_went_is_no_news_when_it_comes_back(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MinimumStatusDuration": "60"})
        w.arrive(charge_point)
        await trio.sleep(30)
        charge_point.stop()
        await trio.sleep(10)
        w.live(charge_point)
        await trio.sleep(100)

        assert statuses_of(w.csms, 1) == ["Available", "Available"]


@pytest.mark.parametrize("steady", [0, 5, 20])
async def test_rule_14_a_status_that_does_not_last_minimum_status_duration_is_not_said(
    autojump_clock: MockClock, steady: int
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MinimumStatusDuration": str(steady)})
        await trio.sleep(10)
        w.arrive(charge_point, energy=100.0 / 3.6)
        await trio.sleep(1000)

        said = {call.payload["status"]: call.at for call in w.csms.calls("StatusNotification")[2:]}
        began = {"Preparing": 10, "Charging": 10, "SuspendedEV": 21.335, "Finishing": 610, "Available": 612}
        lasted = {"Preparing": 0, "Charging": 11.335, "SuspendedEV": 588, "Finishing": 2, "Available": 398}
        expected = {status: at + steady for status, at in began.items() if lasted[status] >= steady}
        assert said == pytest.approx(expected, abs=0.001)
        assert list(said) == list(expected)


async def test_a_status_that_changes_while_its_predecessor_is_under_way_is_said_too(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MinimumStatusDuration": "5"})
        await trio.sleep(10)
        w.csms.answers("StatusNotification", Answer(payload={}, delay=10.0), Answer(payload={}))
        w.arrive(charge_point, energy=11_000 * 7 / 3600)
        await trio.sleep(100)

        assert statuses_of(w.csms, 1) == ["Available", "Charging", "SuspendedEV"]


async def test_a_status_that_comes_back_before_another_was_said_is_not_said_again(autojump_clock: MockClock) -> None:
    async with world(Authorize=tag_info("Blocked"), **PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MinimumStatusDuration": "30"})
        await trio.sleep(10)
        w.arrive(charge_point)
        await trio.sleep(100)

        assert len(w.csms.calls("StatusNotification")) == 2


async def test_a_status_that_waits_does_not_come_after_newer_ones_when_the_duration_is_set_to_0(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MinimumStatusDuration": "60"})
        w.arrive(charge_point)
        await trio.sleep(10)
        change = {"key": "MinimumStatusDuration", "value": "0"}
        assert await w.csms.latest.order("ChangeConfiguration", change) == {"status": "Accepted"}
        assert await w.csms.latest.order("UnlockConnector", {"connectorId": 1}) == {"status": "Unlocked"}
        await trio.sleep(100)

        assert statuses_of(w.csms, 1) == ["Available", "Finishing", "Available"]
