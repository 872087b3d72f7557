"""A wire with what is in trouble on it as a stream of bytes, for tests that look at bytes alone."""

from __future__ import annotations

import math
import socket

import trio

from loadsim.link.poller import Poller, make_poller
from loadsim.link.transport import Slowness
from loadsim.link.trouble import Trouble
from loadsim.link.wire import Wire


def sockets() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection on this machine; the first does not block."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    return near, far


class Line:
    """One end: what is received is taken when the poller says so, and kept until somebody asks."""

    def __init__(self, connected: socket.socket, nursery: trio.Nursery, poller: Poller | None = None) -> None:
        self.wire = Wire(connected, poller or make_poller())
        self.trouble: Trouble | None = None
        self.nursery = nursery
        self.told = 0
        """How often the poller said that there is something."""
        self._sending = False
        self._put, self._take = trio.open_memory_channel[bytes | str](math.inf)

    def begin(self) -> None:
        """Take what comes from now on."""
        (self.trouble or self.wire).watch(self._readable)

    async def send_all(self, data: bytes) -> None:
        """Send all of *data*.

        Raises:
            BrokenResourceError: the connection is gone.
            ClosedResourceError: this side has closed it.
        """
        left = memoryview(data)
        self._sending = True
        while left:
            if self.wire.closed:
                raise trio.ClosedResourceError
            try:
                left = left[(self.trouble or self.wire).send(left) :]
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error
            if left:
                await (self.trouble or self.wire).writable()
        self._sending = False

    async def receive_some(self) -> bytes:
        """Wait for data and return it; nothing at the end.

        Raises:
            BrokenResourceError: the connection is gone.
            ClosedResourceError: this side has closed it.
        """
        try:
            data = await self._take.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None
        if isinstance(data, str):
            raise trio.BrokenResourceError(data)
        return data

    async def aclose(self) -> None:
        self.wire.close()
        if self.trouble is not None:
            self.trouble.close()
        self._put.close()
        await trio.lowlevel.checkpoint()

    def hold(self) -> None:
        self._in_trouble(self.nursery).hold()

    def release(self) -> None:
        if self.trouble is not None:
            self.trouble.release()

    async def released(self) -> None:
        assert self.trouble is not None
        await self.trouble.released()

    def slow_down(self, slowness: Slowness | None, nursery: trio.Nursery) -> None:
        self._in_trouble(nursery).slow_down(slowness)

    def reset_on_close(self) -> None:
        self.wire.reset_on_close()

    def _in_trouble(self, nursery: trio.Nursery) -> Trouble:
        if self.trouble is None:
            self.trouble = Trouble(self.wire, nursery, self._readable, within=self._sending)
        return self.trouble

    def _readable(self) -> None:
        self.told += 1
        try:
            data = (self.trouble or self.wire).recv()
        except OSError as error:
            self.wire.unwatch()
            self._put.send_nowait(str(error))
            return
        if data is not None:
            self._put.send_nowait(data)
            if not data:
                (self.trouble or self.wire).unwatch()
