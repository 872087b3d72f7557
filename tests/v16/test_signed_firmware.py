"""Signed firmware (white paper on security, L01)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import (
    FirmwareSettings,
    SessionSettings,
)
from tests.file_servers import http_server
from tests.support import WALL, wall_clock, world
from tests.v16.authorities import DAY, Held, root
from tests.v16.secured import (
    DOWNLOAD,
    FIRMWARE,
    INSTALL,
    LOCATION,
    MAKER,
    MANUFACTURER,
    events,
    online,
    order,
    said,
    told_at,
    trigger,
    trust,
    update,
)
from tests.v16.sessions import PUNCTUAL, statuses_of


async def test_rule_44_signed_firmware_goes_its_way_step_by_step(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await trust(w, MANUFACTURER, MAKER)
        assert await update(w, 7) == "Accepted"
        await trio.sleep(100)

        assert said(w, 7) == [*DOWNLOAD, *INSTALL]
        assert w.csms.calls("BootNotification")[-1].payload["firmwareVersion"] == "2.5.0"
        assert w.csms.calls("FirmwareStatusNotification") == []
        assert events(w) == ["StartupOfTheDevice", "ResetOrReboot", "FirmwareUpdated", "StartupOfTheDevice"]


async def test_signed_firmware_waits_for_both_its_dates(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await trust(w, MANUFACTURER, MAKER)
        await update(w, retrieveDateTime=wall_clock(100.0), installDateTime=wall_clock(500.0))
        await trio.sleep(1000)

        assert said(w) == ["DownloadScheduled", *DOWNLOAD, "InstallScheduled", *INSTALL]
        assert told_at(w)["Downloading"] == 100.0
        assert told_at(w)["InstallScheduled"] == 110.0
        assert told_at(w)["Installing"] == 500.0


async def test_signed_firmware_waits_for_transactions(autojump_clock: MockClock) -> None:
    session = SessionSettings(plugged_in=fixed(3600.0), energy=fixed(100_000.0))
    async with world(**PUNCTUAL) as w:
        await online(w, connectors=2, session=session)
        await trust(w, MANUFACTURER, MAKER)
        await order(w, "RemoteStartTransaction", connectorId=1, idTag="T")
        await trio.sleep(60)
        await update(w)
        await trio.sleep(300)
        assert said(w) == DOWNLOAD
        assert statuses_of(w.csms, 2)[-1] == "Unavailable"
        await trio.sleep(4000)

        assert said(w) == [*DOWNLOAD, *INSTALL]
        assert told_at(w)["Installing"] >= w.csms.calls("StopTransaction")[0].at
        assert [statuses_of(w.csms, number)[-1] for number in (1, 2)] == ["Available", "Available"]


@pytest.mark.parametrize(
    "signer",
    [
        root("stranger").issue(),
        MANUFACTURER.issue(ends=WALL),
        MANUFACTURER.issue(begins=WALL + DAY, ends=WALL + 2 * DAY),
    ],
    ids=["a stranger's", "expired", "not yet"],
)
async def test_rule_44_a_signing_certificate_that_is_not_good_is_refused_at_once(
    autojump_clock: MockClock, signer: Held
) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await trust(w, MANUFACTURER, MAKER)
        assert await update(w, signer=signer) == "InvalidCertificate"
        await trio.sleep(100)

        assert w.csms.calls("SignedFirmwareStatusNotification") == []
        assert events(w) == ["StartupOfTheDevice", "InvalidFirmwareSigningCertificate"]


async def test_a_signature_that_is_none_is_refused_after_the_download(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await trust(w, MANUFACTURER, MAKER)
        assert await update(w, signature="") == "Accepted"
        await trio.sleep(100)

        assert said(w) == ["Downloading", "Downloaded", "InvalidSignature"]
        assert events(w) == ["StartupOfTheDevice", "InvalidFirmwareSignature"]
        assert statuses_of(w.csms, 1) == ["Available"]


async def test_rule_44_a_newer_update_cancels_one_that_does_not_install_yet(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await trust(w, MANUFACTURER, MAKER)
        await update(w, 1, installDateTime=wall_clock(3600.0))
        await trio.sleep(60)
        assert await update(w, 2) == "AcceptedCanceled"
        await trio.sleep(15)
        assert await update(w, 3) == "Rejected"  # 2 is being installed
        await trio.sleep(4000)

        assert said(w, 1) == [*DOWNLOAD, "InstallScheduled"]
        assert said(w, 2) == [*DOWNLOAD, *INSTALL]
        assert said(w, 3) == []


async def test_downloads_and_installations_of_signed_firmware_fail_as_others_do(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, firmware=FirmwareSettings(download=fixed(1.0), download_failures=1.0))
        await trust(w, MANUFACTURER, MAKER)
        await update(w)
        await trio.sleep(60)
        assert said(w) == ["Downloading", "DownloadFailed"]

    async with world(**PUNCTUAL) as w:
        await online(w, firmware=FirmwareSettings(install=fixed(1.0), install_failures=1.0))
        await trust(w, MANUFACTURER, MAKER)
        await update(w)
        await trio.sleep(200)
        assert said(w) == [*DOWNLOAD, "Installing", "InstallationFailed"]


async def test_rule_44_who_has_the_extension_takes_signed_firmware_only(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        request = {"location": LOCATION, "retrieveDate": wall_clock(0.0)}
        kind, code, *_ = await w.csms.latest.ask("UpdateFirmware", request)
        await trio.sleep(100)

        assert (kind, code) == (4, "NotSupported")
        assert w.csms.calls("FirmwareStatusNotification") == []


async def test_rule_33_triggered_the_last_status_is_said_again_and_after_installed_idle(
    autojump_clock: MockClock,
) -> None:
    async def last() -> Any:
        assert await trigger(w, "FirmwareStatusNotification") == "Accepted"
        return w.csms.calls("SignedFirmwareStatusNotification")[-1].payload

    async with world(**PUNCTUAL) as w:
        await online(w)
        await trust(w, MANUFACTURER, MAKER)
        assert await last() == {"status": "Idle"}
        await update(w, 5, signature="")
        await trio.sleep(5)
        assert await last() == {"status": "Downloading", "requestId": 5}
        await trio.sleep(60)
        assert await last() == {"status": "InvalidSignature", "requestId": 5}
        await update(w, 6)
        await trio.sleep(100)
        assert await last() == {"status": "Idle"}


@pytest.mark.network
@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("content", "ended"), [(FIRMWARE, "Installed"), (FIRMWARE + b"!", "InvalidSignature")], ids=["right", "wrong"]
)
async def test_what_was_really_downloaded_is_really_verified(content: bytes, ended: str) -> None:
    with http_server() as server:
        server.files["/ac22-2.5.0.bin"] = content
        async with world() as w:
            await online(w, firmware=FirmwareSettings(install=fixed(0.05)), reboot=fixed(0.05))
            await trust(w, MANUFACTURER, MAKER)
            past = WALL.isoformat()
            assert await update(w, location=server.url + "ac22-2.5.0.bin", retrieveDateTime=past) == "Accepted"
            with trio.fail_after(10):
                while ended not in said(w):  # noqa: ASYNC110 - the CSMS of the tests wakes nobody
                    await trio.sleep(0.02)

            assert said(w)[:2] == ["Downloading", "Downloaded"]
            assert said(w)[-1] == ended
            assert ("InvalidFirmwareSignature" in events(w)) == (ended == "InvalidSignature")
