"""The door that charge points come through: it can be shut for a while, and taken away and put back at its place."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import trio

from loadsim.csms.sockets import BACKLOG, bound

_RETRY: Final = 0.1
"""Seconds between two tries to accept, or to listen again."""
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


class Door:
    """Listening sockets. Shut, who comes waits in their backlog; away, who comes is refused, and the port is kept."""

    def __init__(self, listeners: Sequence[trio.SocketListener], *, shared: bool = False) -> None:
        """Take sockets that listen; *shared* with other processes they are put back so."""
        self._listeners = list(listeners)
        self._places = [(each.socket.family, each.socket.getsockname()) for each in listeners]
        self._shared = shared
        self._kept: list[socket.socket] = []
        self._closings = 0
        self._absences = 0
        self._accepting: trio.CancelScope | None = None
        self._changed = trio.Event()

    async def serve(self, take: Callable[[trio.SocketStream], None], count: Callable[[str], None]) -> None:
        """Have *take* called with what comes through the door, until cancelled; *count* is told of failures."""
        while True:
            if self._closings or self._absences:
                await self._changed.wait()
                continue
            async with trio.open_nursery() as accepting:
                self._accepting = accepting.cancel_scope
                for listener in self._listeners:
                    accepting.start_soon(_accept, listener, take, count)

    def shut(self) -> None:
        """Accept nothing, until ``open`` was called as often."""
        self._closings += 1
        self._change()

    def open(self) -> None:
        """Take one ``shut`` back; with the last one, accept what waits."""
        self._closings -= 1
        self._change()

    def take_away(self) -> None:
        """Stop listening, until ``put_back`` was called as often; who waits in the backlog is reset.

        The port stays bound: else one of the charge points could be given it for its own end, connect to itself,
        and be in the way.
        """
        self._absences += 1
        if self._absences > 1:
            return
        self._change()  # nobody waits for a listener that is closed
        for listener in self._listeners:
            listener.socket.close()
        self._listeners = []
        with suppress(OSError):  # tried once more before it listens
            self._bind()

    async def put_back(self) -> None:
        """Take one ``take_away`` back; with the last one, listen at the same addresses and port again."""
        self._absences -= 1
        while not self._absences and not self._listeners:
            try:
                self._bind()
                for each in self._kept:
                    each.listen(BACKLOG)
            except OSError:
                await trio.sleep(_RETRY)
            else:
                self._listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(each)) for each in self._kept]
                self._kept = []
                self._change()

    def close(self) -> None:
        """Listen no more, for good."""
        for kept in self._kept:
            kept.close()
        for listener in self._listeners:
            listener.socket.close()

    def _bind(self) -> None:
        for family, address in self._places[len(self._kept) :]:
            self._kept.append(bound(family, address, shared=self._shared))

    def _change(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
        self._changed.set()
        self._changed = trio.Event()


async def _accept(
    listener: trio.SocketListener, take: Callable[[trio.SocketStream], None], count: Callable[[str], None]
) -> None:
    while True:
        try:
            stream = await listener.accept()
        except OSError as error:
            if error.errno not in _OUT_OF_RESOURCES:
                raise
            count("accepts_failed")
            await trio.sleep(_RETRY)  # those that wait are let in when others hang up
        else:
            take(stream)
