"""The report's faults, load and thresholds of windows: what the summary says, and only where there is something."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from loadsim.output.progress import Progress
from loadsim.output.summary import build_summary
from loadsim.scenario.plan import FaultPlan
from tests.output.builders import calls, plan, progress, stage, take
from tests.output.test_final_report import report, row, section

STORM = FaultPlan(name="csms_restart", do="drop", how="close", at=20.0)
DROPS = FaultPlan(name="lte_drops", do="drop", how="reset", rate=0.01, end=60.0)
GARBAGE = FaultPlan(name="garbage", do="malformed", rate=0.01, kinds=("no_json", "huge", "deep"), end=60.0)
NEVER = FaultPlan(name="half_open", do="silent", at=59.0, duration=10.0)


def counted(fault: str, **counts: int) -> dict[str, int]:
    return {f"faults.{fault}.{what.replace('__', '.')}": count for what, count in counts.items()}


def stormy() -> Progress:
    run = progress(plan(faults=(STORM, DROPS, GARBAGE, NEVER)), elapsed=60.0)
    take(run, counters=counted("csms_restart", hit=4987, offline=4987, gone=3, messages_lost=312))
    times = [0.5] * 2500 + [12.0] * 2400 + [48.2] * 82
    take(run, recoveries={"csms_restart": times, "lte_drops": [7.0]})
    take(run, counters=counted("lte_drops", hit=1, offline=1))
    take(run, counters=counted("garbage", hit=6, sent__no_json=4, survived__no_json=3, sent__huge=2, closed__huge=2))
    run.ended_at = 60.0
    return run


def test_each_fault_has_a_row_with_whom_it_hit_and_when_they_were_back() -> None:
    text = report(stormy(), width=100)

    assert row(text, "faults", "csms_restart") == [
        *("csms_restart", "drop", "close", "00:20", "4,987", "4,987"),
        *("500ms", "12.0s", "-", "312"),
    ]
    assert row(text, "faults", "lte_drops") == [
        *("lte_drops", "drop", "reset", "by", "rate", "1", "1"),
        *("7.0s", "7.0s", "7.0s", "0"),
    ]
    assert row(text, "faults", "half_open")[-6:] == ["0", "0", "-", "-", "-", "0"]


def test_who_is_not_back_and_whom_no_fault_hit_is_said_in_words() -> None:
    told = "\n".join(section(report(stormy()), "faults"))

    assert "csms_restart: 2 of 4,987 NOT BACK at the end" in told
    assert "csms_restart: 3 were taken offline by the plan before they were back" in told
    assert "half_open: hit nobody" in told
    assert "lte_drops:" not in told


def test_malformed_messages_that_were_sent_are_shown_by_kind() -> None:
    text = report(stormy())

    assert row(text, "faults", "no_json") == ["no_json", "4", "3", "0", "1"]
    assert row(text, "faults", "huge") == ["huge", "2", "0", "2", "-"]
    assert "deep" not in text


def test_kinds_of_several_faults_are_told_apart() -> None:
    other = FaultPlan(name="noise", do="malformed", at=5.0, kinds=("huge",))
    run = progress(plan(faults=(GARBAGE, other)), elapsed=60.0)
    take(run, counters=counted("garbage", hit=1, sent__huge=1) | counted("noise", hit=2, sent__huge=2))

    text = report(run)
    assert row(text, "faults", "garbage huge")[2] == "1"
    assert row(text, "faults", "noise huge")[2] == "2"


def test_a_run_without_faults_and_with_one_stage_that_was_simply_there_says_nothing_of_either() -> None:
    run = progress(plan(), elapsed=60.0)
    take(run, calls("Heartbeat", [0.1]), online_seconds={0: 30_000.0})
    run.ended_at = 60.0
    titles = [part.split()[0] for part in report(run).split("\n\n")]

    assert not {"faults", "load"} & set(titles)


def test_a_single_stage_in_which_charge_points_were_missing_is_told() -> None:
    run = progress(plan(), elapsed=60.0)
    take(run, online_seconds={0: 29_000.0})
    run.ended_at = 60.0

    assert row(report(run), "load", "main") == ["main", "1m00s", "500", "96.67%"]


def test_planned_load_stands_beside_what_came() -> None:
    stages = (stage("rollout", 20.0, 500), stage("peak", 40.0, 500, sessions=5.0))
    run = progress(plan(stages=stages, session=True), elapsed=60.0)
    take(run, online_seconds={0: 10_000.0, 1: 19_000.0})
    take(run, counters={"sessions.due.1": 203, "sessions.started.1": 180, "sessions.no_free_connector.1": 9})
    run.ended_at = 60.0
    text = report(run)

    assert row(text, "load", "rollout") == ["rollout", "20.0s", "500", "100.00%", "0", "0", "0", "-"]
    assert row(text, "load", "peak") == ["peak", "40.0s", "500", "95.00%", "200", "203", "180", "9"]


def threshold(**changed: Any) -> Mapping[str, Any]:
    usual = {"check": "all errors < 5%", "actual": 0.02, "ok": True}
    return {**usual, "over_s": None, "worst_window_s": None, "aborted_at_s": None, **changed}


def summary_with(*thresholds: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    run = progress(plan(), elapsed=60.0)
    take(run, online_seconds={0: 30_000.0})
    return {**build_summary(run, duration=60.0), "thresholds": list(thresholds), **changed}


def test_a_threshold_of_windows_says_when_the_worst_was() -> None:
    windowed = threshold(over_s=60.0, worst_window_s=[725.0, 785.0])
    text = report(summary_with(threshold(check="all p95 < 500ms", actual=0.1), windowed))

    assert row(text, "thresholds", "all errors") == [
        *("all", "errors", "<", "5%", "over", "1m", "2.00%", "12:05-13:05", "ok")
    ]
    assert row(text, "thresholds", "all p95")[-2:] == ["100ms", "ok"]


def test_a_run_that_a_threshold_ended_says_which_when_and_at_what_value() -> None:
    ended = threshold(actual=0.12, ok=False, over_s=60.0, worst_window_s=[74.0, 134.0], aborted_at_s=134.0)
    summary = summary_with(
        ended, verdict="failed", complete=False, exit_code=99, aborted_by="all errors < 5% over 1m"
    )
    head = " ".join(" ".join(section(report(summary), "FAILED")).split())

    assert head.startswith("FAILED INCOMPLETE smoke 1m00s")
    assert "Ended at 0:02:14 by a threshold that failed: all errors < 5% over 1m came to 12.00%." in head
    assert "did not reach" not in head


def test_what_the_first_charge_point_came_upon_is_said_under_the_verdict() -> None:
    text = report(summary_with(preflight=["demo-00001: the boot was answered Pending"]))

    assert "  Before the run: demo-00001: the boot was answered Pending" in section(text, "PASSED")


@pytest.mark.parametrize("width", [80, 100, 120])
def test_faults_fit_the_width(width: int) -> None:
    faults = tuple(
        FaultPlan(name=f"a_fault_of_a_very_long_name_{n}", do="malformed", at=1e5, kinds=("unknown_action",))
        for n in range(2)
    )
    run = progress(plan(faults=faults, stages=(stage("s" * 60, 30.0, 500), stage("t", 30.0, 500))), elapsed=60.0)
    for fault in faults:
        numbers = counted(fault.name, hit=5_000_000, offline=5_000_000, gone=1, sent__unknown_action=9_999_999)
        take(run, counters=numbers, recoveries={fault.name: [5000.0]})
    windowed = threshold(over_s=600.0, worst_window_s=[400_000.0, 400_600.0], aborted_at_s=5.0, ok=False)
    summary = {**build_summary(run, duration=60.0), "thresholds": [windowed]}

    assert max(map(len, report(summary, width=width).splitlines())) <= width


def test_a_summary_of_an_earlier_version_has_a_report_too() -> None:
    summary = json.loads(json.dumps(build_summary(stormy(), duration=60.0)))
    summary["faults"] = {}
    summary["connections"].pop("retried")
    for each in summary["stages"].values():
        del each["online"], each["sessions"]

    assert report(summary).startswith("PASSED")
