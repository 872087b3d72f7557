"""How a server's record is told."""

from collections.abc import Mapping
from typing import Any

from loadsim.csms.calling import Calls, Outcome
from loadsim.csms.drive import Drive
from loadsim.csms.record import ServerCounts, describe
from loadsim.scenario.plan import EmbeddedCsms, PlannedCall
from loadsim.v16.central import Central, StoreFailed


def test_what_never_happened_is_left_out() -> None:
    record = {**ServerCounts().record(), **Central(EmbeddedCsms()).record()}

    assert list(describe(record)) == [
        "charge points  0 known, 0 accepted; 0 connections, 0 at a time",
        "no call was received",
    ]


def test_every_count_is_told_with_its_name() -> None:
    counts, central = ServerCounts(), Central(EmbeddedCsms())
    counts.connections.update(opened=5000, open_max=4000, replaced=2, http_401=3)
    counts.closed.update({1000: 7, 1006: 1})
    counts.frames.update(calls=9, unknown_types=4)
    authorize = central.count("Authorize")
    authorize.received, authorize.answered = 1500, 1499
    authorize.refused["Blocked"] = 20
    authorize.errors["SecurityError"] = 1
    central.transactions.counts.update(started=6, energy_wh=12345)
    session = central.charge_point("CP1")
    session.connector_status.update({0: "Available", 1: "Charging"})
    session.firmware_version, session.firmware_status = "1.4", "Installed"
    session.diagnostics_status, session.log_status = "Uploaded", "Uploading"
    central.security_events = 2
    central.store_failed(StoreFailed("database or disk is full"))

    assert list(describe({**counts.record(), **central.record()})) == [
        "charge points  1 known, 0 accepted; 5,000 connections, 4,000 at a time",
        "connections    replaced 2, http 401 3",
        "close codes    1006 1",
        "frames         unknown types 4",
        "transactions   started 6; 12.345 kWh",
        "connectors     Charging 1",
        "firmware       1.4 1",
        "updates        Installed 1",
        "uploads        diagnostics Uploaded 1, log Uploading 1",
        "security       2 events",
        "database       database or disk is full 1",
        "action                            received  answered",
        "Authorize                            1,500     1,499  Blocked 20, SecurityError 1",
    ]


async def _never(identity: str, action: str, payload: Mapping[str, Any], *, timeout: float) -> Outcome:
    raise AssertionError


async def test_what_was_asked_of_charge_points_is_told_with_its_ends() -> None:
    plan = (PlannedCall(name="nightly", send="Reset", each=1.0),)
    drive = Drive(plan, seed=1, known=Central(EmbeddedCsms()).charge_point, call=_never)
    calls = Calls()
    counts = calls.count("Reset")
    counts.sent, counts.timeouts, counts.not_connected = 1200, 2, 3
    for _ in range(1100):
        counts.took(0.25)
    counts.refused["Rejected"] = 7
    counts.errors["NotSupported"] = 9
    calls.count("ClearCache").not_sent = 1
    calls.strays["late"] = 4
    record = {**ServerCounts().record(), **Central(EmbeddedCsms()).record(), **calls.record(), **drive.record()}

    assert list(describe(record))[1:] == [
        "stray answers  late 4",
        "planned call   nightly: due 0",
        "no call was received",
        "call to charge points                 sent  answered     p95",
        "ClearCache                               0         0       -  not sent 1",
        "Reset                                1,200     1,100   250ms"
        "  Rejected 7, NotSupported 9, timeouts 2, open 89, not connected 3",
    ]
