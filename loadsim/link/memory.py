"""A pair of transports in memory: for tests and rehearsals, troubles included."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio

from loadsim.link.slow_line import SlowLine
from loadsim.link.transport import ABNORMAL_CLOSURE, ConnectionLost, Slowness


class MemoryWay:
    """One direction of a pair: messages of which each arrives when the slowness at both ends is over."""

    __slots__ = (
        "_changed",
        "_ends_at",
        "_messages",
        "receiver_closed",
        "receiver_held",
        "receiver_line",
        "sender_closed",
        "sender_held_since",
        "sender_line",
    )

    def __init__(self) -> None:
        self.sender_line = SlowLine()
        self.receiver_line = SlowLine()
        self.sender_closed = False
        self.receiver_closed = False
        self.sender_held_since: float | None = None
        """When the sender's end was held, in trio's seconds; what has left it by then still arrives."""
        self.receiver_held = False
        self._ends_at = 0.0
        self._messages: deque[tuple[float, float, str | bytes]] = deque()
        self._changed = trio.lowlevel.ParkingLot()

    def put(self, message: str | bytes) -> None:
        """Send *message*.

        Raises:
            BrokenResourceError: one of the ends is closed.
        """
        if self.sender_closed or self.receiver_closed:
            raise trio.BrokenResourceError
        size = len(message.encode(errors="surrogatepass")) if isinstance(message, str) else len(message)
        left = self.sender_line.arrival(size, trio.current_time())
        self._messages.append((left, self.receiver_line.arrival(size, left), message))
        self._changed.unpark_all()

    async def get(self) -> str | bytes:
        """Wait for the next message to arrive.

        Raises:
            BrokenResourceError: an end is closed, and no message will come.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            if self.receiver_closed:
                raise trio.BrokenResourceError
            due = self._due()
            if due is not None and due <= trio.current_time():
                if not self._messages:
                    raise trio.BrokenResourceError
                message = self._messages.popleft()[2]
                await trio.lowlevel.cancel_shielded_checkpoint()
                return message
            if due is None:
                await self._changed.park()
            else:
                with trio.move_on_at(due):
                    await self._changed.park()

    async def wait_for_release(self) -> None:
        """Wait while either end is held, and not closed."""
        while not self.sender_closed and (self.sender_held_since is not None or self.receiver_held):
            await self._changed.park()

    def change(self) -> None:
        """Wake who waits: an end was released or closed."""
        self._changed.unpark_all()

    async def changed(self) -> None:
        """Wait until anything changes."""
        await self._changed.park()

    def close_sender(self) -> None:
        """End it at the sender's end: what has not left it is lost."""
        if self.sender_closed:
            return
        now = trio.current_time()
        last = now if self.sender_held_since is None else self.sender_held_since
        while self._messages and self._messages[-1][0] > last:
            self._messages.pop()
        self.sender_closed = True
        slowness = self.receiver_line.slowness
        self._ends_at = now if slowness is None else now + slowness.latency()
        if self._messages:
            self._ends_at = max(self._ends_at, self._messages[-1][1])
        self.change()

    def close_receiver(self) -> None:
        """End it at the receiver's end: what has not been received is lost."""
        self.receiver_closed = True
        self._messages.clear()
        self.change()

    def _due(self) -> float | None:
        """Return when the next message arrives, or the end; None: not before something changes."""
        if self.receiver_held:
            return None
        if not self._messages:
            return self._ends_at if self.sender_closed else None
        left, due, _ = self._messages[0]
        stuck = self.sender_held_since is not None and not self.sender_closed and left > self.sender_held_since
        return None if stuck else due


class MemoryTransport:
    """One end of a pair of transports in memory; what is sent at one end is received at the other."""

    connect_seconds = 0.0
    handshake_seconds = 0.0

    def __init__(self, outgoing: MemoryWay, incoming: MemoryWay) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self.close_code = ABNORMAL_CLOSURE

    @property
    def held(self) -> bool:
        """See Transport.held."""
        return self._incoming.receiver_held

    async def send(self, text: str | bytes) -> None:
        """See Transport.send; a test may send bytes."""
        await trio.lowlevel.checkpoint_if_cancelled()
        await self.released()
        self._put(text)
        await trio.lowlevel.cancel_shielded_checkpoint()

    def begin_send(self, text: str) -> Awaitable[None] | None:
        """See Transport.begin_send."""
        if self.held:
            return self.send(text)
        self._put(text)
        return None

    def _put(self, message: str | bytes) -> None:
        try:
            self._outgoing.put(message)
        except trio.BrokenResourceError as error:
            raise ConnectionLost(self.close_code) from error

    async def receive(self) -> str | bytes:
        """Wait for one message; bytes are a binary one. Raises ConnectionLost when the connection has ended."""
        try:
            return await self._incoming.get()
        except trio.BrokenResourceError as error:
            raise ConnectionLost(self.close_code) from error

    def listen(
        self,
        nursery: trio.Nursery,
        on_message: Callable[[str | bytes], None],
        on_lost: Callable[[ConnectionLost], None],
    ) -> None:
        """See Transport.listen."""
        nursery.start_soon(self._listen, on_message, on_lost)

    async def _listen(
        self, on_message: Callable[[str | bytes], None], on_lost: Callable[[ConnectionLost], None]
    ) -> None:
        while True:
            try:
                message = await self.receive()
            except ConnectionLost as lost:
                on_lost(lost)
                return
            if not self._incoming.receiver_closed:  # as it is being received: nothing is handed over any more
                on_message(message)

    async def ping(self) -> None:
        """See Transport.ping; the other end answers while neither is held."""
        await trio.lowlevel.checkpoint()
        await self._outgoing.wait_for_release()
        slowness = self._outgoing.sender_line.slowness
        if slowness is not None:
            await trio.sleep(slowness.latency() + slowness.latency())

    async def aclose(self) -> None:
        """See Transport.aclose."""
        await self.abort()

    async def abort(self) -> None:
        """See Transport.abort."""
        self._outgoing.close_sender()
        self._incoming.close_receiver()

    async def reset(self) -> None:
        """See Transport.reset."""
        await self.abort()

    def hold(self) -> None:
        """See Transport.hold."""
        if not self.held and not self._incoming.receiver_closed:
            self._outgoing.sender_held_since = trio.current_time()
            self._incoming.receiver_held = True

    def release(self) -> None:
        """See Transport.release."""
        self._outgoing.sender_held_since = None
        self._incoming.receiver_held = False
        self._outgoing.change()
        self._incoming.change()

    async def released(self) -> None:
        """See Transport.released."""
        while self.held and not self._incoming.receiver_closed:
            await self._incoming.changed()

    def slow_down(self, slowness: Slowness | None) -> None:
        """See Transport.slow_down."""
        self._outgoing.sender_line.slowness = self._incoming.receiver_line.slowness = slowness

    async def send_raw(self, message: str | bytes, *, frames: int = 1) -> None:
        """See Transport.send_raw; in memory there are no frames."""
        await self.send(message)


def memory_pair() -> tuple[MemoryTransport, MemoryTransport]:
    """Return the two ends of a connection in memory; sending never waits."""
    there, back = MemoryWay(), MemoryWay()
    return MemoryTransport(there, back), MemoryTransport(back, there)
