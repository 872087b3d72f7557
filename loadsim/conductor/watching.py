"""While a run lasts: outputs fed, workers watched, and reasons to end it early looked for."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Final

import trio

from loadsim.conductor.state import RunState

_REFRESH: Final = 0.25
_DRAWN_EVERY: Final = 0.5
_DRAWN_AT_LEAST_EVERY: Final = 2.0
_MOST_DRAWING: Final = 0.01
"""The share of the conductor's time that drawing may take: where it takes long, it is done less often."""
_SILENT_AFTER: Final = 5.0
_ALL_REFUSED_FOR: Final = 2.0
_NOTHING_OPENED_FOR: Final = 10.0


class Watch:
    """Looks at a run four times a second, until all its workers have ended."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._silent: set[int] = set()
        self._first_attempt: float | None = None
        self._first_refusal: float | None = None
        self._unwritten = False

    async def watch(self) -> None:
        """Feed the outputs until every worker has ended; no worker can hold up the end for ever."""
        state, progress = self._state, self._state.progress
        deadline = state.plan.duration + state.options.graceful_stop + state.last_words
        with ExitStack() as stack:
            screen = stack.enter_context(state.options.make_screen(progress))
            due = drawn_next = trio.current_time()
            while not state.all_gone.is_set():
                due = max(due + _REFRESH, trio.current_time())
                with trio.move_on_at(due):
                    await state.all_gone.wait()
                await self._look()
                if due >= drawn_next:
                    begun = time.perf_counter()
                    screen.refresh()
                    drawn_next = due + drawn_again_after(time.perf_counter() - begun)
                if progress.elapsed > deadline and self._all_silent():
                    break
            await self._give_up_if_unreachable(over=True)
            screen.refresh()
        for worker in state.workers:
            if worker.shard not in state.gone:
                state.lose(worker.shard, f"said nothing more {state.last_words:.0f} s after the run's end")
                worker.kill()

    async def _look(self) -> None:
        state, progress = self._state, self._state.progress
        progress.elapsed = state.elapsed
        if progress.ended_at is None and progress.elapsed >= state.plan.duration:
            progress.ended_at = state.plan.duration
        state.folder.take_examples(list(progress.new_examples()))
        state.folder.flush(progress.elapsed)
        state.folder.save(progress)
        self._look_for_silence()
        self._look_for_write_errors()
        if progress.ended_at is None and progress.aborting() is not None:
            await state.end_now()
        await self._give_up_if_unreachable()

    def _look_for_write_errors(self) -> None:
        state = self._state
        if state.folder.problem is not None and not self._unwritten:
            self._unwritten = True
            state.progress.happened(f"results cannot be written any more: {state.folder.problem}")

    def _all_silent(self) -> bool:
        """Tell whether no worker that is still there has said anything for a while."""
        state, now = self._state, trio.current_time()
        return all(now - heard > state.last_words for shard, heard in state.heard.items() if shard not in state.gone)

    def _look_for_silence(self) -> None:
        state, now = self._state, trio.current_time()
        for shard, heard in state.heard.items():
            silent = now - heard > _SILENT_AFTER and shard not in state.gone
            if silent and shard not in self._silent:
                self._silent.add(shard)
                state.progress.happened(f"worker {shard} is silent since {state.elapsed - (now - heard):.0f} s")
            elif not silent and shard in self._silent:
                self._silent.discard(shard)
                if shard not in state.gone:
                    state.progress.happened(f"worker {shard} is back")

    async def _give_up_if_unreachable(self, *, over: bool = False) -> None:
        """End a run that has not opened a single connection: there is nothing to measure.

        One that is *over*, because it was short or nobody answered, is no more than that either. Where a charge
        point is online from the beginning, the run does not begin before it has its connection: this is for others.
        """
        state, progress = self._state, self._state.progress
        counters, now = progress.totals.counters, trio.current_time()
        refused = progress.totals.with_prefix("connections.refused.")
        if self._first_attempt is None and counters["connections.attempted"]:
            self._first_attempt = now
        if self._first_refusal is None and refused:
            self._first_refusal = now
        if progress.aborted_because or counters["connections.opened"] or self._first_attempt is None:
            return
        refused_long = self._first_refusal is not None and now - self._first_refusal >= _ALL_REFUSED_FOR
        if over:
            if progress.interrupted_by is not None:
                return  # it was not given the time
        elif not refused_long and now - self._first_attempt < _NOTHING_OPENED_FOR:
            return
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in refused.items()) or "no answer"
        detail = next((f" ({each.detail})" for each in progress.examples if each.what == "connect"), "")
        progress.aborted_because = (
            f"cannot reach the CSMS at {state.url}: {counters['connections.attempted']} connects tried in "
            f"{now - self._first_attempt:.0f} s, none opened: {outcomes}{detail}"
        )
        await state.end_now()


def drawn_again_after(took: float) -> float:
    """Return the seconds from one picture, which *took* so many, to the next."""
    return min(max(took / _MOST_DRAWING, _DRAWN_EVERY), _DRAWN_AT_LEAST_EVERY)
