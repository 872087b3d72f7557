"""Thresholds in a scenario: what they may be about, when they are judged, and the words in which they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadsim.scenario.plan import Threshold
from loadsim.scenario.resolve import resolve, resolved_yaml
from tests.scenario.helpers import HEAD, messages_in, plan_of, read

FLEETS = "fleets: {a: {count: 10, authorize: 1/s}}\n"
STAGES = (
    "stages: [{name: ramp, for: 5m, online: 100%, measure: false}, {name: peak, for: 1m}, {name: soak, for: 2m}]\n"
)
FAULTS = "faults: [{name: restart, at: peak, do: drop}, {at: soak, do: drop}]\n"
BASE = HEAD + FLEETS + STAGES + FAULTS


def thresholds(*texts: str) -> str:
    return BASE + "thresholds:\n" + "".join(f"  - {text}\n" for text in texts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Authorise p95 < 5s", "thresholds[0]: unknown action 'Authorise'; did you mean 'Authorize'?"),
        ("Authorize[defualt] p95 < 5s", "thresholds[0]: unknown tag class 'defualt'; did you mean 'default'?"),
        ("all p95 < 5s during peek", "thresholds[0]: unknown stage 'peek'; did you mean 'peak'?"),
        ("online > 99% during peek", "thresholds[0]: unknown stage 'peek'; did you mean 'peak'?"),
        ("all p95 drift < 5% during peek", "thresholds[0]: unknown stage 'peek'; did you mean 'peak'?"),
        ("'recovery[restrat] < 5m'", "thresholds[0]: unknown fault 'restrat'; did you mean 'restart'?"),
        ("'recovery[fault-1] < 5m'", "thresholds[0]: unknown fault 'fault-1'; did you mean 'fault-2'?"),
        ("all p95 < 5s during ramp", "thresholds[0]: the stage 'ramp' has measure: false and is never counted"),
        ("online > 99% during ramp", "thresholds[0]: the stage 'ramp' has measure: false and is never counted"),
        ("{check: all p95 < 5s, ovr: 1m}", "thresholds[0].ovr: unknown key 'ovr'; did you mean 'over'?"),
        ("{check: 5}", "thresholds[0].check: expected a check such as 'all p95 < 500ms', got the number 5"),
        ("[all p95 < 5s]", "thresholds[0]: expected a check such as 'all p95 < 500ms', got a list"),
        ("5", "7:5 thresholds[0]: expected a check such as 'all p95 < 500ms', got the number 5"),
        ("{check: alll p95 < 5s}", "7:13 thresholds[0].check: unknown action 'alll'; did you mean 'all'?"),
        ("{check: all p95 < 5s, over: 60}", "thresholds[0].over: expected a duration such as '30s', '5m' or '1h30m'"),
        ("{check: all p95 < 5s, over: 0s}", "thresholds[0].over: expected at least 1s, got 0s"),
        ("{check: all p95 < 5s, over: 500ms}", "thresholds[0].over: expected at least 1s, got 500ms"),
        ("{check: all p95 < 5s, over: 1s500ms}", "expected whole seconds, as the numbers come, got 1s500ms"),
        (
            "{check: all p95 < 5s during peak, over: 2m}",
            "thresholds[0].over: 2m is longer than the stage 'peak', which takes 1m",
        ),
        (
            "{check: all p95 < 5s, over: 4m}",
            "thresholds[0].over: 4m is longer than the run, of which at most 3m are measured without a break",
        ),
        (
            "{check: all p95 drift < 5%, over: 1m}",
            "thresholds[0].over: over does not go with drift, which compares the last third with the first",
        ),
        (
            "{check: 'recovery[restart] < 5s', over: 1m}",
            "thresholds[0].over: over does not go with a recovery, which is as long as it is",
        ),
        (
            "{check: transactions lost == 0, over: 1m}",
            "thresholds[0].over: over does not go with transactions, which are counted over the whole run",
        ),
        (
            "{check: all p95 < 5s, over: 1m, after: 8m}",
            "thresholds[0].after: 8m is the run's end, at 8m",
        ),
        ("{check: all p95 < 5s, over: 1m, after: 1h}", "thresholds[0].after: 1h is after the run's end at 8m"),
        ("{check: all p95 < 5s, abort: true, after: 1h}", "thresholds[0].after: 1h is after the run's end at 8m"),
        (
            "{check: all p95 < 5s, over: 1m, after: 7m30s}",
            "thresholds[0].after: from 7m30s on no more than 30s of the run are counted, and over asks for 1m",
        ),
        (
            "{check: all p95 < 5s during peak, over: 1m, after: 5m1s}",
            "from 5m1s on no more than 59s of the stage 'peak' are counted, and over asks for 1m",
        ),
        (
            "{check: all p95 < 5s, after: 1m}",
            "thresholds[0].after: after goes with over or abort: true, and there is neither",
        ),
        (
            "{check: all p95 < 5s, abort: false, after: 1m}",
            "thresholds[0].after: after goes with over or abort: true, and there is neither",
        ),
        ("{check: all p95 < 5s, abort: maybe}", "thresholds[0].abort: expected true or false, got 'maybe'"),
        (
            "{check: transactions orphaned == 0, abort: true}",
            "thresholds[0].abort: how many are orphaned is known at the end of the run, and cannot end it",
        ),
        (
            "{check: transactions undelivered == 0, abort: true}",
            "thresholds[0].abort: how many are undelivered is known at the end of the run, and cannot end it",
        ),
        (
            "{check: all p95 drift < 5%, abort: true}",
            "thresholds[0].abort: this drift is known at the end of the run, and cannot end it",
        ),
        (
            "{check: all p95 drift < 5% during soak, abort: true}",
            "thresholds[0].abort: this drift is known at the end of the run, and cannot end it",
        ),
    ],
)
def test_a_wrong_threshold_is_told_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    (found,) = messages_in(tmp_path, thresholds(text))

    assert message in found


def test_a_misspelt_check_is_told_beside_the_missing_one(tmp_path: Path) -> None:
    assert messages_in(tmp_path, thresholds("{chek: all p95 < 5s}")) == [
        "7:5 thresholds[0]: the key 'check' is missing",
        "7:6 thresholds[0].chek: unknown key 'chek'; did you mean 'check'?",
    ]


def test_a_recovery_without_any_fault_is_refused(tmp_path: Path) -> None:
    text = HEAD + FLEETS + STAGES + "thresholds: ['recovery[x] < 5s']\n"

    assert messages_in(tmp_path, text) == ["5:14 thresholds[0]: unknown fault 'x'; there are no faults"]


def test_a_run_of_which_nothing_is_measured_has_nothing_to_judge(tmp_path: Path) -> None:
    text = HEAD + FLEETS + "stages: [{for: 5m, online: 100%, measure: false}]\n"

    assert messages_in(tmp_path, text + "thresholds: [all errors == 0, transactions lost == 0]\n") == [
        "5:14 thresholds[0]: every stage has measure: false, and none is ever counted"
    ]


def test_a_wrong_stage_does_not_make_the_thresholds_wrong(tmp_path: Path) -> None:
    text = thresholds("{check: all p95 < 5s during peak, over: 10m, after: 1h}").replace("for: 1m", "for: 1")

    assert [message.split(" ")[1] for message in messages_in(tmp_path, text)] == ["stages.peak.for:"]


def test_a_wrong_item_hides_no_mistake_of_the_others(tmp_path: Path) -> None:
    found = messages_in(tmp_path, thresholds("5", "{check: all p95 < 5s, over: 0s}", "[1]", "alll p95 < 5s"))

    assert [message.partition(": ")[0] for message in found] == [
        "7:5 thresholds[0]",
        "8:33 thresholds[1].over",
        "9:5 thresholds[2]",
        "10:5 thresholds[3]",
    ]


def test_text_and_a_mapping_with_a_check_alone_are_the_same(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, thresholds("all p95 < 5s", "{check: all p95 < 5s}"))

    assert plan.thresholds == (Threshold(check="all p95 < 5s"),) * 2


def test_a_mapping_becomes_plain_values_and_is_written_back(tmp_path: Path) -> None:
    scenario = read(
        tmp_path,
        thresholds(
            "{check: all errors < 5%, over: 1m, abort: true, after: 2m}",
            "{check: online > 99% during soak, over: 2m}",
            "{check: 'recovery[restart] < 5s', abort: true}",
            "Heartbeat p95 drift < 10% during soak",
        ),
    )
    plan = resolve(scenario, seed=1)

    assert plan.thresholds == (
        Threshold(check="all errors < 5%", over=60.0, abort=True, after=120.0),
        Threshold(check="online > 99% during soak", over=120.0),
        Threshold(check="recovery[restart] < 5s", abort=True),
        Threshold(check="Heartbeat p95 drift < 10% during soak"),
    )
    assert plan_of(tmp_path, resolved_yaml(scenario, plan)) == plan


def test_a_drift_ends_a_run_where_something_comes_after_it(tmp_path: Path) -> None:
    during = thresholds("{check: all p95 drift < 5% during peak, abort: true}")
    before_the_last = thresholds("{check: all p95 drift < 5%, abort: true}").replace(
        "for: 2m}", "for: 2m, measure: false}"
    )

    assert [plan_of(tmp_path, text).thresholds[0].abort for text in (during, before_the_last)] == [True, True]


def test_a_window_may_be_as_long_as_what_it_slides_over(tmp_path: Path) -> None:
    text = thresholds("{check: all p95 < 5s, over: 3m}", "{check: all p95 < 5s, over: 1m, after: 7m}")

    assert [each.over for each in plan_of(tmp_path, text).thresholds] == [180.0, 60.0]
