"""Whatever goes wrong at once: exit code, verdict, completeness and junit.xml say the same of it."""

from __future__ import annotations

from itertools import product
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from loadsim.output.junit import junit_xml
from loadsim.output.progress import Progress
from loadsim.output.summary import build_summary
from loadsim.scenario.plan import Plan, Threshold
from tests.output.builders import calls, plan, progress, take

COMBINATIONS = [
    dict(
        zip(("broken", "signal", "lost", "trouble", "given_up", "invalid", "failed", "aborted"), values, strict=True)
    )
    for values in product(
        (False, True),
        (None, "SIGINT", "SIGTERM"),
        (False, True),
        (False, True),
        (False, True),
        (False, True),
        (False, True),
        (False, True),
    )
]


def run_of(what: dict[str, Any]) -> Progress:
    """Make a run to which all of that has happened."""
    bare = plan()
    checks = [Threshold(check="all errors == 0", abort=what["aborted"])]
    checks += [Threshold(check="all p95 < 1s")]
    the_plan = Plan(
        name="all at once",
        seed=1,
        target=bare.target,
        tag_classes=(),
        fleets=bare.fleets,
        stages=bare.stages,
        thresholds=tuple(checks),
    )
    run = progress(the_plan, workers=2)
    failed = what["failed"] or what["aborted"]
    counters = {"generator.broken": 1} if what["broken"] else {}
    if what["invalid"]:
        counters["generator.exhausted.EMFILE"] = 1
    for shard in range(2):
        beats = calls("Heartbeat", [0.1], timeout=1, accepted=0) if failed else calls("Heartbeat", [0.1])
        take(run, beats, at=5.0, shard=shard, counters=counters, lateness=(0.001,))
    assert (run.aborting() is not None) == what["aborted"]
    run.ended_at = 5.0
    run.interrupted_by = what["signal"]
    if what["lost"]:
        run.lose(1, "killed by signal 9")
    if what["trouble"]:
        run.troubles.append("the embedded CSMS ended before the run did")
    if what["given_up"]:
        run.aborted_because = "cannot reach the CSMS"
    return run


def expected_code(what: dict[str, Any]) -> int:
    """Return the exit code by the design: 1 > 130/143 > 3 > 4 > 99 > 0."""
    if what["broken"]:
        return 1
    if what["signal"]:
        return {"SIGINT": 130, "SIGTERM": 143}[what["signal"]]
    if what["lost"] or what["trouble"] or what["given_up"]:
        return 3
    if what["invalid"]:
        return 4
    return 99 if what["failed"] or what["aborted"] else 0


@pytest.mark.parametrize("signal", [None, "SIGINT", "SIGTERM"])
def test_every_combination_has_the_exit_code_of_the_worst_and_all_outputs_agree(signal: str | None) -> None:
    for what in COMBINATIONS:
        if what["signal"] != signal:
            continue
        summary = build_summary(run_of(what), duration=5.0)
        code = expected_code(what)
        assert summary["exit_code"] == code, what
        stopped = what["signal"] or what["lost"] or what["trouble"] or what["given_up"] or what["aborted"]
        assert summary["complete"] == (not stopped), what
        assert (summary["aborted_by"] is not None) == what["aborted"]
        judged = "invalid" if what["invalid"] else "failed" if what["failed"] or what["aborted"] else "passed"
        assert summary["verdict"] == ("failed" if what["given_up"] else judged), what
        report = ET.fromstring(junit_xml(summary))  # noqa: S314 - written by ourselves
        red = len(report.findall(".//failure")) + len(report.findall(".//error"))
        assert (red > 0) == (code != 0), what
        assert int(report.attrib["failures"]) == len(report.findall(".//failure"))
        assert int(report.attrib["errors"]) == len(report.findall(".//error"))
        properties = {each.attrib["name"]: each.attrib["value"] for each in report.iter("property")}
        assert properties["exit_code"] == str(code)
        assert properties["verdict"] == summary["verdict"]
