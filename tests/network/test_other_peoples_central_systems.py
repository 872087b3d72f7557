"""Whole runs against central systems that share no code with loadsim: what both sides counted is the same."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.network.running import Run, TooLate, books_balance, patiently, run
from tests.peers import start

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

COUNT = 200
CAUGHT_BY_THE_END = 5
SCENARIO = f"""
version: 1
name: central
seed: 11
csms: {{url: "${{CSMS_URL}}", call_timeout: 20s}}
id_tags:
  drivers: {{count: 100, pattern: "DRV{{n:04}}"}}
  stolen: {{count: 10, pattern: "BLK{{n:04}}", expect: Blocked}}
fleets:
  ac: {{count: {COUNT - 50}, connectors: 2, heartbeat: 1s, authorize: 1200/h, tags: {{drivers: 80%, stolen: 20%}}}}
  dc: {{count: 50, boot: {{vendor: Acme, model: DC, serial: "S-{{id}}", firmware: "1"}}, authorize: 600/h}}
stages:
  - {{name: ramp, for: 2s, online: 100%}}
  - {{name: steady, for: STEADY}}
"""
ASKED = {
    "ChangeConfiguration": {"Accepted": COUNT},
    "TriggerMessage": {"Accepted": COUNT},
    "RemoteStartTransaction": {"Accepted": COUNT},
}
# A fleet with an interval of its own refuses another; this one obeys.
OBEDIENT = SCENARIO.replace("heartbeat: 1s, ", "")


def missing_of(summary: Any, *, changes: int = 0) -> int:
    """Return how many changes of a status were not told by the end, of those of the boot and *changes* more."""
    return int(150 * 3 + 50 * 2 + changes - summary["actions"]["StatusNotification"]["planned"])


def changes_of(summary: Any) -> int:
    """Count the changes of a connector's status by a remote start: Preparing, and who has plugged in is Charging."""
    return COUNT + int(summary["transactions"]["begun"])


def same_counts(summary: Any, record: Mapping[str, Any], *, changes: int = 0) -> None:
    """Hold both sides' counts against each other; *changes* of a connector's status come beside those of the boot.

    Where there are any, the end of the run may come between a transaction's begin and its connector's change.
    """
    actions = summary["actions"]
    books_balance(actions)
    assert {name: of["sent"] for name, of in actions.items()} == record["received"]
    assert {name: of["answered"] for name, of in actions.items()} == record["received"]
    rejected = {name: of["rejected"] for name, of in actions.items() if of["rejected"]}
    assert rejected == record["refused"]
    assert actions["Authorize"]["classes"]["stolen"]["rejected"] == rejected["Authorize"] > 0
    assert actions["Authorize"]["unexpected"] == 0
    assert 0 <= missing_of(summary, changes=changes) <= (CAUGHT_BY_THE_END if changes else 0)
    assert record["errors"] == {"count": 0, "texts": []}
    assert record["booted"] == summary["charge_points"]["booted"] == COUNT
    assert summary["charge_points"]["online_end"] == COUNT
    assert record["connections"]["opened"] == summary["connections"]["opened"] == COUNT
    assert record["connections"]["without_subprotocol"] == 0
    assert set(summary["strays"].values()) == {0}


NAMES = ["pypi_central", "ocpp_rpc_central"]
Outcome = tuple[Run, dict[str, Any]]


def attempt(name: str, ask: bool, folder: Path) -> Outcome:
    options = ["--interval", "300", "--ask", "--ask-interval", "60"] if ask else ["--interval", "2"]

    def lasting(seconds: float) -> Outcome:
        with start(name, *options) as peer:
            ended = run((OBEDIENT if ask else SCENARIO).replace("STEADY", f"{seconds}s"), folder, url=peer.url)
            record = peer.finish()
        ended.check()
        if ask and missing_of(ended.summary, changes=changes_of(ended.summary)) > CAUGHT_BY_THE_END:
            raise TooLate("what was asked was not carried out by the end")
        return ended, record

    return patiently(lasting, 3, 20)


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, bool], Future[Outcome]]]:
    """All of them, two at a time."""
    folder = tmp_path_factory.mktemp("central")
    with ThreadPoolExecutor(2) as pool:
        yield {(name, ask): pool.submit(attempt, name, ask, folder) for ask in (False, True) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_both_sides_count_the_same_of_two_hundred_charge_points(
    name: str, attempts: dict[tuple[str, bool], Future[Outcome]]
) -> None:
    ended, record = attempts[name, False].result(280)

    summary = ended.check()
    same_counts(summary, record)
    assert set(record["closes"]) <= {"1000"}
    assert summary["actions"]["Heartbeat"]["sent"] >= 150
    assert summary["commands"] == {}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_central_system_asks_is_answered_as_the_specification_wants(
    name: str, attempts: dict[tuple[str, bool], Future[Outcome]]
) -> None:
    ended, record = attempts[name, True].result(280)

    summary = ended.check()
    transactions, sessions = summary["transactions"], summary["sessions"]
    same_counts(summary, record, changes=changes_of(summary))
    assert sessions["from_csms"] == COUNT == sessions["started"] + sessions["preparing"]
    assert record["transactions"]["started"] == transactions["started"] == sessions["started"] > 0
    asked = dict(record["asked"])
    (keys,) = asked.pop("GetConfiguration").items()
    assert asked == ASKED
    assert keys[1] == COUNT
    assert int(keys[0].removesuffix(" keys")) >= 3
    commands = summary["commands"]
    assert {name: of["received"] for name, of in commands.items()} == dict.fromkeys(
        [*ASKED, "GetConfiguration"], COUNT
    )
    assert {of["refused"] for of in commands.values()} == {0}
    assert summary["actions"]["Heartbeat"]["sent"] >= COUNT  # the triggered ones
