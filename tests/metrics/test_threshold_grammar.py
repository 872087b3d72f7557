"""The grammar of thresholds: every form that is taken, and what the message says of every one that is not."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.metrics.thresholds import Check, ThresholdSyntaxError, parse


def test_every_part_of_a_check_is_read() -> None:
    assert parse("Authorize[drivers] p99.9 <= 800ms during peak") == Check(
        text="Authorize[drivers] p99.9 <= 800ms during peak",
        action="Authorize",
        tag_class="drivers",
        aggregate="p99.9",
        op="<=",
        value=0.8,
        value_kind="duration",
        stage="peak",
    )


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("all p95 < 500ms", 0.5, "duration"),
        ("all mean < 1s", 1.0, "duration"),
        ("all max < 1m", 60.0, "duration"),
        ("all errors == 0", 0.0, "count"),
        ("all errors < 1%", 0.01, "share"),
        ("Authorize rejected < 0.1%", 0.001, "share"),
        ("Authorize[stolen] accepted == 0", 0.0, "count"),
        ("Authorize unexpected <= 3", 3.0, "count"),
        ("Heartbeat rate >= 10/s", 10.0, "rate"),
    ],
)
def test_each_aggregate_takes_its_own_kind_of_value(text: str, value: float, kind: str) -> None:
    check = parse(text)

    assert (check.value, check.value_kind) == (value, kind)


@pytest.mark.parametrize("fault", ["lost", "undelivered", "doubled", "orphaned"])
def test_a_check_of_transactions_has_no_action_and_counts_them(fault: str) -> None:
    assert parse(f"transactions {fault} <= 3") == Check(
        text=f"transactions {fault} <= 3",
        subject="transactions",
        action=None,
        tag_class=None,
        aggregate=fault,
        op="<=",
        value=3.0,
        value_kind="count",
        stage=None,
    )


@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "=="])
def test_spaces_around_the_operator_are_free(op: str) -> None:
    assert parse(f"all p95{op}500ms").op == op
    assert parse(f"  all  p95  {op}  500ms  ").op == op


@pytest.mark.parametrize(("aggregate", "quantile"), [("p1", 0.01), ("p50", 0.5), ("p99.99", 0.9999), ("mean", None)])
def test_a_percentile_tells_its_quantile(aggregate: str, quantile: float | None) -> None:
    assert parse(f"all {aggregate} < 1s").quantile == quantile


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a check such as 'all p95 < 500ms', got nothing"),
        ("< 5s", "expected an action or 'all', such as 'Authorize' or 'Authorize[drivers]', got '<'"),
        ("Authorize[] p95 < 5s", "got 'Authorize[]'"),
        ("Authorize[a p95 < 5s", "got 'Authorize[a'"),
        ("all", "expected p1 to p99.99, mean, max, errors, rejected, accepted, unexpected, rate; got nothing"),
        ("all p0.5 < 5s", "got 'p0.5'"),
        ("all p100 < 5s", "got 'p100'"),
        ("all median < 5s", "got 'median'"),
        ("all p95", "expected <, <=, >, >= or == after 'p95', got nothing"),
        ("all p95 = 5s", "after 'p95', got '='"),
        ("all p95 != 5s", "after 'p95', got '!'"),
        ("all p95 <", "expected a value to compare 'p95' with, got nothing"),
        (
            "all p95 < 500",
            "'p95': expected a duration such as '30s', '5m' or '1h30m', got '500'; the unit is missing",
        ),
        ("all p95 < 5%", "'p95': expected a duration"),
        ("all errors < 5s", "'errors': expected a share such as '1%' or a count such as '0', got '5s'"),
        ("all errors < 1.5", "'errors': expected a share such as '1%' or a count such as '0', got '1.5'"),
        ("all errors < 101%", "'errors': expected a share of at most 100%, got '101%'"),
        ("all rate > 5", "'rate': expected a rate such as '200/s' or '0.5/h', got '5'; the unit is missing"),
        ("all p95 < 5s in peak", "expected 'during' and a stage, or the end, got 'in'"),
        ("all p95 < 5s during", "expected one stage's name after 'during', got nothing"),
        ("transactions", "expected lost, undelivered, doubled or orphaned after 'transactions', got nothing"),
        (
            "transactions started > 5",
            "expected lost, undelivered, doubled or orphaned after 'transactions', got 'started'",
        ),
        ("transactions lost", "expected <, <=, >, >= or == after 'lost', got nothing"),
        ("transactions lost ==", "'lost': expected a count such as '0', got nothing"),
        ("transactions lost < 1%", "'lost': expected a count such as '0', got '1%'"),
        ("transactions lost < 1.5", "'lost': expected a count such as '0', got '1.5'"),
        ("transactions lost == -1", "'lost': expected a count such as '0', got '-1'"),
        (
            "transactions lost == 0 during peak",
            "transactions are counted over the whole run; expected the end after '0', got 'during'",
        ),
        (
            "transactions[drivers] lost == 0",
            "transactions are not counted by tag class; expected 'transactions', got 'transactions[drivers]'",
        ),
        ("online", "expected <, <=, >, >= or == after 'online', got nothing"),
        ("online[drivers] > 99%", "what is online has no classes; expected 'online', got 'online[drivers]'"),
        ("online >= 99", "'online': expected a share such as '99.5%', got '99'"),
        ("online >= 101%", "'online': expected a share of at most 100%, got '101%'"),
        ("online >= 99% for peak", "expected 'during' and a stage, or the end, got 'for'"),
        ("recovery < 5m", "expected a fault's name, such as 'recovery[csms_restart]', got 'recovery'"),
        ("recovery[] < 5m", "expected a fault's name, such as 'recovery[csms_restart]', got 'recovery[]'"),
        ("recovery[a] 5m", "expected <, <=, >, >= or == after 'recovery[a]', got '5m'"),
        ("recovery[a] < 95%", "'recovery': expected a duration"),
        (
            "recovery[a] < 5m during peak",
            "a fault has its moment, and no stage; expected the end after 'recovery', got 'during'",
        ),
        ("all mean drift < 10%", "'drift' is of a percentile such as 'p95', not of 'mean'"),
        ("all p95 drift < 500ms", "'drift': expected a share such as '10%', got '500ms'"),
        ("all p95 drift", "expected <, <=, >, >= or == after 'drift', got nothing"),
        ("all p95 < 5s during a b", "expected one stage's name after 'during', got 'a b'"),
    ],
)
def test_what_is_not_of_the_grammar_is_told_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ThresholdSyntaxError, match=re.escape(message)):
        parse(text)


def test_what_is_online_is_a_share_of_the_run_or_of_a_stage() -> None:
    assert parse("online>=99.5% during soak") == Check(
        text="online>=99.5% during soak",
        subject="online",
        action=None,
        aggregate="online",
        op=">=",
        value=0.995,
        value_kind="share",
        stage="soak",
    )
    assert parse("online >= 99%").stage is None


def test_a_recovery_names_its_fault_and_is_a_duration() -> None:
    assert parse("recovery[csms_restart] < 5m") == Check(
        text="recovery[csms_restart] < 5m",
        subject="recovery",
        action=None,
        aggregate="recovery",
        fault="csms_restart",
        op="<",
        value=300.0,
        value_kind="duration",
    )


@pytest.mark.parametrize(("text", "value"), [("10%", 0.1), ("0.5%", 0.005), ("150%", 1.5)])
def test_a_drift_is_of_a_percentile_and_may_be_more_than_the_whole(text: str, value: float) -> None:
    assert parse(f"Heartbeat[a] p95 drift < {text} during soak") == Check(
        text=f"Heartbeat[a] p95 drift < {text} during soak",
        action="Heartbeat",
        tag_class="a",
        aggregate="p95",
        drift=True,
        op="<",
        value=value,
        value_kind="share",
        stage="soak",
    )


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("all errors < 5%", True),
        ("online >= 99%", True),
        ("all p95 drift < 10%", False),
        ("transactions lost == 0", False),
        ("recovery[outage] < 5m", False),
    ],
)
def test_what_is_counted_over_the_whole_run_has_no_windows(text: str, has: bool) -> None:
    assert parse(text).has_windows is has


_WORDS = [
    *("transactions", "lost", "online", "recovery[a]", "all", "p95", "drift", "errors", "rate"),
    *("==", "<", "0", "1%", "5s", "1/s", "during", "peak"),
]


@settings(derandomize=True, deadline=None)
@given(
    st.text(max_size=40)
    | st.text("allp95 <=>[]%smduring0", max_size=40)
    | st.lists(st.sampled_from(_WORDS)).map(" ".join)
)
def test_any_text_is_read_or_refused_and_never_anything_else(text: str) -> None:
    with suppress(ThresholdSyntaxError):
        assert parse(text).text == text
