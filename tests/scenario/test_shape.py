"""Each kind of wrong key or value has its own message, at its place, in plain words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadsim.errors import ScenarioError
from tests.scenario.helpers import FLEETS, HEAD, STAGES, messages_in, mistakes_in, read

FLEET = "fleets:\n  a: {count: 10, %s}\n"


def test_a_mistake_shows_file_place_line_caret_and_the_nearest_key(tmp_path: Path) -> None:
    text = HEAD + "fleets:\n  street_ac:\n    count: 10\n    conectors: 2\n" + STAGES

    (mistake,) = mistakes_in(tmp_path, text)

    assert str(mistake).split("\n") == [
        f"{tmp_path / 'test.yaml'}:6:5: error: fleets.street_ac.conectors: unknown key 'conectors'; "
        "did you mean 'connectors'?",
        "     6 |     conectors: 2",
        "       |     ^",
    ]


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "version: 2\nname: t\nfleets:\n  a: {count: 0}\n  b: {count: 5, connectors: x}\n"
    text += "stages:\n  - {for: 10, online: 100%}\n  - {for: 5s, online: {c: 5}}\nthresholds:\n  - alll p95 < 5s\n"

    assert messages_in(tmp_path, text) == [
        "1:10 version: expected 1, the only version of the grammar so far; got the number 2",
        "4:14 fleets.a.count: expected a whole number from 1 to 1,000,000, got 0",
        "5:29 fleets.b.connectors: expected a whole number from 1 to 1,000, got 'x'",
        "7:11 stages[0].for: expected a duration such as '30s', '5m' or '1h30m', got '10'; the unit is missing",
        "8:24 stages[1].online.c: unknown fleet 'c'; expected 'a' or 'b'",
        "10:5 thresholds[0]: unknown action 'alll'; did you mean 'all'?",
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("calls: []\n", "6:1 calls: unknown key 'calls'; its place is csms.embedded.calls"),
        ("embedded: {calls: []}\n", "6:1 embedded: unknown key 'embedded'; its place is csms.embedded"),
        ("csms: {calls: []}\n", "6:8 csms.calls: unknown key 'calls'; its place is csms.embedded.calls"),
    ],
)
def test_a_key_at_a_wrong_place_is_told_its_own(tmp_path: Path, keys: str, message: str) -> None:
    assert messages_in(tmp_path, HEAD + FLEETS + STAGES.replace("\n  - ", " [").replace("}\n", "}]\n") + keys) == [
        message
    ]


def test_every_missing_key_is_named(tmp_path: Path) -> None:
    assert messages_in(tmp_path, "description: x\n") == [
        f"1:1 the key '{key}' is missing" for key in ("version", "name", "fleets", "stages")
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("connectors: 2.5", "fleets.a.connectors: expected a whole number from 1 to 1,000, got the number 2.5"),
        ("connectors: true", "fleets.a.connectors: expected a whole number from 1 to 1,000, got true"),
        ("connectors: [1]", "fleets.a.connectors: expected a whole number from 1 to 1,000, got a list"),
        ("connectors: 1e9999999", "expected a whole number from 1 to 1,000"),
        ("boot: 5", "fleets.a.boot: expected a mapping (key: value), got the number 5"),
        ("boot: {firmware: 1.40}", "fleets.a.boot.firmware: expected text, got the number 1.4; put it in quotes"),
        ("boot: {model: ABCDEFGHIJKLMNOPQRSTU}", "fleets.a.boot.model: expected at most 20 characters, got 21"),
        ("boot: {model: ''}", "fleets.a.boot.model: expected text without control characters, got ''"),
        ("heartbeat: 60", "fleets.a.heartbeat: expected a duration such as '30s', '5m' or '1h30m', got '60'"),
        ("heartbeat: 0s", "fleets.a.heartbeat: expected more than 0, got '0s' (or 'from_csms')"),
        ("heartbeat: {evry: 5s}", "fleets.a.heartbeat.evry: unknown key 'evry'; did you mean 'every'?"),
        ("heartbeat: {every: {}}", "fleets.a.heartbeat.every: expected a value such as '30s', got a mapping"),
        ("authorize: 5", "fleets.a.authorize: expected a rate such as '200/s' or '0.5/h', got '5'"),
        ("authorize: {arrivals: even}", "fleets.a.authorize: the key 'rate' is missing"),
        ("authorize: {rate: 5/h, arrivals: random}", "expected poisson or even, got 'random'"),
        ("boot_on_reconnect: yes", "fleets.a.boot_on_reconnect: expected true or false, got 'yes'"),
        ("framing: xml", "fleets.a.framing: expected array or object, got 'xml'"),
        ("subprotocol: ocpp2.0.1", "expected ocpp1.6 or optional or none, got 'ocpp2.0.1'"),
        ("reconnect: {jitter: 0.5}", "expected a share such as '10%' or '0.1%', got '0.5'; the unit is missing"),
        (
            "reconnect: {factor: 0.5}",
            "fleets.a.reconnect.factor: expected a factor from 1 to 100, got the number 0.5",
        ),
        ("reconnect: {first: 10m}", "fleets.a.reconnect: expected 'first' to be at most 'max'"),
        ("tags: drivers", "fleets.a.tags: expected a mapping (key: value), got 'drivers'"),
        ("id: 5", "fleets.a.id: expected text, got the number 5; put it in quotes"),
    ],
)
def test_a_wrong_value_of_a_fleet_is_told_what_was_expected(tmp_path: Path, keys: str, message: str) -> None:
    (found,) = messages_in(tmp_path, HEAD + FLEET % keys + STAGES)

    assert message in found


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            "csms: {url: http://x/}",
            "csms.url: expected a URL that begins with ws:// or wss://, got the scheme 'http'",
        ),
        ("csms: {url: x}", "csms.url: expected a URL that begins with ws:// or wss://, got the scheme none"),
        ("csms: {url: 'ws:///x'}", "csms.url: the URL names no host"),
        ("csms: {url: 'ws://h:99999/'}", "csms.url: the URL's host or port is malformed"),
        ("csms: {url: 'ws://h:0/'}", "csms.url: the URL's host or port is malformed"),
        ("csms: {url: 'ws://[::1/'}", "csms.url: the URL's host or port is malformed"),
        (f"csms: {{url: 'ws://{'h' * 64}.example/'}}", "csms.url: the URL's host is malformed: each part between"),
        ("csms: {url: 'ws://csms..example/'}", "csms.url: the URL's host is malformed: each part between"),
        ("csms: {url: 'ws://h/{fleet}'}", "csms.url: unknown placeholder '{fleet}'; expected {id}"),
        ("csms: {url: 'ws://{id}.h/'}", "csms.url: {id} can stand in the URL's path or query, not in its host"),
        ("csms: {url: 'ws://h/#x'}", "csms.url: a WebSocket URL has no fragment"),
        (
            "csms: {url: 'ws://h/ x'}",
            "csms.url: expected a URL such as 'wss://csms.example/ocpp', of printable ASCII",
        ),
        (
            "csms: {url: 'ws://u:p@h/'}",
            "csms.url: a URL cannot hold a user or password here; put them into csms.auth",
        ),
        ("csms: {source_addresses: [here]}", "csms.source_addresses[0]: expected an IP address such as '127.0.0.2'"),
        ("csms: {source_addresses: [::1, ::1]}", "csms.source_addresses[1]: the address '::1' stands here twice"),
        ("csms: {connect: {rate: 0/s}}", "csms.connect.rate: expected more than 0, got '0/s'"),
        ("csms: {connect: {in_flight: 0}}", "csms.connect.in_flight: expected a whole number from 1 to 100,000"),
        (
            "csms: {embedded: {interval: 1500ms}}",
            "csms.embedded.interval: expected whole seconds, as OCPP sends them",
        ),
        ("csms: {embedded: {boot_status: Maybe}}", "expected Accepted or Pending or Rejected, got 'Maybe'"),
        ("csms: {embedded: {boot_status: []}}", "expected at least one of Accepted, Pending, Rejected"),
        ("csms: {embedded: {latency: 5ms..1ms}}", "csms.embedded.latency: expected the smaller duration first"),
        ("csms: {embedded: {latency: 5}}", "csms.embedded.latency: expected a duration"),
        ("csms: {url: 'ws://h', embedded: {}}", "csms.embedded: the embedded CSMS runs only without a url"),
        ("id_tags: {x: {count: 1, pattern: a, expect: OK}}", "id_tags.x.expect: expected Accepted or Blocked or"),
        ("id_tags: {x y: {count: 1, pattern: a}}", "id_tags.x y: expected a name of letters, digits"),
        ("id_tags: {}", "id_tags: expected at least one tag class"),
        ("seed: -1", "seed: expected a whole number from 0 to 9,223,372,036,854,775,807, got -1"),
        ("outputs: {prometheus: {}}", "outputs.prometheus: 'prometheus' is not in this version"),
        ("outputs: {files: [report.html]}", "outputs.files[0]: 'report.html' is not in this version"),
        ("outputs: {files: [hlog]}", "outputs.files[0]: 'hlog' is not in this version"),
        ("outputs: {files: [summary.txt]}", "outputs.files[0]: expected one of summary.json, windows.csv"),
        ("thresholds: all p95 < 5s", "thresholds: expected a list, got 'all p95 < 5s'"),
        ("thresholds: [5]", "thresholds[0]: expected a check such as 'all p95 < 500ms', got the number 5"),
        (
            "thresholds: [transaction lost == 0]",
            "'lost' is counted of transactions alone, not of 'transaction'; did you mean 'transactions'?",
        ),
        ("Thresholds: []", "Thresholds: unknown key 'Thresholds'; did you mean 'thresholds'?"),
        ("zzz: 1", "zzz: unknown key 'zzz'"),
    ],
)
def test_a_wrong_section_is_told_what_was_expected(tmp_path: Path, section: str, message: str) -> None:
    (found,) = messages_in(tmp_path, HEAD + section + "\n" + FLEETS + STAGES)

    assert message in found


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("stages: []", "stages: expected at least one stage, such as {for: 30s, online: 100%}"),
        ("stages: 5", "stages: expected a list, got the number 5"),
        ("stages: [5]", "stages[0]: expected a mapping (key: value), got the number 5"),
        ("stages: [{online: 100%}]", "stages[0]: the key 'for' is missing"),
        ("stages: [{name: up, online: 100%}]", "stages.up: the key 'for' is missing"),
        ("stages: [{for: 5s}]", "stages: no stage brings a charge point online; give one 'online: 100%'"),
        ("stages: [{for: 0s, online: 100%}]", "stages[0].for: a stage of 0s cannot ramp"),
        ("stages: [{for: 0s, online: 100%, jump: true}]", "stages: the run takes no time"),
        ("stages: [{for: 5s, online: 5, jump: true}, {for: 1s, jump: true}]", "stages[1].jump: nothing to jump to"),
        ("stages: [{for: 5s, online: 11}]", "stages[0].online: all fleets have 10 charge points, got 11"),
        ("stages: [{for: 5s, online: {a: 11}}]", "stages[0].online.a: the fleet has 10 charge points, got 11"),
        ("stages: [{for: 5s, online: {b: 1}}]", "stages[0].online.b: unknown fleet 'b'"),
        ("stages: [{for: 5s, online: {'*': 1}}]", "stages[0].online.*: unknown fleet '*'"),
        (
            "stages: [{for: 5s, online: -1}]",
            "stages[0].online: expected a share such as '100%' or a count such as 500",
        ),
        (
            "stages: [{for: 5s, online: 1.5}]",
            "expected a share such as '100%' or a count such as 500, got the number",
        ),
        ("stages: [{for: 5s, online: 101%}]", "stages[0].online: expected a share of at most 100%, got '101%'"),
        ("stages: [{for: 5s, online: 1, arrivals: odd}]", "stages[0].arrivals: expected poisson or even, got 'odd'"),
        (
            "stages: [{name: x, for: 5s, online: 1}, {name: x, for: 5s}]",
            "stages[1].name: two stages are named 'x'",
        ),
        ("stages: [{for: 5s, online: 1}, {name: stage-1, for: 5s}]", "two stages are named 'stage-1'"),
    ],
)
def test_a_wrong_stage_is_told_what_was_expected(tmp_path: Path, stages: str, message: str) -> None:
    (found,) = messages_in(tmp_path, HEAD + FLEETS + stages + "\n")

    assert message in found


def test_orphans_are_asked_for_only_where_the_csms_tells_its_open_transactions(tmp_path: Path) -> None:
    text = HEAD + FLEETS + STAGES + "thresholds: [transactions lost == 0, transactions orphaned == 0]\n"

    assert len(read(tmp_path, text).model.thresholds or ()) == 2
    assert messages_in(tmp_path, text + "csms: {url: 'ws://h'}\n") == [
        "7:38 thresholds[1]: with csms.url this can never be known: only the embedded CSMS tells its open "
        "transactions"
    ]


def test_thresholds_name_what_exists(tmp_path: Path) -> None:
    text = HEAD + FLEETS + STAGES + "thresholds:\n  - Authorise p95 < 5s\n  - Authorize[defualt] p95 < 5s\n"
    text += "  - all p95 < 5s during stage-2\n  - all p95 < 500\n"

    assert [re.sub(r"expected .*, got", "... got", message) for message in messages_in(tmp_path, text)] == [
        "8:5 thresholds[0]: unknown action 'Authorise'; did you mean 'Authorize'?",
        "9:5 thresholds[1]: unknown tag class 'defualt'; did you mean 'default'?",
        "10:5 thresholds[2]: unknown stage 'stage-2'; did you mean 'stage-1'?",
        "11:5 thresholds[3]: 'p95': ... got '500'; the unit is missing",
    ]


def test_a_check_of_transactions_is_of_no_action_and_no_stage(tmp_path: Path) -> None:
    text = HEAD + FLEETS + STAGES + "thresholds:\n  - transactions lost == 0\n  - transactions orphaned == 0\n"

    assert messages_in(tmp_path, text + "  - transactions lost == 0 during stage-1\n") == [
        "10:5 thresholds[2]: transactions are counted over the whole run; expected the end after '0', got 'during'"
    ]


@pytest.mark.parametrize("value", ["null", "[]", "{}", "5", "-1.5", "true", "''", "x", "[[]]", "{x: 1}", ".inf"])
@pytest.mark.parametrize(
    "key",
    ["version", "name", "csms", "id_tags", "fleets", "sessions", "stages", "faults", "thresholds", "outputs"],
)
def test_no_words_of_the_library_reach_the_user(tmp_path: Path, key: str, value: str) -> None:
    sections = {
        "version": "1",
        "name": "t",
        "fleets": "{a: {count: 1}}",
        "stages": "[{for: 5s, online: 1}]",
        key: value,
    }
    found = ""
    try:
        read(tmp_path, "".join(f"{name}: {text}\n" for name, text in sections.items()))
    except ScenarioError as error:
        found = str(error)

    assert not re.search("Input should|pydantic|Value error|valid integer|type=", found)
