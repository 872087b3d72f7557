"""Tells a connection that its socket has something to read, without a task a connection where the system can.

A poller belongs to one shard; its tasks are trio's system tasks, which exist while something is watched. Both kinds
tell the same at the same time, so no figure depends on which one is used.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import trio

BATCH: Final = 64
"""Connections of which what came is taken in one go, about a millisecond; then others have their turn."""


class Poller(Protocol):
    """What watches sockets."""

    def watch(self, watched: socket.socket, on_readable: Callable[[], None]) -> None:
        """Call *on_readable*, which never waits and never raises, whenever *watched* has data, an error or its end.

        It is called until it has taken all, or `unwatch`. A socket is watched once at a time.
        """

    def unwatch(self, watched: socket.socket) -> None:
        """Stop that, if it is watched; to be called before it is closed."""


class EpollPoller:
    """One task for all sockets, each of which is registered once.

    trio itself registers a socket anew for each wait: a system call a message (docs/design/0023).
    """

    __slots__ = ("_epoll", "_on_readable")

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._on_readable: dict[int, Callable[[], None]] = {}

    def watch(self, watched: socket.socket, on_readable: Callable[[], None]) -> None:
        """See Poller.watch."""
        if self._epoll is None:
            self._epoll = select.epoll()
            trio.lowlevel.spawn_system_task(self._run, self._epoll)
        self._epoll.register(watched.fileno(), select.EPOLLIN)
        self._on_readable[watched.fileno()] = on_readable

    def unwatch(self, watched: socket.socket) -> None:
        """See Poller.unwatch."""
        if self._on_readable.pop(watched.fileno(), None) is None or self._epoll is None:
            return
        self._epoll.unregister(watched.fileno())
        if not self._on_readable:
            trio.lowlevel.notify_closing(self._epoll.fileno())
            self._epoll = None

    async def _run(self, epoll: select.epoll) -> None:
        try:
            with suppress(trio.ClosedResourceError):
                while self._epoll is epoll:
                    await trio.lowlevel.wait_readable(epoll.fileno())
                    while self._tell(epoll):
                        await trio.lowlevel.checkpoint()
        finally:
            epoll.close()
            if self._epoll is epoll:  # the run is over, and some have not been closed
                self._epoll = None
                self._on_readable.clear()

    def _tell(self, epoll: select.epoll) -> bool:
        """Tell those that have something; whether there may be more."""
        ready = epoll.poll(0, BATCH)
        for descriptor, _ in ready:
            on_readable = self._on_readable.get(descriptor)
            if on_readable is not None:
                on_readable()
        return len(ready) == BATCH and self._epoll is epoll


class TaskPoller:
    """One task a socket, where there is no epoll."""

    __slots__ = ("_watching",)

    def __init__(self) -> None:
        self._watching: dict[int, trio.CancelScope] = {}

    def watch(self, watched: socket.socket, on_readable: Callable[[], None]) -> None:
        """See Poller.watch."""
        scope = self._watching[watched.fileno()] = trio.CancelScope()
        trio.lowlevel.spawn_system_task(self._run, watched, on_readable, scope)

    def unwatch(self, watched: socket.socket) -> None:
        """See Poller.unwatch."""
        scope = self._watching.pop(watched.fileno(), None)
        if scope is not None:
            scope.cancel()

    async def _run(self, watched: socket.socket, on_readable: Callable[[], None], scope: trio.CancelScope) -> None:
        with scope:
            while not scope.cancel_called:
                await trio.lowlevel.wait_readable(watched)
                if not scope.cancel_called:
                    on_readable()


def make_poller() -> Poller:
    """Return the best that this system has."""
    if sys.platform == "linux":
        return EpollPoller()
    return TaskPoller()
