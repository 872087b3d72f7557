"""The report at a run's end, on stdout: made from summary.json alone, so that it can be rendered again later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from loadsim.metrics.snapshot import Example
from loadsim.output.layout import (
    BAD,
    NONE,
    QUIET,
    STRONG,
    WARNING,
    clean,
    duration,
    encodable,
    labelled,
    rate,
    wrapped,
)
from loadsim.output.report_faults import faults
from loadsim.output.report_load import load
from loadsim.output.report_sessions import hardware, sessions, transactions
from loadsim.output.report_tables import calls, classes, commands, response_times, stages
from loadsim.output.report_troubles import troubles
from loadsim.output.report_verdict import thresholds, verdict
from loadsim.units import format_bytes, format_count

Summary = Mapping[str, Any]

_WIDEST: Final = 120
_LABEL: Final = 17
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
        verdict(summary, width),
        thresholds(summary, width),
        _carried(summary, width),
        calls(summary, width),
        response_times(summary, width),
        stages(summary, width),
        classes(summary, width),
        faults(summary, width),
        load(summary, width),
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
    when = "now" if summary.get("goes_on") else "at the end"
    online = f"{format_count(points['online_max'])} online at most, {format_count(points['online_end'])} {when}"
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
        *([f"{format_count(numbers['retried'])} of them again"] if numbers.get("retried") else []),
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
