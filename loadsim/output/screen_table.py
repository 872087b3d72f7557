"""The live console's table: a row for each action, with its rate, times, errors, and how it went lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.judge import Result
from loadsim.output.layout import (
    ACCENT,
    BAD,
    NONE,
    QUIET,
    STRONG,
    Column,
    can_refuse,
    cut,
    duration,
    rate,
    share,
    table,
)
from loadsim.output.progress import Progress
from loadsim.output.sparkline import RecentPercentiles, sparkline

ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class View:
    """What is drawn: the run, and what is too dear to be worked out twice."""

    progress: Progress
    actions: Mapping[str, CallNumbers]
    results: Sequence[Result]
    recent: RecentPercentiles


def with_all(actions: Mapping[str, CallNumbers]) -> dict[str, CallNumbers]:
    """Add what all actions make together; a single one is all by itself."""
    if len(actions) < 2:
        return dict(actions)
    together = CallNumbers()
    for numbers in actions.values():
        together.merge(numbers)
    return {**actions, ALL: together}


def actions_table(view: View, width: int, rows: int) -> list[Text]:
    """Draw the table of actions, its header included; the busiest when there is no room for all."""
    shown = dict(view.actions)
    if len(shown) > rows:
        busiest = sorted(shown, key=lambda name: (name == ALL, shown[name].sent), reverse=True)
        kept = set(busiest[: max(rows - 1, 1)])
        shown = {name: numbers for name, numbers in shown.items() if name in kept}
    hidden = len(view.actions) - len(shown)
    lines = table(_columns(view, shown, width), width)
    if hidden:
        lines.append(Text(f"and {hidden} more", style=QUIET))
    return lines[: rows + 1]


def _columns(view: View, shown: Mapping[str, CallNumbers], width: int) -> list[Column]:
    progress, numbers = view.progress, list(shown.values())
    sent = {name: progress.sent_per_second(name) for name in view.actions if name != ALL}
    rates = [rate(sum(sent.values()) if name == ALL else sent[name]) for name in shown]

    def times(percent: float) -> list[str]:
        return [duration(each.response.percentile(percent)) for each in numbers]

    columns = [
        Column(
            header="action, run so far",
            cells=[Text(cut(name, 30), style=QUIET if name == ALL and len(shown) > 1 else "") for name in shown],
            right=False,
            least=18,
        ),
        Column(header="rate/s", cells=rates, least=6, drop=1),
        Column(header="p50", cells=times(50), least=6, drop=4),
        Column(header="p95", cells=[Text(text, style=STRONG) for text in times(95)], least=6),
        Column(header="p99", cells=times(99), least=6),
        Column(
            header="max",
            cells=[duration(each.response.max if each.response.n else None) for each in numbers],
            least=6,
            drop=3,
        ),
        Column(header="errors", cells=[_errors(each) for each in numbers], least=6),
        Column(header="rejected", cells=[_rejected(name, view.actions) for name in shown], least=8, drop=2),
    ]
    room = width - sum(column.width + 2 for column in columns)
    slices = min(room, view.recent.slices)
    header = f"p95 last {_span(slices * view.recent.slice_seconds)}"
    if slices >= len(header):
        lines = [Text(sparkline(view.recent.latest(name, slices)).rjust(slices), style=ACCENT) for name in shown]
        columns.append(Column(header=header.rjust(slices), cells=lines, right=False, drop=5))
    return columns


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{round(seconds)} s" if rest else f"{minutes} min"


def _errors(numbers: CallNumbers) -> Text:
    errors = numbers.errors
    return Text(share(errors / numbers.sent if numbers.sent else None), style=BAD if errors else "")


def _rejected(name: str, actions: Mapping[str, CallNumbers]) -> str:
    numbers = actions[name]
    refusable = any(map(can_refuse, actions.keys() - {ALL})) if name == ALL else can_refuse(name)
    return share(numbers.rejection_rate) if refusable or numbers.rejected else NONE
