"""What a run shows on stderr while it goes on: a live picture on a terminal, else a line now and then."""

from __future__ import annotations

import io
import os
import re
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from loadsim.output.layout import BAD, QUIET, WARNING, clean, clock, duration, encodable, hourly, rate, share
from loadsim.output.progress import Happening, Progress
from loadsim.output.screen import draw, judge_so_far, shows_sessions
from loadsim.output.screen_table import ALL, View, with_all
from loadsim.output.sparkline import RecentPercentiles
from loadsim.scenario.load_profile import planned_online_in_all
from loadsim.units import format_count

Mode = Literal["auto", "live", "plain", "off"]

_PLAIN_EVERY: Final = 10.0
_PICTURE_WIDTH: Final = 110
_PICTURE_HEIGHT: Final = 40


class ConsoleOutput(Protocol):
    """Shows the run: entered before it, left after it, refreshed about twice a second."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was found."""
        ...

    def refresh(self) -> None:
        """Show the run as it is now."""
        ...


def make_console(mode: Mode, progress: Progress, stderr: Console) -> ConsoleOutput:
    """Choose how to show the run; "auto" is live on an interactive terminal, else plain.

    rich reads NO_COLOR, FORCE_COLOR and TTY_INTERACTIVE. Where stderr is no terminal a live picture would be
    lost or fill a log with control sequences, so it is plain then, whatever was asked for.
    """
    if mode == "off":
        return SilentConsole()
    if mode == "live" and stderr.is_terminal:
        return LiveConsole(progress, stderr)
    if mode == "auto" and stderr.is_terminal and stderr.is_interactive and _is_screen(stderr):
        return LiveConsole(progress, stderr)
    return PlainConsole(progress, stderr)


def _is_screen(stderr: Console) -> bool:
    # FORCE_COLOR makes rich call a CI's log a terminal: colours are right there, a moving picture is not.
    return os.environ.get("TTY_INTERACTIVE") == "1" or stderr.file.isatty()


class SilentConsole:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have nothing to clean up."""

    def refresh(self) -> None:
        """Show nothing."""


class LiveConsole:
    """Draws the run in place, and leaves no trace at the end: the final report follows."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._recent = RecentPercentiles(progress.plan.duration)
        self._live = Live(
            get_renderable=self._renderable,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the picture and show the cursor again."""
        self._live.stop()

    def refresh(self) -> None:
        """Draw the run as it is now."""
        self._live.refresh()

    def lines(self, *, width: int, height: int) -> list[Text]:
        """Draw the run as it is now, for a screen of *width* by *height* cells."""
        progress, actions = self._progress, with_all(self._progress.actions())
        self._recent.take(progress.elapsed, actions)
        view = View(progress, actions, judge_so_far(progress), self._recent)
        return draw(view, width=width, height=height)

    def snapshot_svg(self, title: str) -> str:
        """Return the picture as it is now as an SVG document that loads nothing from elsewhere."""
        recorder = Console(
            record=True,
            width=_PICTURE_WIDTH,
            file=io.StringIO(),
            force_terminal=True,
            color_system="truecolor",
            no_color=False,
            legacy_windows=False,
            _environ={},
        )
        recorder.print(Group(*self.lines(width=_PICTURE_WIDTH, height=_PICTURE_HEIGHT)))
        # rich names a web font; a README's picture must look the same without a network.
        return re.sub(r"@font-face \{.*?\}\s*", "", recorder.export_svg(title=title), flags=re.DOTALL)

    def _renderable(self) -> Group:
        # The last line of a terminal is left free: writing into it would make it scroll.
        width, height = self._console.width, self._console.height - 1
        lines = self.lines(width=width, height=height)
        return Group(*(encodable(line, self._console.encoding) for line in lines))


class PlainConsole:
    """Writes a line every 10 seconds, and one for whatever happens."""

    def __init__(self, progress: Progress, console: Console, *, every: float = _PLAIN_EVERY) -> None:
        self._progress = progress
        self._console = console
        self._every = every
        self._due = every
        self._last_happening: Happening | None = None
        self._last_line_at = -1.0

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
            self._write(Text.assemble((f"{clock(happening.at, hours=True)}  ", QUIET), clean(happening.text)))
            self._last_happening = happening

    def _write_line(self) -> None:
        self._last_line_at = self._progress.elapsed
        self._write(plain_line(self._progress))

    def _write(self, line: Text) -> None:
        self._console.print(encodable(line, self._console.encoding), soft_wrap=True)


def plain_line(progress: Progress) -> Text:
    """Put the run as it is now in one line."""
    plan, totals = progress.plan, progress.totals
    everything, authorize = totals.select(), totals.select(action="Authorize")
    name, times = ("Authorize", authorize.response) if authorize.response.n else (ALL, everything.response)
    sent, errors = everything.sent, everything.errors
    out, back = progress.messages_per_second()
    planned = planned_online_in_all(plan, progress.measured_at)
    index = progress.stage_index
    at = f"{plan.stages[index].name} {index + 1}/{len(plan.stages)}" if progress.ended_at is None else "ending"
    results = judge_so_far(progress)
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
    ]
    if failing:
        parts.append((f"{failing} of {len(results)} thresholds failing", WARNING))
    if progress.lost_workers:
        parts.append((f"{len(progress.lost_workers)} of {progress.workers} workers LOST", BAD))
    return Text("  ").join(Text(text, style=style) for text, style in parts)


def _sessions(progress: Progress) -> list[tuple[str, str]]:
    if not shows_sessions(progress):
        return []
    rates = progress.recent_sessions.rates(progress.ended_at)
    done = "sessions -" if rates is None else f"sessions {hourly(rates.planned)} plan, {hourly(rates.done)} done"
    return [
        (f"charging {format_count(progress.totals.gauge('transactions.running'))}", ""),
        (done, ""),
    ]
