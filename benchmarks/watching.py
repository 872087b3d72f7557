"""Looks at a run's processes from outside, a few times a second: what they have taken of the CPU so far."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final, NamedTuple, Self

import psutil

_EVERY: Final = 0.1
_WORKER: Final = "loadsim.workers.shard_worker"


class Seen(NamedTuple):
    """CPU seconds so far, at a moment since 1970: of the conductor, and of all workers together."""

    at: float
    conductor: float
    workers: float


class Watch:
    """Watches the conductor *pid* and its workers while the block lasts."""

    def __init__(self, pid: int) -> None:
        self._conductor = psutil.Process(pid)
        self._workers: list[psutil.Process] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.seen: list[Seen] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def workers_between(self, begin: float, end: float) -> float:
        """Return the CPU seconds that the workers took between two moments since 1970."""
        return self._workers_at(end) - self._workers_at(begin)

    def conductor_share(self, begin: float, end: float) -> float:
        """Return the share of a core that the conductor took between two moments since 1970."""
        within = [seen for seen in self.seen if begin <= seen.at <= end]
        return (within[-1].conductor - within[0].conductor) / (within[-1].at - within[0].at)

    def _workers_at(self, at: float) -> float:
        """Return the workers' CPU at a moment, by the looks before and after it."""
        before = max((seen for seen in self.seen if seen.at <= at), default=self.seen[0])
        after = min((seen for seen in self.seen if seen.at > at), default=before)
        if after.at == before.at:
            return before.workers
        share = (at - before.at) / (after.at - before.at)
        return before.workers + share * (after.workers - before.workers)

    def _look(self) -> None:
        while not self._over.wait(_EVERY):
            try:
                self.seen.append(self._see())
            except psutil.Error:  # one of them has ended, and its CPU with it
                if self.seen:
                    return

    def _see(self) -> Seen:
        at = time.time()
        if not self._workers or len(self.seen) < 100:  # they are started one after the other
            children = self._conductor.children()
            self._workers = [child for child in children if _WORKER in child.cmdline()]
        return Seen(at, _cpu(self._conductor), sum(map(_cpu, self._workers)))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    total: float = times.user + times.system
    return total
