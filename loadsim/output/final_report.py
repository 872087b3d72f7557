"""The report at a run's end, on stdout: made from summary.json alone, so that it can be rendered again later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from loadsim.metrics.snapshot import Example
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
    cut,
    duration,
    encodable,
    labelled,
    measured,
    rate,
    table,
    wrapped,
)
from loadsim.output.report_sessions import hardware, sessions, transactions
from loadsim.output.report_tables import calls, classes, commands, response_times, stages
from loadsim.output.report_troubles import troubles
from loadsim.units import format_bytes, format_count

Summary = Mapping[str, Any]

_WIDEST: Final = 120
_LABEL: Final = 17
_SIGNALS: Final = {130: "SIGINT", 143: "SIGTERM"}
_PREFLIGHT: Final = 3
_FEW: Final = 100
"""Below so many charge points the memory of one says more of the simulator than of a charge point."""


def render_report(
    summary: Summary,
    *,
    examples: Sequence[Example] = (),
    paths: Mapping[str, str] | None = None,
    next_command: str | None = None,
    console: Console,
) -> None:
    """Print the report of a run.

    Args:
        summary: summary.json, as `build_summary` makes it or as read back.
        examples: failures as they happened; one of each kind is shown.
        paths: where things were written, by what they are; ``results`` is the run's folder.
        next_command: what to type next.
        console: where to print; its width is used up to 120 columns.
    """
    width = min(console.width, _WIDEST)
    sections = (
        _verdict(summary, width),
        _thresholds(summary, width),
        _carried(summary, width),
        calls(summary, width),
        response_times(summary, width),
        stages(summary, width),
        classes(summary, width),
        sessions(summary, width),
        transactions(summary, width),
        _connections(summary, width),
        commands(summary, width),
        hardware(summary, width),
        troubles(summary, examples, width),
        _books(summary, width),
        _generator(summary, width),
        _paths(paths or {}, next_command),
    )
    for number, section in enumerate(section for section in sections if section):
        if number:
            console.print()
        for line in section:
            # Lines are as wide as they should be; a path must not be broken, or it could not be copied.
            console.print(encodable(line, console.encoding), soft_wrap=True)


def _verdict(summary: Summary, width: int) -> list[Text]:
    verdict, complete = summary["verdict"], summary["complete"]
    style = {"passed": GOOD, "failed": "red", "invalid": WARNING}[verdict]
    shortfalls = list(_shortfalls(summary))
    if verdict == "passed" and (shortfalls or not complete):
        style = WARNING
    title = [(verdict.upper(), f"bold {style}")]
    if not complete:
        title.append((" INCOMPLETE", BAD))
    name = cut(summary.get("name", ""), max(width - 40, 12))
    lines = [Text.assemble(*title, "  ", (name, STRONG), (f"  {duration(summary['duration_s'])}", QUIET))]
    for why in _why_incomplete(summary):
        lines += wrapped(why, width, style=BAD)
    for shortfall in shortfalls:
        lines += wrapped(shortfall, width, style=BAD)
    if verdict == "invalid":
        lines += wrapped("The generator was the bottleneck: these figures show loadsim, not the CSMS.", width)
        for reason in summary.get("invalid_because", ()):
            lines += wrapped(f"- {reason}", width, hang=2, style=WARNING)
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
    for worker in lost:
        yield f"Lost {worker}"
    if lost:
        yield "What a lost worker did after its last snapshot is missing from these numbers."
    elif not aborted and code == _PREFLIGHT and not summary.get("troubles"):
        yield "The run was given up before it could begin."
    elif not signal and not aborted and not summary.get("troubles"):
        yield "The run did not reach its planned end."


def _shortfalls(summary: Summary) -> Iterator[str]:
    """Say what no threshold need have noticed: who was gone at the end, and what the CSMS never heard of."""
    points, numbers = summary["charge_points"], summary.get("transactions") or {}
    online, planned = points["online_end"], points.get("planned_end", 0)  # an earlier version's summary has none
    # How many a lost worker had online at the end nobody knows; a run that was given up never had any.
    if online < planned and not summary.get("lost_workers") and not summary.get("aborted_because"):
        yield f"ONLY {format_count(online)} of {format_count(planned)} were online at the end."
    for harm, what in (
        ("lost", "LOST: the start or the stop given up after all tries."),
        ("undelivered", "UNDELIVERED: over, the stop not confirmed at the end."),
    ):
        if numbers.get(harm):
            begun = numbers["begun"]
            yield f"{format_count(numbers[harm])} of {format_count(begun)} transactions {what}"


def _thresholds(summary: Summary, width: int) -> list[Text]:
    results = summary.get("thresholds", ())
    if not results:
        return [labelled("thresholds", [Text("none, so nothing could fail", style=QUIET)], width, label_width=_LABEL)]
    failed = sum(not result["ok"] for result in results)
    heading = f"thresholds  {failed} of {len(results)} failed" if failed else f"thresholds  all {len(results)} passed"
    columns = [
        Column(header="check", cells=[clean(result["check"]) for result in results], right=False),
        Column(header="actual", cells=[_actual(result) for result in results], least=8),
        Column(
            header="",
            cells=[Text("ok", style=GOOD) if result["ok"] else Text("FAILED", style=BAD) for result in results],
            right=False,
        ),
    ]
    return [Text(heading, style=STRONG), *table(columns, width, indent=2)]


def _actual(result: Mapping[str, Any]) -> str:
    try:
        return measured(parse(result["check"]), result["actual"])
    except ThresholdSyntaxError:  # written by a later version: its unit is unknown, its number is not
        return NONE if result["actual"] is None else f"{result['actual']:g}"


def _carried(summary: Summary, width: int) -> list[Text]:
    """Say in a sentence what the run was, and no more than its numbers say."""
    points, actions = summary["charge_points"], summary.get("actions", {})
    planned, booted = points["planned"], points["booted"]
    lines = [Text("carried", style=STRONG)]
    if booted < planned:
        lines += wrapped(
            f"ONLY {format_count(booted)} of {format_count(planned)} charge points booted{_never_started(points)}.",
            width,
            style=BAD,
        )
    else:
        lines += wrapped(f"{format_count(booted)} of {format_count(planned)} charge points booted.", width)
    online = f"{format_count(points['online_max'])} online at most, {format_count(points['online_end'])} at the end"
    sent = sum(action["sent"] for action in actions.values())
    seconds = summary["duration_s"]
    if not sent or not seconds:
        return [*lines, *wrapped(f"{online}. No calls were sent.", width)]
    named = next((name for name in ("Authorize", "Heartbeat", "BootNotification") if name in actions), None)
    named = named or max(actions, key=lambda name: actions[name]["sent"])
    p99 = actions[named]["response_s"]["p99"]
    told = "" if p99 is None else f" {named} p99 {duration(p99)} (response)."
    lines += wrapped(
        f"{online}. {format_count(sent)} calls in {duration(seconds)}, {rate(sent / seconds)}/s on average, "
        f"its ramp and end included.{told}",
        width,
    )
    return lines


def _never_started(points: Mapping[str, Any]) -> str:
    missing = points["planned"] - points.get("started", points["planned"])
    return f"; {format_count(missing)} were never started" if missing > 0 else ""


def _connections(summary: Summary, width: int) -> list[Text]:
    numbers = summary.get("connections")
    if not numbers:
        return []
    counted = [
        f"{format_count(numbers['attempted'])} attempted",
        f"{format_count(numbers['opened'])} opened",
        *([f"{format_count(numbers['abandoned'])} abandoned"] if numbers.get("abandoned") else []),
    ]
    lost = numbers.get("lost", 0)
    counted.append(f"{format_count(lost)} lost")
    lines = [
        Text("connections", style=STRONG),
        labelled("  count", [", ".join(counted)], width, label_width=_LABEL),
    ]
    for label, causes in (
        ("  refused", numbers.get("refused", {})),
        ("  lost, by code", numbers.get("lost_by_code")),
    ):
        text = ", ".join(f"{clean(cause)} {format_count(count)}" for cause, count in (causes or {}).items() if count)
        if text:
            first, *more = wrapped(text, width, indent=_LABEL, style=WARNING)
            lines += [labelled(label, [Text(first.plain.lstrip(), style=WARNING)], width, label_width=_LABEL), *more]
    for label, key in (("  connect", "connect_s"), ("  handshake", "handshake_s")):
        times = numbers.get(key) or {}
        if times.get("p99") is not None:
            shown = f"p50 {duration(times['p50'])}   p99 {duration(times['p99'])}   max {duration(times['max'])}"
            lines.append(labelled(label, [shown], width, label_width=_LABEL))
    return lines


def _books(summary: Summary, width: int) -> list[Text]:
    problems = summary.get("books", ())
    if not problems:
        return []
    lines = [Text("THE BOOKS DO NOT CLOSE: some numbers above are wrong or incomplete", style=BAD)]
    for problem in problems:
        lines += wrapped(f"- {problem}", width, hang=2, style=BAD)
    return lines


def _generator(summary: Summary, width: int) -> list[Text]:
    health = summary["generator"]
    workers, cpu, late = health["workers"], health["cpu_max"], health["lateness_p99_s"]
    # Below a second no window of CPU has ended, and before the first wake-up nothing could be late.
    load = f"the busiest at {cpu:.0%} of a core" if cpu else "CPU not measured"
    latest = None if late is None else health.get("lateness_max_s")
    rows = [
        ("  load", f"{workers} worker{'' if workers == 1 else 's'}, {load}"),
        (
            "  lateness",
            f"p99 {duration(late)}   max {duration(latest)}   "
            f"longest garbage collection {duration(health['gc_pause_max_s'])}",
        ),
        ("  memory", _memory(summary)),
    ]
    if health.get("descriptors_max"):
        used, limit = health["descriptors_max"], health.get("descriptor_limit", 0)
        rows.append(("  descriptors", f"{format_count(used)} of {format_count(limit)} in the fullest worker"))
    return [
        Text("generator", style=STRONG),
        *(labelled(label, [text], width, label_width=_LABEL) for label, text in rows),
    ]


def _memory(summary: Summary) -> str:
    health, online = summary["generator"], summary["charge_points"]["online_max"]
    if not health["rss_max_bytes"]:
        return NONE
    text = f"{format_bytes(health['rss_max_bytes'])} at most"
    gained = health["rss_max_bytes"] - health["rss_empty_bytes"]
    if online >= _FEW and gained > 0:
        text += f", {format_bytes(gained / online)} a charge point"
    return text


def _paths(paths: Mapping[str, str], next_command: str | None) -> list[Text]:
    lines = [
        Text.assemble((f"{clean(what)}".ljust(_LABEL - 1), QUIET), " ", clean(path)) for what, path in paths.items()
    ]
    if next_command:
        lines.append(Text.assemble(("again".ljust(_LABEL), QUIET), (clean(next_command), STRONG)))
    return lines
