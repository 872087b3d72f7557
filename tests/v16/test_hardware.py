"""What breaks: faults, power losses, cables that are pulled; at their rates, and what becomes of sessions."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import HardwareSettings
from loadsim.v16.hardware import ERROR_CODES, _fault, _pull_a_cable
from loadsim.v16.memory import connector_of
from loadsim.v16.messages.types import ChargePointErrorCode
from tests.support import Answer, World, tag_info, world
from tests.v16.sessions import PUNCTUAL, Book, bad_statuses, statuses_of

CODES = {"GroundFailure": 3.0, "HighTemperature": 1.0}


async def broken(w: World, count: int, seconds: float, **hardware: Any) -> int:
    """Let *count* charge points of 2 connectors break for *seconds*; return how many faults there were."""
    for n in range(count):
        w.start(n, connectors=2, hardware=HardwareSettings(**hardware), reboot=fixed(5.0))
    await trio.sleep(seconds)
    return w.counted("hardware.faults")


async def test_rule_14_faults_come_at_their_rate_for_each_connector_with_a_code_by_weight(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        faults = await broken(w, 50, 3600.0, faults=2 / 3600, fault_lasts=fixed(1.0), codes=CODES)

        assert faults == pytest.approx(2 * 50 * 2, rel=0.25)
        faulted = [call.payload for call in w.csms.calls("StatusNotification") if call.payload["status"] == "Faulted"]
        assert len(faulted) == faults
        codes = [each["errorCode"] for each in faulted]
        assert set(codes) == set(CODES)
        assert codes.count("GroundFailure") == pytest.approx(faults * 0.75, rel=0.2)
        assert {each["connectorId"] for each in faulted} == {1, 2}
        assert bad_statuses(w.csms) == []


def test_every_error_code_but_those_that_are_no_faults_can_be_reported() -> None:
    codes = set(get_args(ChargePointErrorCode))
    assert codes - set(ERROR_CODES) == {"NoError", "LocalListConflict"}


@pytest.mark.parametrize("draw", [0.0, 0.2499, 0.25, 0.5, 0.9999])
async def test_without_weights_every_code_is_as_likely(autojump_clock: MockClock, draw: float) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(hardware=HardwareSettings(codes={}))
        _fault(charge_point, connector_of(charge_point, 1), 0.5, draw)

        assert connector_of(charge_point, 1).error_code == ERROR_CODES[int(draw * len(ERROR_CODES))]


async def test_rule_23_a_fault_ends_the_transaction_and_the_connector_is_as_before_after_it(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(hardware=HardwareSettings(fault_lasts=fixed(40.0)))
        w.arrive(charge_point, plugged_in=5000.0, energy=90_000.0)
        await trio.sleep(100)
        _fault(charge_point, connector_of(charge_point, 1), 0.5, 0.5)
        assert not w.arrive(charge_point)
        await trio.sleep(100)

        assert statuses_of(w.csms, 1) == ["Available", "Preparing", "Charging", "Faulted", "Available"]
        assert [entry.stop["reason"] for entry in book.entries.values() if entry.stop] == ["Other"]
        assert w.csms.calls("StatusNotification")[-1].at == pytest.approx(140.0, abs=0.1)
        assert w.arrive(charge_point)


async def test_a_fault_of_a_connector_out_of_service_is_none_and_one_out_of_service_meanwhile_stays_so(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2, hardware=HardwareSettings(fault_lasts=fixed(40.0)))
        off = {"type": "Inoperative"}
        await w.csms.latest.order("ChangeAvailability", {"connectorId": 1, **off})
        for number in (1, 2):
            _fault(charge_point, connector_of(charge_point, number), 0.5, 0.5)
        assert await w.csms.latest.order("ChangeAvailability", {"connectorId": 2, **off}) == {"status": "Accepted"}
        await trio.sleep(100)

        assert statuses_of(w.csms, 1) == ["Available", "Unavailable"]
        assert statuses_of(w.csms, 2) == ["Available", "Faulted", "Unavailable"]
        assert w.counted("hardware.faults") == 1


async def test_rule_23_a_power_loss_stops_with_its_reason_after_the_power_is_back(autojump_clock: MockClock) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        hardware = HardwareSettings(power_losses=1 / 3600, power_loss_lasts=fixed(77.0))
        charge_points = [w.start(n, hardware=hardware) for n in range(10)]
        await trio.sleep(1)
        for charge_point in charge_points:
            w.arrive(charge_point, plugged_in=100_000.0, energy=90_000.0)
        await trio.sleep(3 * 3600)

        losses = w.counted("hardware.power_losses")
        assert losses == w.counted("reboots.PowerLoss") == pytest.approx(30, rel=0.5)
        assert len(w.csms.calls("BootNotification")) == 10 + losses - w.context.states["booting"]
        reasons = [entry.stop["reason"] for entry in book.entries.values() if entry.stop]
        assert set(reasons) == {"PowerLoss"}
        assert len(reasons) >= 7
        assert book.problems == []
        ends = {connection.identity: connection.ended_at for connection in reversed(w.csms.connections)}
        for call in w.csms.calls("StopTransaction"):
            lost_at = ends[call.identity]
            assert lost_at is not None
            assert call.at == pytest.approx(lost_at + 77.0, abs=0.01)


@pytest.mark.parametrize("stops", [True, False])
async def test_rule_23_a_cable_that_is_pulled_at_the_car_stops_the_transaction_where_the_key_says_so(
    autojump_clock: MockClock, stops: bool
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        configuration = {"StopTransactionOnEVSideDisconnect": str(stops).lower(), "MeterValueSampleInterval": "0"}
        charge_point = await w.online(configuration=configuration)
        w.arrive(charge_point, plugged_in=500.0, energy=90_000.0)
        await trio.sleep(100)
        _pull_a_cable(charge_point)
        _pull_a_cable(charge_point)
        await trio.sleep(1000)

        (entry,) = book.entries.values()
        assert entry.stop is not None
        assert entry.stop["meterStop"] - entry.start["meterStart"] in (305, 306)  # 11 kW for 100 seconds
        said = statuses_of(w.csms, 1)[2:]
        if stops:
            assert (entry.stop["reason"], entry.stop["timestamp"][11:19]) == ("EVDisconnected", "09:16:40")
            assert said == ["Charging", "Available"]
        else:
            assert ("reason" in entry.stop, entry.stop["timestamp"][11:19]) == (False, "09:23:20")
            assert said == ["Charging", "SuspendedEV", "Finishing", "Available"]
        assert w.counted("hardware.ev_disconnects") == 1


async def test_cables_are_pulled_at_cars_that_charge_only(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await broken(w, 10, 3600.0, ev_disconnects=10 / 3600)

        assert w.counted("hardware.ev_disconnects") == 0
        assert w.csms.calls("StopTransaction") == []


async def test_nothing_breaks_at_a_charge_point_that_is_not_started_up(autojump_clock: MockClock) -> None:
    async with world(BootNotification=Answer(error="InternalError")) as w:
        assert await broken(w, 10, 3600.0, faults=10 / 3600, power_losses=10 / 3600) == 0
        assert w.counted("hardware.power_losses") == 0


async def test_what_breaks_depends_on_the_seed_and_not_on_what_broke_before(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await broken(w, 5, 3600.0, faults=3 / 3600, fault_lasts=fixed(1.0))
        short = {(call.identity, round(call.at, 3)) for call in w.csms.calls("StatusNotification") if _is_fault(call)}
    async with world(**PUNCTUAL) as w:
        await broken(w, 5, 3600.0, faults=3 / 3600, fault_lasts=fixed(900.0))
        long = {(call.identity, round(call.at, 3)) for call in w.csms.calls("StatusNotification") if _is_fault(call)}

    assert len(short) > len(long) > 0
    assert {identity for identity, _ in long} == {identity for identity, _ in short}


def _is_fault(call: Any) -> bool:
    return bool(call.payload["status"] == "Faulted")


@pytest.mark.parametrize("other_tag", [None, "OTHER"])
async def test_a_fault_that_is_repaired_before_the_csms_has_answered_ends_the_session_for_good(
    autojump_clock: MockClock, other_tag: str | None
) -> None:
    """Whether the card at the start or at the stop is being asked about: the connector is the next driver's."""
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(hardware=HardwareSettings(fault_lasts=fixed(5.0)), call_timeout=60.0)
        slow = tag_info(delay=30.0)
        w.csms.answers("Authorize", *([slow] if other_tag is None else [tag_info(), slow]), tag_info())
        w.arrive(charge_point, plugged_in=100.0, other_tag=other_tag)
        await trio.sleep(1.0 if other_tag is None else 101.0)
        connector = connector_of(charge_point, 1)
        _fault(charge_point, connector, 0.5, 0.5)
        await trio.sleep(6)

        assert connector.status == "Available"
        assert w.arrive(charge_point, "NEXT", plugged_in=100.0)
        await trio.sleep(300)
        starts = [call.payload["idTag"] for call in w.csms.calls("StartTransaction")]
        assert starts == (["NEXT"] if other_tag is None else ["TAG", "NEXT"])
        assert bad_statuses(w.csms) == []


async def test_a_fault_in_the_tick_in_which_a_driver_comes_stays_a_fault(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(hardware=HardwareSettings(fault_lasts=fixed(60.0)))
        w.arrive(charge_point)
        _fault(charge_point, connector_of(charge_point, 1), 0.5, 0.5)
        await trio.sleep(59)

        assert statuses_of(w.csms, 1) == ["Available", "Faulted"]
        assert w.counted("sessions.interrupted") == 1
