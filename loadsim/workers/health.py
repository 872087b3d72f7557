"""How the worker itself is doing: CPU, memory, descriptors."""

from __future__ import annotations

import sys
import time
from typing import Final

import psutil

from loadsim.limits import raise_descriptor_limit
from loadsim.metrics.snapshot import Health

_WINDOW: Final = 1.0


class HealthProbe:
    """Reads this process's use of the machine; `rss_empty` is what it took before the first charge point."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._limit = raise_descriptor_limit()
        self.rss_empty = self._process.memory_info().rss
        self._descriptors_empty = self._descriptors()
        self.begin()

    def begin(self) -> None:
        """Begin the first window now."""
        self._cpu, self._at = self._cpu_seconds(), time.perf_counter()

    def read(self, connections: int, *, at_once: bool = False) -> Health | None:
        """Return the health over the last window; None while it is shorter than a second.

        *connections* that are open now are counted by who opened them: to have the system list 10,000
        descriptors takes 15 ms, and would be counted as the CSMS's time.
        """
        now = time.perf_counter()
        window = now - self._at
        if window < (0.01 if at_once else _WINDOW):
            return None
        cpu = self._cpu_seconds()
        health = Health(
            cpu=(cpu - self._cpu) / window,
            cpu_window=window,
            rss=self._process.memory_info().rss,
            rss_empty=self.rss_empty,
            descriptors=self._descriptors_empty + connections,
            descriptor_limit=self._limit,
        )
        self._cpu, self._at = cpu, now
        return health

    def _cpu_seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def _descriptors(self) -> int:
        if sys.platform == "win32":
            return int(self._process.num_handles())
        return int(self._process.num_fds())
