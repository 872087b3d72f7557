"""Resets and what they do to sessions (OCPP 1.6, section 5.14; errata 3.36)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from loadsim.v16.memory import connector_of
from tests.support import Answer, World, world
from tests.v16.sessions import PUNCTUAL, Book, bad_statuses

REBOOT = fixed(12.0)


async def reset(w: World, kind: str) -> str:
    answer = await w.csms.latest.order("Reset", {"type": kind})
    return str(answer["status"])


async def test_rule_27_a_soft_reset_stops_the_transactions_then_hangs_up_and_boots(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(connectors=2, reboot=REBOOT)
        w.arrive(charge_point)
        w.arrive(charge_point, hurry=0.9)
        await trio.sleep(100)
        assert await reset(w, "Soft") == "Accepted"
        await trio.sleep(50)

        stops, boots = w.csms.calls("StopTransaction"), w.csms.calls("BootNotification")
        assert [(stop.payload["reason"], "idTag" in stop.payload) for stop in stops] == [("SoftReset", False)] * 2
        assert [stop.connection for stop in stops] == [0, 0]
        assert w.csms.connections[0].ended_at is not None
        assert boots[1].at == pytest.approx(w.csms.connections[0].ended_at + 12.0)
        assert (book.open, book.problems, bad_statuses(w.csms)) == ([], [], [])
        assert w.counted("reboots.SoftReset") == 1
        assert w.counted("connections.closed") == 1


async def test_rule_27_a_hard_reset_waits_for_nothing_and_stops_after_the_boot(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        w.csms.answers("StopTransaction", Answer(payload={}, delay=2.0), book.stop)
        charge_point = await w.online(reboot=REBOOT)
        w.arrive(charge_point)
        await trio.sleep(100)
        w.csms.answers("StopTransaction", book.stop)
        assert await reset(w, "Hard") == "Accepted"
        await trio.sleep(50)

        assert w.csms.connections[0].ended_at == pytest.approx(100.5, abs=0.1)  # after its last breath
        later = [call.action for call in w.csms.calls() if call.connection == 1]
        assert later[0] == "BootNotification"
        stops = w.csms.calls("StopTransaction")
        assert {(stop.payload["reason"], stop.payload["timestamp"][11:19]) for stop in stops} == {
            ("HardReset", "09:16:40")
        }
        assert (book.open, book.problems) == ([], [])


async def test_rule_27_the_statuses_after_a_reset_are_those_that_are(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2, reboot=REBOOT)
        w.arrive(charge_point)
        await trio.sleep(100)
        assert await reset(w, "Soft") == "Accepted"
        await trio.sleep(50)

        said = [call.payload for call in w.csms.calls("StatusNotification") if call.connection == 1]
        assert [(each["connectorId"], each["status"]) for each in said] == [
            (0, "Available"),
            (1, "Finishing"),
            (2, "Available"),
        ]


async def test_rule_27_a_silent_csms_does_not_hold_up_a_soft_reset_for_ever(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        w.csms.answers("StopTransaction", Answer(error="InternalError"), Answer(error="InternalError"), book.stop)
        charge_point = await w.online(reboot=REBOOT)
        w.arrive(charge_point)
        await trio.sleep(100)
        assert await reset(w, "Soft") == "Accepted"
        await trio.sleep(1000)

        assert w.csms.connections[0].ended_at == pytest.approx(130, abs=1)
        assert [stop.connection for stop in w.csms.calls("StopTransaction")] == [0, 1, 1]
        assert book.open == []


async def test_rule_27_nothing_begins_while_a_reset_is_under_way_and_a_second_one_is_rejected(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        w.csms.answers("StopTransaction", Answer(error="InternalError"), book.stop)
        charge_point = await w.online(connectors=2, reboot=REBOOT)
        w.arrive(charge_point)
        await trio.sleep(100)
        assert await reset(w, "Soft") == "Accepted"
        await trio.sleep(10)
        assert not w.arrive(charge_point, "LATER", hurry=0.9)
        assert await w.csms.latest.order("RemoteStartTransaction", {"idTag": "APP"}) == {"status": "Rejected"}
        assert [await reset(w, kind) for kind in ("Soft", "Hard")] == ["Rejected", "Rejected"]
        await trio.sleep(500)

        assert [entry.stop["reason"] for entry in book.entries.values() if entry.stop] == ["SoftReset"]
        assert len(w.csms.calls("BootNotification")) == 2
        assert (w.counted("reboots.SoftReset"), w.counted("reboots.HardReset")) == (1, 0)
        assert w.arrive(charge_point, "LATER")
        assert await reset(w, "Soft") == "Accepted"


async def test_a_driver_who_is_being_authorized_when_the_charge_point_is_reset_does_not_begin(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        w.csms.answers("Authorize", Answer(payload={"idTagInfo": {"status": "Accepted"}}, delay=5.0))
        charge_point = await w.online(connectors=2, reboot=REBOOT)
        w.arrive(charge_point)
        w.arrive(charge_point, remote=True, hurry=0.9)
        await trio.sleep(1)
        assert await reset(w, "Soft") == "Accepted"
        await trio.sleep(100)

        assert w.csms.calls("StartTransaction") == []
        assert w.counted("sessions.interrupted") == 2
        assert [connector_of(charge_point, number).status for number in (1, 2)] == ["Available", "Available"]


async def test_the_meter_goes_on_where_it_was_after_a_reset(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(reboot=REBOOT)
        w.arrive(charge_point)
        await trio.sleep(700)
        assert await reset(w, "Hard") == "Accepted"
        await trio.sleep(50)
        w.arrive(charge_point)
        await trio.sleep(700)

        first, second = book.entries.values()
        assert first.stop is not None
        assert second.start["meterStart"] == first.stop["meterStop"] > first.start["meterStart"]
