"""The lines of an embedded CSMS in several processes that share its port, as the desk has them.

The system gives each process its part of what connects (``SO_REUSEPORT``). All that is known of charge points, and
all that is counted, stays at the desk: docs/design/0026-several-csms-processes.md.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

from loadsim.csms.far_lines import LineProcess
from loadsim.csms.line_messages import PutBack, Resume, Stall, TakeAway
from loadsim.csms.options import ServerOptions
from loadsim.csms.sockets import SHARING, Place, bound, cannot_listen, places_of, write_url
from loadsim.errors import UsageError

if TYPE_CHECKING:
    from loadsim.csms.server import Server

_ORDER_TIMEOUT: Final = 10.0
"""Seconds in which a process must have carried out an order: one that hangs must not keep a run from its end."""
_END_TIMEOUT: Final = 8.0
_END_EACH: Final = 0.002
"""Seconds that processes may take to say goodbye to all, and more for each connection, before they are killed."""


class SharedLines:
    """The lines of several processes on one port."""

    def __init__(self, processes: Sequence[LineProcess], url: str) -> None:
        self.url = url
        self._processes = processes

    async def serve(self, desk: Server) -> None:
        """Serve until cancelled; then have all processes say goodbye and end."""
        stopping = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hold, desk, stopping)
            try:
                await trio.sleep_forever()
            finally:
                stopping.set()

    async def stall(self, seconds: float) -> int:
        """Take nothing in and let nothing out, until ``resume`` was called as often; that will be in *seconds*."""
        return await self._all(lambda order: Stall(order, seconds))

    async def resume(self) -> int:
        """Take one ``stall`` back; with the last one, go on with what waits."""
        return await self._all(Resume)

    async def take_away(self) -> int:
        """Listen no more and reset all lines; return how many charge points were connected."""
        return await self._all(TakeAway)

    async def put_back(self) -> None:
        """Take one ``take_away`` back; with the last one, listen at the same place again."""
        await self._all(PutBack)

    async def _all(self, make: Callable[[int], Stall | Resume | TakeAway | PutBack]) -> int:
        """Give all the order; return the sum of their answers."""
        answers = [process.order(make) for process in self._processes]
        with trio.move_on_after(_ORDER_TIMEOUT, shield=True):
            for answer in answers:
                await answer.wait()
        return sum(answer.number for answer in answers)

    async def _hold(self, desk: Server, stopping: trio.Event) -> None:
        """Keep the processes out of reach of the cancellation, until they have ended."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as serving:
                for process in self._processes:
                    serving.start_soon(process.serve, desk)
                await stopping.wait()
                for process in self._processes:
                    process.tell_to_end()
                patience = _END_TIMEOUT + _END_EACH * desk.connections
                serving.cancel_scope.deadline = trio.current_time() + patience


@asynccontextmanager
async def open_shared(options: ServerOptions) -> AsyncIterator[SharedLines]:
    """Start the processes, and see that all of them listen; end them afterwards.

    Raises:
        UsageError: they cannot listen there, this system cannot share a port, or one did not start.
    """
    many = options.behaviour.processes
    if SHARING is None:
        raise UsageError(
            f"{many} processes of the embedded CSMS: expected 1 on this system, where processes cannot share a port"
        )
    places = await places_of(options.host, options.port)
    kept: list[socket.socket] = []
    processes: list[LineProcess] = []
    try:
        try:
            kept += map(_keep, places)
            places = [(each.family, each.getsockname()) for each in kept]
        except OSError as error:
            raise cannot_listen(options.host, options.port, error) from error
        try:
            for number in range(1, many + 1):
                processes.append(await _start(number))  # noqa: PERF401 - those before one that fails are ended, too
        except OSError as error:
            raise UsageError(f"a process of the embedded CSMS cannot be started: {error}") from error
        async with trio.open_nursery() as starting:
            for process in processes:
                starting.start_soon(process.listen, places)
        for process in processes:
            if process.problem:
                raise UsageError(f"process {process.number} of the embedded CSMS: {process.problem}")
        yield SharedLines(processes, write_url(places[0][1]))
    finally:
        for process in processes:
            process.kill()
        for each in kept:
            each.close()


async def _start(number: int) -> LineProcess:
    command = [sys.executable, "-m", "loadsim.csms.line_process"]
    return LineProcess(
        number, await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    )


def _keep(place: Place) -> socket.socket:
    """Bind a socket that never listens, but keeps the port for the processes, and see first that it is free.

    Raises:
        OSError: the place is taken, also by processes that would share it.
    """
    family, address = place
    bound(family, address).close()  # one that does not share is refused where others listen
    return bound(family, address, shared=True)
