"""The final report's beginning: the verdict, why it is what it is, and the thresholds with what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from loadsim.metrics.thresholds import ThresholdSyntaxError, parse
from loadsim.output.layout import (
    BAD,
    GOOD,
    NONE,
    QUIET,
    STRONG,
    WARNING,
    Column,
    clean,
    clock,
    cut,
    duration,
    labelled,
    measured,
    table,
    wrapped,
)
from loadsim.units import duration_text, format_count

Summary = Mapping[str, Any]

_LABEL: Final = 17
_SIGNALS: Final = {130: "SIGINT", 143: "SIGTERM"}
_PREFLIGHT: Final = 3
_OK: Final = "ok"
_FAILED: Final = "FAILED"
_WAITING: Final = "waiting"
_STYLES: Final = {_OK: GOOD, _FAILED: BAD, _WAITING: QUIET}


def verdict(summary: Summary, width: int) -> list[Text]:
    """Show the verdict, and what must not be overlooked beside it."""
    judged, complete = summary["verdict"], summary["complete"]
    style = {"passed": GOOD, "failed": "red", "invalid": WARNING}[judged]
    shortfalls = list(_shortfalls(summary))
    if judged == "passed" and (shortfalls or not complete):
        style = WARNING
    title = [(judged.upper(), f"bold {style}")]
    if summary.get("goes_on"):
        title.append((" SO FAR", WARNING))
    elif not complete:
        title.append((" INCOMPLETE", BAD))
    name = cut(summary.get("name", ""), max(width - 40, 12))
    lines = [Text.assemble(*title, "  ", (name, STRONG), (f"  {duration(summary['duration_s'])}", QUIET))]
    for why in _why_incomplete(summary):
        lines += wrapped(why, width, style=BAD)
    for shortfall in shortfalls:
        lines += wrapped(shortfall, width, style=BAD)
    if judged == "invalid":
        lines += wrapped("The generator was the bottleneck: these figures show loadsim, not the CSMS.", width)
        for reason in summary.get("invalid_because", ()):
            lines += wrapped(f"- {reason}", width, hang=2, style=WARNING)
    for note in summary.get("preflight") or ():
        lines += wrapped(f"Before the run: {note}", width, hang=2, style=WARNING)
    return lines


def _why_incomplete(summary: Summary) -> Iterator[str]:
    if summary["complete"]:
        return
    code, lost = summary.get("exit_code"), summary.get("lost_workers", ())
    signal = summary.get("interrupted_by") or _SIGNALS.get(code or 0)
    aborted = summary.get("aborted_because")
    yield from (f"{trouble[:1].upper()}{trouble[1:]}." for trouble in summary.get("troubles", ()))
    if signal:
        yield f"Interrupted by {signal}: what follows is the run up to then."
    if aborted:
        yield f"Given up before it began: {aborted}"
    for result in summary.get("thresholds", ()):
        if result.get("aborted_at_s") is not None:
            actual, at = _actual(result), clock(result["aborted_at_s"], hours=True)
            yield f"Ended at {at} by a threshold that failed: {_check(result)} came to {actual}."
    for worker in lost:
        yield f"Lost {worker}"
    if lost:
        yield "What a lost worker did after its last snapshot is missing from these numbers."
    elif not aborted and code == _PREFLIGHT and not summary.get("troubles"):
        yield "The run was given up before it could begin."
    elif not signal and not aborted and not summary.get("troubles") and not summary.get("aborted_by"):
        yield "The run did not reach its planned end."


def _shortfalls(summary: Summary) -> Iterator[str]:
    """Say what no threshold need have noticed: who was gone at the end, and what the CSMS never heard of."""
    points, numbers = summary["charge_points"], summary.get("transactions") or {}
    online, planned = points["online_end"], points.get("planned_end", 0)  # an earlier version's summary has none
    # How many a lost worker had online at the end nobody knows; a run that was given up never had any.
    if online < planned and not summary.get("lost_workers") and not summary.get("aborted_because"):
        when = "are online now" if summary.get("goes_on") else "were online at the end"
        yield f"ONLY {format_count(online)} of {format_count(planned)} {when}."
    for harm, what in (
        ("lost", "LOST: the start or the stop given up after all tries."),
        ("undelivered", "UNDELIVERED: over, the stop not confirmed at the end."),
    ):
        if numbers.get(harm):
            begun = numbers["begun"]
            yield f"{format_count(numbers[harm])} of {format_count(begun)} transactions {what}"


def thresholds(summary: Summary, width: int) -> list[Text]:
    """Show the thresholds with their actual values."""
    results = summary.get("thresholds", ())
    if not results:
        return [labelled("thresholds", [Text("none, so nothing could fail", style=QUIET)], width, label_width=_LABEL)]
    words = [_word(result, goes_on=bool(summary.get("goes_on"))) for result in results]
    failed, waiting = words.count(_FAILED), words.count(_WAITING)
    heading = f"thresholds  {failed} of {len(results)} failed" if failed else f"thresholds  all {len(results)} passed"
    if waiting:
        passed = len(results) - failed - waiting
        heading = f"thresholds  {failed} of {len(results)} failing, {passed} ok, {waiting} without a value so far"
    columns = [
        Column(header="check", cells=[_check(result) for result in results], right=False),
        Column(header="actual", cells=[_actual(result) for result in results], least=8),
        *_worst_windows(results),
        Column(
            header="",
            cells=[Text(word, style=_STYLES[word]) for word in words],
            right=False,
        ),
    ]
    return [Text(heading, style=STRONG), *table(columns, width, indent=2)]


def _word(result: Mapping[str, Any], *, goes_on: bool) -> str:
    """Say how a threshold stands; what has no value fails when the run is over, and not before."""
    if result["ok"]:
        return _OK
    return _WAITING if goes_on and result["actual"] is None else _FAILED


def _check(result: Mapping[str, Any]) -> str:
    over = result.get("over_s")
    return clean(result["check"]) if over is None else f"{clean(result['check'])} over {duration_text(over)}"


def _worst_windows(results: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return the column that says when the worst window was, where there are any."""
    windows = [result.get("worst_window_s") for result in results]
    if not any(windows):
        return []
    cells = ["" if window is None else f"{clock(window[0])}-{clock(window[1])}" for window in windows]
    return [Column(header="worst at", cells=cells, drop=1)]


def _actual(result: Mapping[str, Any]) -> str:
    try:
        return measured(parse(result["check"]), result["actual"])
    except ThresholdSyntaxError:  # written by a later version: its unit is unknown, its number is not
        return NONE if result["actual"] is None else f"{result['actual']:g}"
