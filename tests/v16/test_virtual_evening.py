"""One virtual hour of a fleet with all features, troubles included: every frame is judged, every book closes."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from msgspec import structs

from loadsim.scenario.plan import Plan
from tests.support import open_books, open_session_books
from tests.v16.authorities import Held, root
from tests.v16.evening import OUTAGE, Evening, evening_plan, spend
from tests.v16.frames import ACTIONS, BY_CHARGE_POINT, BY_CSMS, Reading, read, unanswered
from tests.v16.stories import Transactions, bad_statuses, transactions

LONGEST_ANSWER = 0.41
"""Seconds: the latency of the scenario, and what rounding adds to it."""


@pytest.fixture(scope="module")
def operator() -> Held:
    return root("operator")


@pytest.fixture(scope="module")
def evening(operator: Held) -> Evening:
    return spend(evening_plan(operator, root("maker")), operator)


@pytest.fixture(scope="module")
def reading(evening: Evening) -> Reading:
    return read(evening.frames)


@pytest.fixture(scope="module")
def told(reading: Reading) -> Transactions:
    return transactions(reading)


@pytest.fixture(scope="module")
def record(evening: Evening) -> dict[str, Any]:
    """What the CSMS knows of transactions."""
    known: dict[str, Any] = evening.csms.central.record()["transactions"]
    return known


def test_every_frame_of_the_hour_is_one_of_ocpp_and_obeys_its_schema(evening: Evening, reading: Reading) -> None:
    """And so has every call an id of at most 36 characters that is new, and no second one is open beside it."""
    assert reading.problems == []
    assert len(evening.frames) > 20_000
    assert evening.frames[-1].at >= 3590


def test_every_call_is_answered_once_unless_its_connection_breaks_first(evening: Evening, reading: Reading) -> None:
    assert unanswered(reading, evening.csms.ended, LONGEST_ANSWER) == []
    broken = Counter(each.by_csms for each in reading.exchanges if not each.kind)
    assert 0 < broken.total() < 0.05 * len(reading.exchanges)


def test_all_actions_are_seen_and_datatransfer_in_both_directions(reading: Reading) -> None:
    wanted = {("csms", action) for action in BY_CSMS} | {("charge point", action) for action in BY_CHARGE_POINT}
    assert len(ACTIONS) == 39
    assert reading.actions == wanted


def test_a_charge_point_refuses_with_an_error_only_what_it_does_not_have(reading: Reading) -> None:
    refused = {(each.identity[:2], each.action, each.answer) for each in reading.exchanges if each.kind == 4}
    assert refused == {("AC", "GetLog", "NotImplemented"), ("DC", "UpdateFirmware", "NotSupported")}
    assert all(each.by_csms for each in reading.exchanges if each.kind == 4)


def test_the_hour_has_all_the_troubles_that_it_is_to_have(evening: Evening, reading: Reading) -> None:
    counters, told = evening.totals.counters, evening.csms.told
    assert told["dropped"] > 150
    assert told["answers lost"] > 20
    assert told["cut off"] > 40
    wanted = [
        *(f"reboots.{reason}" for reason in ("HardReset", "SoftReset", "PowerLoss", "Reboot")),
        *(f"sessions.{outcome}" for outcome in ("refused", "refused_offline", "no_show", "from_csms")),
        *("hardware.faults", "hardware.ev_disconnects", "transfers.ok", "transfers.failed"),
    ]
    assert [name for name in wanted if not counters[name]] == []
    reasons = Counter(each.payload.get("reason", "Local") for each in reading.of("StopTransaction"))
    assert set(reasons) == {
        "Local", "Remote", "SoftReset", "HardReset", "PowerLoss", "EVDisconnected", "UnlockCommand",
        "DeAuthorized", "Other",
    }  # fmt: skip
    firmware = {each.payload["status"] for each in reading.of("FirmwareStatusNotification")}
    assert firmware >= {
        "Downloading",
        "Downloaded",
        "DownloadFailed",
        "Installing",
        "InstallationFailed",
        "Installed",
    }
    signed = {each.payload["status"] for each in reading.of("SignedFirmwareStatusNotification")}
    assert signed >= {"SignatureVerified", "InvalidSignature", "InstallScheduled", "InstallRebooting", "Installed"}
    begin, lasts = OUTAGE
    assert not any(begin < frame.at < begin + lasts for frame in evening.frames)


def test_the_books_of_calls_sessions_and_transactions_close(evening: Evening) -> None:
    assert open_books(evening.totals) == []
    assert open_session_books(evening.totals) == []


def test_both_sides_count_the_same_calls(evening: Evening, reading: Reading) -> None:
    sent = Counter(each.action for each in reading.exchanges if not each.by_csms)
    answered = Counter(each.action for each in reading.exchanges if not each.by_csms and each.kind)
    for action, count in sent.items():
        assert evening.totals.select(action=action).sent == count, action
    by_action = {name: counts["answered"] for name, counts in evening.csms.central.record()["actions"].items()}
    assert sum(by_action.values()) == answered.total() + evening.csms.told["answers lost"]
    asked = Counter(each.action for each in reading.exchanges if each.by_csms)
    calls = evening.csms.calls.record()
    assert {name: counts["sent"] for name, counts in calls["calls"].items()} == dict(asked)
    assert set(calls["strays"].values()) == {0}
    assert all(counts["open"] == counts["timeouts"] == counts["malformed"] == 0 for counts in calls["calls"].values())


def test_no_transaction_is_lost_or_doubled_and_no_energy(
    evening: Evening, told: Transactions, record: dict[str, Any]
) -> None:
    counters = evening.totals.counters
    assert told.problems == []
    assert counters["transactions.lost"] == counters["transactions.doubled"] == 0
    assert counters["transactions.begun"] == len(told.told) == record["started"] > 300
    assert counters["transactions.stopped"] == len(told.confirmed) <= record["stopped"]
    assert record["doubled"] == record["unknown_stops"] == record["unknown_meter_values"] == 0
    assert record["meter_backwards"] == record["overlapping_starts"] == 0
    assert record["repeated_starts"] > 0
    assert record["repeated_stops"] > 0
    assert counters["energy.stopped"] == told.energy == record["energy_wh"] > 200_000


def test_what_is_open_at_the_csms_is_what_the_charge_points_know_to_be_so(
    evening: Evening, record: dict[str, Any]
) -> None:
    counters = evening.totals.counters
    assert set(record["open_ids"]) == set(evening.fleet.open_transactions)
    assert len(record["open_ids"]) == counters["transactions.open"] + counters["transactions.undelivered"] > 0


def test_every_connector_goes_ways_that_the_table_has(reading: Reading) -> None:
    assert bad_statuses(reading) == []
    statuses = {each.payload["status"] for each in reading.of("StatusNotification")}
    assert len(statuses) == 9


def test_at_the_end_the_csms_knows_every_connector_as_it_is(evening: Evening) -> None:
    assert evening.csms.told["compared"] > 30
    assert evening.unknown == []


def test_a_charge_point_says_nothing_but_its_boot_before_that_is_accepted(reading: Reading) -> None:
    accepted: set[str] = set()
    pending = Counter[str]()
    early = []
    for each in reading.exchanges:
        if each.action == "BootNotification":
            accepted.discard(each.identity)
            if each.kind == 3:
                pending[each.answer["status"]] += 1
                if each.answer["status"] == "Accepted":
                    accepted.add(each.identity)
        elif not each.by_csms and each.identity not in accepted:
            early.append(f"{each.at:.3f} {each.identity}: {each.action}")
    assert early == []
    assert pending["Pending"] == evening_size(reading)
    assert pending["Accepted"] > pending["Pending"]


def evening_size(reading: Reading) -> int:
    return len({each.identity for each in reading.exchanges})


def test_answers_that_come_too_late_lose_and_double_nothing(evening: Evening, operator: Held) -> None:
    plan = first_minutes(evening.plan, 600.0)
    patience = {"TransactionMessageAttempts": "20", "TransactionMessageRetryInterval": "1"}
    fleets = []
    for fleet in plan.fleets:
        configuration = {**fleet.settings.configuration, **patience}
        hasty = structs.replace(fleet.settings, call_timeout=2.0, configuration=configuration)
        fleets.append(structs.replace(fleet, settings=hasty))
    assert plan.embedded is not None
    slow = structs.replace(plan.embedded, latency=(0.02, 2.5))

    late = spend(structs.replace(plan, fleets=tuple(fleets), embedded=slow), operator)

    counters, record = late.totals.counters, late.csms.central.record()["transactions"]
    assert open_books(late.totals) == open_session_books(late.totals) == []
    assert counters["strays.late"] > 100
    assert record["repeated_starts"] > 0
    assert record["repeated_stops"] > 0
    assert record["doubled"] == counters["transactions.doubled"] == counters["transactions.lost"] == 0
    assert counters["transactions.started"] <= record["started"] <= counters["transactions.begun"]
    assert counters["energy.stopped"] <= record["energy_wh"] <= counters["energy.delivered"]
    unheard = set(record["open_ids"]) - set(late.fleet.open_transactions)  # whose Start has had no good answer yet
    assert len(unheard) <= counters["transactions.begun"] - counters["transactions.started"]


def test_the_same_seed_makes_the_same_evening_and_another_one_another(evening: Evening, operator: Held) -> None:
    shorter = first_minutes(evening.plan, 480.0)
    first, again = (spend(shorter, operator) for _ in range(2))
    other = spend(structs.replace(shorter, seed=evening.plan.seed + 1), operator)

    assert len(first.frames) > 2000
    assert gist(first) == gist(again)
    assert gist(first) != gist(other)


def first_minutes(plan: Plan, seconds: float) -> Plan:
    """Return *plan* with the rollout, and *seconds* of what comes after it."""
    rollout, early, *_ = plan.stages
    return structs.replace(plan, stages=(rollout, structs.replace(early, duration=seconds)))


def gist(evening: Evening) -> list[tuple[Any, ...]]:
    """Return what was said by whom and when, without keys and certificates, and without message ids."""
    return [
        (frame.at, frame.identity, frame.by_csms, re.sub(r'-----BEGIN[^"]*', "", frame.text.split(",", 2)[2]))
        for frame in evening.frames
    ]
