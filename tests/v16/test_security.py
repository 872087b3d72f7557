"""The security extension: events, and certificates over the wire (white paper on security)."""

from __future__ import annotations

import subprocess
import sys

import pytest
import trio
from cryptography import x509
from trio.testing import MockClock

from loadsim.charge_point.distribution import fixed
from loadsim.charge_point.settings import STANDARD_PROFILES, BootData, HardwareSettings
from loadsim.v16.security import report_security_event
from tests.support import WALL, Answer, boot, wall_clock, world
from tests.v16.authorities import root
from tests.v16.secured import (
    MAKER,
    OPERATOR,
    PROFILES,
    events,
    online,
    order,
    trigger,
    trust,
    update,
)
from tests.v16.sessions import PUNCTUAL

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


async def test_rule_44_a_power_loss_is_told_of_once_the_charge_point_is_back_with_its_time(
    autojump_clock: MockClock,
) -> None:
    hardware = HardwareSettings(power_losses=1 / 3600, power_loss_lasts=fixed(60.0))
    async with world(**PUNCTUAL) as w:
        await online(w, hardware=hardware)
        while len(w.csms.calls("BootNotification")) < 2:  # noqa: ASYNC110 - nothing tells
            await trio.sleep(1)
        await trio.sleep(1)

        lost_at = w.csms.connections[0].ended_at
        assert lost_at is not None
        assert events(w) == ["StartupOfTheDevice", "ResetOrReboot", "StartupOfTheDevice"]
        told = w.csms.calls("SecurityEventNotification")[1]
        assert told.payload == {
            "type": "ResetOrReboot",
            "timestamp": wall_clock(lost_at),
            "techInfo": "power loss",
        }
        assert told.at >= lost_at + 60
        assert w.counted("hardware.power_losses") == 1


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
