"""The peers that ask by a script do so alike, and their books of transactions find what is wrong."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from . import Peer, start
from .test_peers import BOOT, STATUS, ask, charge_point

pytestmark = [pytest.mark.network, pytest.mark.timeout(90)]

ASKING = ["pypi_central", "ocpp_rpc_central"]
NOW = "2025-01-01T00:00:00Z"


@contextmanager
def asked_by(name: str, folder: Path, **plan: Any) -> Iterator[Peer]:
    path = folder / "plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    with start(name, "--ask-all", str(path)) as peer:
        yield peer


def begin(connector: int = 1, **changed: Any) -> dict[str, Any]:
    return {"connectorId": connector, "idTag": "TAG1", "meterStart": 100, "timestamp": NOW, **changed}


def take(socket: ClientConnection, answer: Mapping[str, Any] | str) -> tuple[str, Any]:
    """Read a call and answer it, with a payload or an error code; return its action and payload."""
    kind, call, action, payload = json.loads(socket.recv(timeout=10))
    assert kind == 2
    socket.send(json.dumps([4, call, answer, "", {}] if isinstance(answer, str) else [3, call, answer]))
    return action, payload


@pytest.mark.parametrize("name", ASKING)
def test_a_script_is_asked_one_call_after_the_other_with_what_is_known_by_then(name: str, tmp_path: Path) -> None:
    hashes = dict.fromkeys(("issuerNameHash", "issuerKeyHash", "serialNumber"), "00") | {"hashAlgorithm": "SHA256"}
    kind = {"certificateType": "ManufacturerRootCertificate"}
    steps = [
        {"until": ["StatusNotification", {"status": "Available"}]},
        {
            "send": "RemoteStartTransaction",
            "with": {"idTag": "TAG1"},
            "until": ["StartTransaction", {"connectorId": 2}],
        },
        {"send": "RemoteStopTransaction", "with": {"transactionId": "$transaction 2"}},
        {"send": "ReserveNow", "with": begin_reservation()},
        {"send": "GetInstalledCertificateIds", "with": kind},
        {"send": "DeleteCertificate", "with": {"certificateHashData": "$installed"}},
        {"until": ["StatusNotification", {"status": "Available"}], "ever": True},
        {"send": "GetLocalListVersion"},
    ]
    with asked_by(name, tmp_path, scripts={"CP": steps}) as peer:
        with charge_point(peer, "CP1") as socket, charge_point(peer, "other") as other:
            for each in (socket, other):
                ask(each, "BootNotification", BOOT)
            ask(socket, "StatusNotification", STATUS)
            assert take(socket, {"status": "Accepted"}) == ("RemoteStartTransaction", {"idTag": "TAG1"})
            ask(socket, "StartTransaction", begin(1))
            number = ask(socket, "StartTransaction", begin(2))["transactionId"]
            assert take(socket, {"status": "Rejected"}) == ("RemoteStopTransaction", {"transactionId": number})
            action, reservation = take(socket, "NotSupported")
            assert action == "ReserveNow"
            take(socket, {"status": "Accepted", "certificateHashData": [hashes]})
            assert take(socket, {"status": "Accepted"}) == ("DeleteCertificate", {"certificateHashData": hashes})
            assert take(socket, {"listVersion": 3}) == ("GetLocalListVersion", {})
            ask(socket, "Heartbeat", {})  # answered in order: what came before has been counted
            with pytest.raises(TimeoutError):
                other.recv(timeout=0.1)
        record = peer.finish()

    assert reservation["expiryDate"] > "2025-01-02"
    assert record["errors"] == {"count": 0, "texts": []}
    assert record["finished"] == ["CP1"]
    assert [(action, outcome) for action, outcome, _ in record["answers"]["CP1"]] == [
        ("RemoteStartTransaction", "Accepted"),
        ("RemoteStopTransaction", "Rejected"),
        ("ReserveNow", "error NotSupported"),
        ("GetInstalledCertificateIds", "Accepted"),
        ("DeleteCertificate", "Accepted"),
        ("GetLocalListVersion", "answered"),
    ]
    assert record["answers"]["CP1"][-1][2] == {"listVersion": 3}
    assert record["asked"]["ReserveNow"] == {"error NotSupported": 1}


def begin_reservation() -> dict[str, Any]:
    return {"connectorId": 1, "expiryDate": "$now 60", "idTag": "TAG1", "reservationId": 1}


@pytest.mark.parametrize("name", ASKING)
def test_what_does_not_come_in_time_is_missed_and_ends_the_script(name: str, tmp_path: Path) -> None:
    steps = [{"until": ["Heartbeat", {}]}, {"send": "ClearCache"}]
    with asked_by(name, tmp_path, scripts={"CP": steps}, patience=0.3) as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            ask(socket, "StatusNotification", STATUS)
            with pytest.raises(TimeoutError):
                socket.recv(timeout=1.0)
        record = peer.finish()

    assert "Heartbeat" in record["missed"]["CP1"]
    assert "StatusNotification" in record["missed"]["CP1"]
    assert (record["finished"], record["asked"]) == ([], {})


@pytest.mark.parametrize("name", ASKING)
def test_an_answer_that_breaks_the_schemas_is_an_error(name: str, tmp_path: Path) -> None:
    with asked_by(name, tmp_path, scripts={"CP": [{"send": "ClearCache"}]}) as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            assert take(socket, {"status": "Perhaps"}) == ("ClearCache", {})
            ask(socket, "Heartbeat", {})
        record = peer.finish()

    assert record["errors"]["count"] == 1
    assert "Perhaps" in str(record["errors"]["texts"]) or "ClearCache" in str(record["errors"]["texts"])
    ((_, outcome, _),) = record["answers"]["CP1"]
    assert outcome.startswith("error ")


@pytest.mark.parametrize("name", ASKING)
def test_one_that_is_put_off_is_pending_once_and_asked_meanwhile(name: str, tmp_path: Path) -> None:
    with asked_by(name, tmp_path, scripts={"CP": [{"send": "ClearCache"}]}, pending="CP") as peer:
        with charge_point(peer) as socket:
            first = ask(socket, "BootNotification", BOOT)["status"]
            take(socket, {"status": "Accepted"})
            second = ask(socket, "BootNotification", BOOT)["status"]
        record = peer.finish()

    assert (first, second) == ("Pending", "Accepted")
    assert record["booted"] == 1
    assert record["asked"] == {"ClearCache": {"Accepted": 1}}


@pytest.mark.parametrize("name", ASKING)
def test_connectors_where_somebody_waits_are_started(name: str, tmp_path: Path) -> None:
    with asked_by(name, tmp_path, remote_start="CP", remote_tag="APP1") as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            ask(socket, "StatusNotification", STATUS | {"connectorId": 2, "status": "Preparing"})
            started = take(socket, {"status": "Accepted"})
            ask(socket, "Heartbeat", {})
        record = peer.finish()

    assert started == ("RemoteStartTransaction", {"idTag": "APP1", "connectorId": 2})
    assert record["asked"] == {"RemoteStartTransaction": {"Accepted": 1}}


@pytest.mark.parametrize("name", ASKING)
def test_the_books_of_transactions_know_what_is_lost_doubled_or_invented(name: str) -> None:
    def end(number: int, **changed: Any) -> dict[str, Any]:
        return {"transactionId": number, "meterStop": 150, "timestamp": NOW, **changed}

    value = {"timestamp": NOW, "sampledValue": [{"value": "1"}]}
    values = {"connectorId": 1, "transactionId": 77, "meterValue": [value]}
    with start(name) as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            numbers = [
                ask(socket, "StartTransaction", begin(**changed))["transactionId"]
                for changed in ({}, {}, {"meterStart": 150}, {"connector": 2, "reservationId": 5}, {"idTag": "INV1"})
            ]
            ask(socket, "MeterValues", values)
            for stop in (
                end(1, reason="Remote", transactionData=[value]),
                end(1),
                end(2, meterStop=140, reason="Remote"),
                end(3),
                end(99),
            ):
                ask(socket, "StopTransaction", stop)
        record = peer.finish()

    assert numbers == [1, 1, 2, 3, 4]
    assert record["refused"] == {"StartTransaction": 1}
    assert record["transactions"] == {
        "started": 4,
        "stopped": 3,
        "open": 1,
        "energy_wh": 50 - 10 + 50,
        "repeated_starts": 1,
        "repeated_stops": 1,
        "unknown_stops": 1,
        "unknown_values": 1,
        "backwards": 1,
        "with_data": 1,
        "reserved": 1,
        "reasons": {"Remote": 2, "none": 1},
    }
