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

from loadsim.output.layout import encodable
from loadsim.output.plain_console import PlainConsole
from loadsim.output.progress import Progress
from loadsim.output.screen import draw, judge_so_far
from loadsim.output.screen_table import View, with_all
from loadsim.output.sparkline import RecentPercentiles

Mode = Literal["auto", "live", "plain", "off"]

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
