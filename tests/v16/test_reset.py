"""Resets (OCPP 1.6, section 5.14): the answer goes first, whatever else the charge point is saying."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from tests.support import world


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
async def test_rule_27_a_reset_is_answered_before_the_charge_point_hangs_up(
    kind: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world() as w:
        await w.online(reboot=fixed(5.0))
        transport = w.csms.latest.client
        send = transport.send

        async def slowly(text: str | bytes) -> None:
            await trio.sleep(1)  # behind what another task is sending
            await send(text)

        monkeypatch.setattr(transport, "send", slowly)
        with trio.fail_after(100):
            assert await w.csms.latest.order("Reset", {"type": kind}) == {"status": "Accepted"}
        await trio.sleep(100)

        assert len(w.csms.calls("BootNotification")) == 2
        assert w.counted(f"reboots.{kind}Reset") == 1


async def test_a_reset_whose_answer_cannot_be_sent_is_none(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(reboot=fixed(5.0))
        connection = w.csms.latest
        connection.client.blocked = True  # as TCP does when nobody reads
        assert await connection.send('[2,"x","Reset",{"type":"Hard"}]')
        await trio.sleep(1)
        await connection.drop()
        await trio.sleep(100)

        assert len(w.csms.connections) == 2
        assert len(w.csms.calls("BootNotification")) == 1
        assert w.counted("reboots.HardReset") == 0
