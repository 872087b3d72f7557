"""Updates of the firmware and uploads when the charge point goes down meanwhile (OCPP 1.6, section 5.14)."""

from __future__ import annotations

import threading
from typing import Final

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import SECURITY_PROFILE, STANDARD_PROFILES, DiagnosticsSettings, FirmwareSettings
from loadsim.v16.reset import reboot
from tests.file_servers import Handler, http_server
from tests.support import Answer, World, boot, in_virtual_time, wall_clock, world
from tests.v16 import secured
from tests.v16.sessions import PUNCTUAL, statuses_of
from tests.v16.updates import HOUR, SEQUENCE, online, said, told_at, until, update

DOWNS: Final = ("hard", "soft", "power")
SLOW_LOGS: Final = DiagnosticsSettings(upload=fixed(60.0))
LOGS: Final = "ftp://logs.test.example/"


async def go_down(w: World, charge_point: ChargePoint, how: str) -> None:
    """Have a charge point, whose ``reboot`` is 5 s, be away for as long."""
    if how == "power":
        await reboot(charge_point, "PowerLoss", abrupt=True, away=5.0)
    else:
        await w.csms.latest.order("Reset", {"type": how.capitalize()})


def booted_at(w: World) -> list[float]:
    return w.csms.times("BootNotification")


def versions(w: World) -> list[str | None]:
    return [call.payload.get("firmwareVersion") for call in w.csms.calls("BootNotification")]


@pytest.mark.parametrize("how", DOWNS)
async def test_a_download_that_is_cut_off_has_failed_which_is_said_after_the_boot(
    autojump_clock: MockClock, how: str
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w)
        await update(w, retries=3)
        await trio.sleep(9)
        await go_down(w, charge_point, how)
        await trio.sleep(500)

        assert said(w) == ["Downloading", "DownloadFailed"]
        assert told_at(w)["DownloadFailed"] == pytest.approx(booted_at(w)[1], abs=0.01)
        assert (w.counted("transfers.failed"), w.counted("transfers.ok")) == (1, 0)
        assert versions(w) == [None, None]


@pytest.mark.parametrize("how", DOWNS)
async def test_a_download_that_is_to_be_tried_again_is_not_after_a_reboot(
    autojump_clock: MockClock, how: str
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w, firmware=FirmwareSettings(download=fixed(10.0), download_failures=1.0))
        await update(w, retries=3, retryInterval=100)
        await trio.sleep(50)
        await go_down(w, charge_point, how)
        await trio.sleep(1000)

        assert said(w) == ["Downloading", "DownloadFailed"]
        assert told_at(w)["DownloadFailed"] == pytest.approx(booted_at(w)[1], abs=0.01)
        assert w.counted("transfers.failed") == 1


@pytest.mark.parametrize("how", DOWNS)
async def test_an_installation_that_is_cut_off_has_failed_and_the_connectors_are_free_again(
    autojump_clock: MockClock, how: str
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w)
        await update(w)
        await trio.sleep(25)
        await go_down(w, charge_point, how)
        await trio.sleep(500)

        assert said(w) == ["Downloading", "Downloaded", "Installing", "InstallationFailed"]
        assert told_at(w)["InstallationFailed"] == pytest.approx(booted_at(w)[1], abs=0.01)
        assert versions(w) == [None, None]
        assert statuses_of(w.csms, 1)[-1] == "Available"
        assert w.counted("reboots.Reboot") == 0

        await update(w)
        await trio.sleep(500)
        assert said(w)[4:] == SEQUENCE


async def test_an_installation_does_not_shorten_a_power_loss(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w)
        await update(w)
        await trio.sleep(15)
        await reboot(charge_point, "PowerLoss", abrupt=True, away=300.0)
        await trio.sleep(500)

        assert booted_at(w) == [0.0, 315.0]


@pytest.mark.parametrize("how", DOWNS)
async def test_uploads_that_are_cut_off_have_failed_which_is_said_after_the_boot(
    autojump_clock: MockClock, how: str
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await begin_uploads(w)
        await trio.sleep(20)
        await go_down(w, charge_point, how)
        await trio.sleep(500)

        diagnostics, logs = uploads_said(w)
        assert [status for _, status in diagnostics] == ["Uploading", "UploadFailed"]
        assert [status for _, status in logs] == ["Uploading", "UploadFailure"]
        assert min(diagnostics[-1][0], logs[-1][0]) >= booted_at(w)[1]
        assert w.counted("transfers.failed") == 2


async def test_the_reboot_of_an_update_cuts_uploads_off(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, diagnostics=SLOW_LOGS)
        await update(w)
        await w.csms.latest.order("GetDiagnostics", {"location": LOGS})
        await trio.sleep(500)

        assert said(w) == SEQUENCE
        diagnostics, _ = uploads_said(w)
        assert diagnostics == [(0.0, "Uploading"), (pytest.approx(booted_at(w)[1], abs=0.01), "UploadFailed")]


async def test_an_upload_that_comes_after_the_boot_is_another_one(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await begin_uploads(w)
        await trio.sleep(20)
        await go_down(w, charge_point, "hard")
        await trio.sleep(20)
        await w.csms.latest.order("GetDiagnostics", {"location": LOGS})
        await trio.sleep(100)

        diagnostics, _ = uploads_said(w)
        assert [status for _, status in diagnostics] == ["Uploading", "UploadFailed", "Uploading", "Uploaded"]


async def begin_uploads(w: World) -> ChargePoint:
    profiles = (*STANDARD_PROFILES, SECURITY_PROFILE)
    charge_point = await w.online(diagnostics=SLOW_LOGS, profiles=profiles, reboot=fixed(5.0))
    await w.csms.latest.order("GetDiagnostics", {"location": LOGS})
    log = {"logType": "DiagnosticsLog", "requestId": 1, "log": {"remoteLocation": LOGS}}
    await w.csms.latest.order("GetLog", log)
    return charge_point


def uploads_said(w: World) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """Return when what was said of diagnostics, and of logs."""
    diagnostics, logs = (
        [(call.at, call.payload["status"]) for call in w.csms.calls(f"{kind}StatusNotification")]
        for kind in ("Diagnostics", "Log")
    )
    return diagnostics, logs


# Updates that wait go on.


async def test_an_update_whose_date_comes_while_there_is_no_power_begins_after_the_boot(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w)
        await update(w, at=100.0)
        await trio.sleep(50)
        await reboot(charge_point, "PowerLoss", abrupt=True, away=200.0)
        await trio.sleep(500)

        assert said(w) == SEQUENCE
        assert booted_at(w)[1] == 250.0
        assert told_at(w)["Downloading"] == pytest.approx(250.0, abs=0.01)
        assert told_at(w)["Downloaded"] == pytest.approx(260.0, abs=0.01)


async def test_an_update_whose_date_is_after_the_boot_keeps_it(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w)
        await update(w, at=400.0)
        await trio.sleep(50)
        await reboot(charge_point, "PowerLoss", abrupt=True, away=200.0)
        await trio.sleep(500)

        assert said(w) == SEQUENCE
        assert told_at(w)["Downloading"] == pytest.approx(400.0, abs=0.01)


@pytest.mark.parametrize(("date", "installs_at"), [(100.0, 250.0), (400.0, 400.0)])
async def test_an_update_that_waits_for_its_installation_is_remembered(
    autojump_clock: MockClock, date: float, installs_at: float
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await secured.online(w)
        await secured.trust(w, secured.MANUFACTURER, secured.MAKER)
        await secured.update(w, installDateTime=wall_clock(date))
        await trio.sleep(50)
        await reboot(charge_point, "PowerLoss", abrupt=True, away=200.0)
        await trio.sleep(500)

        assert secured.said(w) == [*secured.DOWNLOAD, "InstallScheduled", *secured.INSTALL]
        assert secured.told_at(w)["Installing"] == pytest.approx(installs_at, abs=0.1)


async def test_an_update_that_waits_for_a_transaction_is_installed_after_the_boot_that_ended_it(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w, session=HOUR)
        await w.csms.latest.order("RemoteStartTransaction", {"connectorId": 1, "idTag": "T"})
        await trio.sleep(60)
        await update(w)
        await trio.sleep(60)
        assert said(w) == ["Downloading", "Downloaded"]
        await reboot(charge_point, "PowerLoss", abrupt=True, away=200.0)
        await trio.sleep(4000)

        assert said(w) == SEQUENCE
        assert told_at(w)["Installing"] >= booted_at(w)[1] == pytest.approx(320.0, abs=0.1)
        assert w.csms.calls("StopTransaction")[0].payload["reason"] == "PowerLoss"
        assert statuses_of(w.csms, 1)[-1] == "Available"


async def test_an_update_that_comes_while_a_reboot_has_begun_waits_for_its_boot_and_the_newest_wins(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL, StopTransaction=Answer(payload={}, delay=20.0)) as w:
        await online(w, session=HOUR)
        await w.csms.latest.order("RemoteStartTransaction", {"connectorId": 1, "idTag": "T"})
        await trio.sleep(60)
        await w.csms.latest.order("Reset", {"type": "Soft"})
        await trio.sleep(1)
        for version in ("3.0", "3.1", "3.2"):
            await update(w, location=f"http://firmware.test.example/ac22-{version}.bin")
        await trio.sleep(6000)

        assert said(w) == SEQUENCE
        assert told_at(w)["Downloading"] == pytest.approx(booted_at(w)[1], abs=0.01)
        assert versions(w) == [None, None, "3.2"]


async def test_an_update_goes_on_while_the_boot_is_pending(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w)
        await update(w, at=30.0)
        w.csms.answers("BootNotification", boot("Pending", 1000, current_time=wall_clock(15.0)), boot("Accepted"))
        await trio.sleep(10)
        await go_down(w, charge_point, "power")
        await trio.sleep(500)

        assert versions(w) == [None, None, "2.5.0"]
        assert booted_at(w)[2] < 200  # the interval was not over
        assert said(w)[-1] == "Installed"


async def test_an_installation_that_ends_while_a_reset_waits_for_its_stops_is_rebooted_by_the_reset(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL, StopTransaction=Answer(payload={}, delay=28.0)) as w:
        await online(w, session=HOUR)
        await w.csms.latest.order("RemoteStartTransaction", {"connectorId": 1, "idTag": "T"})
        await trio.sleep(60)
        await update(w)
        await trio.sleep(60)
        await w.csms.latest.order("RemoteStopTransaction", {"transactionId": 1})
        await trio.sleep(15)
        await w.csms.latest.order("Reset", {"type": "Soft"})
        await trio.sleep(500)

        assert said(w) == SEQUENCE
        assert w.csms.connections[0].ended_at == pytest.approx(148.0, abs=0.1)  # the installation ended at 140
        assert booted_at(w) == [0.0, pytest.approx(153.0, abs=0.1)]
        assert versions(w) == [None, "2.5.0"]
        assert told_at(w)["Installed"] == pytest.approx(booted_at(w)[1], abs=0.01)
        assert (w.counted("reboots.SoftReset"), w.counted("reboots.Reboot")) == (1, 0)


# Real transfers: real time, and a server on loopback.


@pytest.mark.network
@pytest.mark.timeout(30)
async def test_a_real_download_is_cut_off() -> None:
    let_go = threading.Event()

    def stall(handler: Handler) -> bool:
        let_go.wait(20)
        return handler.say(200, b"firmware")

    with http_server() as server:
        server.answer = stall
        async with world(**PUNCTUAL) as w:
            charge_point = await online(w, reboot=fixed(0.05))
            await update(w, location=server.url + "ac22-2.5.0.bin")
            with trio.fail_after(10):
                while not server.requests:  # noqa: ASYNC110 - the server is a thread
                    await trio.sleep(0.02)
            await reboot(charge_point, "PowerLoss", abrupt=True, away=0.05)
            await until(w, "DownloadFailed")
            let_go.set()
            await trio.sleep(0.2)

            assert said(w) == ["Downloading", "DownloadFailed"]
            assert w.counted("transfers.ok") == 0


# Whenever it happens.


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(DOWNS),
    st.floats(0.001, 90),
    st.floats(0, 60),
    st.sampled_from([0.0, 25.0]),
)
def test_whenever_a_charge_point_goes_down_its_update_ends_once_and_the_version_says_how(
    how: str, at: float, retrieve_at: float, delay: float
) -> None:
    async def happen() -> None:
        async with world(**PUNCTUAL) as w:
            charge_point = await online(w)
            if delay:
                w.csms.answers("FirmwareStatusNotification", Answer(payload={}, delay=delay))
            await update(w, at=retrieve_at)
            await trio.sleep_until(at)
            down = charge_point.linked
            if down:
                with trio.move_on_after(5):
                    await go_down(w, charge_point, how)
            await trio.sleep(1000)

            ended = said(w)[-1]
            assert ended in ("DownloadFailed", "InstallationFailed", "Installed")
            assert versions(w)[-1] == ("2.5.0" if ended == "Installed" else None)
            assert len({"DownloadFailed", "InstallationFailed", "Installed"} & {*said(w)}) == 1
            assert statuses_of(w.csms, 1)[-1] == "Available"
            # Nothing happens between hanging up and the boot: the next connection begins with it.
            for number in range(1, len(w.csms.connections)):
                first = next(call for call in w.csms.calls() if call.connection == number)
                assert first.action == "BootNotification"

    in_virtual_time(happen)
