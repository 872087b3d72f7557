"""Updates of the firmware (OCPP 1.6, sections 4.5 and 5.19; errata 3.47 to 3.49)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import FirmwareSettings, SessionSettings
from loadsim.v16.firmware import firmware_version, version_in
from loadsim.v16.transfers import picked
from tests.file_servers import http_server
from tests.support import Answer, World, fake_csms, in_virtual_time, make_context, wall_clock, world
from tests.v16.sessions import PUNCTUAL, statuses_of

TEN_SECONDS = FirmwareSettings(download=fixed(10.0), install=fixed(20.0))
HOUR = SessionSettings(plugged_in=fixed(3600.0), energy=fixed(100_000.0))
LOCATION = "http://firmware.test.example/ac22-2.5.0.bin"
SEQUENCE = ["Downloading", "Downloaded", "Installing", "Installed"]


async def online(w: World, **chosen: Any) -> ChargePoint:
    return await w.online(**{"firmware": TEN_SECONDS, "reboot": fixed(5.0), **chosen})


async def update(w: World, at: float = 0.0, **more: Any) -> Any:
    request = {"location": LOCATION, "retrieveDate": wall_clock(at), **more}
    return await w.csms.latest.order("UpdateFirmware", request)


def said(w: World, identity: str | None = None) -> list[str]:
    return [call.payload["status"] for call in w.csms.calls("FirmwareStatusNotification", identity)]


async def until(w: World, status: str) -> None:
    """Wait for a status, in real time."""
    with trio.fail_after(10):
        while status not in said(w):  # noqa: ASYNC110 - the CSMS of the tests wakes nobody
            await trio.sleep(0.02)


def told_at(w: World) -> dict[str, float]:
    return {call.payload["status"]: round(call.at, 3) for call in w.csms.calls("FirmwareStatusNotification")}


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


async def test_a_reset_does_not_stop_an_update(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, reboot=fixed(2.0))
        await update(w)
        await trio.sleep(5)
        await w.csms.latest.order("Reset", {"type": "Hard"})
        await trio.sleep(100)

        assert said(w) == SEQUENCE
        assert len(w.csms.calls("BootNotification")) == 3


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


# A fleet.


async def campaign(seed: int, members: Sequence[int]) -> dict[int, str]:
    """Update charge points *members* of a fleet of 20; return how each ended."""
    chosen = FirmwareSettings(download=fixed(1.0), install=fixed(1.0), download_failures=0.1, install_failures=0.25)
    async with fake_csms(**PUNCTUAL) as csms, trio.open_nursery() as nursery:
        w = World(nursery, csms, make_context(csms, seed=seed))
        for n in members:
            charge_point = w.make(n, firmware=chosen, reboot=fixed(1.0))
            charge_point.fleet_size = 20
            w.live(charge_point)
        await trio.testing.wait_all_tasks_blocked()
        for connection in csms.connections:
            await connection.order("UpdateFirmware", {"location": LOCATION, "retrieveDate": wall_clock(0.0)})
        await trio.sleep(60)
        ended = {n: said(w, f"CP{n}")[-1] for n in members}
        await w.end()
    return ended


async def test_shares_of_failures_are_exact_and_do_not_depend_on_the_number_of_workers(
    autojump_clock: MockClock,
) -> None:
    whole = await campaign(42, range(20))
    halves = {**await campaign(42, range(0, 20, 2)), **await campaign(42, range(1, 20, 2))}

    outcomes = list(whole.values())
    assert [outcomes.count(status) for status in ("DownloadFailed", "InstallationFailed", "Installed")] == [2, 5, 13]
    assert halves == whole
    assert await campaign(43, range(20)) != whole


async def test_others_fail_at_the_next_campaign(autojump_clock: MockClock) -> None:
    async with world() as w:

        def failing(number: int) -> set[int]:
            return {n for n in range(200) if picked(fleet[n], f"firmware {number}", 0.1) is not None}

        fleet = [w.make(n) for n in range(200)]
        for charge_point in fleet:
            charge_point.fleet_size = 200

        assert len(failing(1)) == len(failing(2)) == 20
        assert len(failing(1) & failing(2)) < 10


# Real transfers: real time, and a server on loopback.


@pytest.mark.network
@pytest.mark.timeout(30)
async def test_firmware_on_loopback_is_really_downloaded() -> None:
    with http_server() as server:
        server.files["/ac22-2.5.0.bin"] = bytes(1_000_000)
        async with world(**PUNCTUAL) as w:
            await online(w, firmware=FirmwareSettings(install=fixed(0.05)), reboot=fixed(0.05))
            await update(w, location=server.url + "ac22-2.5.0.bin")
            await until(w, "Installed")

            assert said(w) == SEQUENCE
            assert server.requests == ["GET /ac22-2.5.0.bin"]


@pytest.mark.network
@pytest.mark.timeout(30)
async def test_a_real_download_that_fails_is_shown_as_an_example_without_its_password() -> None:
    with http_server() as server:
        async with world(**PUNCTUAL) as w:
            await online(w)
            await update(w, location=server.url.replace("//", "//me:secret@") + "no.bin", retries=1, retryInterval=0)
            await until(w, "DownloadFailed")

            assert server.requests == ["GET /no.bin"] * 2
            assert w.counted("transfers.failed") == 2
            assert [(each.what, each.cause) for each in w.examples] == [("transfer", "failed")] * 2
            assert "HTTP 404" in w.examples[0].detail
            assert "secret" not in w.examples[0].detail


@pytest.mark.network
@pytest.mark.timeout(30)
async def test_a_failure_that_the_scenario_wants_does_not_ask_the_server() -> None:
    with http_server() as server:
        server.files["/fw.bin"] = b"firmware"
        async with world(**PUNCTUAL) as w:
            await online(w, firmware=FirmwareSettings(download=fixed(0.05), download_failures=1.0))
            await update(w, location=server.url + "fw.bin")
            await until(w, "DownloadFailed")

            assert server.requests == []


# Whatever happens.

FOLLOWING = {
    "": {"Downloading"},
    "Downloading": {"Downloading", "Downloaded", "DownloadFailed"},
    "Downloaded": {"Downloading", "Installing"},
    "DownloadFailed": {"Downloading"},
    "Installing": {"InstallationFailed", "Installed"},
    "InstallationFailed": {"Downloading"},
    "Installed": {"Downloading"},
}
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["update", "later", "start", "stop", "reset", "inoperative", "operative", "unlock"]),
        st.floats(0, 120),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0]))
def test_whatever_happens_meanwhile_the_statuses_follow_each_other_and_connectors_are_left_free(
    events: list[tuple[str, float]], download_failures: float, install_failures: float
) -> None:
    async def happen() -> None:
        chosen = FirmwareSettings(
            download=fixed(10.0),
            install=fixed(20.0),
            download_failures=download_failures,
            install_failures=install_failures,
        )
        async with world(**PUNCTUAL) as w:
            charge_point = await online(w, connectors=2, session=HOUR, firmware=chosen)
            for event, seconds in events:
                if charge_point.linked:
                    await order(w, event)
                await trio.sleep(seconds)
            await trio.sleep(2 * 3600)
            await w.csms.latest.order("ChangeAvailability", {"connectorId": 0, "type": "Operative"})
            await trio.sleep(60)

            before = ""
            for status in said(w):
                # A charge point that was away says only how it is at last.
                assert status in FOLLOWING[before] or "reset" in dict(events)
                before = status
            assert before in ("", "DownloadFailed", "InstallationFailed", "Installed")
            assert [statuses_of(w.csms, number)[-1] for number in range(3)] == ["Available"] * 3

    in_virtual_time(happen)


async def order(w: World, event: str) -> None:
    payloads: dict[str, tuple[str, dict[str, Any]]] = {
        "update": ("UpdateFirmware", {"location": LOCATION, "retrieveDate": wall_clock(0.0)}),
        "later": ("UpdateFirmware", {"location": LOCATION, "retrieveDate": wall_clock(trio.current_time() + 60)}),
        "start": ("RemoteStartTransaction", {"idTag": "T"}),
        "stop": ("RemoteStopTransaction", {"transactionId": len(w.csms.calls("StartTransaction"))}),
        "reset": ("Reset", {"type": "Soft"}),
        "inoperative": ("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}),
        "operative": ("ChangeAvailability", {"connectorId": 0, "type": "Operative"}),
        "unlock": ("UnlockConnector", {"connectorId": 1}),
    }
    with trio.move_on_after(30):  # the connection may go before the answer comes
        await w.csms.latest.order(*payloads[event])


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 60), st.booleans(), st.sampled_from([0.0, 3.0, 40.0]))
def test_the_books_close_whenever_the_run_ends(at: float, offline: bool, delay: float) -> None:
    async def happen() -> None:
        slow = Answer(payload={}, delay=delay)
        async with world(**PUNCTUAL, FirmwareStatusNotification=slow, DiagnosticsStatusNotification=slow) as w:
            await online(w, connectors=2)
            await update(w)
            await w.csms.latest.order("GetDiagnostics", {"location": "ftp://logs.test.example/"})
            await trio.sleep(at / 2)
            if offline:
                w.csms.refuse = lambda identity: "refused"
                await w.csms.latest.drop()
            await trio.sleep(at / 2)

    in_virtual_time(happen)
