"""One run from its folder to its summary, whatever happens on the way."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import trio

import loadsim
from loadsim.conductor.signals import ignore_endings, obey_signals, signals_of_a_run
from loadsim.conductor.starting import Starting
from loadsim.conductor.state import Finished, RunOptions, RunState
from loadsim.conductor.watching import Watch
from loadsim.errors import PreflightFailed
from loadsim.output.run_folder import RunFolder
from loadsim.output.summary import build_summary
from loadsim.scenario.plan import Plan


async def conduct(plan: Plan, options: RunOptions) -> Finished:
    """Run *plan* to its end, whatever happens on the way.

    Raises:
        PreflightFailed: it could not begin.
        OSError: the results cannot be written.
    """
    with signals_of_a_run():
        folder = RunFolder(options.results, plan, now=datetime.now().astimezone(), workers=options.workers)
        try:
            return await _run(RunState(plan, options, folder))
        finally:
            folder.close()


async def _run(state: RunState) -> Finished:
    state.folder.write_scenario(state.options.scenario_text, state.options.resolved_text)
    _write_run(state, exit_code=None)
    record, failure = None, None
    try:
        with state.at_once:
            async with trio.open_nursery() as nursery:
                await nursery.start(obey_signals, state)
                if await Starting(state).start(nursery):
                    await Watch(state).watch()
                nursery.cancel_scope.cancel()
    except* PreflightFailed as group:
        failure = _first(group)  # raised within except*, it would be in a group again
    finally:
        ignore_endings()
        for worker in state.workers:
            worker.kill()
        if state.embedded is not None:
            record = await state.embedded.end(state.last_words)
    if failure is not None:
        with state.folder.writing():
            _write_run(state, exit_code=failure.exit_code)
        raise failure
    return _finish(state, record)


def _finish(state: RunState, record: dict[str, Any] | None) -> Finished:
    progress, duration = state.progress, state.elapsed
    if state.at_once.cancelled_caught:
        for worker in state.workers:
            if worker.shard not in progress.final_shards:
                state.lose(worker.shard, "ended at once")
        progress.ended_at = min(math.inf if progress.ended_at is None else progress.ended_at, duration)
    if state.embedded is not None and record is None:
        progress.troubles.append("the embedded CSMS ended before the run did")
    lost = {} if record is None else record["processes"]["lost"]
    progress.troubles += [f"process {number} of the embedded CSMS {why}" for number, why in lost.items()]
    if broken := progress.totals.counters["generator.broken"]:
        progress.troubles.append(f"an internal error ended {broken} charge point(s), see loadsim.log")
    state.folder.take_examples(list(progress.new_examples()))
    known = state.folder.problem
    summary = _summary(state, record)
    state.folder.write_summary(summary)
    with state.folder.writing():
        _write_run(state, exit_code=summary["exit_code"], ended_s=duration)
    if state.folder.problem != known:  # the numbers are shown all the same, and with them that they were not kept
        summary = _summary(state, record)
    return Finished(summary, progress, state.folder.path)


def _summary(state: RunState, record: dict[str, Any] | None) -> dict[str, Any]:
    progress = state.progress
    if state.folder.problem is not None:
        progress.troubles.append(f"not all results could be written: {state.folder.problem}")
    ended_at = state.elapsed if progress.ended_at is None else progress.ended_at
    summary = build_summary(progress, duration=ended_at, csms=record)
    if record is not None:
        summary["embedded_csms"] = record
    return summary


def _write_run(state: RunState, *, exit_code: int | None, ended_s: float | None = None) -> None:
    plan = state.plan
    state.folder.write_run(
        {
            "version": loadsim.__version__,
            "name": plan.name,
            "seed": plan.seed,
            "began": datetime.fromtimestamp(state.began_wall).astimezone().isoformat(timespec="seconds"),
            "duration_s": ended_s,
            "exit_code": exit_code,
            "preflight": list(state.progress.preflight),
            "overrides": list(state.options.overrides),
            "command": state.options.command or None,
            "workers": state.options.workers,
            "graceful_stop_s": state.options.graceful_stop,
            "charge_points": plan.charge_points,
            "target": plan.target.shown_url or "embedded",
            "descriptor_limit": state.progress.health.descriptor_limit or None,
        }
    )


def _first(group: BaseExceptionGroup[PreflightFailed]) -> PreflightFailed:
    """Return the first error of a group of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, PreflightFailed)
    return error
