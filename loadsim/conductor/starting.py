"""Before the run: processes brought up, the CSMS tried by the first charge points, all let go together."""

from __future__ import annotations

import secrets
import time
from typing import Final

import msgspec
import trio

from loadsim.charge_point.preflight import CONNECT_WITHIN, Finding
from loadsim.conductor.state import RunState
from loadsim.conductor.trial import note_in_words, problem_in_words
from loadsim.csms.options import ServerOptions
from loadsim.csms.process import EmbeddedProcess
from loadsim.errors import PreflightFailed
from loadsim.scenario.plan import Plan
from loadsim.workers.local import LocalWorker
from loadsim.workers.protocol import Go, Prepare, Ready, Report, Tried, Try

_READY_TIMEOUT: Final = 60.0
_TRIED_AFTER: Final = 10.0
"""Seconds beyond its own time-outs that a trial may take: a busy machine is no unreachable CSMS."""
_HANG_UP_WITHIN: Final = 10.0
"""Seconds that closing may take where the run does not begin."""


class Starting:
    """Brings the workers and the embedded CSMS up, and hears what the workers say from then on."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._problem = ""
        self._ready: set[int] = set()
        self._tried: set[int] = set()
        self._findings: list[Finding] = []
        self._all_ready, self._all_tried = trio.Event(), trio.Event()

    async def start(self, nursery: trio.Nursery) -> bool:
        """Begin the run; False: the CSMS is not up to it, `Progress.aborted_because` says why, and all has ended.

        Raises:
            PreflightFailed: it cannot begin.
        """
        await self._bring_up(nursery)
        if self._state.embedded is not None:
            nursery.start_soon(self._state.embedded.listen, self._state.progress.happened)
        await self._prepare()
        if not await self._try_csms():
            with trio.move_on_after(_HANG_UP_WITHIN):
                await self._state.all_gone.wait()
            return False
        await self._go()
        return True

    async def _bring_up(self, nursery: trio.Nursery) -> None:
        async with trio.open_nursery() as starting:
            starting.start_soon(self._start_embedded)
            for shard in range(self._state.options.workers):
                starting.start_soon(self._start_worker, nursery, shard)

    async def _start_embedded(self) -> None:
        plan = self._state.plan
        if plan.embedded is not None:
            options = ServerOptions(
                seed=plan.seed,
                password=plan.target.password,
                behaviour=plan.embedded,
                hold_calls=True,
                calls_end=plan.duration,
            )
            try:
                self._state.embedded = await EmbeddedProcess.start(options, self._state.folder.log)
            except OSError as error:
                raise PreflightFailed(f"the embedded CSMS cannot be started: {error}") from error

    async def _start_worker(self, nursery: trio.Nursery, shard: int) -> None:
        try:
            worker = await LocalWorker.start(shard, self._state.folder.log)
        except OSError as error:
            raise PreflightFailed(f"worker {shard} cannot be started: {error}") from error
        self._state.workers.append(worker)
        nursery.start_soon(self._listen, worker)

    async def _prepare(self) -> None:
        state = self._state
        plan, options = state.plan, state.options
        if state.embedded is not None:
            target = msgspec.structs.replace(plan.target, url=f"{state.embedded.url}/{{id}}")
            plan = msgspec.structs.replace(plan, target=target)
        run_id = f"{secrets.token_hex(3)}-"
        for worker in state.workers:
            await worker.say(
                Prepare(
                    plan=plan,
                    shard=worker.shard,
                    workers=options.workers,
                    run_id=run_id,
                    graceful_stop=options.graceful_stop,
                )
            )
        with trio.move_on_after(_READY_TIMEOUT):
            await self._all_ready.wait()
        if self._problem or not self._all_ready.is_set():
            raise PreflightFailed(self._problem or f"the workers did not get ready within {_READY_TIMEOUT:g} s")

    async def _try_csms(self) -> bool:
        """Have the first charge point of each fleet connect and boot; tell whether the run may begin."""
        state = self._state
        for worker in state.workers:
            await worker.say(Try())
        longest = _longest_trial(state.plan, state.options.workers)
        with trio.move_on_after(longest):
            await self._all_tried.wait()
        if self._problem or not self._all_tried.is_set():
            raise PreflightFailed(
                self._problem or f"the workers did not say within {longest:g} s how the first charge points fare"
            )
        if self._findings:
            state.progress.aborted_because = problem_in_words(self._findings[0], state.url)
            await state.end_now()
        return not self._findings

    async def _go(self) -> None:
        state = self._state
        state.began, state.began_wall = trio.current_time(), time.time()
        state.heard = {worker.shard: state.began for worker in state.workers}
        if state.embedded is not None:
            await state.embedded.begin_calls()
        for worker in state.workers:
            await worker.say(Go(state.began_wall))

    async def _listen(self, worker: LocalWorker) -> None:
        """Take in what a worker says, until its end."""
        state = self._state
        async for word in worker.words():
            state.heard[worker.shard] = trio.current_time()
            if isinstance(word, Ready):
                self._take_ready(word)
            elif isinstance(word, Tried):
                self._take_tried(word)
            elif isinstance(word, Report):
                state.progress.take(word.snapshot)
                state.folder.take(word.snapshot)
        code = await worker.end()
        if worker.shard not in state.progress.final_shards:
            why = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            log = state.folder.path / "loadsim.log"
            state.lose(worker.shard, f"{why}, see {log.name}" if log.stat().st_size else why)
            if state.began is None:
                self._fail(f"worker {worker.shard} {why} before the run began")
        state.gone.add(worker.shard)
        if len(state.gone) == state.options.workers:
            state.all_gone.set()

    def _take_ready(self, word: Ready) -> None:
        self._ready.add(word.shard)
        if word.problem:
            self._fail(word.problem)
        elif len(self._ready) == self._state.options.workers:
            self._all_ready.set()

    def _take_tried(self, word: Tried) -> None:
        self._tried.add(word.shard)
        self._findings += word.problems
        for note in map(note_in_words, word.notes):
            self._state.progress.preflight.append(note)
            self._state.progress.happened(note)
        if word.problems or len(self._tried) == self._state.options.workers:
            self._all_tried.set()

    def _fail(self, problem: str) -> None:
        self._problem = self._problem or problem
        self._all_ready.set()
        self._all_tried.set()


def _longest_trial(plan: Plan, workers: int) -> float:
    """Return the seconds that a trial may take, with a worker whose connects wait for each other (csms.connect)."""
    gap = workers / plan.target.connect_rate if plan.target.connect_rate else 0.0
    boots = max(fleet.settings.call_timeout for fleet in plan.fleets)
    return len(plan.fleets) * (CONNECT_WITHIN + gap) + boots + _TRIED_AFTER
