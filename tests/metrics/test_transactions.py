"""What went wrong with transactions: counted from both sides, by any number of workers, and judged."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.metrics.judge import MeasuredStage, evaluate
from loadsim.metrics.snapshot import Snapshot, Totals
from loadsim.metrics.thresholds import parse
from loadsim.metrics.transactions import ENDS, FAULTS, TransactionFaults, transaction_faults

NOT_MEASURED = [MeasuredStage("warm", 60.0, False)]


def totals(counters: Mapping[str, int] | None = None, *known: tuple[int, ...]) -> Totals:
    """Merge the last words of workers whose charge points left *known* transactions open."""
    result = Totals()
    for shard, ids in enumerate(known or ((),)):
        counted = {f"transactions.{name}": count for name, count in (counters or {}).items()} if shard == 0 else {}
        result.add(Snapshot(shard=shard, elapsed=60.0, counters=counted, open_transactions=tuple(map(str, ids))))
    return result


def test_an_orphan_is_open_at_the_csms_and_known_to_no_worker() -> None:
    run = totals({"begun": 4}, (1, 3), (-7,))

    assert transaction_faults(run, open_at_csms=[0, 1, 3, -7]).orphaned == 1


@settings(derandomize=True, deadline=None)
@given(st.sets(st.integers()), st.lists(st.sets(st.integers()), min_size=1, max_size=4))
def test_orphans_are_the_same_however_many_workers_there_are(at_csms: set[int], known: list[set[int]]) -> None:
    together = tuple(set().union(*known))
    apart = [tuple(each) for each in known]

    assert transaction_faults(totals({}, together), open_at_csms=at_csms) == transaction_faults(
        totals({}, *apart), open_at_csms=at_csms
    )


def test_without_the_csms_s_word_nobody_knows_of_orphans() -> None:
    assert transaction_faults(totals({"begun": 4})).orphaned is None


@pytest.mark.parametrize(
    ("seen", "at_csms", "doubled"), [(2, None, 2), (2, 1, 2), (1, 3, 3), (0, 0, 0), (0, None, 0)]
)
def test_doubled_are_what_the_better_witness_saw(seen: int, at_csms: int | None, doubled: int) -> None:
    run = totals({"begun": 9, "doubled": seen})

    assert transaction_faults(run, open_at_csms=[], doubled_at_csms=at_csms).doubled == doubled


@pytest.mark.parametrize(
    ("check", "actual", "ok"),
    [
        ("transactions lost == 0", 2, False),
        ("transactions lost <= 2", 2, True),
        ("transactions undelivered == 0", 3, False),
        ("transactions undelivered <= 3", 3, True),
        ("transactions doubled <= 1", 1, True),
        ("transactions doubled < 1", 1, False),
        ("transactions orphaned == 0", 0, True),
    ],
)
def test_a_check_of_transactions_is_held_against_the_whole_run(check: str, actual: int, ok: bool) -> None:
    faults = TransactionFaults(begun=10, lost=2, undelivered=3, doubled=1, orphaned=0)
    result = evaluate(parse(check), Totals(), NOT_MEASURED, faults)

    assert (result.actual, result.ok) == (actual, ok)


@pytest.mark.parametrize("check", [f"transactions {fault} == 0" for fault in FAULTS])
def test_a_run_without_transactions_has_no_samples(check: str) -> None:
    faults = TransactionFaults(begun=0, lost=0, undelivered=0, doubled=0, orphaned=0)
    result = evaluate(parse(check), Totals(), NOT_MEASURED, faults)

    assert (result.actual, result.ok) == (None, False)


def test_orphans_that_cannot_be_known_are_no_samples() -> None:
    result = evaluate(parse("transactions orphaned == 0"), totals({"begun": 10}), NOT_MEASURED)

    assert (result.actual, result.ok) == (None, False)


def test_what_is_undelivered_is_known_when_every_transaction_is_accounted_for() -> None:
    check = parse("transactions undelivered == 0")
    ended = {"begun": 10, "stopped": 4, "lost": 1, "open": 3, "undelivered": 2}

    assert evaluate(check, totals(ended), NOT_MEASURED).actual == 2
    assert evaluate(check, totals(ended | {"undelivered": 0, "stopped": 6}), NOT_MEASURED).ok


@settings(derandomize=True, deadline=None)
@given(st.fixed_dictionaries({end: st.integers(0, 9) for end in ENDS}), st.integers(1, 9))
def test_while_one_is_not_accounted_for_nobody_knows_what_is_undelivered(ends: dict[str, int], running: int) -> None:
    begun = sum(ends.values())

    assert transaction_faults(totals({**ends, "begun": begun})).undelivered == ends["undelivered"]
    assert transaction_faults(totals({**ends, "begun": begun + running})).undelivered is None


def test_while_a_run_goes_on_the_charge_points_numbers_are_judged() -> None:
    run = totals({"begun": 10, "lost": 1, "doubled": 3})

    assert evaluate(parse("transactions lost == 0"), run, NOT_MEASURED).actual == 1
    assert evaluate(parse("transactions doubled == 0"), run, NOT_MEASURED).actual == 3
