"""The final report's tables of calls: by action, by stage, by tag class, and from the CSMS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from rich.text import Text

from loadsim.output.layout import (
    BAD,
    NONE,
    QUIET,
    STRONG,
    WARNING,
    Column,
    can_refuse,
    clean,
    duration,
    share,
    table,
    wrapped,
)
from loadsim.units import format_count

Numbers = Mapping[str, Any]

_ENDINGS: Final = {
    "pending": "answered Pending",
    "open_at_end": "open at the end",
    "waiting_at_end": "due, not sent before the stop",
    "skipped_offline": "due while not online, never sent",
}


def calls(summary: Numbers, width: int) -> list[Text]:
    """Show what became of each action's calls."""
    actions = summary.get("actions", {})
    if not actions:
        return []
    numbers = list(actions.values())
    columns = [
        Column(header="action", cells=[clean(name) for name in actions], right=False, least=16),
        Column(header="sent", cells=_counts(numbers, "sent"), least=7),
        Column(header="answered", cells=_counts(numbers, "answered")),
        Column(header="accepted", cells=_counts(numbers, "accepted"), drop=1),
        Column(header="rejected", cells=[_rejected(name, actions[name], _count) for name in actions]),
        Column(header="share", cells=[_rejected(name, actions[name], _rejection_rate) for name in actions], least=6),
        Column(header="errors", cells=[_loud(errors_of(each), BAD) for each in numbers]),
        Column(
            header="unexpected",
            cells=[_loud(each["unexpected"], WARNING) for each in numbers],
            drop=0 if any(each["unexpected"] for each in numbers) else 2,
        ),
    ]
    lines = [Text("calls", style=STRONG), *table(columns, width, indent=2)]
    for name, each in actions.items():
        endings = [f"{_text(each[key])} {what}" for key, what in _ENDINGS.items() if each.get(key)]
        if endings:
            lines += wrapped(f"{name}: {', '.join(endings)}", width, style=QUIET)
    return lines


def response_times(summary: Numbers, width: int) -> list[Text]:
    """Show the percentiles of each action's times."""
    actions = {name: each for name, each in summary.get("actions", {}).items() if each["sent"]}
    if not actions:
        return []
    columns = [Column(header="action", cells=[clean(name) for name in actions], right=False, least=16)]
    for percentile in ("p50", "p90", "p95", "p99", "p99.9", "max"):
        cells: list[str | Text] = [duration(each["response_s"][percentile]) for each in actions.values()]
        if percentile in ("p95", "p99"):
            cells = [Text(str(cell), style=STRONG) for cell in cells]
        drop = {"p99.9": 2, "p90": 1}.get(percentile, 0)
        columns.append(Column(header=percentile, cells=cells, least=6, drop=drop))
    service = [duration(each["service_s"]["p99"]) for each in actions.values()]
    columns.append(Column(header="service p99", cells=service))
    heading = Text.assemble(
        ("response times", STRONG), ("  due to end, errors included; service: sent to answered", QUIET)
    )
    return [heading, *table(columns, width, indent=2)]


def stages(summary: Numbers, width: int) -> list[Text]:
    """Show each action in each stage; nothing where a run had but one."""
    named = {name: stage for name, stage in summary.get("stages", {}).items() if stage.get("actions")}
    if len(summary.get("stages", {})) < 2 or not named:
        return []
    rows = [
        (_stage_name(name, stage, first=not position), action, numbers)
        for name, stage in named.items()
        for position, (action, numbers) in enumerate(stage["actions"].items())
    ]
    numbers = [row[2] for row in rows]
    columns = [
        Column(header="stage", cells=[row[0] for row in rows], right=False),
        Column(header="action", cells=[clean(row[1]) for row in rows], right=False),
        Column(header="sent", cells=_counts(numbers, "sent"), least=7),
        *(
            Column(
                header=percentile,
                cells=[duration(each["response_s"][percentile]) for each in numbers],
                least=6,
                drop=drop,
            )
            for percentile, drop in (("p50", 2), ("p95", 0), ("p99", 0), ("max", 3))
        ),
        Column(header="errors", cells=[_loud(errors_of(each), BAD) for each in numbers]),
        Column(header="rejected", cells=[_rejected(row[1], row[2], _rejection_rate) for row in rows], drop=1),
    ]
    return [Text("by stage", style=STRONG), *table(columns, width, indent=2)]


def classes(summary: Numbers, width: int) -> list[Text]:
    """Show the calls of each class of id tags, and the rest, so that those of an action add up to all."""
    rows = [row for action, each in summary.get("actions", {}).items() for row in _classes_of(action, each)]
    if not rows:
        return []
    numbers = [row[1] for row in rows]
    columns = [
        Column(header="tag class", cells=[row[0] for row in rows], right=False),
        Column(header="answered", cells=_counts(numbers, "answered")),
        Column(header="rejected", cells=_counts(numbers, "rejected")),
        Column(header="share", cells=[_rejection_rate(each) for each in numbers], least=6),
        Column(header="unexpected", cells=[_loud(each["unexpected"], WARNING) for each in numbers]),
    ]
    return [Text("id tags", style=STRONG), *table(columns, width, indent=2)]


def _classes_of(action: str, numbers: Numbers) -> Iterator[tuple[str, Numbers]]:
    """Yield the row of each class of *action*, and of the calls whose tag the CSMS chose, where there are any."""
    of_classes: Mapping[str, Numbers] = numbers.get("classes") or {}
    for tag_class, each in of_classes.items():
        yield f"{clean(action)}[{clean(tag_class)}]", each
    rest = {
        what: numbers[what] - sum(each[what] for each in of_classes.values())
        for what in ("sent", "answered", "rejected", "unexpected")
    }
    if of_classes and rest["sent"]:
        rejection_rate = rest["rejected"] / rest["answered"] if rest["answered"] else None
        yield f"{clean(action)}, of no class", {**rest, "rejection_rate": rejection_rate}


def commands(summary: Numbers, width: int) -> list[Text]:
    """Show the calls that came from the CSMS; nothing when none came."""
    received = summary.get("commands", {})
    if not received:
        return []
    numbers = list(received.values())
    columns = [
        Column(header="from the CSMS", cells=[clean(name) for name in received], right=False, least=22),
        *(
            Column(header=what, cells=[_text(each.get(what, 0)) for each in numbers])
            for what in ("received", "refused", "ignored")
        ),
        *(
            Column(header=percentile, cells=[duration(_answer(each, percentile)) for each in numbers], drop=drop)
            for percentile, drop in (("p50", 1), ("p95", 0), ("p99", 0), ("max", 2))
        ),
    ]
    heading = Text.assemble(("commands", STRONG), ("  times: read until the answer was sent", QUIET))
    return [heading, *table(columns, width, indent=2)]


def _answer(numbers: Numbers, percentile: str) -> float | None:
    times: Mapping[str, float | None] = numbers.get("answer_s", {})  # a summary of an earlier version has none
    return times.get(percentile)


def errors_of(numbers: Numbers) -> int:
    """Return the calls that ended without a valid answer."""
    return sum(numbers["errors"].values())


def _stage_name(name: str, stage: Numbers, *, first: bool) -> Text:
    if not first:
        return Text("")
    text = Text(f"{clean(name)} {duration(stage['seconds'])}")
    return text if stage.get("measure", True) else text.append(" not measured", style=QUIET)


def _rejected(action: str, numbers: Numbers, show: Callable[[Numbers], str]) -> str:
    return show(numbers) if can_refuse(action) or numbers["rejected"] else NONE


def _count(numbers: Numbers) -> str:
    return _text(numbers["rejected"])


def _rejection_rate(numbers: Numbers) -> str:
    return share(numbers["rejection_rate"])


def _counts(numbers: Iterable[Numbers], key: str) -> list[str]:
    return [_text(each[key]) for each in numbers]


def _loud(count: int, style: str) -> Text:
    return Text(_text(count), style=style if count else "")


def _text(count: int) -> str:
    return format_count(count)
