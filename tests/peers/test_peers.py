"""The peers are tested too: a test is worth no more than what it is held against."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from . import Peer, start
from .framing import unmask
from .serving import figures, percentile

pytestmark = [pytest.mark.network, pytest.mark.timeout(90)]

OCPP = [Subprotocol("ocpp1.6")]
BOOT = {"chargePointVendor": "Acme", "chargePointModel": "AC22"}
STATUS = {"connectorId": 0, "errorCode": "NoError", "status": "Available"}
PEERS = ["pypi_central", "ocpp_rpc_central", "truth_server", "hostile_server", "sink"]


@contextmanager
def charge_point(peer: Peer, identity: str = "CP1") -> Iterator[ClientConnection]:
    with connect(
        f"{peer.url}/{identity}", subprotocols=OCPP, open_timeout=10, close_timeout=5, max_size=4_000_000
    ) as socket:
        yield socket


def send(socket: ClientConnection, call: str, action: str, payload: dict[str, Any]) -> None:
    socket.send(json.dumps([2, call, action, payload]))


def ask(socket: ClientConnection, action: str, payload: dict[str, Any], call: str = "") -> Any:
    call = call or f"{action}-{time.monotonic_ns()}"[-36:]
    send(socket, call, action, payload)
    kind, echoed, answer = json.loads(socket.recv(timeout=10))
    assert (kind, echoed) == (3, call)
    return answer


def authorize(socket: ClientConnection, tag: str = "TAG1") -> str:
    status: str = ask(socket, "Authorize", {"idTag": tag})["idTagInfo"]["status"]
    return status


def received(record: dict[str, Any]) -> dict[str, int]:
    if "actions" in record:
        return {action: count["received"] for action, count in record["actions"].items()}
    counts: dict[str, int] = record["received"]
    return counts


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_answers_a_charge_point_and_records_what_it_got(name: str) -> None:
    if name == "sink":
        pytest.importorskip("picows")
    options = ["--blocked-prefix", "BLK"] if name in ("truth_server", "sink") else []

    with start(name, "--interval", "60", *options) as peer:
        with charge_point(peer) as socket:
            boot = ask(socket, "BootNotification", BOOT)
            ask(socket, "StatusNotification", STATUS)
            beat = ask(socket, "Heartbeat", {})
            statuses = [authorize(socket, tag) for tag in ("TAG1", "BLK1", "TAG2")]
        record = peer.finish()

    assert (boot["status"], boot["interval"]) == ("Accepted", 60)
    assert beat["currentTime"].endswith("Z")
    assert statuses == ["Accepted", "Blocked", "Accepted"]
    assert record["peer"] == name
    assert record["connections"]["opened"] == 1
    assert received(record) == {
        "BootNotification": 1,
        "StatusNotification": 1,
        "Heartbeat": 1,
        "Authorize": 3,
    }
    assert peer.process.poll() == 0


@pytest.mark.parametrize("name", ["pypi_central", "ocpp_rpc_central"])
def test_a_central_system_of_others_counts_what_breaks_the_schemas(name: str) -> None:
    with start(name) as peer:
        with charge_point(peer) as socket:
            send(socket, "1", "BootNotification", {"chargePointVendor": "Acme"})
            kind, call, *_ = json.loads(socket.recv(timeout=10))
        record = peer.finish()

    assert (kind, call) == (4, "1")
    assert record["errors"]["count"] == 1, record
    assert "chargePointModel" in record["errors"]["texts"][0]
    assert record["booted"] == 0


@pytest.mark.parametrize("name", ["pypi_central", "ocpp_rpc_central"])
def test_a_central_system_of_others_asks_after_the_boot_when_told_to(name: str) -> None:
    answers: dict[str, dict[str, Any]] = {
        "GetConfiguration": {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False}]},
        "ChangeConfiguration": {"status": "Accepted"},
        "TriggerMessage": {"status": "NotImplemented"},
        "RemoteStartTransaction": {"status": "Rejected"},
    }

    with start(name, "--ask", "--ask-tag", "TAG9") as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            for expected, answer in answers.items():
                kind, call, action, payload = json.loads(socket.recv(timeout=10))
                assert (kind, action) == (2, expected)
                socket.send(json.dumps([3, call, answer]))
            assert payload == {"idTag": "TAG9", "connectorId": 1}
            ask(socket, "Heartbeat", {})  # answered in order: what came before has been counted
        record = peer.finish()

    assert record["asked"] == {
        "GetConfiguration": {"1 keys": 1},
        "ChangeConfiguration": {"Accepted": 1},
        "TriggerMessage": {"NotImplemented": 1},
        "RemoteStartTransaction": {"Rejected": 1},
    }
    assert record["errors"]["count"] == 0


def test_a_peer_ends_with_its_stdin() -> None:
    with start("truth_server") as peer:
        assert peer.process.stdin is not None
        peer.process.stdin.close()

        assert peer.process.wait(10) == 0


def test_no_peer_outlives_its_block() -> None:
    with start("hostile_server") as peer:
        assert peer.process.poll() is None

    assert peer.process.poll() is not None


def test_percentiles_are_of_the_nearest_rank() -> None:
    ten = [float(number) for number in range(1, 11)]

    assert [percentile(ten, per_mille) for per_mille in (0, 100, 101, 500, 950, 999, 1000)] == [
        1.0,
        1.0,
        2.0,
        5.0,
        10.0,
        10.0,
        10.0,
    ]
    assert figures([]) == {"count": 0}
    assert figures([0.002, 0.001])["p50_ms"] == pytest.approx(1.0)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 126])
def test_unmasking_is_the_inverse_of_masking(size: int) -> None:
    payload, mask = bytes(range(size)), b"\x00\xff\x5a\x01"

    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))

    assert unmask(mask, masked) == payload


def test_the_truth_lies_inside_what_its_client_sees() -> None:
    seen: list[float] = []

    with start("truth_server", "--latency", "uniform:5,30", "--seed", "3", "--samples") as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            for _ in range(20):
                began = time.perf_counter()
                authorize(socket)
                seen.append((time.perf_counter() - began) * 1e3)
        record = peer.finish()

    samples = [each["ms"] for each in record["authorized"]]
    assert all(5.0 <= own <= client for own, client in zip(samples, seen, strict=True))
    assert record["authorize"]["count"] == 20
    assert record["authorize"]["max_ms"] == max(samples)
    assert record["actions"]["Authorize"] == {"received": 20, "answered": 20, "refused": 0, "unanswered": 0}
    assert record["messages"] == {"in": 21, "out": 21}
    assert record["violations"] == {}
    assert record["closes"] == {"1000": 1}


def test_the_truth_refuses_exactly_every_kth_authorize() -> None:
    with start("truth_server", "--refuse-every", "3") as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            statuses = [authorize(socket) for _ in range(7)]
        record = peer.finish()

    assert statuses == ["Accepted", "Accepted", "Blocked"] * 2 + ["Accepted"]
    assert record["actions"]["Authorize"]["refused"] == 2


def test_the_truth_refuses_exactly_so_many_of_a_class_of_tags() -> None:
    with start("truth_server", "--refuse-first", "BLK:2", "--refuse-first", "OLD:1", "--samples") as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            statuses = [authorize(socket, tag) for tag in ("BLK1", "TAG1", "BLK2", "BLK3", "OLD1", "OLD1", "BLK1")]
        record = peer.finish()

    assert [status == "Blocked" for status in statuses] == [True, False, True, False, True, False, False]
    assert record["actions"]["Authorize"]["refused"] == 3
    assert [each["id_tag"] for each in record["authorized"] if each["refused"]] == ["BLK1", "BLK2", "OLD1"]


def test_the_truth_writes_down_when_each_connection_came_opened_booted_and_ended() -> None:
    times: list[float] = []
    with start("truth_server", "--visits") as peer:
        for boots in (True, False):
            times.append(time.time())
            with charge_point(peer, "CP%207") as socket:
                times.append(time.time())
                if boots:
                    ask(socket, "BootNotification", BOOT)
                time.sleep(0.2)
            times.append(time.time())
        with pytest.raises((InvalidStatus, InvalidMessage)), connect(f"{peer.url}/CP8", open_timeout=10):
            pass
        record = peer.finish()

    first, second, refused = record["visits"]
    near = 0.1  # seconds: of this machine, and of the clocks of two processes
    for visit, (came, opened, ended) in ((first, times[:3]), (second, times[3:])):
        assert visit["identity"] == "CP 7"
        assert came - near < visit["accepted"] <= visit["opened"] < opened + near
        assert opened + 0.2 - near < visit["ended"] < ended + near
    assert first["opened"] < first["booted"] < first["ended"]
    assert second["booted"] is None
    assert (refused["identity"], refused["opened"]) == ("CP8", None)
    assert refused["ended"] >= refused["accepted"] > second["ended"]


def test_a_stall_answers_nothing_and_then_everything() -> None:
    seen: list[float] = []

    with start("truth_server", "--stall-at", "0.2", "--stall-for", "0.5") as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            ends = time.perf_counter() + 1.0
            while (began := time.perf_counter()) < ends:
                assert authorize(socket) == "Accepted"
                seen.append((time.perf_counter() - began) * 1e3)
                time.sleep(0.005)
        record = peer.finish()

    (stall,) = record["stalls"]
    assert stall["for_s"] >= 0.5
    assert stall["reads_held"] >= 1
    assert 100 <= record["authorize"]["max_ms"] <= max(seen)
    assert record["actions"]["Authorize"]["answered"] == len(seen)


def test_the_truth_notes_what_breaks_the_protocol() -> None:
    with start("truth_server", "--latency", "fixed:50") as peer:
        with charge_point(peer) as socket:
            ask(socket, "Heartbeat", {}, call="1")
            ask(socket, "BootNotification", BOOT, call="1")
            send(socket, "2", "Authorize", {"idTag": "TAG1"})
            send(socket, "3", "Authorize", {"idTag": "TAG2"})
            answered = [json.loads(socket.recv(timeout=10))[1] for _ in range(2)]
            socket.send("[2")
        record = peer.finish()

    assert answered == ["2", "3"]
    assert record["violations"] == {
        "before the boot": 1,
        "id used again": 1,
        "overlapping calls": 1,
        "not JSON": 1,
    }


def test_the_truth_knows_a_start_that_is_sent_twice() -> None:
    begin = {"connectorId": 1, "idTag": "TAG1", "meterStart": 0, "timestamp": "2025-01-01T00:00:00Z"}
    end = {"transactionId": 1, "meterStop": 5, "timestamp": "2025-01-01T01:00:00Z"}

    with start("truth_server") as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            numbers = [ask(socket, "StartTransaction", begin)["transactionId"] for _ in range(2)]
            ask(socket, "StopTransaction", end)
            ask(socket, "StopTransaction", end)
        record = peer.finish()

    assert numbers == [1, 1]
    assert record["transactions"] == {
        "started": 1,
        "stopped": 1,
        "open": 0,
        "repeated_starts": 1,
        "unknown_stops": 1,
    }


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_hostile_server_refuses_the_handshake(status: int) -> None:
    with start("hostile_server", "--behaviour", f"http-{status}", "--share-suffix", "7") as peer:
        with pytest.raises(InvalidStatus) as caught, charge_point(peer, "CP7"):
            pass
        with charge_point(peer, "CP8") as socket:
            ask(socket, "BootNotification", BOOT)
        record = peer.finish()

    assert caught.value.response.status_code == status
    assert record["handshakes"] == {f"http-{status}": 1, "accept": 1}
    assert record["connections"]["turned_away"] == 1


@pytest.mark.parametrize("behaviour", ["close-at-once", "garbage-handshake"])
def test_a_hostile_server_breaks_the_handshake(behaviour: str) -> None:
    with start("hostile_server", "--behaviour", behaviour) as peer:
        with pytest.raises((InvalidMessage, ConnectionError, EOFError)), charge_point(peer):
            pass
        record = peer.finish()

    assert record["handshakes"] == {behaviour: 1}


def test_a_silent_server_never_answers_the_handshake() -> None:
    with start("hostile_server", "--behaviour", "silent") as peer:
        with pytest.raises(TimeoutError), connect(f"{peer.url}/CP1", subprotocols=OCPP, open_timeout=0.5):
            pass
        record = peer.finish()

    assert record["handshakes"] == {"silent": 1}


def test_a_server_silent_after_the_handshake_answers_nothing() -> None:
    with start("hostile_server", "--behaviour", "silent-after-open") as peer:
        with connect(f"{peer.url}/CP1", subprotocols=OCPP, close_timeout=0.1) as socket:
            send(socket, "1", "BootNotification", BOOT)
            with pytest.raises(TimeoutError):
                socket.recv(timeout=0.3)
        record = peer.finish()

    assert record["connections"]["opened"] == 1
    assert record["received"] == {}


def test_a_server_may_agree_to_no_subprotocol() -> None:
    with start("hostile_server", "--behaviour", "no-subprotocol") as peer, charge_point(peer) as socket:
        assert socket.subprotocol is None


BAD: dict[str, Any] = {
    "no-json": "this is not JSON",
    "not-array": '{"status":"Accepted"}',
    "short": '[3, "1"]',
    "empty-array": "[]",
    "empty-text": "",
    "wrong-id": "wrong-1",
    "null-payload": '[3, "1", null]',
    "schema": '[3, "1", {"currentTime": 5}]',
    "callerror": "InternalError",
    "callerror-later-spelling": "OccurrenceConstraintViolation",
    "unknown-type": '[9, "1"',
    "huge:2000000": "x" * 2_000_000,
    "deep:1000": '{"a":' * 1000,
    "late:0.2": '[3, "1", {"currentTime"',
    "binary": b'[3, "1", {"currentTime"',
}


@pytest.mark.parametrize("kind", BAD)
def test_a_hostile_server_answers_its_share_badly_and_the_others_well(kind: str) -> None:
    with start("hostile_server", "--answers", kind, "--share-suffix", "7") as peer:
        with charge_point(peer, "CP7") as bad, charge_point(peer, "CP8") as good:
            for socket in (bad, good):
                ask(socket, "BootNotification", BOOT)
            began = time.monotonic()
            send(bad, "1", "Heartbeat", {})
            answer = bad.recv(timeout=10)
            waited = time.monotonic() - began
            ask(good, "Heartbeat", {})
        record = peer.finish()

    name = kind.partition(":")[0]
    assert BAD[kind] in answer
    assert type(answer) is type(BAD[kind])
    assert waited >= (0.2 if name == "late" else 0.0)
    assert record["answers"] == {"good": {"BootNotification": 2, "Heartbeat": 1}, name: {"Heartbeat": 1}}


@pytest.mark.parametrize("kind", ["invalid-utf8", "random-close:1"])
def test_a_hostile_server_ends_connections(kind: str) -> None:
    with start("hostile_server", "--answers", kind) as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            send(socket, "1", "Heartbeat", {})
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=10)
        record = peer.finish()

    assert record["closes"].get("1007", 0) == (1 if kind == "invalid-utf8" else 0)


def test_a_hostile_server_answers_twice() -> None:
    with start("hostile_server", "--answers", "twice", "--also-boot") as peer, charge_point(peer) as socket:
        send(socket, "1", "BootNotification", BOOT)

        assert socket.recv(timeout=10) == socket.recv(timeout=10)


def test_a_hostile_server_floods_with_calls() -> None:
    with start("hostile_server", "--answers", "unsolicited:30") as peer:
        with charge_point(peer) as socket:
            ask(socket, "BootNotification", BOOT)
            send(socket, "1", "Heartbeat", {})
            calls = [json.loads(socket.recv(timeout=10)) for _ in range(30)]
            for _, call, *_ in calls:
                socket.send(json.dumps([4, call, "NotImplemented", "", {}]))
            assert json.loads(socket.recv(timeout=10))[:2] == [3, "1"]
        record = peer.finish()

    assert {call[0] for call in calls} == {2}
    assert record["calls_sent"] == 30
    assert record["replies"] == {"NotImplemented": 30}


def test_a_hostile_server_may_mend_its_ways() -> None:
    with start("hostile_server", "--answers", "no-json", "--until", "0") as peer, charge_point(peer) as socket:
        ask(socket, "BootNotification", BOOT)
        ask(socket, "Heartbeat", {})
