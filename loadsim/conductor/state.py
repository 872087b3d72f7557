"""A run as the parts of the conductor see it: what it was asked for, who is there, how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from loadsim.csms.process import EmbeddedProcess
from loadsim.output.console import ConsoleOutput
from loadsim.output.progress import Progress
from loadsim.output.run_folder import RunFolder
from loadsim.scenario.plan import Plan
from loadsim.workers.local import LocalWorker
from loadsim.workers.protocol import End

_LAST_WORDS: Final = 15.0
_LAST_WORDS_EACH: Final = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run a plan; seconds.

    *scenario_text*, *resolved_text*, *overrides* (values in place of the scenario's) and *command* (which does the
    same run again) are kept with the results.
    """

    results: Path
    workers: int
    graceful_stop: float
    scenario_text: str
    resolved_text: str
    make_screen: Callable[[Progress], ConsoleOutput]
    overrides: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended: what it left behind."""

    summary: dict[str, Any]
    progress: Progress
    folder: Path


class RunState:
    """A run under way."""

    def __init__(self, plan: Plan, options: RunOptions, folder: RunFolder) -> None:
        self.plan = plan
        self.options = options
        self.folder = folder
        self.progress = Progress(plan, workers=options.workers)
        self.workers: list[LocalWorker] = []
        self.embedded: EmbeddedProcess | None = None
        self.began: float | None = None
        """When the run began, in trio's time; None while it is still to begin."""
        self.began_wall = time.time()
        self.heard: dict[int, float] = {}
        """When each worker last said something, in trio's time."""
        self.gone: set[int] = set()
        """Workers whose process has ended."""
        self.all_gone = trio.Event()
        self.at_once = trio.CancelScope()
        """Cancelled, it ends the run without another word from anybody."""
        # Closing takes a while with many connections.
        self.last_words = _LAST_WORDS + _LAST_WORDS_EACH * plan.charge_points

    @property
    def url(self) -> str:
        """Where the CSMS is, without its secrets."""
        return self.plan.target.shown_url or (self.embedded.url if self.embedded else "")

    @property
    def elapsed(self) -> float:
        """Seconds since the run began; 0 before."""
        return 0.0 if self.began is None else trio.current_time() - self.began

    def lose(self, shard: int, why: str) -> None:
        """Note that a worker is gone before it has said all."""
        if shard not in self.progress.lost_workers:
            self.progress.lose(shard, why)
            self.folder.lose(shard)

    async def end_now(self) -> None:
        """End the run as at its planned end; one that has not begun ends without having been one."""
        progress = self.progress
        if progress.ended_at is None:
            progress.elapsed = self.elapsed
            progress.ended_at = progress.elapsed
        if self.embedded is not None:
            await self.embedded.end_calls()
        for worker in self.workers:
            await worker.say(End())
