"""Uploads of diagnostics and logs (OCPP 1.6, sections 4.4 and 5.9; white paper on security, N01)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import SECURITY_PROFILE, STANDARD_PROFILES, DiagnosticsSettings
from loadsim.v16.messages.formats import parse_date_time
from loadsim.v16.upkeep.diagnostics import diagnostics_text
from tests.file_servers import Files, ftp_server, http_server
from tests.support import Answer, World, wall_clock, world
from tests.v16.sessions import PUNCTUAL

LOCATION = "ftp://logs.test.example/"
TEN_SECONDS = DiagnosticsSettings(upload=fixed(10.0))
FAILING = DiagnosticsSettings(upload=fixed(10.0), failures=1.0)


async def online(w: World, **chosen: Any) -> ChargePoint:
    profiles = (*STANDARD_PROFILES, SECURITY_PROFILE)
    return await w.online(**{"diagnostics": TEN_SECONDS, "profiles": profiles, **chosen})


async def get_diagnostics(w: World, location: str = LOCATION, **more: Any) -> Any:
    return await w.csms.latest.order("GetDiagnostics", {"location": location, **more})


async def get_log(
    w: World, request_id: int = 1, kind: str = "DiagnosticsLog", location: str = LOCATION, **log: Any
) -> Any:
    request = {"logType": kind, "requestId": request_id, "log": {"remoteLocation": location, **log}}
    return await w.csms.latest.order("GetLog", request)


def said(w: World) -> list[str]:
    return [call.payload["status"] for call in w.csms.calls("DiagnosticsStatusNotification")]


def said_of_logs(w: World) -> list[tuple[int | None, str]]:
    calls = w.csms.calls("LogStatusNotification")
    return [(call.payload.get("requestId"), call.payload["status"]) for call in calls]


async def until(w: World, status: str) -> None:
    """Wait for a status, in real time."""
    with trio.fail_after(10):
        while status not in said(w) + [each[1] for each in said_of_logs(w)]:  # noqa: ASYNC110
            await trio.sleep(0.02)


# GetDiagnostics.


async def test_rule_36_diagnostics_are_named_uploaded_and_told_of(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, identity=None)
        assert await get_diagnostics(w) == {"fileName": "diagnostics-CP0-1.log"}
        await trio.sleep(60)

        calls = w.csms.calls("DiagnosticsStatusNotification")
        assert [(call.payload["status"], call.at) for call in calls] == [("Uploading", 0.0), ("Uploaded", 10.0)]
        assert w.counted("transfers.ok") == 1


async def test_rule_36_an_upload_that_fails_is_tried_again_as_often_as_the_csms_says(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, diagnostics=FAILING)
        await get_diagnostics(w, retries=2, retryInterval=30)
        await trio.sleep(200)

        calls = w.csms.calls("DiagnosticsStatusNotification")
        assert [(call.payload["status"], call.at) for call in calls] == [("Uploading", 0.0), ("UploadFailed", 90.0)]
        assert w.counted("transfers.failed") == 3


@pytest.mark.parametrize(
    "request_",
    [
        {"location": "sftp://logs.test.example/"},
        {"location": "file:///tmp/"},
        {"startTime": wall_clock(3600.0)},
        {"startTime": wall_clock(-600.0), "stopTime": wall_clock(-1200.0)},
        {"stopTime": wall_clock(-90_000.0)},
    ],
)
async def test_rule_36_where_there_is_nothing_to_upload_or_no_way_there_is_no_file_name(
    autojump_clock: MockClock, request_: dict[str, str]
) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        assert await get_diagnostics(w, **request_) == {}
        await trio.sleep(60)

        assert said(w) == []


async def test_a_newer_request_for_diagnostics_replaces_the_upload_under_way(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await get_diagnostics(w)
        await trio.sleep(5)
        assert await get_diagnostics(w) == {"fileName": "diagnostics-CP0-2.log"}
        await trio.sleep(60)

        assert said(w) == ["Uploading", "Uploading", "Uploaded"]


async def test_a_file_name_is_a_plain_one_whatever_the_identity(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, diagnostics=TEN_SECONDS)
        charge_point = w.charge_points[0]
        charge_point.identity = "../é:" + "x" * 400
        name = (await get_diagnostics(w))["fileName"]

        assert len(name) == 255
        assert name.startswith("diagnostics-_____x")
        assert name.endswith("-1.log")


async def test_the_end_of_an_upload_is_told_after_the_connection_is_back(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await get_diagnostics(w)
        await trio.sleep(5)
        w.csms.refuse = lambda identity: "refused" if trio.current_time() < 100 else None
        await w.csms.latest.drop()
        await trio.sleep(300)

        assert said(w) == ["Uploading", "Uploaded"]
        assert w.csms.times("DiagnosticsStatusNotification")[1] > 100


async def test_rule_33_diagnostics_are_idle_when_triggered_and_none_is_uploaded(autojump_clock: MockClock) -> None:
    trigger = {"requestedMessage": "DiagnosticsStatusNotification"}
    async with world(**PUNCTUAL) as w:
        await online(w)
        await w.csms.latest.order("TriggerMessage", trigger)
        await get_diagnostics(w)
        await trio.sleep(5)
        await w.csms.latest.order("TriggerMessage", trigger)
        await trio.sleep(60)
        await w.csms.latest.order("TriggerMessage", trigger)
        await trio.sleep(1)

        assert said(w) == ["Idle", "Uploading", "Uploading", "Uploaded", "Idle"]


# GetLog.


async def test_rule_44_a_log_is_uploaded_under_the_id_of_its_request(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        assert await get_log(w, 0) == {"status": "Accepted", "filename": "diagnostics-CP0-1.log"}
        await trio.sleep(60)

        assert said_of_logs(w) == [(0, "Uploading"), (0, "Uploaded")]
        assert said(w) == []


async def test_a_newer_request_for_a_log_cancels_the_upload_under_way(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await get_log(w, 1)
        await trio.sleep(5)
        assert (await get_log(w, 2))["status"] == "AcceptedCanceled"
        await trio.sleep(60)
        assert said_of_logs(w) == [(1, "Uploading"), (2, "Uploading"), (2, "Uploaded")]

        assert (await get_log(w, 3))["status"] == "Accepted"


async def test_diagnostics_and_a_log_are_uploaded_side_by_side(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await get_log(w)
        await get_diagnostics(w)
        await trio.sleep(60)

        assert said_of_logs(w) == [(1, "Uploading"), (1, "Uploaded")]
        assert said(w) == ["Uploading", "Uploaded"]


@pytest.mark.parametrize(
    "log",
    [
        {"location": "sftp://logs.test.example/"},
        {"location": "no location at all"},
        {"oldestTimestamp": wall_clock(3600.0)},
        {"kind": "SecurityLog", "oldestTimestamp": wall_clock(3600.0)},
        {"kind": "SecurityLog", "latestTimestamp": wall_clock(-3600.0)},
    ],
)
async def test_a_log_that_is_not_there_or_cannot_be_sent_is_rejected(
    autojump_clock: MockClock, log: dict[str, Any]
) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        assert await get_log(w, **log) == {"status": "Rejected"}
        assert w.counted("commands.GetLog.refused") == 1


async def test_a_log_fails_as_diagnostics_do(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, diagnostics=FAILING)
        await get_log(w)
        await trio.sleep(60)

        assert said_of_logs(w) == [(1, "Uploading"), (1, "UploadFailure")]


async def test_rule_33_logs_are_idle_when_triggered_and_none_is_uploaded(autojump_clock: MockClock) -> None:
    trigger = {"requestedMessage": "LogStatusNotification"}
    async with world(**PUNCTUAL) as w:
        await online(w)
        assert await w.csms.latest.order("ExtendedTriggerMessage", trigger) == {"status": "Accepted"}
        await get_log(w, 7)
        await trio.sleep(5)
        await w.csms.latest.order("ExtendedTriggerMessage", trigger)
        await trio.sleep(60)

        assert said_of_logs(w) == [(None, "Idle"), (7, "Uploading"), (7, "Uploading"), (7, "Uploaded")]


# Real uploads.


@pytest.mark.network
@pytest.mark.timeout(30)
@pytest.mark.parametrize("serve", [http_server, ftp_server])
async def test_diagnostics_are_really_uploaded_to_loopback(serve: Any) -> None:
    with serve() as server:
        assert isinstance(server, Files)
        async with world(**PUNCTUAL) as w:
            await online(w, diagnostics=DiagnosticsSettings(size=5000))
            name = (await get_diagnostics(w, server.url))["fileName"]
            await until(w, "Uploaded")

        (kept,) = server.files
        assert kept.strip("/") == name
        assert len(server.files[kept]) == 5000


@pytest.mark.network
@pytest.mark.timeout(30)
async def test_the_security_log_holds_what_has_happened() -> None:
    with http_server() as server:
        async with world() as w:
            await online(w)
            assert (await get_log(w, 9, "SecurityLog", server.url))["filename"] == "security-CP0-1.log"
            await until(w, "Uploaded")

        lines = server.files["/security-CP0-1.log"].decode().splitlines()
        assert [line.split(" ")[1] for line in lines] == ["StartupOfTheDevice"]
        assert parse_date_time(lines[0].split(" ")[0]).year == 2026


@pytest.mark.network
@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("status", "said_at_last"),
    [(403, "PermissionDenied"), (405, "NotSupportedOperation"), (400, "BadMessage"), (500, "UploadFailure")],
)
async def test_a_log_that_is_not_taken_says_why(status: int, said_at_last: str) -> None:
    with http_server() as server:
        server.answer = lambda handler: handler.say(status)
        async with world(**PUNCTUAL) as w:
            await online(w)
            await get_log(w, location=server.url)
            await until(w, said_at_last)

            assert said_of_logs(w) == [(1, "Uploading"), (1, said_at_last)]


# The file.


@given(st.integers(0, 5000), st.timedeltas(timedelta(0), timedelta(days=2)), st.text(max_size=48))
def test_a_file_has_its_size_and_tells_of_its_time(size: int, took: timedelta, identity: str) -> None:
    begin = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
    content = diagnostics_text(identity, begin, begin + took, size)

    assert len(content) == size
    whole = [line for line in content.split(b"\n")[:-1] if line[:4] == b"2026"]
    times = [parse_date_time(line.split(b" ")[0].decode()) for line in whole]
    assert times == sorted(times)
    assert all(begin <= each <= begin + took for each in times)


def test_a_file_is_the_same_every_time() -> None:
    begin, end = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)

    assert diagnostics_text("CP1", begin, end, 3000) == diagnostics_text("CP1", begin, end, 3000)


async def test_at_a_csms_that_does_not_know_the_message_it_is_said_once(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL, DiagnosticsStatusNotification=Answer(error="NotImplemented")) as w:
        await online(w)
        await get_diagnostics(w)
        await trio.sleep(600)

        assert said(w) == ["Uploading", "Uploaded"]
        assert w.numbers("DiagnosticsStatusNotification").callerror == 2
