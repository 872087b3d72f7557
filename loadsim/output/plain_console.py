"""What a run says on stderr where there is no terminal: a line now and then, and one for whatever happens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.text import Text

from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.histogram import Histogram
from loadsim.metrics.judge import Result
from loadsim.output.fault_news import LONG_RUN
from loadsim.output.layout import (
    BAD,
    QUIET,
    STRONG,
    WARNING,
    clean,
    clock,
    duration,
    encodable,
    hourly,
    measured,
    rate,
    share,
)
from loadsim.output.progress import Happening, Progress
from loadsim.output.screen import judge_so_far, shows_sessions
from loadsim.output.screen_table import ALL
from loadsim.scenario.load_profile import planned_online_in_all
from loadsim.units import format_bytes, format_count

_EVERY: Final = 10.0
_EVERY_OF_LONG_RUNS: Final = 60.0
_LOOKED_EVERY: Final = 1.0
_TOLD_AGAIN: Final = 60.0


class PlainConsole:
    """Writes a line now and then, and one at once for whatever happens; a log of days stays one that can be read."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._every = line_every(progress.plan.duration)
        self._due = self._every
        self._last_happening: Happening | None = None
        self._last_line_at = -1.0
        self._stage = 0
        self._failing = _NewlyFailing()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what happened last, and how the run stood at its end."""
        self._write_happenings()
        if self._progress.elapsed > self._last_line_at + 1.0:
            self._write_line()

    def refresh(self) -> None:
        """Write what happened since the last time, and the line if it is due."""
        self._write_happenings()
        self._write_turns()
        if self._progress.elapsed >= self._due:
            self._write_line()
            while self._due <= self._progress.elapsed:
                self._due += self._every

    def _write_happenings(self) -> None:
        new: list[Happening] = []
        for happening in reversed(self._progress.happenings):
            if happening is self._last_happening:
                break
            new.append(happening)
        for happening in reversed(new):
            self._write_event(happening.at, happening.text)
            self._last_happening = happening

    def _write_turns(self) -> None:
        """Write that a new stage has begun, and which thresholds fail since the last time."""
        progress = self._progress
        if progress.ended_at is not None:
            return
        if progress.stage_index != self._stage:
            self._stage = progress.stage_index
            stages = progress.plan.stages
            stage = stages[self._stage]
            text = f"stage {self._stage + 1}/{len(stages)} {stage.name}, {duration(stage.duration)}"
            self._write_event(progress.elapsed, text, STRONG)
        for result in self._failing.look(progress):
            text = f"threshold fails so far: {result.text}: {measured(result.check, result.actual)}"
            self._write_event(progress.elapsed, text, WARNING)

    def _write_event(self, at: float, text: str, style: str = "") -> None:
        self._write(Text.assemble((f"{clock(at, hours=True)}  ", QUIET), (clean(text), style)))

    def _write_line(self) -> None:
        self._last_line_at = self._progress.elapsed
        self._write(plain_line(self._progress))

    def _write(self, line: Text) -> None:
        self._console.print(encodable(line, self._console.encoding), soft_wrap=True)


class _NewlyFailing:
    """Which thresholds fail that did not before; of one that goes to and fro, once a minute."""

    def __init__(self) -> None:
        self._looked_at = 0.0
        self._failing: set[int] = set()
        self._told_at: dict[int, float] = {}

    def look(self, progress: Progress) -> list[Result]:
        """Return those that fail since the last time; what has no samples yet does not fail yet."""
        now = progress.measured_at
        if not progress.checks or now < self._looked_at + _LOOKED_EVERY:
            return []
        self._looked_at = now
        results = judge_so_far(progress)
        failing = {number for number, result in enumerate(results) if not result.ok and result.actual is not None}
        new = [
            number
            for number in sorted(failing - self._failing)
            if now >= self._told_at.get(number, -math.inf) + _TOLD_AGAIN
        ]
        self._told_at |= dict.fromkeys(new, now)
        self._failing = failing
        return [results[number] for number in new]


def line_every(run_seconds: float) -> float:
    """Return how many seconds are between two lines: 10, or 60 in a run of more than an hour."""
    return _EVERY if run_seconds <= LONG_RUN else _EVERY_OF_LONG_RUNS


def plain_line(progress: Progress) -> Text:
    """Put the run as it is now in one line."""
    plan, totals = progress.plan, progress.totals
    everything = totals.select()
    name, times = _busiest(progress.actions())
    sent, errors = everything.sent, everything.errors
    out, back = progress.messages_per_second()
    planned = planned_online_in_all(plan, progress.measured_at)
    index = progress.stage_index
    at = f"{plan.stages[index].name} {index + 1}/{len(plan.stages)}" if progress.ended_at is None else "ending"
    results, workers = judge_so_far(progress), totals.health.values()
    turned_away = totals.counters["sessions.no_free_connector"]
    failing = sum(not result.ok and result.actual is not None for result in results)
    parts = [
        (clock(progress.elapsed, hours=True), QUIET),
        # Before all else: a log may be read through a window of 80 columns.
        *([(f"no free connector {format_count(turned_away)}", BAD)] if turned_away else []),
        (clean(at), ""),
        (f"online {format_count(totals.gauge('charge_points.online'))}/{format_count(planned)}", ""),
        *_sessions(progress),
        (f"{rate(out)} msg/s out, {rate(back)} in", ""),
        (f"{name} p95 {duration(times.percentile(95))} p99 {duration(times.percentile(99))}", ""),
        (f"errors {format_count(errors)} ({share(errors / sent if sent else None)})", BAD if errors else ""),
        (f"lateness p99 {duration(progress.health.lateness_p99)}", ""),
        *([(f"RSS {format_bytes(sum(each.rss for each in workers))}", "")] if workers else []),
    ]
    if failing:
        parts.append((f"{failing} of {len(results)} thresholds failing", WARNING))
    if progress.lost_workers:
        parts.append((f"{len(progress.lost_workers)} of {progress.workers} workers LOST", BAD))
    return Text("  ").join(Text(text, style=style) for text, style in parts)


def _busiest(actions: Mapping[str, CallNumbers]) -> tuple[str, Histogram]:
    """Return the action of which most was sent, of those of which any time is known, and its times."""
    known = {name: numbers for name, numbers in actions.items() if numbers.response.n}
    name = max(known, key=lambda each: known[each].sent, default=ALL)
    return name, known[name].response if name in known else Histogram()


def _sessions(progress: Progress) -> list[tuple[str, str]]:
    if not shows_sessions(progress):
        return []
    rates = progress.recent_sessions.rates(progress.ended_at)
    done = "sessions -" if rates is None else f"sessions {hourly(rates.planned)} plan, {hourly(rates.done)} done"
    return [
        (f"charging {format_count(progress.totals.gauge('transactions.running'))}", ""),
        (done, ""),
    ]
