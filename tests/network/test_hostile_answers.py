"""A CSMS that answers a tenth of the charge points badly: each kind is counted as such, and hurts nobody else."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.network.running import Run, books_balance, run
from tests.peers import start

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

GOOD, BAD = 36, 4
SCENARIO = f"""
version: 1
name: hostile
seed: 3
csms: {{url: "${{CSMS_URL}}", call_timeout: 1s}}
id_tags: {{drivers: {{count: 100, pattern: "A{{n}}"}}, others: {{count: 100, pattern: "B{{n}}"}}}}
fleets:
  good: {{count: {GOOD}, id: "GOOD-{{n:03}}-0", authorize: 3600/h, tags: {{drivers: 100%}}}}
  bad:
    count: {BAD}
    id: "BAD-{{n:03}}-7"
    authorize: 3600/h
    tags: {{others: 100%}}
    reconnect: {{first: 200ms, factor: 1, max: 200ms, jitter: 0%}}
stages: [{{for: 3s, online: 100%, jump: true}}]
"""
# What the bad answers must be counted as: errors of calls, strays, and codes of connections lost.
EXPECTED: dict[str, tuple[set[str], set[str], set[str]]] = {
    "no-json": ({"timeout"}, {"malformed"}, set()),
    "not-array": ({"timeout"}, {"malformed"}, set()),
    "short": ({"malformed"}, set(), set()),
    "empty-array": ({"timeout"}, {"malformed"}, set()),
    "empty-text": ({"timeout"}, {"malformed"}, set()),
    "unknown-type": ({"timeout"}, {"malformed"}, set()),
    "wrong-id": ({"timeout"}, {"unknown_id"}, set()),
    "twice": (set(), {"duplicate"}, set()),
    "late:1.3": ({"timeout"}, {"late"}, set()),
    "schema": ({"malformed"}, set(), set()),
    "null-payload": ({"malformed"}, set(), set()),
    "binary": ({"timeout"}, {"malformed"}, set()),
    "huge": ({"connection_lost"}, set(), {"1009"}),
    "deep": ({"timeout"}, {"malformed"}, set()),  # too deep to find out whose answer it is
    "callerror": ({"callerror"}, set(), set()),
    "callerror-later-spelling": ({"callerror"}, set(), set()),
    "invalid-utf8": ({"connection_lost"}, set(), {"1007"}),
    "random-close": ({"connection_lost"}, set(), {"1006"}),
    "unsolicited": (set(), set(), set()),
}


def attempt(kind: str, folder: Path) -> tuple[Run, dict[str, Any]]:
    with start("hostile_server", "--answers", kind, "--share-suffix", "7") as peer:
        ended = run(SCENARIO, folder, url=peer.url)
        return ended, peer.finish()


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[tuple[Run, dict[str, Any]]]]]:
    """All kinds, a few at a time."""
    folder = tmp_path_factory.mktemp("hostile")
    with ThreadPoolExecutor(4) as pool:
        yield {kind: pool.submit(attempt, kind, folder) for kind in EXPECTED}


@pytest.mark.parametrize("kind", EXPECTED)
def test_bad_answers_are_counted_for_what_they_are_and_hurt_nobody_else(
    kind: str, attempts: dict[str, Future[tuple[Run, dict[str, Any]]]]
) -> None:
    ended, record = attempts[kind].result(280)
    errors, strays, lost = EXPECTED[kind]

    summary = ended.check()
    actions = summary["actions"]
    books_balance(actions)
    assert summary["charge_points"]["booted"] == GOOD + BAD
    assert {name: of["sent"] for name, of in actions.items()} == record["received"]
    assert causes(actions) == errors
    assert {name for name, count in summary["strays"].items() if count} == strays
    assert set(summary["connections"]["lost_by_code"]) == lost
    # Whose errors they are: those of the bad ones alone.
    assert {each["charge_point"][:3] for each in ended.examples} <= {"BAD"}
    good = actions["Authorize"]["classes"]["drivers"]
    assert good["answered"] == good["accepted"] == good["sent"] > GOOD
    assert summary["charge_points"]["online_end"] >= GOOD
    assert record["violations"] == {}


def causes(actions: dict[str, Any]) -> set[str]:
    return {cause for of in actions.values() for cause, count in of["errors"].items() if count}


def test_every_second_answer_is_counted(attempts: dict[str, Future[tuple[Run, dict[str, Any]]]]) -> None:
    ended, record = attempts["twice"].result(280)

    answered_twice = sum(record["answers"]["twice"].values())
    assert ended.summary["strays"]["duplicate"] == answered_twice > 0


def test_every_answer_under_a_wrong_id_is_counted(attempts: dict[str, Future[tuple[Run, dict[str, Any]]]]) -> None:
    ended, record = attempts["wrong-id"].result(280)

    assert ended.summary["strays"]["unknown_id"] == sum(record["answers"]["wrong-id"].values()) > 0


def test_every_callerror_is_counted(attempts: dict[str, Future[tuple[Run, dict[str, Any]]]]) -> None:
    ended, record = attempts["callerror"].result(280)

    counted = {name: of["errors"]["callerror"] for name, of in ended.summary["actions"].items()}
    assert {name: count for name, count in counted.items() if count} == record["answers"]["callerror"]


def test_a_flood_of_calls_is_received_to_the_last_one(
    attempts: dict[str, Future[tuple[Run, dict[str, Any]]]],
) -> None:
    ended, record = attempts["unsolicited"].result(280)

    commands = ended.summary["commands"]
    received = sum(of["received"] for of in commands.values())
    ignored = sum(of["ignored"] for of in commands.values())
    assert received == record["calls_sent"] > 1000
    assert sum(record["replies"].values()) == received - ignored
