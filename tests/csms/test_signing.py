"""SignCertificate over real sockets: the answer first, then CertificateSigned, and the count of both."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography import x509

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.context import Clock, Context, Throttle
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.csms.calling import Answered
from loadsim.csms.options import ServerOptions
from loadsim.csms.record import describe
from loadsim.csms.server import Server
from loadsim.link.websocket import Endpoint, WebSocketConnector
from loadsim.metrics.recorder import Recorder
from loadsim.scenario.plan import ON_BOOT, EmbeddedCsms, PlannedCall
from loadsim.v16.dialect import V16
from tests.csms.operating import operating
from tests.csms.peer import Peer, connected, running
from tests.csms.test_authority import csr, posix
from tests.v16.secured import PROFILES

pytestmark = pytest.mark.network

CHAIN = "certificateChain"
TRUST = PlannedCall(name="trust", send="InstallCertificate", on=ON_BOOT)
RENEW = PlannedCall(
    name="renew",
    send="ExtendedTriggerMessage",
    payload={"requestedMessage": "SignChargePointCertificate"},
    on=ON_BOOT,
    after=(0.1, 0.1),
)


def counts(server: Server) -> Any:
    return server.record()["certificates"]


async def until_told(server: Server, **expected: int) -> None:
    """Wait until what became of certificates is what is expected."""
    while any(counts(server)[name] != count for name, count in expected.items()):  # noqa: ASYNC110 - nothing tells
        await trio.sleep(0.01)


async def certificate_for(peer: Peer, status: str | None = "Accepted") -> x509.Certificate:
    """Ask for a certificate, wait for it, and answer it with *status*, None: not at all."""
    assert await peer.ask("SignCertificate", {"csr": csr()}) == {"status": "Accepted"}
    kind, message_id, action, payload = await peer.receive()
    assert (kind, action) == (2, "CertificateSigned")
    if status is not None:
        await peer.websocket.send_message(json.dumps([3, message_id, {"status": status}]))
    return x509.load_pem_x509_certificate(payload[CHAIN].encode())


async def test_the_certificate_follows_the_answer_and_is_by_the_authority_that_is_shown() -> None:
    async with running() as server, connected(server, boot=True) as peer:
        certificate = await certificate_for(peer)
        await until_told(server, accepted=1)

        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(server.authority().encode()))
        assert counts(server) == {"signed": 1, "accepted": 1, "rejected": 0, "unanswered": 0, "refused": {}}
        assert server.record()["calls"]["CertificateSigned"]["answered"] == 1


async def test_with_a_latency_the_certificate_follows_the_answer_all_the_same() -> None:
    async with running(latency=(0.05, 0.05)) as server, connected(server, boot=True) as peer:
        await certificate_for(peer)
        await until_told(server, accepted=1)


async def test_a_request_that_is_none_is_rejected_and_told_with_its_reason() -> None:
    async with running() as server, connected(server, boot=True) as peer:
        assert await peer.ask("SignCertificate", {"csr": "nonsense"}) == {"status": "Rejected"}
        assert await peer.ask("Heartbeat", {})

        assert counts(server) == {
            "signed": 0,
            "accepted": 0,
            "rejected": 0,
            "unanswered": 0,
            "refused": {"it is no PKCS #10 request in PEM": 1},
        }
        assert server.record()["actions"]["SignCertificate"]["refused"] == {"Rejected": 1}
        lines = list(describe(server.record()))
        assert "certificates   refused: it is no PKCS #10 request in PEM 1" in lines


async def test_a_certificate_that_the_charge_point_rejects_or_says_nothing_about_is_counted() -> None:
    async with running() as server:
        async with connected(server, boot=True) as peer:
            await certificate_for(peer, "Rejected")
            await until_told(server, rejected=1)
        async with connected(server) as peer:
            await certificate_for(peer, None)
        await until_told(server, signed=2)

        assert counts(server) == {"signed": 2, "accepted": 0, "rejected": 1, "unanswered": 1, "refused": {}}
        assert "certificates   signed 2, rejected 1, unanswered 1" in list(describe(server.record()))


async def test_a_certificate_for_a_charge_point_that_has_gone_is_not_answered() -> None:
    async with running(latency=(0.2, 0.2)) as server:
        async with connected(server, boot=True) as peer:
            await peer.websocket.send_message(json.dumps([2, "1", "SignCertificate", {"csr": csr()}]))
        await trio.sleep(0.4)

        assert counts(server)["signed"] == counts(server)["unanswered"] == 0  # it was never answered either


async def test_two_at_a_time_each_get_their_own() -> None:
    async with running(latency=(0.0, 0.05)) as server, trio.open_nursery() as nursery:

        async def ask(path: str) -> None:
            async with connected(server, path, boot=True) as peer:
                for _ in range(5):
                    await certificate_for(peer)

        for n in range(10):
            nursery.start_soon(ask, f"/CP{n}")
        await until_told(server, accepted=50)


async def test_without_cryptography_every_request_is_rejected_with_that_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "loadsim.csms.authority", None)
    async with running() as server, connected(server, boot=True) as peer, operating(server) as operator:
        assert await peer.ask("SignCertificate", {"csr": csr()}) == {"status": "Rejected"}
        status, content = await operator.ask("GET", "/authority.pem")

        assert (status, content["error"]["code"]) == (503, "NoAuthority")
        assert counts(server)["refused"] == {"there is no authority: cryptography is not installed": 1}


# The authority.


async def test_an_operator_gets_the_authority_s_certificate_as_it_is() -> None:
    async with running() as server, operating(server) as operator:
        head, _, body = (
            await operator.say(b"GET /authority.pem HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        ).partition(b"\r\n\r\n")

        assert b"application/x-pem-file" in head
        assert body.decode() == server.authority()
        assert (await operator.ask("POST", "/authority.pem"))[0] == 405


async def test_with_a_database_the_authority_survives_a_restart(tmp_path: Path) -> None:
    options = ServerOptions(db=str(tmp_path / "csms.db"))
    found = []
    for _ in range(2):
        async with running(options) as server:
            found.append(server.authority())

    assert found[0] == found[1]
    assert (tmp_path / "csms.db.authority.pem").is_file()


@pytest.mark.parametrize(("plan", "made"), [((TRUST,), True), ((RENEW,), True), ((), False)])
async def test_a_plan_that_needs_the_authority_has_it_made_before_the_run(
    tmp_path: Path, plan: tuple[PlannedCall, ...], made: bool
) -> None:
    options = ServerOptions(db=str(tmp_path / "csms.db"), behaviour=EmbeddedCsms(calls=plan), hold_calls=True)
    async with running(options):
        assert (tmp_path / "csms.db.authority.pem").exists() == made


async def test_nothing_is_written_before_a_certificate_is_asked_for(tmp_path: Path) -> None:
    async with running(ServerOptions(db=str(tmp_path / "csms.db"))) as server, connected(server, boot=True) as peer:
        assert await peer.ask("Heartbeat", {})

    assert os.listdir(tmp_path) == []  # noqa: PTH208 - a Path would block


@posix
async def test_an_authority_that_cannot_be_used_signs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "csms.db.authority.pem"
    path.write_text("nonsense")
    path.chmod(0o644)
    async with running(ServerOptions(db=str(tmp_path / "csms.db"))) as server, connected(server, boot=True) as peer:
        assert await peer.ask("SignCertificate", {"csr": csr()}) == {"status": "Rejected"}
        (reason,) = counts(server)["refused"]

        assert "others may read the private key" in reason
        assert str(tmp_path) not in reason
        assert path.read_text() == "nonsense"


# Loadsim's own charge points.


@asynccontextmanager
async def charging_points(server: Server, *names: str) -> AsyncIterator[list[ChargePoint]]:
    """Connect charge points with the Security profile."""
    context = Context(
        recorder=Recorder(),
        clock=Clock(datetime.now(UTC)),
        connector=WebSocketConnector(Endpoint(f"{server.url}/{{id}}")),
        throttle=Throttle(None, 100),
        stage_at=lambda _: 0,
        seed=1,
    )
    async with trio.open_nursery() as nursery:
        made = [
            ChargePoint(context, V16, ChargePointSettings(profiles=PROFILES), identity=each, number=n, n=n)
            for n, each in enumerate(names)
        ]
        for charge_point in made:
            nursery.start_soon(charge_point.live)
        while context.states["online"] < len(made):  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.01)
        yield made
        nursery.cancel_scope.cancel()


def own_certificate(charge_point: ChargePoint) -> x509.Certificate:
    held = charge_point.memory.certificates._own
    assert isinstance(held, x509.Certificate)
    return held


async def test_rule_44_a_charge_point_that_is_triggered_ends_up_with_a_certificate() -> None:
    async with running() as server, charging_points(server, "CP1") as (charge_point,):
        root = {"certificateType": "CentralSystemRootCertificate", "certificate": server.authority()}
        for action, payload in (("InstallCertificate", root), (RENEW.send, RENEW.payload)):
            outcome = await server.call("CP1", action, payload)
            assert isinstance(outcome, Answered)
            assert outcome.response.status == "Accepted"
        await until_told(server, accepted=1)

        certificate = own_certificate(charge_point)
        assert [each.value for each in certificate.subject] == ["CP1", "loadsim"]
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(server.authority().encode()))
        assert server.record()["security_events"] == 1  # that it has started up, and nothing is wrong


async def test_a_charge_point_that_does_not_trust_the_authority_rejects_its_certificate() -> None:
    async with running() as server, charging_points(server, "CP1"):
        await server.call("CP1", RENEW.send, RENEW.payload)
        await until_told(server, rejected=1)

        while server.record()["security_events"] < 2:  # noqa: ASYNC110 - InvalidChargePointCertificate
            await trio.sleep(0.01)


async def test_a_plan_of_two_calls_gives_a_fleet_its_certificates() -> None:
    options = ServerOptions(behaviour=EmbeddedCsms(calls=(TRUST, RENEW)))
    names = [f"CP{n}" for n in range(8)]
    async with running(options) as server, charging_points(server, *names) as charge_points:
        await until_told(server, accepted=8)

        serials = {own_certificate(charge_point).serial_number for charge_point in charge_points}
        assert len(serials) == 8
        planned = server.record()["planned_calls"]
        assert [planned[name]["called"] for name in ("trust", "renew")] == [8, 8]


async def test_a_plan_that_needs_an_authority_where_there_is_none_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "loadsim.csms.authority", None)
    async with running(calls=(TRUST,)) as server, connected(server, boot=True) as peer:
        assert await peer.ask("Heartbeat", {})
        await trio.sleep(0.05)

        assert server.record()["planned_calls"]["trust"]["invalid"] == 1
