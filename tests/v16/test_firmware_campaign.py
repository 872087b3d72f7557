"""Updates of the firmware: of a whole fleet, really downloaded, and whatever else happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import FirmwareSettings
from loadsim.v16.upkeep.transfers import picked
from tests.file_servers import http_server
from tests.support import Answer, World, fake_csms, in_virtual_time, make_context, wall_clock, world
from tests.v16.sessions import PUNCTUAL, statuses_of
from tests.v16.updates import HOUR, LOCATION, SEQUENCE, online, said, until, update


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
