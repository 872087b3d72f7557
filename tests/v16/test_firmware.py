"""Updates of the firmware (OCPP 1.6, sections 4.5 and 5.19; errata 3.47 to 3.49)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import FirmwareSettings
from loadsim.v16.upkeep.firmware import firmware_version, version_in
from tests.support import Answer, wall_clock, world
from tests.v16.sessions import PUNCTUAL, statuses_of
from tests.v16.updates import HOUR, SEQUENCE, online, said, told_at, update


async def test_rule_35_firmware_is_retrieved_at_its_date_installed_and_told_of_step_by_step(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        assert await update(w, at=100.0) == {}
        await trio.sleep(300)

        assert said(w) == SEQUENCE
        assert told_at(w) == {"Downloading": 100.0, "Downloaded": 110.0, "Installing": 110.0, "Installed": 135.0}
        assert w.counted("transfers.ok") == 1
        assert w.counted("reboots.Reboot") == 1


async def test_rule_35_the_answer_goes_first(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        w.csms.texts.clear()
        await update(w)
        await trio.sleep(1)

        first, second = (str(text) for _, _, text in w.csms.texts[:2])
        assert first.startswith("[3,")
        assert "Downloading" in second


async def test_rule_35_installed_is_said_after_the_boot_that_shows_the_new_version(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await update(w)
        await trio.sleep(100)

        boots = w.csms.calls("BootNotification")
        assert [boot.payload.get("firmwareVersion") for boot in boots] == [None, "2.5.0"]
        installed = w.csms.calls("FirmwareStatusNotification")[-1]
        assert w.csms.received.index(boots[1]) < w.csms.received.index(installed)


async def test_a_date_is_taken_by_the_clock_of_the_csms(autojump_clock: MockClock) -> None:
    async with world() as w:  # whose clock stands still at the boot
        await trio.sleep(500)
        await online(w)
        await update(w, at=60.0)
        await trio.sleep(100)

        assert told_at(w)["Downloading"] == 560.0


async def test_a_download_that_fails_is_tried_again_as_often_as_the_csms_says(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, firmware=FirmwareSettings(download=fixed(10.0), download_failures=1.0))
        await update(w, retries=2, retryInterval=30)
        await trio.sleep(300)

        assert told_at(w) == {"Downloading": 0.0, "DownloadFailed": 90.0}
        assert w.counted("transfers.failed") == 3
        assert w.counted("reboots.Reboot") == 0


@pytest.mark.parametrize("more", [{"retries": -5, "retryInterval": -5}, {"retries": 10**30, "retryInterval": 0}, {}])
async def test_senseless_tries_end(autojump_clock: MockClock, more: dict[str, int]) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, firmware=FirmwareSettings(download=fixed(0.0), download_failures=1.0))
        await update(w, **more)
        await trio.sleep(1)

        assert said(w) == ["Downloading", "DownloadFailed"]


async def test_a_protocol_that_is_not_supported_fails(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        assert await update(w, location="sftp://firmware.test.example/fw.bin") == {}
        await trio.sleep(100)

        assert said(w) == ["Downloading", "DownloadFailed"]


async def test_an_installation_that_fails_leaves_the_charge_point_as_it_was(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w, connectors=2, firmware=FirmwareSettings(install_failures=1.0))
        await w.csms.latest.order("ChangeAvailability", {"connectorId": 2, "type": "Inoperative"})
        await update(w)
        await trio.sleep(200)

        assert said(w) == ["Downloading", "Downloaded", "Installing", "InstallationFailed"]
        assert statuses_of(w.csms, 1) == ["Available", "Unavailable", "Available"]
        assert statuses_of(w.csms, 2) == ["Available", "Unavailable"]
        assert firmware_version(charge_point) is None
        assert w.counted("reboots.Reboot") == 0


async def test_rule_35_installing_waits_for_transactions_and_lets_none_begin(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, connectors=2, session=HOUR)
        await w.csms.latest.order("RemoteStartTransaction", {"connectorId": 1, "idTag": "T"})
        await trio.sleep(60)
        await update(w)
        await trio.sleep(600)
        refused = await w.csms.latest.order("RemoteStartTransaction", {"connectorId": 2, "idTag": "T"})
        assert refused == {"status": "Rejected"}
        assert said(w) == ["Downloading", "Downloaded"]
        assert statuses_of(w.csms, 2) == ["Available", "Unavailable"]
        await trio.sleep(4000)

        stops = w.csms.times("StopTransaction")
        assert said(w) == SEQUENCE
        assert len(stops) == 1
        assert told_at(w)["Installing"] == pytest.approx(stops[0], abs=0.1)
        assert w.csms.calls("StopTransaction")[0].payload.get("reason", "Local") == "Local"
        assert statuses_of(w.csms, 1)[-3:] == ["Finishing", "Unavailable", "Available"]
        assert statuses_of(w.csms, 2) == ["Available", "Unavailable", "Available"]


async def test_who_is_about_to_charge_is_waited_for(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL, Authorize=Answer(payload={"idTagInfo": {"status": "Accepted"}}, delay=25.0)) as w:
        await online(w, session=HOUR)
        await w.csms.latest.order("RemoteStartTransaction", {"connectorId": 1, "idTag": "T"})
        await update(w)
        await trio.sleep(4000)

        assert said(w) == SEQUENCE
        assert told_at(w)["Installing"] > w.csms.times("StopTransaction")[0] - 1 > 3600


async def test_reserved_connectors_are_reserved_again(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, firmware=FirmwareSettings(install_failures=1.0))
        reservation = {"connectorId": 1, "idTag": "T", "reservationId": 7, "expiryDate": wall_clock(9000.0)}
        assert await w.csms.latest.order("ReserveNow", reservation) == {"status": "Accepted"}
        await update(w)
        await trio.sleep(200)

        assert statuses_of(w.csms, 1)[-3:] == ["Unavailable", "Available", "Reserved"]


async def test_a_newer_update_replaces_one_that_has_not_begun_to_install(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, session=HOUR, connectors=2)
        await w.csms.latest.order("RemoteStartTransaction", {"connectorId": 1, "idTag": "T"})
        await trio.sleep(20)
        await update(w)
        await trio.sleep(60)
        await update(w, at=1000.0, location="http://firmware.test.example/ac22-3.0.bin")
        await trio.sleep(1)
        assert statuses_of(w.csms, 2) == ["Available", "Unavailable", "Available"]  # until it is needed again
        await trio.sleep(6000)

        assert said(w) == ["Downloading", "Downloaded", *SEQUENCE]
        assert w.csms.calls("BootNotification")[-1].payload["firmwareVersion"] == "3.0"


async def test_an_update_that_comes_while_one_is_installed_is_ignored(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await update(w)
        await trio.sleep(15)
        assert await update(w, location="http://firmware.test.example/ac22-3.0.bin") == {}
        await trio.sleep(300)

        assert said(w) == SEQUENCE
        assert w.csms.calls("BootNotification")[-1].payload["firmwareVersion"] == "2.5.0"


async def test_what_happens_offline_is_told_as_it_is_at_last(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, firmware=FirmwareSettings(download=fixed(10.0), install=fixed(1000.0)))
        await update(w)
        await trio.sleep(5)
        w.csms.refuse = lambda identity: "refused" if trio.current_time() < 100 else None
        await w.csms.latest.drop()
        await trio.sleep(300)

        assert said(w) == ["Downloading", "Installing"]
        assert told_at(w)["Installing"] > 100
        numbers = w.numbers("FirmwareStatusNotification")
        assert (numbers.accepted, numbers.skipped_offline) == (2, 1)


async def test_a_status_whose_answer_the_connection_took_along_is_said_again(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        w.csms.answers("FirmwareStatusNotification", Answer(drop=1006), Answer(payload={}))
        await update(w)
        await trio.sleep(100)

        assert said(w) == ["Downloading", *SEQUENCE]


async def test_rule_33_the_status_is_idle_when_triggered_and_nothing_is_under_way(autojump_clock: MockClock) -> None:
    async def trigger() -> str:
        answer = await w.csms.latest.order("TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"})
        assert answer == {"status": "Accepted"}
        await trio.sleep(1)
        return said(w)[-1]

    async with world(**PUNCTUAL) as w:
        await online(w)
        assert await trigger() == "Idle"
        await update(w, at=50.0)
        assert await trigger() == "Idle"
        await trio.sleep_until(55)
        assert await trigger() == "Downloading"
        await trio.sleep_until(65)
        assert await trigger() == "Installing"
        await trio.sleep_until(200)
        assert await trigger() == "Idle"


async def test_a_charge_point_that_is_taken_offline_forgets_its_update(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w, session=HOUR, connectors=2)
        await w.csms.latest.order("RemoteStartTransaction", {"connectorId": 1, "idTag": "T"})
        await trio.sleep(60)
        await update(w)
        await trio.sleep(60)
        charge_point.stop()
        await trio.sleep(60)
        w.live(charge_point)
        await trio.sleep(60)

        assert said(w) == ["Downloading", "Downloaded"]
        assert statuses_of(w.csms, 2)[-1] == "Available"
        await update(w)
        await trio.sleep(100)
        assert said(w)[2:] == SEQUENCE


@pytest.mark.parametrize(
    ("location", "version"),
    [
        ("http://a.test/ac22-2.5.0.bin", "2.5.0"),
        ("http://a.test/2.5.0/ac22.bin", "ac22"),
        ("ftp://a.test/fw_10.20.30.40_final.tar.gz?x=1.2", "10.20.30.40"),
        ("http://a.test/1.5.bin", "1.5"),
        ("http://a.test/v2", "v2"),
        ("http://a.test/a%20b.bin", "a b"),
        ("http://firmware.test/", "firmware"),
        ("http://a.test/.bin", ".bin"),
        ("http://a.test/" + "x" * 90 + ".bin", "x" * 50),
    ],
)
def test_the_version_is_read_from_the_name_of_the_file(location: str, version: str) -> None:
    assert version_in(location) == version
