"""Every action in both directions, over real sockets, with central systems that share no code with loadsim.

What the peers of `tests.peers` validate is held against the OCA's schemas by PyPI `ocpp` and by npm `ocpp-rpc` in
its strict mode. One run with each, both at a time; the tests look at what came of them.
"""

from __future__ import annotations

import json
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.file_servers import Files, Handler, http_server
from tests.network import questions, questions_of_upkeep
from tests.network.questions_of_upkeep import VERSION
from tests.network.running import Run, books_balance, run
from tests.network.steps import FROM_CENTRAL_SYSTEM, FROM_CHARGE_POINT, Step, includes
from tests.peers import start
from tests.v16.authorities import DAY, Held, root

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

ASKED = {"every": 2, "reset": 2, "update": 2, "secure": 2, "bare": 2, "late": 2}
COUNT = sum(ASKED.values()) + 10
MEASURANDS = "Energy.Active.Import.Register,Energy.Active.Import.Interval,Power.Active.Import,Power.Offered,SoC"
SCENARIO = f"""
version: 1
name: every-action
seed: 5
csms: {{url: "${{CSMS_URL}}", call_timeout: 20s}}
id_tags:
  drivers: {{count: 100, pattern: "DRV{{n:04}}"}}
  stolen: {{count: 10, pattern: "BLK{{n:04}}", expect: Blocked}}
  revoked: {{count: 10, pattern: "INV{{n:04}}"}}
sessions:
  hasty:
    tags: {{drivers: 80%, stolen: 10%, revoked: 10%}}
    plugged_in: 1s..4s
    energy: 40Wh..400Wh
    no_show: 5%
    other_tag: 20%
  by_app: {{start: {{remote: 100%}}, plugged_in: 2s..4s, energy: 40Wh..400Wh}}
  parked: {{tags: {{drivers: 100%}}, plugged_in: 1h, energy: 70kWh}}
fleets:
  card:
    count: 6
    connectors: 2
    power: 150kW
    boot:
      {{vendor: Acme, model: DC, firmware: "1.0.0", serial: "S-{{id}}", box_serial: "B-{{id}}", iccid: "8931",
        imsi: "204", meter_type: dual, meter_serial: "M-{{id}}"}}
    heartbeat: {{every: 2s, regardless_of_traffic: true}}
    authorize: 600/h
    data_transfer: {{rate: 600/h, message: beat, size: 300B}}
    session: hasty
    configuration:
      {{ConnectionTimeOut: 3, MeterValueSampleInterval: 1, MeterValuesSampledData: "{MEASURANDS}",
        ClockAlignedDataInterval: 5, StopTxnSampledData: "Energy.Active.Import.Register,SoC"}}
    hardware:
      {{faults: 300/h, fault_lasts: 500ms..1s, codes: {{GroundFailure: 50%, OtherError: 50%}}, power_losses: 60/h,
        power_loss_lasts: 300ms..600ms, ev_disconnects: 1800/h}}
    reconnect: {{first: 200ms, factor: 1, max: 200ms, jitter: 0%}}
  app:
    count: 4
    connectors: 2
    power: 150kW
    session: by_app
    configuration: {{MeterValueSampleInterval: 1}}
    data_transfer: {{rate: 600/h, vendor: org.example, size: 0B}}
  every: {{count: {ASKED["every"]}, connectors: 8, power: 100kW}}
  reset: {{count: {ASKED["reset"]}, connectors: 2, power: 50kW, session: parked, reboot: 200ms..400ms}}
  update:
    count: {ASKED["update"]}
    power: 50kW
    session: parked
    reboot: 200ms..400ms
    boot: {{firmware: "1.0.0"}}
    firmware: {{download: 200ms..300ms, install: 200ms..300ms}}
    diagnostics: {{upload: 200ms..300ms}}
  secure:
    count: {ASKED["secure"]}
    connectors: 2
    profiles: [Core, FirmwareManagement, LocalAuthListManagement, Reservation, SmartCharging, RemoteTrigger, Security]
    reboot: 200ms..400ms
    firmware: {{download: 200ms..300ms, install: 200ms..300ms}}
    diagnostics: {{upload: 200ms..300ms}}
  bare: {{count: {ASKED["bare"]}, profiles: [Core]}}
  late: {{count: {ASKED["late"]}, connectors: 2}}
stages:
  - {{name: ramp, for: 1s, online: 100%}}
  - {{name: busy, for: 17s, sessions: {{card: 5400/h, app: 3600/h, reset: 3600/h, update: 3600/h}}, jump: true}}
  - {{name: calm, for: 6s, sessions: 0/h, jump: true}}
"""
NAMES = ["pypi_central", "ocpp_rpc_central"]
FIRMWARE = b"firmware" * 1000
NOT_REFUSED = {"Accepted", "AcceptedCanceled", "Scheduled", "RebootRequired", "Unlocked", "answered"}


@dataclass(frozen=True)
class Authorities:
    """Root certificates that are valid now: charge points set their clocks by the central system's."""

    operator: Held
    maker: Held
    stranger: Held

    @classmethod
    def made(cls) -> Authorities:
        now = datetime.now(UTC)
        return cls(*(root(name, begins=now - DAY, ends=now + DAY) for name in ("operator", "maker", "stranger")))


def scripts(files: str, authorities: Authorities) -> dict[str, list[Step]]:
    """Write what the charge points of each fleet are asked, with firmware and logs on a server at *files*."""
    operator, maker, stranger = authorities.operator, authorities.maker, authorities.stranger
    return {
        "every": [
            *questions.CONFIGURATION,
            *questions.LOCAL_LIST,
            *questions.TRIGGERS,
            *questions.RESERVATIONS,
            *questions.TRANSACTIONS,
        ],
        "reset": questions.RESETS,
        "update": questions_of_upkeep.updates(files),
        "secure": questions_of_upkeep.security(files, FIRMWARE, operator, maker, stranger),
        "bare": questions_of_upkeep.of_profiles_switched_off(maker),
        "late": questions.LATE,
    }


def serve(operator: Held, handler: Handler) -> bool:
    """Sign what is asked to be signed, and forbid what is forbidden; the rest is the server's affair."""
    path, _, request = handler.path.partition("?")
    if path.startswith("/forbidden/"):
        return handler.say(403)
    if path != "/sign":
        return False
    csr = x509.load_pem_x509_csr(urllib.parse.unquote(request).encode())
    assert csr.is_signature_valid
    (common_name,) = csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    (organization,) = csr.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    now = datetime.now(UTC)
    signed = operator.issue(
        str(common_name.value),
        organization=str(organization.value),
        key=csr.public_key(),
        begins=now - DAY,
        ends=now + DAY,
    )
    return handler.say(200, signed.pem.encode())


@dataclass(frozen=True)
class Outcome:
    """A run with a peer, the peer's own record, and the server that files went to and came from."""

    run: Run
    record: Any
    files: Files
    steps: dict[str, list[Step]]

    @property
    def summary(self) -> Any:
        return self.run.summary


def attempt(name: str, folder: Path, authorities: Authorities) -> Outcome:
    with http_server() as files:
        steps = scripts(files.url, authorities)
        files.files[f"/firmware-{VERSION}.bin"] = FIRMWARE
        files.answer = partial(serve, authorities.operator)
        plan = {
            "scripts": {fleet: [step.as_json() for step in asked] for fleet, asked in steps.items()},
            "pending": "late",
            "remote_start": "app",
            "sign_at": f"{files.url}sign",
        }
        path = folder / f"{name}.json"
        path.write_text(json.dumps(plan), encoding="utf-8")
        with start(name, "--interval", "300", "--ask-all", str(path)) as peer:
            return Outcome(run(SCENARIO, folder, url=peer.url), peer.finish(), files, steps)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcome]]]:
    folder, authorities = tmp_path_factory.mktemp("every"), Authorities.made()
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(attempt, name, folder, authorities) for name in NAMES}


@pytest.fixture(params=NAMES)
def outcome(request: pytest.FixtureRequest, outcomes: dict[str, Future[Outcome]]) -> Outcome:
    ended = outcomes[request.param].result(280)
    ended.run.check()
    return ended


def test_what_is_asked_is_answered_as_ocpp_prescribes(outcome: Outcome) -> None:
    assert outcome.record["missed"] == {}
    assert len(outcome.record["finished"]) == sum(ASKED.values())
    for fleet, count in ASKED.items():
        steps = [step for step in outcome.steps[fleet] if step.send]
        for n in range(count):
            answers = outcome.record["answers"][f"{fleet}-{n + 1:05}"]
            told = [(action, status) for action, status, _ in answers]
            assert told == [(step.send, step.outcome) for step in steps]
            if n == 0:  # the names of files are those of the first
                for step, (_, _, answer) in zip(steps, answers, strict=True):
                    assert includes(answer, step.answer), (step, answer)
                    assert not set(step.lacks) & set(answer), (step, answer)


def test_every_action_went_over_the_wire_in_its_direction(outcome: Outcome) -> None:
    assert set(outcome.record["received"]) == FROM_CHARGE_POINT
    assert set(outcome.record["asked"]) == FROM_CENTRAL_SYSTEM
    assert len(FROM_CHARGE_POINT | FROM_CENTRAL_SYSTEM) == 39
    for action, statuses in outcome.record["asked"].items():
        assert set(statuses) & NOT_REFUSED or action == "DataTransfer", f"{action} was refused always: {statuses}"


def test_neither_side_found_a_fault_with_what_the_other_sent(outcome: Outcome) -> None:
    summary = outcome.summary
    errors = Counter[str]()
    for of in summary["actions"].values():
        errors += Counter(of["errors"])

    assert outcome.record["errors"] == {"count": 0, "texts": []}
    books_balance(summary["actions"])
    # A charge point that is reset, or loses its power, leaves its open call, and its answer may be under way.
    abrupt = summary["reboots"]["HardReset"] + summary["reboots"]["PowerLoss"]
    assert errors["connection_lost"] == errors.total() <= abrupt
    assert summary["strays"]["late"] == sum(summary["strays"].values()) <= errors["connection_lost"]
    assert summary["connections"]["lost"] == 0
    assert outcome.record["closes"] == {"none": abrupt, "1000": summary["connections"]["opened"] - abrupt}
    assert Counter(example["cause"] for example in outcome.run.examples if example["what"] == "transfer") == {
        "failed": 2 * ASKED["update"],  # HTTP 404, and one try more
        "permission_denied": ASKED["secure"],
    }


def test_both_sides_count_the_same_calls(outcome: Outcome) -> None:
    summary, record = outcome.summary, outcome.record
    actions, commands = summary["actions"], summary["commands"]

    assert {name: of["sent"] for name, of in actions.items()} == record["received"]
    rejected = {name: of["rejected"] for name, of in actions.items() if of["rejected"]}
    assert rejected == record["refused"]
    assert actions["BootNotification"]["pending"] == ASKED["late"]
    asked = record["asked"]
    assert {name: of["received"] for name, of in commands.items()} == {
        name: sum(statuses.values()) for name, statuses in asked.items()
    }
    assert {name: of["refused"] for name, of in commands.items()} == {
        name: sum(n for status, n in statuses.items() if status not in NOT_REFUSED)
        for name, statuses in asked.items()
    }
    assert {of["ignored"] for of in commands.values()} == {0}
    assert record["booted"] == summary["charge_points"]["booted"] == COUNT
    assert record["connections"]["opened"] == summary["connections"]["opened"]


def test_no_transaction_is_lost_or_doubled_and_its_energy_is_the_meters(outcome: Outcome) -> None:
    summary, told = outcome.summary, outcome.record["transactions"]
    own = summary["transactions"]

    assert told["started"] == own["started"] == own["begun"] > 20
    assert told["stopped"] == own["stopped"]
    assert told["open"] == own["undelivered"] + own["open"]
    assert (own["lost"], own["doubled"]) == (0, 0)
    assert told["energy_wh"] == summary["energy_wh"]["stopped"] > 1000
    wrong = ("repeated_starts", "repeated_stops", "unknown_stops", "unknown_values", "backwards")
    assert {what: told[what] for what in wrong} == dict.fromkeys(wrong, 0)
    assert told["reserved"] == ASKED["every"]
    assert told["with_data"] > 5


def test_transactions_end_for_every_reason_there_was(outcome: Outcome) -> None:
    reasons = outcome.record["transactions"]["reasons"]

    assert set(reasons) >= {
        "DeAuthorized",
        "EVDisconnected",
        "HardReset",
        "Other",
        "Remote",
        "SoftReset",
        "UnlockCommand",
        "none",
    }
    assert reasons["UnlockCommand"] == ASKED["every"]
    assert reasons["Remote"] == ASKED["every"] + ASKED["update"] + ASKED["bare"]


def test_drivers_whom_the_central_system_starts_all_charge(outcome: Outcome) -> None:
    accepted = outcome.record["asked"]["RemoteStartTransaction"]["Accepted"]
    sessions = outcome.summary["sessions"]
    by_script = sum(
        action == "RemoteStartTransaction" and status == "Accepted"
        for answers in outcome.record["answers"].values()
        for action, status, _ in answers
    )

    assert sessions["remote_starts"] == accepted - ASKED["every"]  # one tag each is Blocked
    assert accepted - by_script > 10
    assert sessions["no_remote_start"] == 0


def test_files_really_went_to_and_fro(outcome: Outcome) -> None:
    requests = Counter(outcome.files.requests)

    updates = ASKED["update"] + 2 * ASKED["secure"]  # one with a wrong signature
    assert requests[f"GET /firmware-{VERSION}.bin"] == updates
    assert requests["GET /none.bin"] == 2 * ASKED["update"]  # and one try more
    sent = {name: content for name, content in outcome.files.files.items() if content != FIRMWARE}
    for n in range(ASKED["update"]):
        assert len(sent[f"/diagnostics/diagnostics-update_{n + 1:05}-1.log"]) == 16_384
    for n in range(ASKED["secure"]):
        assert b"StartupOfTheDevice" in sent[f"/logs/security-secure_{n + 1:05}-1.log"]
        assert f"/logs/diagnostics-secure_{n + 1:05}-2.log" in sent
    assert len(sent) == ASKED["update"] + 2 * ASKED["secure"]
