"""One run: shards started together, their deltas merged, outputs fed, a summary at the end.

The conductor's loop and the workers' loops are in different processes: what it draws or writes never delays
a charge point.
"""

from __future__ import annotations

import math
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

import loadsim
from loadsim.csms.options import ServerOptions
from loadsim.csms.process import EmbeddedProcess
from loadsim.errors import PreflightFailed
from loadsim.metrics.thresholds import Check, parse
from loadsim.output.console import ConsoleOutput
from loadsim.output.progress import Progress
from loadsim.output.run_folder import RunFolder
from loadsim.output.summary import build_summary
from loadsim.scenario.plan import Plan
from loadsim.workers.local import LocalWorker
from loadsim.workers.protocol import End, Go, Prepare, Ready, Report

_REFRESH: Final = 0.25
_READY_TIMEOUT: Final = 60.0
_LAST_WORDS: Final = 15.0
_LAST_WORDS_EACH: Final = 0.003
_SILENT_AFTER: Final = 5.0
_ALL_REFUSED_FOR: Final = 2.0
_NOTHING_OPENED_FOR: Final = 10.0
_DRAWN_EVERY: Final = 2  # refreshes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run a plan. *scenario_text* and *resolved_text* are kept with the results; seconds."""

    results: Path
    workers: int
    graceful_stop: float
    scenario_text: str
    resolved_text: str
    make_screen: Callable[[Progress], ConsoleOutput]


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended: what it left behind."""

    summary: dict[str, Any]
    progress: Progress
    folder: Path


async def conduct(plan: Plan, options: RunOptions) -> Finished:
    """Run *plan* to its end, whatever happens on the way.

    Raises:
        PreflightFailed: it could not begin.
        OSError: the results cannot be written.
    """
    folder = RunFolder(options.results, plan, now=datetime.now().astimezone(), workers=options.workers)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return await _Conductor(plan, options, folder).run()
    finally:
        folder.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)


class _Conductor:
    def __init__(self, plan: Plan, options: RunOptions, folder: RunFolder) -> None:
        self._plan = plan
        self._options = options
        self._folder = folder
        checks: tuple[Check, ...] = tuple(parse(threshold.check) for threshold in plan.thresholds)
        self._progress = Progress(plan, checks, workers=options.workers)
        self._workers: list[LocalWorker] = []
        self._embedded: EmbeddedProcess | None = None
        self._ready = 0
        self._all_ready = trio.Event()
        self._all_ended = trio.Event()
        self._problem = ""
        self._began = 0.0
        self._began_wall = time.time()
        self._heard: dict[int, float] = {}
        self._silent: set[int] = set()
        self._first_attempt: float | None = None
        self._first_refusal: float | None = None
        self._gone: set[int] = set()
        self._unwritten = False
        self._at_once = trio.CancelScope()
        # Closing takes a while with many connections.
        self._last_words = _LAST_WORDS + _LAST_WORDS_EACH * plan.charge_points

    async def run(self) -> Finished:
        self._folder.write_scenario(self._options.scenario_text, self._options.resolved_text)
        self._write_run(exit_code=None)
        record, failure = None, None
        try:
            with self._at_once:
                async with trio.open_nursery() as nursery:
                    await nursery.start(self._obey_signals)
                    await self._start(nursery)
                    await self._watch()
                    nursery.cancel_scope.cancel()
        except* PreflightFailed as group:
            failure = _first(group)  # raised within except*, it would be in a group again
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):  # the report comes, however often it is pressed
                signal.signal(number, signal.SIG_IGN)
            for worker in self._workers:
                worker.kill()
            if self._embedded is not None:
                record = await self._embedded.end()
        if failure is not None:
            self._write_run(exit_code=failure.exit_code)
            raise failure
        return self._finish(record)

    # Before the run.

    async def _start(self, nursery: trio.Nursery) -> None:
        """Bring up the workers and the embedded CSMS side by side, then let all workers begin together."""
        async with trio.open_nursery() as starting:
            starting.start_soon(self._start_embedded)
            for shard in range(self._options.workers):
                starting.start_soon(self._start_worker, nursery, shard)
        plan = self._plan
        if self._embedded is not None:
            target = msgspec.structs.replace(plan.target, url=f"{self._embedded.url}/{{id}}")
            plan = msgspec.structs.replace(plan, target=target)
        run_id = f"{secrets.token_hex(3)}-"
        for worker in self._workers:
            await worker.say(
                Prepare(
                    plan=plan,
                    shard=worker.shard,
                    workers=self._options.workers,
                    run_id=run_id,
                    graceful_stop=self._options.graceful_stop,
                )
            )
        with trio.move_on_after(_READY_TIMEOUT):
            await self._all_ready.wait()
        if self._problem or not self._all_ready.is_set():
            raise PreflightFailed(self._problem or f"the workers did not get ready within {_READY_TIMEOUT:g} s")
        self._began, self._began_wall = trio.current_time(), time.time()
        self._heard = {worker.shard: self._began for worker in self._workers}
        if self._embedded is not None:
            await self._embedded.begin_calls()
        for worker in self._workers:
            await worker.say(Go(self._began_wall))

    async def _start_embedded(self) -> None:
        if self._plan.embedded is not None:
            password = self._plan.target.password
            options = ServerOptions(
                seed=self._plan.seed,
                password=password,
                behaviour=self._plan.embedded,
                hold_calls=True,
                calls_end=self._plan.duration,
            )
            try:
                self._embedded = await EmbeddedProcess.start(options, self._folder.log)
            except OSError as error:
                raise PreflightFailed(f"the embedded CSMS cannot be started: {error}") from error

    async def _start_worker(self, nursery: trio.Nursery, shard: int) -> None:
        try:
            worker = await LocalWorker.start(shard, self._folder.log)
        except OSError as error:
            raise PreflightFailed(f"worker {shard} cannot be started: {error}") from error
        self._workers.append(worker)
        nursery.start_soon(self._listen, worker)

    # During the run.

    async def _listen(self, worker: LocalWorker) -> None:
        async for word in worker.words():
            if isinstance(word, Ready):
                self._problem = self._problem or word.problem
                self._ready += 1
                if self._ready == self._options.workers or word.problem:
                    self._all_ready.set()
            elif isinstance(word, Report):
                self._heard[worker.shard] = trio.current_time()
                self._progress.take(word.snapshot)
                self._folder.take(word.snapshot)
                self._look_for_first_connects()
        code = await worker.end()
        if worker.shard not in self._progress.final_shards:
            why = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            log = self._folder.path / "loadsim.log"
            self._lose(worker.shard, f"{why}, see {log.name}" if log.stat().st_size else why)
            if not self._all_ready.is_set():
                self._problem = self._problem or f"worker {worker.shard} {why} before it was ready"
                self._all_ready.set()
        self._gone.add(worker.shard)
        if len(self._gone) == self._options.workers:
            self._all_ended.set()

    def _lose(self, shard: int, why: str) -> None:
        if shard not in self._progress.lost_workers:
            self._progress.lose(shard, why)
            self._folder.lose(shard)

    async def _watch(self) -> None:
        """Feed the outputs until every worker has ended; no worker can hold up the end for ever."""
        progress = self._progress
        deadline = self._plan.duration + self._options.graceful_stop + self._last_words
        with ExitStack() as stack:
            screen = stack.enter_context(self._options.make_screen(progress))
            beat = 0
            due = trio.current_time()
            while not self._all_ended.is_set():
                due = max(due + _REFRESH, trio.current_time())
                with trio.move_on_at(due):
                    await self._all_ended.wait()
                progress.elapsed = trio.current_time() - self._began
                if progress.ended_at is None and progress.elapsed >= self._plan.duration:
                    progress.ended_at = self._plan.duration
                self._folder.take_examples(list(progress.new_examples()))
                self._folder.flush(progress.elapsed)
                self._look_for_silence()
                self._look_for_write_errors()
                await self._give_up_if_unreachable()
                beat += 1
                if beat % _DRAWN_EVERY == 0:
                    screen.refresh()
                if progress.elapsed > deadline and self._all_silent():
                    break
            await self._give_up_if_unreachable(over=True)
            screen.refresh()
        for worker in self._workers:
            if worker.shard not in self._gone:
                self._lose(worker.shard, f"said nothing more {self._last_words:.0f} s after the run's end")
                worker.kill()

    def _look_for_write_errors(self) -> None:
        if self._folder.problem is not None and not self._unwritten:
            self._unwritten = True
            self._progress.happened(f"results cannot be written any more: {self._folder.problem}")

    def _all_silent(self) -> bool:
        """Tell whether no worker that is still there has said anything for a while."""
        now = trio.current_time()
        return all(now - heard > self._last_words for shard, heard in self._heard.items() if shard not in self._gone)

    def _look_for_silence(self) -> None:
        now = trio.current_time()
        for shard, heard in self._heard.items():
            silent = now - heard > _SILENT_AFTER and shard not in self._gone
            if silent and shard not in self._silent:
                self._silent.add(shard)
                self._progress.happened(f"worker {shard} is silent since {heard - self._began:.0f} s")
            elif not silent and shard in self._silent:
                self._silent.discard(shard)
                if shard not in self._gone:
                    self._progress.happened(f"worker {shard} is back")

    def _look_for_first_connects(self) -> None:
        totals, now = self._progress.totals, trio.current_time()
        if self._first_attempt is None and totals.counters["connections.attempted"]:
            self._first_attempt = now
        if self._first_refusal is None and totals.with_prefix("connections.refused."):
            self._first_refusal = now

    async def _give_up_if_unreachable(self, *, over: bool = False) -> None:
        """End a run that has not opened a single connection: there is nothing to measure.

        One that is *over*, because it was short or nobody answered, is no more than that either.
        """
        progress, counters = self._progress, self._progress.totals.counters
        if progress.aborted_because or counters["connections.opened"] or self._first_attempt is None:
            return
        now = trio.current_time()
        refused_long = self._first_refusal is not None and now - self._first_refusal >= _ALL_REFUSED_FOR
        if over:
            if progress.interrupted_by is not None:
                return  # it was not given the time
        elif not refused_long and now - self._first_attempt < _NOTHING_OPENED_FOR:
            return
        refused = progress.totals.with_prefix("connections.refused.")
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in refused.items()) or "no answer"
        detail = next((f" ({each.detail})" for each in progress.examples if each.what == "connect"), "")
        url = self._plan.target.shown_url or (self._embedded.url if self._embedded else "")
        progress.aborted_because = (
            f"cannot reach the CSMS at {url}: {counters['connections.attempted']} connects tried in "
            f"{now - self._first_attempt:.0f} s, none opened: {outcomes}{detail}"
        )
        await self._end_now()

    async def _end_now(self) -> None:
        progress = self._progress
        if progress.ended_at is None:
            progress.elapsed = trio.current_time() - self._began if self._began else 0.0
            progress.ended_at = progress.elapsed
        if self._embedded is not None:
            await self._embedded.end_calls()
        for worker in self._workers:
            await worker.say(End())

    async def _obey_signals(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Ctrl-C or SIGTERM once: end the run as at its planned end. Twice: at once."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if self._progress.interrupted_by is not None or not self._began:
                    self._progress.interrupted_by = signal.Signals(number).name
                    self._at_once.cancel()
                    return
                self._progress.interrupted_by = signal.Signals(number).name
                self._progress.happened(f"{signal.Signals(number).name}: ending; once more ends at once")
                await self._end_now()

    # After the run.

    def _finish(self, record: dict[str, Any] | None) -> Finished:
        progress = self._progress
        duration = trio.current_time() - self._began if self._began else 0.0
        if self._at_once.cancelled_caught:
            for worker in self._workers:
                if worker.shard not in progress.final_shards:
                    self._lose(worker.shard, "ended at once")
            progress.ended_at = min(math.inf if progress.ended_at is None else progress.ended_at, duration)
        if self._embedded is not None and record is None:
            progress.troubles.append("the embedded CSMS ended before the run did")
        if broken := progress.totals.counters["generator.broken"]:
            progress.troubles.append(f"an internal error ended {broken} charge point(s), see loadsim.log")
        self._folder.take_examples(list(progress.new_examples()))
        if self._folder.problem is not None:
            progress.troubles.append(f"not all results could be written: {self._folder.problem}")
        ended_at = duration if progress.ended_at is None else progress.ended_at
        summary = build_summary(progress, duration=ended_at, csms=record)
        if record is not None:
            summary["embedded_csms"] = record
        self._folder.write_summary(summary)
        self._write_run(exit_code=summary["exit_code"], ended_s=duration)
        return Finished(summary, progress, self._folder.path)

    def _write_run(self, *, exit_code: int | None, ended_s: float | None = None) -> None:
        plan = self._plan
        self._folder.write_run(
            {
                "version": loadsim.__version__,
                "name": plan.name,
                "seed": plan.seed,
                "began": datetime.fromtimestamp(self._began_wall).astimezone().isoformat(timespec="seconds"),
                "duration_s": ended_s,
                "exit_code": exit_code,
                "workers": self._options.workers,
                "graceful_stop_s": self._options.graceful_stop,
                "charge_points": plan.charge_points,
                "target": plan.target.shown_url or "embedded",
                "descriptor_limit": self._progress.health.descriptor_limit or None,
            }
        )


def _first(group: BaseExceptionGroup[PreflightFailed]) -> PreflightFailed:
    """Return the first error of a group of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, PreflightFailed)
    return error
