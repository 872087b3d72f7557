"""Charge points of other makes against `loadsim csms`: every action in both directions, by their schemas."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.csms.every_action import ASKED, ODD, PEM, SENT
from tests.csms.test_process import DEADLINE, ROOT, pipe
from tests.peers import HERE, node_or_skip
from tests.v16.frames import BY_CHARGE_POINT, BY_CSMS

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(sys.platform == "win32", reason="a console's Ctrl-C cannot be sent to one process"),
]

AFTER_THE_BOOT = [f"{100 * n}ms" for n in range(1, 21)]  # not from the CSMS's start on: a peer may be slow to come
PLAN = (
    """
calls:
"""
    + "".join(
        f'  - {{name: after-{after}, send: ClearCache, on: boot, after: {after}, to: "*ä"}}\n'
        for after in AFTER_THE_BOOT
    )
    + """\
  - {name: at-boot, send: TriggerMessage, on: boot, to: "*ä", with: {requestedMessage: Heartbeat}}
  - {name: in-preparation, send: GetLocalListVersion, on: Preparing, to: "*ä"}
"""
)
IDENTITY = "CP 1/ä"
KEY = ec.generate_private_key(ec.SECP256R1())
SUBJECT = x509.Name(
    [x509.NameAttribute(NameOID.COMMON_NAME, "S-1"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Operator")]
)
REQUEST = x509.CertificateSigningRequestBuilder().subject_name(SUBJECT).sign(KEY, hashes.SHA256())
CALLS = (*SENT, ("SignCertificate", {"csr": REQUEST.public_bytes(Encoding.PEM).decode()}))
ENCODED = "CP%201%2F%C3%A4"


@dataclass(frozen=True)
class Csms:
    """A running `loadsim csms`."""

    url: str
    control: str

    def ask(self, target: str, body: Any = None) -> tuple[int, Any]:
        """Ask the control endpoint."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            self.control + target, content, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as response:  # noqa: S310
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@contextmanager
def csms(folder: Path) -> Iterator[Csms]:
    (folder / "calls.yaml").write_text(PLAN, encoding="utf-8")
    (folder / "tags.csv").write_text("tag,status,parent\nGOOD,Accepted,GROUP\nBAD,Blocked,\n", encoding="utf-8")
    command = [sys.executable, "-m", "loadsim.cli", "csms", "--port", "0", "--control", "127.0.0.1:0"]
    command += ["--calls", str(folder / "calls.yaml"), "--tags", str(folder / "tags.csv"), "--interval", "77s"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as running:
        try:
            errors = pipe(running.stderr)
            url, control = (errors.readline().decode().partition(" on ")[2].split()[0] for _ in range(2))
            yield Csms(url, control)
            running.send_signal(signal.SIGINT)
            assert b"Traceback" not in errors.read()
            running.wait(DEADLINE)
        finally:
            running.kill()


@contextmanager
def charge_point(name: str, url: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    script = {"odd": [text for text, _ in ODD], "calls": CALLS, "answers": {name: each for name, _, each in ASKED}}
    (folder / "script.json").write_text(json.dumps(script), encoding="utf-8")
    command = {
        "pypi": [sys.executable, str(Path(__file__).with_name("pypi_charge_point.py"))],
        "npm": [node_or_skip(), str(HERE / "ocpp_rpc_charge_point.mjs")] if name == "npm" else [],
    }[name]
    with subprocess.Popen(
        [*command, url, str(folder / "script.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        try:
            line = pipe(running.stdout).readline()
            assert line, pipe(running.stderr).read().decode()
            assert json.loads(line) == {"ready": True}
            yield running
        finally:
            running.kill()


@dataclass(frozen=True)
class Outcome:
    """What the charge point says in the end, what the CSMS does, and how each order by hand went."""

    report: dict[str, Any]
    record: dict[str, Any]
    ordered: list[tuple[int, Any]]
    known: list[Any]


@pytest.fixture(scope="module", params=["pypi", "npm"])
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("peer")
    with csms(folder) as central:
        with charge_point(request.param, f"{central.url}/ocpp/{ENCODED}", folder) as running:
            orders = [{"action": action, "payload": payload} for action, payload, _ in ASKED]
            ordered = [central.ask(f"/charge-points/{ENCODED}/calls", order) for order in orders]
            known = central.ask("/charge-points")[1]
            until_the_plan_is_over(central)
            output, errors = running.communicate(b"\n", timeout=DEADLINE)
            assert running.returncode == 0, errors.decode()
        return Outcome(json.loads(output), central.ask("/record")[1], ordered, known)


def until_the_plan_is_over(central: Csms) -> None:
    deadline = time.monotonic() + DEADLINE
    while not is_over(central.ask("/record")[1]):
        assert time.monotonic() < deadline
        time.sleep(0.3)


def is_over(record: dict[str, Any]) -> bool:
    """Tell whether the last call of the plan fell due, and all of them have their answers."""
    due: int = record["planned_calls"][f"after-{AFTER_THE_BOOT[-1]}"]["due"]
    return due > 0 and all(counts["sent"] == counts["answered"] for counts in record["calls"].values())


def test_their_validators_have_nothing_to_complain_of(outcome: Outcome) -> None:
    assert outcome.report["complaints"] == []
    assert outcome.report["errors"] == []


def test_every_action_of_a_charge_point_is_answered(outcome: Outcome) -> None:
    assert {action for action, _ in CALLS} == BY_CHARGE_POINT
    assert Counter(outcome.report["calls"]) == Counter(action for action, _ in CALLS)
    answers = dict(zip((action for action, _ in CALLS), outcome.report["answers"], strict=True))
    accepted = {"status": "Accepted", "parentIdTag": "GROUP"}
    assert answers["BootNotification"]["interval"] == 77
    assert answers["StartTransaction"] == {"transactionId": 1, "idTagInfo": accepted}
    assert answers["StopTransaction"] == {"idTagInfo": accepted}
    assert answers["Authorize"] == {"idTagInfo": {"status": "Blocked"}}  # of the second one
    assert answers["DataTransfer"] == {"status": "UnknownVendorId"}
    assert answers["SignCertificate"] == {"status": "Accepted"}  # of the second one, which is one
    assert {"status": "Rejected"} in outcome.report["answers"]
    assert {action for action, answer in answers.items() if answer == {}} == {
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignedFirmwareStatusNotification",
        "StatusNotification",
    }


def test_what_the_charge_point_should_not_send_gets_the_error_that_ocpp_has_for_it(outcome: Outcome) -> None:
    found = [answer[: len(wanted or [])] for answer, (_, wanted) in zip(outcome.report["odd"], ODD, strict=True)]

    assert found == [wanted or [] for _, wanted in ODD]
    assert all(len(answer) == (5 if answer[0] == 4 else 3) for answer in outcome.report["odd"] if answer)
    assert all(isinstance(answer[4], dict) for answer in outcome.report["odd"] if len(answer) == 5)


def test_every_action_of_a_csms_gets_there_by_hand_and_its_answer_back(outcome: Outcome) -> None:
    assert {action for action, _, _ in ASKED} == BY_CSMS
    assert outcome.ordered == [(200, {"result": answer}) for _, _, answer in ASKED]
    asked = [(action, payload) for action, payload in outcome.report["asked"]]
    by_itself = [
        ("TriggerMessage", {"requestedMessage": "Heartbeat"}),
        ("ClearCache", {}),
        ("GetLocalListVersion", {}),
    ]
    by_itself.append(("CertificateSigned", {"certificateChain": signed(outcome)}))
    assert [each for each in asked if each not in by_itself] == [
        (action, payload) for action, payload, _ in ASKED if (action, payload) not in by_itself
    ]


def signed(outcome: Outcome) -> str:
    """Return the certificate that the charge point was sent because it has asked for one."""
    sent = [
        payload["certificateChain"] for action, payload in outcome.report["asked"] if action == "CertificateSigned"
    ]
    (chain,) = [each for each in sent if each != PEM]
    return str(chain)


def test_the_certificate_that_the_charge_point_asks_for_is_sent_to_it(outcome: Outcome) -> None:
    certificate = x509.load_pem_x509_certificate(signed(outcome).encode())
    assert certificate.public_key() == KEY.public_key()
    assert certificate.subject == SUBJECT
    certificates = outcome.record["certificates"]
    assert (certificates["signed"], certificates["rejected"], sum(certificates["refused"].values())) == (1, 1, 1)


def test_both_sides_count_the_same(outcome: Outcome) -> None:
    report, record = outcome.report, outcome.record
    odd = [json.loads(text) for text, _ in ODD if text.startswith("[2,") and len(json.loads(text)) == 4]
    odd_actions = Counter("(unknown)" if each[2] == "Nonsense" else each[2] for each in odd if len(each[1]) <= 36)
    sent = Counter(report["calls"]) + odd_actions
    assert {action: counts["received"] for action, counts in record["actions"].items()} == dict(sent)
    errors = Counter(
        answer[2] for answer in report["odd"] if answer[:1] == [4] and answer[1] not in ("-1", "j", "i" * 37)
    )
    assert sum((Counter(counts["errors"]) for counts in record["actions"].values()), Counter()) == errors
    assert record["frames"]["malformed"] == 3
    assert record["frames"]["unknown_types"] == 1
    asked = Counter(action for action, _ in report["asked"])
    assert {action: counts["sent"] for action, counts in record["calls"].items()} == dict(asked)
    assert {action: counts["answered"] for action, counts in record["calls"].items()} == dict(asked)
    assert report["answered"] == asked.total()
    assert record["strays"] == {"late": 0, "unknown_id": 1, "duplicate": 0, "malformed": 0}


def test_the_plan_is_carried_out_while_the_charge_point_talks_itself(outcome: Outcome) -> None:
    planned = outcome.record["planned_calls"]
    assert {name: planned[name]["called"] for name in ("at-boot", "in-preparation")} == {
        "at-boot": 1,
        "in-preparation": 1,
    }
    assert [planned[f"after-{after}"]["called"] for after in AFTER_THE_BOOT] == [1] * len(AFTER_THE_BOOT)
    asked = Counter(action for action, _ in outcome.report["asked"])
    assert asked["GetLocalListVersion"] == 2


def test_the_csms_knows_the_charge_point_as_it_is(outcome: Outcome) -> None:
    known = {each["identity"]: each for each in outcome.known}
    assert known[IDENTITY] == {
        "identity": IDENTITY,
        "connected": True,
        "accepted": True,
        "firmware_version": "2.4.0",
        "statuses": {"1": "Preparing"},
        "open_transactions": [],
    }
    assert not known[f"{IDENTITY}-odd"]["connected"]
    transactions = outcome.record["transactions"]
    wanted = {"started": 1, "stopped": 1, "unknown_stops": 1, "energy_wh": 250, "samples": 3, "meter_backwards": 0}
    assert {name: transactions[name] for name in wanted} == wanted
    assert outcome.record["closed"] == {"1000": 2}
