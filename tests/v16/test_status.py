"""StatusNotification (OCPP 1.6, section 4.9; errata 3.22)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.support import SILENCE, Answer, boot, world


@pytest.mark.parametrize("connectors", [1, 3])
async def test_rule_12_the_status_of_connectors_0_to_n_follows_the_accepted_boot_once(
    autojump_clock: MockClock, connectors: int
) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", 100_000))
        w.start(connectors=connectors)
        await trio.sleep(1000)

        statuses = w.csms.calls("StatusNotification")
        assert [call.payload["connectorId"] for call in statuses] == list(range(connectors + 1))
        assert {(call.payload["status"], call.payload["errorCode"]) for call in statuses} == {
            ("Available", "NoError")
        }


async def test_rule_15_after_a_reconnect_the_current_status_is_said_once_and_no_history(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", 100_000))
        w.start(connectors=2)
        await trio.sleep(10)
        w.csms.refuse = lambda identity: "refused"
        await w.csms.latest.drop()
        await trio.sleep(300)
        w.csms.refuse = lambda identity: None
        w.csms.received.clear()
        await trio.sleep(600)

        assert [call.payload["connectorId"] for call in w.csms.calls()] == [0, 1, 2]


async def test_a_status_without_an_answer_does_not_hold_up_the_next(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("StatusNotification", SILENCE, Answer(error="InternalError"), Answer(payload={}))
        w.start(connectors=2, call_timeout=10.0)
        await trio.sleep(20)

        assert w.csms.times("StatusNotification") == [0.0, 10.0, 10.0]
        statuses = w.numbers("StatusNotification")
        assert (statuses.timeout, statuses.callerror, statuses.accepted) == (1, 1, 1)
        assert statuses.response.total == pytest.approx(30.0)


async def test_statuses_that_the_connection_did_not_last_for_are_skipped(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("StatusNotification", Answer(drop=1001))
        w.csms.refuse = lambda identity: "refused" if w.csms.connections else None
        w.start(connectors=4)
        await trio.sleep(100)

        statuses = w.numbers("StatusNotification")
        assert (statuses.planned, statuses.connection_lost, statuses.skipped_offline) == (5, 1, 4)


async def test_statuses_that_wait_at_the_end_are_waiting_with_their_wait(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("StatusNotification", SILENCE)
        w.start(connectors=4)
        await trio.sleep(10)
        w.charge_points[0].give_up()
        w.charge_points[0].stop()
        await trio.testing.wait_all_tasks_blocked()

        statuses = w.numbers("StatusNotification")
        assert (statuses.planned, statuses.open_at_end, statuses.waiting_at_end) == (5, 1, 4)
        assert statuses.response.total == pytest.approx(50.0)


async def test_no_status_falls_due_after_the_charge_point_was_stopped(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Accepted", delay=10.0))
        w.start(connectors=4)
        await trio.sleep(5)
        w.charge_points[0].stop()
        await trio.sleep(20)

        assert w.numbers("BootNotification").accepted == 1
        assert w.numbers("StatusNotification").planned == 0
        assert w.counted("connections.closed") == 1
