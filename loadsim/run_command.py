"""``loadsim run``: a scenario read, the machine looked at, the run conducted, its report shown."""

from __future__ import annotations

import ipaddress
import os
import shlex
import sys
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import trio
from rich.console import Console

from loadsim.conductor import Finished, RunOptions, conduct
from loadsim.dialects import DIALECTS
from loadsim.errors import UsageError
from loadsim.output.console import ConsoleOutput, LiveConsole, make_console
from loadsim.output.final_report import render_report
from loadsim.output.layout import clean
from loadsim.output.progress import Progress
from loadsim.plan_command import show
from loadsim.preflight import check_machine, default_workers, warnings_of
from loadsim.scenario.overrides import without_tokens
from loadsim.scenario.plan import Plan
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve, resolved_yaml
from loadsim.scenario.shipped import find_scenario
from loadsim.streams import print_json, unless_gone
from loadsim.units import format_count, format_duration
from loadsim.v16.configuration import initial_problem


def run(
    path: Path,
    *,
    workers: int | None,
    seed: int | None,
    results: Path | None,
    graceful_stop: float,
    console: str,
    as_json: bool,
    quiet: bool,
    overrides: Sequence[str] = (),
    dry_run: bool = False,
) -> int:
    """Run a scenario to its end and show what came of it; return the exit code.

    *overrides* are values in place of the scenario's, as ``key=value``. A *dry_run* says what it would be, starts and
    sends nothing, and leaves nothing behind.

    Raises:
        UsageError: the scenario or the results folder is no good; nothing was sent.
        PreflightFailed: the run could not begin.
    """
    actions = DIALECTS["1.6"].actions
    scenario = read_scenario(
        find_scenario(path), os.environ, actions=actions, configuration=initial_problem, overrides=overrides
    )
    plan = resolve(scenario, seed=seed)
    workers = workers or default_workers(plan)
    screen = Console(file=unless_gone(sys.stderr))
    for warning in scenario.warnings:
        screen.print(str(warning), markup=False, highlight=False, soft_wrap=True)
    check_machine(plan, workers)
    if not dry_run:  # which shows them beside the figures
        for doubt in warnings_of(plan):
            screen.print(f"warning: {doubt}", markup=False, highlight=False, soft_wrap=True)
    if not quiet or dry_run:
        _announce(plan, workers, screen)
    if dry_run:
        show(plan, workers=workers, as_json=as_json)
        return 0
    options = RunOptions(
        results=results or Path(plan.results),
        workers=workers,
        graceful_stop=graceful_stop,
        scenario_text=scenario.text,
        resolved_text=resolved_yaml(scenario, plan),
        overrides=scenario.overrides,
        command=without_tokens(_again(plan.seed)),
        make_screen=lambda progress: _make_screen(
            cast("Literal['auto', 'live', 'plain', 'off']", console), progress, screen
        ),
    )
    try:
        finished = trio.run(conduct, plan, options)
    except OSError as error:
        raise UsageError(f"the results cannot be written: {error}") from error
    _show(finished, screen, as_json=as_json, quiet=quiet)
    return int(finished.summary["exit_code"])


def _announce(plan: Plan, workers: int, screen: Console) -> None:
    """Say what is about to happen; a target that is not this machine is named, with the size of the run."""
    size = f"{format_count(plan.charge_points)} charge points, {format_duration(plan.duration)}"
    target = plan.target.shown_url or "the embedded CSMS"
    reach = "" if plan.target.url is None or _is_loopback(plan.target.url) else " (not this machine)"
    screen.print(
        f"loadsim {plan.name}: {size}, {workers} worker{'s' if workers > 1 else ''}, seed {plan.seed}, "
        f"to {target}{reach}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _make_screen(mode: Literal["auto", "live", "plain", "off"], progress: Progress, screen: Console) -> ConsoleOutput:
    chosen = make_console(mode, progress, screen)
    if isinstance(chosen, LiveConsole):
        for note in progress.preflight:  # a picture that moves would not keep it
            screen.print(clean(note), markup=False, highlight=False, soft_wrap=True)
    return chosen


def _is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _again(seed: int) -> str:
    """Return the command that does the same run again."""
    given = sys.argv[1:]
    return shlex.join(["loadsim", *given] if "--seed" in given else ["loadsim", *given, "--seed", str(seed)])


def _show(finished: Finished, screen: Console, *, as_json: bool, quiet: bool) -> None:
    aborted = finished.progress.aborted_because
    if aborted is not None:
        screen.print(clean(aborted), markup=False, highlight=False, soft_wrap=True)
    if as_json:
        print_json(finished.summary, unless_gone(sys.stdout))
    elif not quiet and aborted is None:
        paths = {"results": str(finished.folder), "summary": str(finished.folder / "summary.json")}
        render_report(
            finished.summary,
            examples=finished.progress.examples,
            paths=paths,
            next_command=_again(finished.progress.plan.seed),
            console=Console(file=unless_gone(sys.stdout)),
        )
