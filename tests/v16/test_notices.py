"""What the CSMS is to know although there is no connection now."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.outbox import Outbox
from loadsim.v16.messages.firmware import FirmwareStatusNotificationRequest
from loadsim.v16.messages.security import SecurityEventNotificationRequest
from loadsim.v16.reset import reboot
from loadsim.v16.upkeep.notices import FirmwareNotice, SecurityNotice, announce
from tests.support import SILENCE, Answer, wall_clock, world
from tests.v16.sessions import PUNCTUAL

DOWNLOADING = FirmwareStatusNotificationRequest(status="Downloading")
DOWNLOADED = FirmwareStatusNotificationRequest(status="Downloaded")


async def test_notices_survive_the_connection_and_wait_in_their_order(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point, outbox = w.make(), Outbox()
        notices = [FirmwareNotice(charge_point, DOWNLOADING, number) for number in range(3)]
        for notice in notices:
            outbox.put(notice)

        assert outbox.drop_others() == []
        assert list(outbox.others) == notices


async def test_what_waits_says_the_latest_of_the_same_and_leaves_others_alone(autojump_clock: MockClock) -> None:
    event = SecurityEventNotificationRequest(type="ResetOrReboot", timestamp=wall_clock(0.0))
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.csms.refuse = lambda identity: "refused" if trio.current_time() < 50 else None
        await w.csms.latest.drop()
        await trio.sleep(1)
        for notice in (
            FirmwareNotice(charge_point, DOWNLOADING, 1),
            SecurityNotice(charge_point, event),
            FirmwareNotice(charge_point, DOWNLOADED, 1),
            FirmwareNotice(charge_point, DOWNLOADING, 2),
            SecurityNotice(charge_point, event),
        ):
            announce(charge_point, notice)
        await trio.sleep(100)

        said = [(call.action, call.payload.get("status")) for call in w.csms.received if "Boot" not in call.action]
        assert [each for each in said if each[0] != "StatusNotification"] == [
            ("SecurityEventNotification", None),
            ("FirmwareStatusNotification", "Downloaded"),
            ("FirmwareStatusNotification", "Downloading"),
            ("SecurityEventNotification", None),
        ]
        numbers = w.numbers("FirmwareStatusNotification")
        assert (numbers.accepted, numbers.skipped_offline) == (2, 1)


async def test_news_that_comes_while_the_answer_is_under_way_is_said_after_it(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(call_timeout=100.0, reboot=fixed(5.0))
        w.csms.answers("FirmwareStatusNotification", Answer(payload={}, delay=40.0), Answer(payload={}))
        announce(charge_point, FirmwareNotice(charge_point, DOWNLOADING, 1))
        await trio.sleep(1)
        await reboot(
            charge_point, "SoftReset"
        )  # waits 30 s for what is in the outbox, and is not accepted after that
        announce(charge_point, FirmwareNotice(charge_point, DOWNLOADED, 1))
        await trio.sleep(100)

        calls = w.csms.calls("FirmwareStatusNotification")
        assert [call.payload["status"] for call in calls] == ["Downloading", "Downloaded"]
        numbers = w.numbers("FirmwareStatusNotification")
        assert (numbers.planned, numbers.accepted, numbers.skipped_offline) == (2, 2, 0)


async def test_of_what_was_said_slowly_when_the_connection_broke_only_the_last_is_said(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.csms.answers("FirmwareStatusNotification", SILENCE, Answer(payload={}))
        for status in ("Downloading", "Downloaded", "Installing"):
            request = FirmwareStatusNotificationRequest(status=status)
            announce(charge_point, FirmwareNotice(charge_point, request, 1))
        await trio.sleep(1)
        await w.csms.latest.drop()
        await trio.sleep(1)
        request = FirmwareStatusNotificationRequest(status="InstallationFailed")
        announce(charge_point, FirmwareNotice(charge_point, request, 1))
        await trio.sleep(100)

        calls = w.csms.calls("FirmwareStatusNotification")
        assert [call.payload["status"] for call in calls] == ["Downloading", "InstallationFailed"]
        numbers = w.numbers("FirmwareStatusNotification")
        assert (numbers.connection_lost, numbers.accepted, numbers.skipped_offline) == (1, 1, 3)


async def test_a_notice_that_is_not_answered_is_not_said_again(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(call_timeout=10.0)
        w.csms.answers("FirmwareStatusNotification", SILENCE, Answer(payload={}))
        announce(charge_point, FirmwareNotice(charge_point, DOWNLOADING, 1))
        await trio.sleep(600)

        assert len(w.csms.calls("FirmwareStatusNotification")) == 1
        assert w.numbers("FirmwareStatusNotification").timeout == 1
