"""Draw the picture of the README: the live console of a real run of the quickstart scenario, 22 s into it.

``make picture`` runs it; so does ``python docs/make_picture.py docs/console.svg``. It takes half a minute.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import trio
from rich.console import Console

from loadsim.conductor import RunOptions, conduct
from loadsim.dialects import DIALECTS
from loadsim.output.console import LiveConsole
from loadsim.output.progress import Progress
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve, resolved_yaml

MOMENT: Final = 22.0
"""Seconds into the run: all charge points are online, and two of its three parts are over."""
WIDTH: Final = 110
HEIGHT: Final = 40
FONTS: Final = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SCENARIO: Final = Path(__file__).resolve().parents[1] / "scenarios" / "quickstart.yaml"


class Photographer:
    """A live console that nobody sees, and the picture that was taken of it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._console = LiveConsole(progress, Console(file=io.StringIO(), width=WIDTH, height=HEIGHT, _environ={}))
        self.picture = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have nothing to clean up."""

    def refresh(self) -> None:
        """Look at the run, so that its recent percentiles are known, and take the picture when it is time."""
        self._console.lines(width=WIDTH, height=HEIGHT)
        if not self.picture and self._progress.elapsed >= MOMENT:
            self.picture = tidy(self._console.snapshot_svg(f"loadsim run scenarios/{SCENARIO.name}"))


def tidy(svg: str) -> str:
    """Name fonts that machines have, and drop comments; the widths of texts are fixed by their textLength."""
    svg = svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")
    svg = svg.replace("font-family: arial", "font-family: sans-serif")
    return re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)


def take_picture() -> str:
    """Run the scenario and return the picture.

    Raises:
        RuntimeError: the run did not pass, or ended before the moment came.
    """
    scenario = read_scenario(SCENARIO, os.environ, actions=DIALECTS["1.6"].actions)
    plan = resolve(scenario)
    photographers: list[Photographer] = []

    def make_screen(progress: Progress) -> Photographer:
        photographers.append(Photographer(progress))
        return photographers[-1]

    with tempfile.TemporaryDirectory() as folder:
        options = RunOptions(
            results=Path(folder),
            workers=1,
            graceful_stop=5.0,
            scenario_text=scenario.text,
            resolved_text=resolved_yaml(scenario, plan),
            make_screen=make_screen,
        )
        finished = trio.run(conduct, plan, options)
    verdict, picture = finished.summary["verdict"], photographers[0].picture
    if verdict != "passed" or not picture:
        raise RuntimeError(f"no picture: the run was {verdict}, {finished.summary['duration_s']} s long")
    return picture


def main() -> None:
    """Write the picture to the file that is named on the command line."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("console.svg")
    target.write_text(take_picture(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
