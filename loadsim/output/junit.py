"""junit.xml: the thresholds as test cases, for pipelines that read JUnit reports (Jenkins, GitLab, and others).

A threshold that does not hold is a failure. What keeps a run from saying anything (it is INVALID, was interrupted,
lost a worker, could not begin) is an error of a case of its own, and where the figures show the generator one of
every threshold: whatever makes the exit code other than 0 turns a pipeline red here, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from loadsim.metrics.thresholds import ThresholdSyntaxError, parse
from loadsim.output.layout import clock, measured
from loadsim.units import duration_text

RUN_CASE: Final = "the run itself"
"""The case that is there when there is no threshold, or when the run itself went wrong."""
_EXIT_OK: Final = 0
_EXIT_FAILED: Final = 99
# XML 1.0, section 2.2: what no document may hold, escaped or not.
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(summary: Mapping[str, Any]) -> str:
    """Write a run's *summary* (the content of summary.json) as a JUnit report of one suite."""
    name = _harmless(str(summary["name"]))
    cases = [_threshold_case(name, result, summary["invalid_because"]) for result in summary["thresholds"]]
    _tell_apart(cases)
    wrong = _wrong_with_the_run(summary)
    if wrong or not cases:
        case = _case(name, RUN_CASE)
        if wrong:
            _append(case, "error", "run", wrong[0], "\n".join(wrong))
        cases.insert(0, case)
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "time": f"{summary['duration_s']:.3f}",
    }
    suites = ET.Element("testsuites", {"name": "loadsim", **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": name, **counts, "skipped": "0"})
    properties = ET.SubElement(suite, "properties")
    for key in ("seed", "verdict", "complete", "exit_code", "planned_duration_s"):
        value = summary[key]
        text = str(value).lower() if isinstance(value, bool) else str(value)
        ET.SubElement(properties, "property", {"name": key, "value": _harmless(text)})
    suite.extend(cases)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _threshold_case(suite: str, result: Mapping[str, Any], invalid: list[str]) -> ET.Element:
    over = result.get("over_s")
    text = result["check"] if over is None else f"{result['check']} over {duration_text(over)}"
    case = _case(suite, text)
    if invalid:
        _append(case, "error", "invalid", "INVALID: the figures show the generator", "\n".join(invalid))
    elif not result["ok"]:
        _append(case, "failure", "threshold", _what_came_of_it(result), f"{text}: {_what_came_of_it(result)}")
    return case


def _tell_apart(cases: list[ET.Element]) -> None:
    """Number the cases of a check that is there more than once, with other `abort` or `after`."""
    seen: Counter[str] = Counter()
    for case in cases:
        name = case.attrib["name"]
        seen[name] += 1
        if seen[name] > 1:
            case.set("name", f"{name} ({seen[name]})")


def _what_came_of_it(result: Mapping[str, Any]) -> str:
    """Say what was measured, in the unit of the check, and what was wanted."""
    actual = result["actual"]
    if actual is None:
        return "no samples: a check of nothing fails"
    try:
        check = parse(result["check"])
    except ThresholdSyntaxError:  # of another version
        return f"actual {actual:g}"
    limit = measured(check, check.value)
    parts = [f"actual {measured(check, actual)}, expected {check.op} {limit}"]
    if result.get("worst_window_s") is not None:
        begin, end = result["worst_window_s"]
        parts.append(f"in the worst window, {clock(begin)} to {clock(end)} of the run")
    if result.get("aborted_at_s") is not None:
        parts.append(f"which ended the run after {clock(result['aborted_at_s'])}")
    return ", ".join(parts)


def _wrong_with_the_run(summary: Mapping[str, Any]) -> list[str]:
    """Say why the run, and not what it measured, has failed; nothing when its thresholds alone decide."""
    if summary["exit_code"] in (_EXIT_OK, _EXIT_FAILED):
        return []
    reasons = [f"INVALID: {reason}" for reason in summary["invalid_because"]]
    reasons += [f"interrupted by {summary['interrupted_by']}"] if summary["interrupted_by"] else []
    reasons += [summary["aborted_because"]] if summary["aborted_because"] else []
    reasons += [*summary["lost_workers"], *summary["troubles"]]
    return reasons or [f"exit code {summary['exit_code']}"]


def _case(suite: str, name: str) -> ET.Element:
    return ET.Element("testcase", {"classname": f"loadsim.{suite}", "name": _harmless(name)})


def _append(case: ET.Element, tag: str, kind: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, {"message": _harmless(message), "type": kind})
    element.text = _harmless(text)


def _harmless(text: str) -> str:
    r"""Write what XML cannot hold as an escape: ``\x00``."""
    return _FORBIDDEN.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)
