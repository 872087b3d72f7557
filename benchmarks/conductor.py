"""What the conductor takes of a core: 100,000 charge points in 8 workers, live console and run folder included."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from unittest import mock

import trio
from rich.console import Console

from benchmarks import table
from benchmarks.running import SCENARIOS
from loadsim.conductor import Finished, RunOptions, conduct
from loadsim.dialects import DIALECTS
from loadsim.output.console import ConsoleOutput, LiveConsole
from loadsim.output.progress import Progress
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve, resolved_yaml

WORKERS: Final = 8
_WIDTH: Final = 120
_HEIGHT: Final = 40


def measure() -> Iterator[str]:
    """Conduct a minute of synthetic numbers that come through real pipes, and time the conductor's CPU."""
    finished, screen = conduct_numbers("conductor.yaml")
    summary = finished.summary
    sent = {name: action["sent"] for name, action in summary["actions"].items()}
    assert not summary["troubles"], summary["troubles"]
    yield table.figure("conductor", f"{screen.share:.1%} of a core ({sum(sent.values()):,} calls)")


class TimedScreen:
    """A live console on a terminal that nobody sees; *share* is the process's CPU while it was there."""

    def __init__(self, progress: Progress) -> None:
        self._sink = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - closed with the screen
        console = Console(file=self._sink, force_terminal=True, width=_WIDTH, height=_HEIGHT, color_system="256")
        self._live: ConsoleOutput = LiveConsole(progress, console)
        self.share = 0.0

    def __enter__(self) -> Self:
        self._live.__enter__()
        self._cpu, self._at = time.process_time(), time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.share = (time.process_time() - self._cpu) / (time.perf_counter() - self._at)
        self._live.__exit__(kind, error, trace)
        self._sink.close()

    def refresh(self) -> None:
        self._live.refresh()


def conduct_numbers(scenario: str) -> tuple[Finished, TimedScreen]:
    """Conduct a scenario whose workers are played by `benchmarks.numbers`."""
    read = read_scenario(SCENARIOS / scenario, os.environ, actions=DIALECTS["1.6"].actions)
    plan = resolve(read)
    screens: list[TimedScreen] = []

    def make_screen(progress: Progress) -> TimedScreen:
        screens.append(TimedScreen(progress))
        return screens[-1]

    with tempfile.TemporaryDirectory() as results, mock.patch("loadsim.workers.local.MODULE", "benchmarks.numbers"):
        options: dict[str, Any] = {"results": Path(results), "workers": WORKERS, "graceful_stop": 5.0}
        finished = trio.run(
            conduct,
            plan,
            RunOptions(
                **options, scenario_text=read.text, resolved_text=resolved_yaml(read, plan), make_screen=make_screen
            ),
        )
    return finished, screens[0]
