"""Workers as processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import IO, Final

import trio

from loadsim.workers.protocol import Order, Word, WordReader, pack

MODULE: Final = "loadsim.workers.shard_worker"
"""What a worker process runs."""
_SINGLE_THREADED: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy would start a thread for each core at its import, for matrices that nobody multiplies here."""
_READ: Final = 1 << 16
_PATIENCE: Final = 2.0


class LocalWorker:
    """One worker process; *log* takes what it says on stderr."""

    def __init__(self, shard: int, process: trio.Process) -> None:
        self.shard = shard
        self._process = process
        self._sending = trio.Lock()

    @classmethod
    async def start(cls, shard: int, log: IO[bytes]) -> LocalWorker:
        """Start the process of *shard*.

        Raises:
            OSError: it cannot be started.
        """
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_SINGLE_THREADED | os.environ,
        )
        return cls(shard, process)

    async def say(self, order: Order) -> None:
        """Send an order; to a worker that is gone it is nothing."""
        assert self._process.stdin is not None
        async with self._sending:
            try:
                await self._process.stdin.send_all(pack(order))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # `words` ends, which is where a lost worker is noticed

    async def words(self) -> AsyncIterator[Word]:
        """Yield what the worker says, until its end."""
        reader = WordReader()
        while data := await self._receive():
            for word in reader.feed(data):
                yield word

    async def _receive(self) -> bytes | bytearray:
        assert self._process.stdout is not None
        try:
            return await self._process.stdout.receive_some(_READ)
        except trio.BrokenResourceError:  # Windows tells the end of a pipe so
            return b""

    async def end(self) -> int:
        """Wait for the process to end, briefly, else end it; return its exit code (negative: the signal)."""
        with trio.move_on_after(_PATIENCE) as patience:
            patience.shield = True
            await self._process.wait()
        if patience.cancelled_caught:
            self._process.kill()
        with trio.CancelScope(shield=True):
            code: int = await self._process.wait()
        return code

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
