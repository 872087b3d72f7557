"""What signals do to a run: Ctrl-C and SIGTERM end it, a terminal that is closed does not."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

from loadsim.conductor.state import RunState

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
_HANG_UP: Final = tuple(getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name))  # not on Windows


@contextmanager
def signals_of_a_run() -> Iterator[None]:
    """Ignore, while a run lasts, that the terminal is closed; give all signals back their handlers afterwards.

    What is ignored is ignored by the processes that are started meanwhile, too.
    """
    handlers = {number: signal.getsignal(number) for number in (*_ENDING, *_HANG_UP)}
    for number in _HANG_UP:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def ignore_endings() -> None:
    """Let the report come, however often Ctrl-C is pressed now."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


async def obey_signals(state: RunState, *, task_status: trio.TaskStatus[None]) -> None:
    """Ctrl-C or SIGTERM once: end the run as at its planned end. Twice, or before the run has begun: at once."""
    progress = state.progress
    with trio.open_signal_receiver(*_ENDING) as signals:
        task_status.started()
        async for number in signals:
            name = signal.Signals(number).name
            if progress.interrupted_by is not None or state.began is None:
                progress.interrupted_by = name
                state.at_once.cancel()
                return
            progress.interrupted_by = name
            progress.happened(f"{name}: ending; once more ends at once")
            await state.end_now()
