"""The security extension: events, certificates over the wire, signed firmware (white paper on security)."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import trio
from cryptography import x509
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import (
    SECURITY_PROFILE,
    STANDARD_PROFILES,
    BootData,
    FirmwareSettings,
    SessionSettings,
)
from loadsim.v16.security import report_security_event
from tests.file_servers import http_server
from tests.support import WALL, Answer, World, boot, wall_clock, world
from tests.v16.authorities import DAY, Held, root
from tests.v16.sessions import PUNCTUAL, statuses_of

PROFILES = (*STANDARD_PROFILES, SECURITY_PROFILE)
OPERATOR = {"certificateType": "CentralSystemRootCertificate"}
MAKER = {"certificateType": "ManufacturerRootCertificate"}
MANUFACTURER = root("maker")
SIGNER = MANUFACTURER.issue("signer")
FIRMWARE = b"firmware" * 10_000
LOCATION = "http://firmware.test.example/ac22-2.5.0.bin"
DOWNLOAD = ["Downloading", "Downloaded", "SignatureVerified"]
INSTALL = ["Installing", "InstallRebooting", "Installed"]


async def online(w: World, **chosen: Any) -> ChargePoint:
    firmware = FirmwareSettings(download=fixed(10.0), install=fixed(20.0))
    return await w.online(**{"profiles": PROFILES, "firmware": firmware, "reboot": fixed(5.0), **chosen})


async def order(w: World, action: str, **payload: Any) -> Any:
    return await w.csms.latest.order(action, payload)


async def trust(w: World, held: Held, use: dict[str, str]) -> None:
    assert await order(w, "InstallCertificate", certificate=held.pem, **use) == {"status": "Accepted"}


async def update(w: World, request_id: int = 1, *, signer: Held = SIGNER, more: Any = None, **firmware: Any) -> Any:
    described = {
        "location": LOCATION,
        "retrieveDateTime": wall_clock(0.0),
        "signingCertificate": signer.pem,
        "signature": signer.sign(FIRMWARE),
        **firmware,
    }
    return (await order(w, "SignedUpdateFirmware", requestId=request_id, firmware=described, **(more or {})))[
        "status"
    ]


async def trigger(w: World, kind: str, **more: Any) -> Any:
    answer = await order(w, "ExtendedTriggerMessage", requestedMessage=kind, **more)
    await trio.sleep(0.1)
    return answer["status"]


def said(w: World, request_id: int | None = 1) -> list[str]:
    calls = w.csms.calls("SignedFirmwareStatusNotification")
    return [call.payload["status"] for call in calls if call.payload.get("requestId") == request_id]


def told_at(w: World) -> dict[str, float]:
    return {call.payload["status"]: call.at for call in w.csms.calls("SignedFirmwareStatusNotification")}


def events(w: World) -> list[str]:
    return [call.payload["type"] for call in w.csms.calls("SecurityEventNotification")]


# Events.


async def test_rule_44_starting_up_is_a_security_event_and_a_reconnect_is_none(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await w.csms.latest.drop()
        await trio.sleep(60)
        assert events(w) == ["StartupOfTheDevice"]
        await order(w, "Reset", type="Soft")
        await trio.sleep(60)

        assert events(w) == ["StartupOfTheDevice", "ResetOrReboot", "StartupOfTheDevice"]
        assert w.csms.calls("SecurityEventNotification")[1].payload == {
            "type": "ResetOrReboot",
            "timestamp": wall_clock(60.0),
            "techInfo": "Soft reset by the central system",
        }


async def test_firmware_that_boots_at_every_reconnect_does_not_start_up_there(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, boot_on_reconnect=True)
        await w.csms.latest.drop()
        await trio.sleep(60)

        assert len(w.csms.calls("BootNotification")) == 2
        assert events(w) == ["StartupOfTheDevice"]


async def test_rule_44_events_of_which_the_csms_could_not_hear_are_told_later_with_their_time(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w)
        w.csms.refuse = lambda identity: "refused" if trio.current_time() < 100 else None
        await w.csms.latest.drop()
        await trio.sleep(20)
        report_security_event(charge_point, "ResetOrReboot")
        await trio.sleep(20)
        report_security_event(charge_point, "FirmwareUpdated")
        await trio.sleep(200)

        calls = w.csms.calls("SecurityEventNotification")[1:]
        assert [(call.payload["type"], call.payload["timestamp"]) for call in calls] == [
            ("ResetOrReboot", wall_clock(20.0)),
            ("FirmwareUpdated", wall_clock(40.0)),
        ]
        assert all(call.at > 100 for call in calls)
        assert w.numbers("SecurityEventNotification").accepted == 3


async def test_an_event_is_not_told_before_the_boot_is_accepted(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Pending", 60), boot("Accepted", current_time=wall_clock(60.0)))
        charge_point = await online(w)
        report_security_event(charge_point, "ResetOrReboot")
        await trio.sleep(30)
        assert events(w) == []
        await trio.sleep(60)

        assert events(w) == ["ResetOrReboot", "StartupOfTheDevice"]


async def test_an_event_that_is_not_critical_is_only_logged(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w)
        report_security_event(charge_point, "InvalidMessages")
        await trio.sleep(60)

        assert events(w) == ["StartupOfTheDevice"]


async def test_without_the_profile_there_are_no_events_and_rule_44_nothing_is_known_of_it(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w, profiles=STANDARD_PROFILES)
        report_security_event(charge_point, "ResetOrReboot")
        request = {"requestedMessage": "SignChargePointCertificate"}
        kind, code, *_ = await w.csms.latest.ask("ExtendedTriggerMessage", request)
        await trio.sleep(60)

        assert (kind, code) == (4, "NotImplemented")
        assert events(w) == []


async def test_a_clock_that_is_set_is_an_event_where_it_makes_a_difference(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers(
            "Heartbeat",
            lambda call: Answer(payload={"currentTime": wall_clock(call.at + 3)}),
            lambda call: Answer(payload={"currentTime": wall_clock(call.at + 3600)}),
        )
        w.csms.answers("BootNotification", boot("Accepted", 100))
        await online(w)
        await trio.sleep(250)

        assert events(w) == ["StartupOfTheDevice", "SettingSystemTime"]


async def test_a_long_explanation_is_cut(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await online(w)
        report_security_event(charge_point, "FirmwareUpdated", "x" * 1000)
        await trio.sleep(1)

        assert w.csms.calls("SecurityEventNotification")[1].payload["techInfo"] == "x" * 255


# Certificates.


async def test_rule_44_roots_are_installed_told_and_deleted(autojump_clock: MockClock) -> None:
    authority = root()
    async with world(**PUNCTUAL) as w:
        await online(w)
        assert await order(w, "GetInstalledCertificateIds", **OPERATOR) == {"status": "NotFound"}
        await trust(w, authority, OPERATOR)
        answer = await order(w, "GetInstalledCertificateIds", **OPERATOR)
        assert await order(w, "GetInstalledCertificateIds", **MAKER) == {"status": "NotFound"}
        (data,) = answer["certificateHashData"]
        assert data["serialNumber"] == f"{authority.certificate.serial_number:X}"
        assert await order(w, "DeleteCertificate", certificateHashData=data) == {"status": "Accepted"}
        assert await order(w, "DeleteCertificate", certificateHashData=data) == {"status": "NotFound"}
        assert await order(w, "GetInstalledCertificateIds", **OPERATOR) == {"status": "NotFound"}


async def test_a_root_is_rejected_when_it_is_none_has_expired_or_there_is_no_room(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w, configuration={"CertificateStoreMaxLength": "1"})
        for pem in ("nonsense", root(ends=WALL).pem):
            assert await order(w, "InstallCertificate", certificate=pem, **MAKER) == {"status": "Rejected"}
        await trust(w, root(), MAKER)
        assert await order(w, "InstallCertificate", certificate=root().pem, **MAKER) == {"status": "Rejected"}


@pytest.mark.parametrize(("serial", "name"), [("SN-{id}", "SN-CP0"), (None, "CP0")])
async def test_rule_44_a_charge_point_gets_its_certificate(
    autojump_clock: MockClock, serial: str | None, name: str
) -> None:
    authority = root()
    async with world(**PUNCTUAL) as w:
        await online(w, boot=BootData(serial=serial), configuration={"CpoName": "Volts Ltd"})
        await trust(w, authority, OPERATOR)
        assert await trigger(w, "SignChargePointCertificate") == "Accepted"
        (call,) = w.csms.calls("SignCertificate")
        csr = x509.load_pem_x509_csr(call.payload["csr"].encode())
        assert [attribute.value for attribute in csr.subject] == [name, "Volts Ltd"]

        held = authority.issue(name, key=csr.public_key(), organization="Volts Ltd")
        assert await order(w, "CertificateSigned", certificateChain=held.pem) == {"status": "Accepted"}
        assert events(w) == ["StartupOfTheDevice"]


async def test_a_certificate_that_is_not_the_charge_points_is_rejected_and_an_event(
    autojump_clock: MockClock,
) -> None:
    authority = root()
    async with world(**PUNCTUAL) as w:
        await online(w)
        await trust(w, authority, OPERATOR)
        await trigger(w, "SignChargePointCertificate")
        answer = await order(w, "CertificateSigned", certificateChain=authority.issue("CP0").pem)
        assert answer == {"status": "Rejected"}
        await trio.sleep(1)

        assert events(w) == ["StartupOfTheDevice", "InvalidChargePointCertificate"]


async def test_a_chain_longer_than_the_charge_point_takes_is_rejected(autojump_clock: MockClock) -> None:
    authority = root()
    async with world(**PUNCTUAL) as w:
        await online(w, configuration={"CertificateSignedMaxChainSize": "100"})
        await trust(w, authority, OPERATOR)
        await trigger(w, "SignChargePointCertificate")
        csr = x509.load_pem_x509_csr(w.csms.calls("SignCertificate")[0].payload["csr"].encode())
        held = authority.issue("CP0", key=csr.public_key())

        assert await order(w, "CertificateSigned", certificateChain=held.pem) == {"status": "Rejected"}


async def test_without_an_operators_name_no_certificate_is_asked_for(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        await order(w, "ChangeConfiguration", key="CpoName", value="")

        assert await trigger(w, "SignChargePointCertificate") == "Rejected"
        assert w.csms.calls("SignCertificate") == []


async def test_a_request_that_is_refused_is_counted(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL, SignCertificate=Answer(payload={"status": "Rejected"})) as w:
        await online(w)
        await trigger(w, "SignChargePointCertificate")

        assert w.numbers("SignCertificate").rejected == 1


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("Heartbeat", ["Heartbeat"]),
        ("StatusNotification", ["StatusNotification"] * 2),
        ("MeterValues", ["MeterValues"]),
        ("LogStatusNotification", ["LogStatusNotification"]),
        ("FirmwareStatusNotification", ["SignedFirmwareStatusNotification"]),
    ],
)
async def test_rule_44_extended_triggers_send_what_they_name(
    autojump_clock: MockClock, kind: str, sent: list[str]
) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)
        w.csms.received.clear()
        assert await trigger(w, kind) == "Accepted"

        assert [call.action for call in w.csms.received] == sent


async def test_rule_33_a_boot_is_not_triggered_once_accepted_nor_anything_at_a_connector_that_is_not_there(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        await online(w)

        assert await trigger(w, "BootNotification") == "Rejected"
        assert await trigger(w, "StatusNotification", connectorId=9) == "Rejected"


async def test_without_cryptography_nothing_is_accepted_that_needs_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "loadsim.v16.certificates", None)
    async with world(**PUNCTUAL) as w:
        await online(w)
        data = {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": "00",
            "issuerKeyHash": "00",
            "serialNumber": "1",
        }
        assert await order(w, "InstallCertificate", certificate=root().pem, **MAKER) == {"status": "Failed"}
        assert await order(w, "GetInstalledCertificateIds", **MAKER) == {"status": "NotFound"}
        assert await order(w, "DeleteCertificate", certificateHashData=data) == {"status": "NotFound"}
        assert await order(w, "CertificateSigned", certificateChain=root().pem) == {"status": "Rejected"}
        assert await update(w) == "Rejected"
        assert await trigger(w, "SignChargePointCertificate") == "NotImplemented"
        assert await trigger(w, "Heartbeat") == "Accepted"


@pytest.mark.parametrize(("profiles", "imported"), [(STANDARD_PROFILES, False), (PROFILES, True)])
def test_cryptography_is_imported_before_the_run_and_only_where_it_is_needed(
    profiles: tuple[str, ...], imported: bool
) -> None:
    code = (
        "import sys, loadsim.workers.shard_worker\n"
        "from loadsim.dialects import DIALECTS\n"
        "from loadsim.charge_point.settings import ChargePointSettings\n"
        f"DIALECTS['1.6'].prepare(ChargePointSettings(profiles={profiles!r}))\n"
        "sys.exit('cryptography' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == imported


# Signed firmware.


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
