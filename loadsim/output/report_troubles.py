"""The final report's failures: the most frequent causes, each with one example as it happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from loadsim.metrics.snapshot import Example
from loadsim.output.layout import BAD, QUIET, STRONG, clean, clock, cut
from loadsim.units import format_count

_MOST: Final = 8
_COUNT_WIDTH: Final = 9


@dataclass(frozen=True, slots=True)
class Trouble:
    """What failed, why, and how often; *what* and *cause* as in an `Example`."""

    what: str
    cause: str
    count: int


def troubles(summary: Mapping[str, Any], examples: Sequence[Example], width: int) -> list[Text]:
    """Show the most frequent kinds of failures; nothing when nothing failed."""
    found = sorted((trouble for trouble in _all(summary) if trouble.count), key=lambda each: -each.count)
    if not found:
        return []
    first: dict[tuple[str, str], Example] = {}
    for example in examples:
        first.setdefault((example.what, example.cause), example)
    lines = [Text("errors", style=STRONG)]
    for trouble in found[:_MOST]:
        lines += _one(trouble, first.get((trouble.what, trouble.cause)), width)
    if len(found) > _MOST:
        more = len(found) - _MOST
        lines.append(Text(f"  and {more} more kind{'' if more == 1 else 's'}, in summary.json", style=QUIET))
    return lines


def _all(summary: Mapping[str, Any]) -> Iterator[Trouble]:
    for action, numbers in summary.get("actions", {}).items():
        for cause, count in numbers["errors"].items():
            yield Trouble(action, cause, count)
    connections = summary.get("connections", {})
    for outcome, count in connections.get("refused", {}).items():
        yield Trouble("connect", outcome, count)
    for code, count in connections.get("lost_by_code", {}).items():
        yield Trouble("connection", code, count)
    for kind, count in summary.get("strays", {}).items():
        yield Trouble("stray", kind, count)


def _one(trouble: Trouble, example: Example | None, width: int) -> list[Text]:
    indent = " " * (_COUNT_WIDTH + 4)
    room = width - len(indent)
    lines = [
        Text.assemble(
            (f"  {format_count(trouble.count):>{_COUNT_WIDTH}}  ", BAD), cut(_named(trouble), room), no_wrap=True
        )
    ]
    if example is None:
        return lines
    lines.append(
        Text(indent + cut(f"{clock(example.at)} {example.charge_point}: {example.detail}", room), style=QUIET)
    )
    if example.frame:
        lines.append(Text(indent + cut(example.frame, room), style=QUIET))
    return lines


def _named(trouble: Trouble) -> str:
    cause = clean(trouble.cause).replace("_", " ")
    match trouble.what:
        case "connect":
            return f"connect refused: {cause}"
        case "connection":
            return f"connection lost: code {cause}"
        case "stray":
            return f"stray message: {cause}"
        case action:
            return f"{action} {cause}"
