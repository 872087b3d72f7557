"""junit.xml as a pipeline reads it: red whenever the exit code is not 0, and readable whatever is in it."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.output.junit import RUN_CASE, junit_xml
from loadsim.output.summary import build_summary
from tests.output.builders import calls, healthy, plan, progress, take


def summary(*checks: str, lateness: float = 0.001, **changed: Any) -> dict[str, Any]:
    """100 Heartbeats of 0.1 s in a run of 60 s, of which one timed out."""
    run = progress(plan(checks=checks))
    beats = calls("Heartbeat", (0.1,) * 100, accepted=99, timeout=1)
    take(run, beats, at=60.0, lateness=(lateness,) * 100, health=healthy())
    run.ended_at = 60.0
    for name, value in changed.items():
        setattr(run, name, value)
    return build_summary(run, duration=60.0)


def read(text: str) -> tuple[ET.Element, dict[str, ET.Element]]:
    """Read as Jenkins and GitLab do; return the suite and its cases by name."""
    suites = ET.fromstring(text)  # noqa: S314 - our own
    assert suites.tag == "testsuites"
    (suite,) = suites
    assert [child.tag for child in suite] == ["properties", *["testcase"] * (len(suite) - 1)]
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    assert len(cases) == len(suite) - 1
    for element in (suites, suite):
        assert int(element.attrib["tests"]) == len(cases)
        assert int(element.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert int(element.attrib["errors"]) == len(suite.findall("testcase/error"))
        assert float(element.attrib["time"]) == 60.0
    for case in cases.values():
        assert case.attrib["classname"]
        assert [child.tag for child in case] in ([], ["failure"], ["error"])
        assert all(child.attrib["message"] and child.attrib["type"] for child in case)
    return suite, cases


def red(suite: ET.Element) -> bool:
    return int(suite.attrib["failures"]) + int(suite.attrib["errors"]) > 0


def test_every_threshold_is_a_case_of_the_suite_named_like_the_scenario() -> None:
    suite, cases = read(junit_xml(summary("all p95 < 500ms", "all errors < 5%")))

    assert suite.attrib["name"] == "smoke"
    assert list(cases) == ["all p95 < 500ms", "all errors < 5%"]
    assert not red(suite)


def test_a_threshold_that_is_there_twice_makes_two_cases() -> None:
    _, cases = read(junit_xml(summary("all p95 < 500ms", "all p95 < 500ms")))

    assert list(cases) == ["all p95 < 500ms", "all p95 < 500ms (2)"]


def test_seed_and_verdict_are_properties_of_the_suite() -> None:
    suite, _ = read(junit_xml(summary("all p95 < 500ms")))

    properties = {each.attrib["name"]: each.attrib["value"] for each in suite.iter("property")}
    assert properties["seed"] == "1"
    assert properties["verdict"] == "passed"
    assert properties["complete"] == "true"


def test_a_threshold_that_does_not_hold_is_a_failure_with_what_was_measured_and_the_limit() -> None:
    _, cases = read(junit_xml(summary("all p95 < 50ms", "all errors == 0", "all errors < 5%")))

    failure = cases["all p95 < 50ms"].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "actual 100ms, expected < 50ms"
    failure = cases["all errors == 0"].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "actual 1, expected == 0"
    assert cases["all errors < 5%"].find("failure") is None


def test_a_threshold_without_samples_is_a_failure_that_says_so() -> None:
    _, cases = read(junit_xml(summary("Authorize p95 < 50ms")))

    failure = cases["Authorize p95 < 50ms"].find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("no samples")


def test_a_window_and_an_early_end_are_told() -> None:
    of_windows = summary("all errors < 5%")
    of_windows["thresholds"][0] |= {
        "ok": False,
        "actual": 0.25,
        "over_s": 60.0,
        "worst_window_s": [70.0, 130.0],
        "aborted_at_s": 130.5,
    }
    _, cases = read(junit_xml(of_windows))

    failure = cases["all errors < 5% over 1m"].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == (
        "actual 25.00%, expected < 5.00%, in the worst window, 01:10 to 02:10 of the run, "
        "which ended the run after 02:10"
    )


def test_an_invalid_run_is_an_error_in_every_case_with_the_reasons() -> None:
    _, cases = read(junit_xml(summary("all p95 < 500ms", "all errors == 0", lateness=0.5)))

    assert list(cases) == [RUN_CASE, "all p95 < 500ms", "all errors == 0"]
    for case in cases.values():
        error = case.find("error")
        assert error is not None
        assert "INVALID" in error.attrib["message"]
        assert "p99 lateness 500.0 ms" in (error.text or "")


def test_an_invalid_run_without_thresholds_is_red() -> None:
    suite, cases = read(junit_xml(summary(lateness=0.5)))

    assert list(cases) == [RUN_CASE]
    assert red(suite)


def test_a_run_without_thresholds_is_a_case_that_passes() -> None:
    suite, cases = read(junit_xml(summary()))

    assert list(cases) == [RUN_CASE]
    assert not red(suite)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"interrupted_by": "SIGINT"}, "interrupted by SIGINT"),
        ({"lost_workers": {1: "killed by signal 9"}}, "worker 1: killed by signal 9"),
        ({"troubles": ["the embedded CSMS ended before the run did"]}, "the embedded CSMS ended before the run did"),
        ({"aborted_because": "cannot reach the CSMS"}, "cannot reach the CSMS"),
    ],
)
def test_a_run_that_went_wrong_is_an_error_though_its_thresholds_hold(changed: dict[str, Any], message: str) -> None:
    suite, cases = read(junit_xml(summary("all p95 < 500ms", **changed)))

    error = cases[RUN_CASE].find("error")
    assert error is not None
    assert error.attrib["message"] == message
    assert red(suite)


@pytest.mark.parametrize("exit_code", [0, 1, 3, 4, 99, 130, 143])
def test_a_pipeline_turns_red_exactly_when_the_exit_code_is_not_0(exit_code: int) -> None:
    result = summary("all errors == 0" if exit_code == 99 else "all errors < 5%")
    result["exit_code"] = exit_code
    suite, _ = read(junit_xml(result))

    assert red(suite) is (exit_code != 0)


def test_what_xml_cannot_hold_is_escaped() -> None:
    result = summary("all errors < 5%", troubles=["<&\"'>\x00\x1b[31m\ud800\uffff\n\t]]>"])
    text = junit_xml(result)
    _, cases = read(text.encode("utf-8").decode("utf-8"))

    error = cases[RUN_CASE].find("error")
    assert error is not None
    assert error.attrib["message"] == "<&\"'>\\x00\\x1b[31m\\ud800\\uffff\n\t]]>"


@settings(derandomize=True, deadline=None)
@given(st.text(st.characters(exclude_categories=[]), max_size=30))
def test_any_name_and_any_reason_make_a_report_that_can_be_read(text: str) -> None:
    result = summary("all errors < 5%") | {"name": text, "exit_code": 3, "troubles": [text or "?"]}
    read(junit_xml(result).encode("utf-8").decode("utf-8"))
