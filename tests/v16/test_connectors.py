"""The connectors' status table (OCPP 1.6, section 4.9), and whole charge points to whom anything may happen."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import HardwareSettings, SessionSettings
from loadsim.v16.connectors import may_become
from loadsim.v16.hardware import _fault, _pull_a_cable
from loadsim.v16.memory import connector_of, is_accepted, memory_of
from loadsim.v16.reset import reboot
from loadsim.v16.status import set_status
from tests.support import (
    SILENCE,
    Answer,
    Received,
    Script,
    World,
    boot,
    in_virtual_time,
    punctual_boot,
    wall_clock,
    world,
)
from tests.v16.sessions import STATUSES, TRANSITIONS, Book, bad_statuses, statuses_of


def test_rule_14_a_connector_changes_as_the_table_of_the_specification_allows() -> None:
    pairs = {(before, after) for before in STATUSES for after in STATUSES if may_become(1, before, after)}
    assert pairs == TRANSITIONS


def test_rule_14_connector_0_is_only_available_unavailable_or_faulted() -> None:
    itself = ("Available", "Unavailable", "Faulted")
    pairs = {(before, after) for before in itself for after in STATUSES if may_become(0, before, after)}
    assert pairs == {(before, after) for before in itself for after in itself if before != after}


async def test_rule_14_a_change_that_the_table_does_not_have_is_an_error_of_the_simulator(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        charge_point = await w.online(connectors=1)
        with pytest.raises(RuntimeError, match="cannot go from Available to Finishing"):
            set_status(charge_point, connector_of(charge_point, 1), "Finishing")
        with pytest.raises(RuntimeError, match="cannot be Faulted with NoError"):
            set_status(charge_point, connector_of(charge_point, 1), "Faulted")
        with pytest.raises(RuntimeError, match="cannot be Preparing with GroundFailure"):
            set_status(charge_point, connector_of(charge_point, 1), "Preparing", "GroundFailure")


# Anything, to a whole charge point.

connector_ids = st.sampled_from([0, 1, 2, 3])
operations = st.one_of(
    st.tuples(
        st.just("arrive"),
        st.sampled_from(["card", "card", "app", "no show", "app no show", "other", "Blocked", "start Blocked"]),
    ),
    st.tuples(st.just("arrive"), st.sampled_from(["card", "app"])),
    st.tuples(st.just("remote start"), st.sampled_from([None, None, 0, 1, 2, 3])),
    st.tuples(st.just("remote stop"), st.integers(-1, 4)),
    st.tuples(st.just("unlock"), connector_ids),
    st.tuples(st.just("unavailable"), connector_ids),
    st.tuples(st.just("available"), connector_ids),
    st.tuples(st.just("reset"), st.sampled_from(["Hard", "Soft"])),
    st.tuples(st.just("fault"), st.integers(1, 3)),
    st.tuples(st.just("pull"), st.none()),
    st.tuples(st.just("power loss"), st.none()),
    st.tuples(st.just("drop"), st.sampled_from([0.0, 20.0, 300.0])),
    st.tuples(st.just("off"), st.none()),
    st.tuples(st.just("reserve"), st.tuples(connector_ids, st.sampled_from(["TAG", "APP"]))),
    st.tuples(st.just("limit"), st.sampled_from([0.0, 6.0])),
    st.tuples(st.just("update"), st.none()),
    st.tuples(st.just("stall"), st.sampled_from([4.0, 25.0])),
    st.tuples(st.just("next boot"), st.sampled_from(["Pending", "Rejected", None])),
    st.tuples(
        st.just("configure"),
        st.sampled_from(
            [
                ("MeterValueSampleInterval", "7"),
                ("ClockAlignedDataInterval", "60"),
                ("StopTransactionOnInvalidId", "false"),
                ("StopTransactionOnEVSideDisconnect", "false"),
                ("AuthorizeRemoteTxRequests", "false"),
                ("AllowOfflineTxForUnknownId", "true"),
                ("LocalPreAuthorize", "true"),
                ("StopTxnSampledData", "Energy.Active.Import.Register"),
            ]
        ),
    ),
)
gaps = st.sampled_from([None, 0.0, 0.1, 1.0, 3.0, 9.0, 30.0, 61.0, 200.0, 700.0])
happenings = st.lists(st.tuples(gaps, operations), max_size=25)
SETTINGS: dict[str, Any] = {
    "session": SessionSettings(plugged_in=fixed(300.0), energy=fixed(500.0)),
    "hardware": HardwareSettings(fault_lasts=fixed(45.0)),
    "reboot": fixed(8.0),
}


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    happenings,
    st.integers(1, 3),
    st.sampled_from([0.0, 0.0, 0.4, 4.0, 50.0]),
    st.sampled_from([0, 0, 5]),
    st.booleans(),
    st.sampled_from([1.0, 20.0, 45.0]),
)
@example(
    steps=[(None, ("arrive", "card")), (1.0, ("drop", 0.0)), (None, ("off", None)), (None, ("arrive", "card"))],
    connectors=1,
    delay=0.4,
    steady=0,
    boots=False,
    fault=1.0,
)
@example(
    steps=[(None, ("arrive", "card")), (0.1, ("drop", 0.0)), (None, ("off", None))],
    connectors=1,
    delay=0.0,
    steady=5,
    boots=False,
    fault=1.0,
)
def test_whatever_happens_statuses_are_a_path_of_the_table_and_every_transaction_is_accounted_for(
    steps: list[tuple[float | None, tuple[str, Any]]],
    connectors: int,
    delay: float,
    steady: int,
    boots: bool,
    fault: float,
) -> None:
    book = Book()

    async def run() -> None:
        async with world(**book.scripts) as w:
            w.csms.answers("StatusNotification", Answer(payload={}, delay=delay))
            w.csms.answers("FirmwareStatusNotification", Answer(payload={}))
            w.csms.answers("SecurityEventNotification", Answer(payload={}))
            w.csms.answers("Authorize", lambda received: _authorize(received, delay))
            w.csms.answers("StartTransaction", lambda received: _start(book, received, delay))
            configuration = {"MinimumStatusDuration": str(steady), "TransactionMessageAttempts": "100"}
            charge_point = await w.online(
                connectors=connectors,
                configuration=configuration,
                boot_on_reconnect=boots,
                **{**SETTINGS, "hardware": HardwareSettings(fault_lasts=fixed(fault))},
                call_timeout=10.0 if delay < 10 else 120.0,  # an answer may take longer than a fault
            )
            for gap, (what, how) in steps:
                if gap is not None:
                    await trio.sleep(gap)
                await happen(w, charge_point, what, how)
            await trio.sleep(1.0)
            w.csms.refuse = lambda identity: None
            await trio.sleep(4000)  # whoever came has left, and what was offline is not any more
            assert charge_point.linked
            assert is_accepted(charge_point)
            for connector in memory_of(charge_point).connectors.values():
                assert (connector.session, connector.transaction) == (None, None)
                assert connector.status == ("Unavailable" if connector.inoperative else "Available")
                assert connector.status == statuses_of(w.csms, connector.id)[-1]
        assert bad_statuses(w.csms) == [] or steady  # which leaves some out
        assert book.problems == []
        assert (book.open, book.unnumbered) == ([], [])
        counted = w.counters
        assert counted["transactions.begun"] == counted["transactions.stopped"] == len(book.entries)
        assert counted["transactions.doubled"] == counted["transactions.lost"] == 0
        assert counted["energy.delivered"] == counted["energy.stopped"] == book.energy
        timed_out = any(what == "stall" or (what, how) == ("next boot", None) for _, (what, how) in steps)
        assert w.csms.overlaps == [] or timed_out

    in_virtual_time(run)


def _authorize(received: Received, delay: float) -> Answer:
    status = "Blocked" if received.payload["idTag"] == "Blocked" else "Accepted"
    parent = {"parentIdTag": "GROUP"} if received.payload["idTag"].startswith("G") else {}
    return Answer(payload={"idTagInfo": {"status": status, **parent}}, delay=delay)


def _start(book: Book, received: Received, delay: float) -> Answer:
    answer = book.start(received)
    assert answer.payload is not None
    status = "Blocked" if received.payload["idTag"] == "later blocked" else "Accepted"
    return Answer(payload={**answer.payload, "idTagInfo": {"status": status}}, delay=delay)


async def happen(w: World, charge_point: ChargePoint, what: str, how: Any) -> None:
    memory = memory_of(charge_point)
    number = how if isinstance(how, int) else 0
    if what == "arrive":
        tags = {"Blocked": "Blocked", "start Blocked": "later blocked", "other": "G1"}
        w.arrive(
            charge_point,
            tags.get(how, "TAG"),
            remote="app" in how,
            no_show="no show" in how,
            other_tag="G2" if how == "other" else None,
            plugged_in=250.0,
            energy=400.0,
            hurry=0.9,
        )
    elif what == "fault":
        if number <= charge_point.settings.connectors and is_accepted(charge_point):
            _fault(charge_point, connector_of(charge_point, number), 0.5, 0.5)
    elif what == "pull":
        _pull_a_cable(charge_point)
    elif what == "power loss":
        charge_point.spawn(_lose_power, charge_point)
    elif what == "stall":
        w.csms.stalled_until = trio.current_time() + how
    elif what == "next boot":
        w.csms.answers("BootNotification", SILENCE if how is None else _refuse_boot(how), punctual_boot)
    elif what == "off":
        charge_point.stop()
        while any(charge_point.context.states.values()):  # noqa: ASYNC110 - the counts wake nobody
            await trio.sleep(1.0)
        w.live(charge_point)
        await trio.testing.wait_all_tasks_blocked()
    elif charge_point.linked and w.csms.latest.ended_at is None and memory.registration == "Accepted":
        await _ask(w, what, how)


def _refuse_boot(status: str) -> Script:
    return lambda received: boot(status, 20, current_time=wall_clock(received.at))


async def _lose_power(charge_point: ChargePoint) -> None:
    await reboot(charge_point, "PowerLoss", abrupt=True, away=15.0)


def _reservation(how: Any) -> dict[str, Any]:
    connector_id, id_tag = how if isinstance(how, tuple) else (0, "")
    expiry = wall_clock(trio.current_time() + 400)
    return {"connectorId": connector_id, "idTag": id_tag, "reservationId": connector_id, "expiryDate": expiry}


def _limit(amperes: Any) -> dict[str, Any]:
    schedule = {
        "duration": 100,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amperes}],
        "startSchedule": wall_clock(trio.current_time() + 30),
    }
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
    }
    return {"connectorId": 0, "csChargingProfiles": profile}


async def _ask(w: World, what: str, how: Any) -> None:
    connection = w.csms.latest
    if what == "drop":
        until = trio.current_time() + how
        w.csms.refuse = lambda identity: "refused" if trio.current_time() < until else None
        await connection.drop()
        return
    action, payload = {
        "remote start": (
            "RemoteStartTransaction",
            {"idTag": "APP"} if how is None else {"idTag": "APP", "connectorId": how},
        ),
        "remote stop": ("RemoteStopTransaction", {"transactionId": how}),
        "unlock": ("UnlockConnector", {"connectorId": how}),
        "unavailable": ("ChangeAvailability", {"connectorId": how, "type": "Inoperative"}),
        "available": ("ChangeAvailability", {"connectorId": how, "type": "Operative"}),
        "reset": ("Reset", {"type": how}),
        "reserve": ("ReserveNow", _reservation(how)),
        "limit": ("SetChargingProfile", _limit(how)),
        "update": (
            "UpdateFirmware",
            {"location": "http://firmware.invalid/v2.bin", "retrieveDate": wall_clock(trio.current_time() + 20)},
        ),
        "configure": ("ChangeConfiguration", {"key": how[0], "value": how[1]} if isinstance(how, tuple) else {}),
    }[what]
    with trio.move_on_after(5):
        await connection.ask(action, payload)
