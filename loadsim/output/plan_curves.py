"""A picture of what a plan wants, for a terminal: who is online, who comes to charge, and when there is trouble."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from rich.text import Text

from loadsim.output.layout import ACCENT, BAD, GOOD, QUIET, clean, clock, cut
from loadsim.scenario.load_profile import planned_online_seconds_in_all, stage_times
from loadsim.scenario.plan import FaultPlan, Plan
from loadsim.scenario.session_arrivals import planned_sessions
from loadsim.units import format_count

_LEVELS: Final = " ▁▂▃▄▅▆▇█"
_TALL: Final = 6
_LOW: Final = 4
_WIDEST_PLOT: Final = 100
_NARROWEST_PLOT: Final = 20
_MARKS: Final = "abcdefghijklmnopqrstuvwxyz"
_MORE: Final = "+"
"""What marks the faults beyond the alphabet, and more than one at the same place."""


def plan_curves(plan: Plan, width: int) -> list[Text]:
    """Draw the planned curves over the run's time, in lines of at most *width* cells."""
    duration = plan.duration
    most_online = max(sum(stage.online.values()) for stage in plan.stages)
    most_sessions = max(sum(stage.sessions.values()) for stage in plan.stages) * 3600
    room = len("sessions/h ") + len(format_count(round(max(most_online, most_sessions))))
    columns = max(_NARROWEST_PLOT, min(_WIDEST_PLOT, width - room - 1))
    lines = _curve("online", _online(plan, columns), most_online, _TALL, room, GOOD)
    if most_sessions:
        hourly = [each * 3600 for each in _sessions(plan, columns)]
        lines += _curve("sessions/h", hourly, most_sessions, _LOW, room, ACCENT)
    if plan.faults:
        lines.append(_labelled("faults", _fault_row(plan, columns), room, BAD))
    lines.append(_labelled("stages", _stage_row(plan, columns), room, QUIET))
    end = clock(duration, hours=duration >= 3600)
    begin = clock(0, hours=duration >= 3600)
    lines.append(_labelled("", begin + end.rjust(max(columns - len(begin), len(end) + 1)), room, QUIET))
    return lines


def fault_marks(plan: Plan) -> dict[str, str]:
    """Return the letter that stands for each fault in the picture, by its name."""
    return {fault.name: _MARKS[number] if number < len(_MARKS) else _MORE for number, fault in enumerate(plan.faults)}


def _online(plan: Plan, columns: int) -> list[float]:
    """Return the mean number online in each of so many parts of the run."""
    step = plan.duration / columns
    return [planned_online_seconds_in_all(plan, step * n, step * (n + 1)) / step for n in range(columns)]


def _sessions(plan: Plan, columns: int) -> list[float]:
    """Return the mean number of sessions a second in each of so many parts of the run."""
    step = plan.duration / columns
    fleets = [fleet.name for fleet in plan.fleets if fleet.settings.session is not None]
    come = [sum(planned_sessions(plan.stages, name, step * n) for name in fleets) for n in range(columns + 1)]
    return [max(0.0, after - before) / step for before, after in pairwise(come)]


def _curve(label: str, values: Sequence[float], top: float, height: int, room: int, style: str) -> list[Text]:
    """Draw *values* as columns, in a scale that ends at *top*; what is not 0 is seen."""
    levels = [
        0 if value <= 0 or not top else max(1, round(value / top * height * (len(_LEVELS) - 1))) for value in values
    ]
    steps = len(_LEVELS) - 1
    lines = []
    for row in range(height - 1, -1, -1):
        cells = "".join(_LEVELS[min(max(level - row * steps, 0), steps)] for level in levels)
        scale = format_count(round(top)) if row == height - 1 else "0" if row == 0 else ""
        line = Text((label if row == height - 1 else "").ljust(room - len(scale)) + scale, style=QUIET, no_wrap=True)
        lines.append(line.append(" ").append(cells.rstrip(), style=style))
    return lines


def _labelled(label: str, cells: str, room: int, style: str) -> Text:
    return Text(label.ljust(room), style=QUIET, no_wrap=True).append(" ").append(cells.rstrip(), style=style)


def _fault_row(plan: Plan, columns: int) -> str:
    row = [" "] * columns
    marks = fault_marks(plan)
    for fault in sorted(plan.faults, key=lambda fault: fault.at is not None):  # a moment is seen within a stretch
        first, last = _cells(fault, plan.duration, columns)
        for cell in range(first, last + 1):
            if row[cell] in " ─":
                row[cell] = "─"
        row[first] = marks[fault.name] if row[first] in " ─" else _MORE
    return "".join(row)


def _cells(fault: FaultPlan, duration: float, columns: int) -> tuple[int, int]:
    begin, end = (fault.begin, fault.end) if fault.at is None else (fault.at, fault.at + fault.duration)
    first = min(int(begin / duration * columns), columns - 1)
    return first, max(first, min(round(end / duration * columns) - 1, columns - 1))


def _stage_row(plan: Plan, columns: int) -> str:
    """Write each stage's name where it begins, as much of it as it has room for."""
    row = ""
    for stage, (begin, end) in zip(plan.stages, stage_times(plan.stages), strict=True):
        first, last = round(begin / plan.duration * columns), round(end / plan.duration * columns)
        if last > first:
            row = row[:first].ljust(first) + ("|" + cut(clean(stage.name), last - first - 1)).ljust(last - first)
    return row
