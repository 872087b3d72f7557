"""summary.json of sessions and transactions: books that close, and nothing that cannot be known."""

from __future__ import annotations

from typing import Any

import pytest

from loadsim.metrics.snapshot import Snapshot
from loadsim.output.progress import Progress
from loadsim.output.summary import build_summary
from tests.output.builders import plan, progress, stage, take

CHECKS = ("transactions lost == 0", "transactions orphaned == 0")
GOOD = {
    "sessions.due": 12,
    "sessions.from_csms": 1,
    "sessions.started": 10,
    "sessions.no_free_connector": 2,
    "sessions.refused": 1,
    "transactions.begun": 10,
    "transactions.started": 10,
    "transactions.ended": 7,
    "transactions.stopped": 7,
    "transactions.open": 3,
    "energy.delivered": 7000,
    "energy.stopped": 7000,
}


def evening(
    counters: dict[str, int] | None = None,
    *,
    known: tuple[int, ...] = (8, 9, 10),
    checks: tuple[str, ...] = CHECKS,
) -> Progress:
    stages = (stage("peak", 60.0, 500, sessions=0.25),)
    run = progress(plan(session=True, stages=stages, checks=checks), elapsed=60.0)
    take(run, counters=GOOD | (counters or {}), open_transactions=known, final=True)
    return run


def summary(run: Progress, **csms: Any) -> dict[str, Any]:
    return build_summary(run, duration=60.0, csms={"transactions": csms} if csms else None)


def of_sessions(result: dict[str, Any]) -> list[str]:
    return [book for book in result["books"] if book.startswith(("sessions", "transactions", "energy"))]


def test_a_good_evening_closes_its_books() -> None:
    result = summary(evening(), open_ids=[8, 9, 10], doubled=0)

    assert of_sessions(result) == []
    assert result["sessions"]["planned"] == 15.0
    assert result["transactions"] == {
        "begun": 10,
        "started": 10,
        "ended": 7,
        "stopped": 7,
        "lost": 0,
        "open": 3,
        "undelivered": 0,
        "doubled": 0,
        "orphaned": 0,
    }
    assert result["energy_wh"] == {"delivered": 7000, "stopped": 7000}
    assert [each["ok"] for each in result["thresholds"]] == [True, True]


@pytest.mark.parametrize(
    ("wrong", "book"),
    [
        ({"transactions.begun": 11}, "transactions: 11 begun, 7 stopped, 3 open"),
        ({"sessions.due": 13}, "sessions: 14 came, 10 started, 2 no_free_connector, 1 refused"),
        ({"energy.stopped": 6999}, "energy: 7000 Wh delivered, 6999 Wh of it in confirmed stops"),
        ({"energy.stopped": 7001, "transactions.ended": 8}, "energy: 7000 Wh delivered, 7001 Wh of it"),
    ],
)
def test_a_book_that_does_not_close_is_named(wrong: dict[str, int], book: str) -> None:
    (problem,) = of_sessions(summary(evening(wrong)))

    assert problem.startswith(book)


def test_energy_of_a_stop_that_is_not_confirmed_may_be_missing() -> None:
    late = {"transactions.stopped": 6, "transactions.undelivered": 1, "energy.stopped": 6000}

    assert of_sessions(summary(evening(late))) == []


def test_what_is_undelivered_at_the_end_fails_its_threshold() -> None:
    late = {"transactions.stopped": 5, "transactions.undelivered": 2, "energy.stopped": 5000}
    run = evening(late, checks=("transactions undelivered == 0", "transactions undelivered <= 2"))

    assert [(each["actual"], each["ok"]) for each in summary(run)["thresholds"]] == [(2.0, False), (2.0, True)]


def test_what_a_lost_worker_had_not_delivered_nobody_knows() -> None:
    run = evening({"transactions.begun": 11}, checks=("transactions undelivered == 0",))
    run.lose(0, "killed")
    result = summary(run)

    assert (result["thresholds"][0]["actual"], result["thresholds"][0]["ok"]) == (None, False)
    assert result["transactions"]["undelivered"] == 0


def test_an_orphan_fails_its_threshold_and_a_csms_that_is_not_asked_leaves_it_without_samples() -> None:
    found = summary(evening(known=(8, 9)), open_ids=[8, 9, 10], doubled=0)
    unknown = summary(evening())

    assert (found["transactions"]["orphaned"], found["thresholds"][1]["actual"]) == (1, 1.0)
    assert (unknown["transactions"]["orphaned"], unknown["thresholds"][1]["actual"]) == (None, None)
    assert not found["thresholds"][1]["ok"]
    assert not unknown["thresholds"][1]["ok"]


def test_what_a_lost_worker_knew_is_not_called_orphaned() -> None:
    run = evening(known=())
    run.lose(0, "killed")

    assert summary(run, open_ids=[8, 9, 10], doubled=0)["transactions"]["orphaned"] is None


def test_ids_that_the_csms_gave_twice_count_although_no_charge_point_saw_both() -> None:
    assert summary(evening(), open_ids=[], doubled=2)["transactions"]["doubled"] == 2
    assert summary(evening(), open_ids=[], doubled=None)["transactions"]["doubled"] == 0


def test_a_run_that_ends_early_has_no_more_sessions_planned_than_until_then() -> None:
    run = evening()
    run.ended_at = 20.0

    assert summary(run)["sessions"]["planned"] == 5.0


def test_waits_and_remote_starts_are_counted_with_their_times() -> None:
    run = evening()
    take(
        run, times={"outbox_wait": [60.0, 120.0], "remote_start": [0.1]}, counters={"outbox.given_up.MeterValues": 3}
    )
    result = summary(run)

    assert (result["outbox"]["waited"], result["outbox"]["wait_s"]["max"]) == (2, 120.0)
    assert result["outbox"]["given_up"] == {"MeterValues": 3}
    assert (result["sessions"]["remote_starts"], result["sessions"]["remote_start_s"]["p50"]) == (1, 0.1)


def test_two_workers_know_their_transactions_together() -> None:
    run = evening(known=(8,))
    run.take(Snapshot(shard=1, elapsed=60.0, final=True, open_transactions=("9", "10")))

    assert summary(run, open_ids=[8, 9, 10], doubled=0)["transactions"]["orphaned"] == 0
