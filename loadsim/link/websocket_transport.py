"""An open WebSocket on a wire: what is sent, what is read, and how it ends (RFC 6455, sections 5 to 7).

Nobody waits for what comes: the poller calls a plain function, which takes what there is and hands it over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import trio

from loadsim.link.frames import PING, PONG, close_frame, control_frame, next_mask
from loadsim.link.framing import Close, Incoming, Message, Ping, Pong, ProtocolError
from loadsim.link.opening import Opening
from loadsim.link.sending import Sending
from loadsim.link.transport import ConnectionLost
from loadsim.link.wire import Wire

MAX_MESSAGE: Final = 1 << 20
_CLOSE_TIMEOUT: Final = 2.0
_MOST_CLOSE_TIMEOUT: Final = 10.0
"""Seconds: over a slow link the closing handshake takes longer."""
_MOST_EARLY: Final = 65_536
_AT_ONCE: Final = 64
"""Messages of one connection that are handed over in one go; then others have their turn."""
_NORMAL: Final = 1000

_Heard = Message | ProtocolError | ConnectionLost


class WebSocketTransport(Sending):
    """An open WebSocket; see Transport."""

    __slots__ = (
        "_early",
        "_incoming",
        "_on_lost",
        "_on_message",
        "_pings",
        "_waiter",
        "connect_seconds",
        "handshake_seconds",
        "resumed",
    )

    def __init__(self, wire: Wire, nursery: trio.Nursery, connect_seconds: float) -> None:
        super().__init__(wire, nursery)
        self._incoming = Incoming(MAX_MESSAGE)
        self._early: list[bytes] | None = []  # what came while what came before it is not heard yet
        self._on_message: Callable[[str | bytes], None] = _drop
        self._on_lost: Callable[[ConnectionLost], None] | None = None
        self._waiter: trio.lowlevel.Task | None = None  # for the other side's part of a handshake
        self._pings: dict[bytes, trio.Event] | None = None
        self.connect_seconds = connect_seconds
        self.handshake_seconds = 0.0
        self.resumed = wire.resumed

    async def open(self, opening: Opening) -> str | None:
        """Shake hands, and return the subprotocol that was agreed to (section 4.1).

        Raises:
            HandshakeRefused: no WebSocket came of it.
            ConnectionLost: the connection broke.
        """
        begin = trio.current_time()
        self._wire.watch(self._readable)
        await self._take_turn()
        await self._send_whole((opening.request,))
        assert self._early is not None  # nobody listens yet
        opened = None
        while opened is None:
            while not self._early:
                await self._wait()
            opened = opening.feed(self._early.pop(0))
        if opened.rest:
            self._early.insert(0, opened.rest)
        self.handshake_seconds = trio.current_time() - begin
        return opened.subprotocol

    # What is read.

    async def ping(self) -> None:
        """See Transport.ping."""
        if self._pings is None:
            self._pings = {}
        payload = next_mask()
        ponged = self._pings[payload] = trio.Event()
        try:
            await self._send_in_turn((control_frame(PING, payload),))
            await ponged.wait()
        finally:
            self._pings.pop(payload, None)
        if self._lost is not None:
            raise self._lost.bare()

    def listen(
        self,
        nursery: trio.Nursery,
        on_message: Callable[[str | bytes], None],
        on_lost: Callable[[ConnectionLost], None],
    ) -> None:
        """See Transport.listen."""
        self._nursery = nursery
        self._on_message = on_message
        self._on_lost = on_lost
        if self._early or self._lost is not None:
            nursery.start_soon(self._catch_up, ())
        else:
            self._early = None

    async def _catch_up(self, messages: Sequence[_Heard]) -> None:
        """Hand over what has come and was not heard yet, a part at a time; *messages* come first.

        It came before somebody listened, who is ready for it only later, or in more messages than one turn is for:
        8,000 pings, which 16 KiB hold, take 90 milliseconds.
        """
        while not self._wire.closed:
            self._hand_over(messages[:_AT_ONCE])
            messages = messages[_AT_ONCE:]
            if messages:
                await trio.lowlevel.checkpoint()
                await self.released()
            elif self._early:
                messages = self._read(self._early.pop(0))
            else:
                break
        self._early = None
        if self._lost is not None:
            self._tell_lost()
        if not self._wire.closed:
            self._line.watch(self._readable)

    def _readable(self) -> None:
        """Take what has come; called by the poller, so it neither waits nor raises."""
        try:
            self._take_what_is_there()
        except Exception as mistake:  # noqa: BLE001 - raised where it belongs, for the poller is everybody's
            self._line.unwatch()
            self._start_soon(_raise, mistake)

    def _take_what_is_there(self) -> None:
        try:
            data = self._line.recv()
        except OSError:
            data = b""
        if data is None:
            return
        if self._early is None:
            self._take(data)
            return
        self._early.append(data)
        if not data or sum(map(len, self._early)) > _MOST_EARLY:
            self._line.unwatch()
        self._wake()

    def _take(self, data: bytes) -> None:
        messages = self._read(data)
        if len(messages) <= _AT_ONCE:
            self._hand_over(messages)
        else:
            self._early = []
            self._line.unwatch()
            self._start_soon(self._catch_up, messages)

    def _read(self, data: bytes) -> Sequence[_Heard]:
        """Return the messages in *data*; what ends the connection is the last of them."""
        if not data:
            return (ConnectionLost(),)
        try:
            return self._incoming.feed(data)
        except ProtocolError as violation:
            return [*violation.before, violation]

    def _hand_over(self, messages: Sequence[_Heard]) -> None:
        for message in messages:
            if type(message) is str or type(message) is bytes:
                try:
                    self._on_message(message)
                except Exception as error:  # noqa: BLE001 - it is raised, where it belongs
                    self._on_message = _drop
                    self._start_soon(_raise, error)
            elif isinstance(message, Ping):
                self._pong(message.payload)
            elif isinstance(message, Close):
                if self._lost is None:
                    self._say(close_frame(message.code, message.reason))
                self._wire.say_goodbye()
                self._end(ConnectionLost(message.code, message.reason), heard=True)
            elif isinstance(message, Pong):
                self._ponged(message.payload)
            elif isinstance(message, ProtocolError):
                self._say(close_frame(message.code, message.reason))
                self._end(ConnectionLost(message.code, message.reason), heard=True)
            elif isinstance(message, ConnectionLost):
                self._end(message, heard=True)

    def _pong(self, payload: bytes) -> None:
        if self._backlog is not None:
            self._backlog.pong = payload
        elif self._lost is None:
            self._say(control_frame(PONG, payload))

    def _ponged(self, payload: bytes) -> None:
        """Wake who waits for this pong, or for an earlier one (section 5.5.3)."""
        if self._pings is not None and payload in self._pings:
            for earlier in list(self._pings):
                self._pings.pop(earlier).set()
                if earlier == payload:
                    break

    # How it ends.

    async def aclose(self) -> None:
        """See Transport.aclose."""
        if not self.held and self._lost is None:
            round_trip = 0.0 if self._trouble is None else self._trouble.round_trip()
            with trio.move_on_after(min(_CLOSE_TIMEOUT + round_trip, _MOST_CLOSE_TIMEOUT)) as scope:
                scope.shield = True
                with suppress(ConnectionLost):  # it is over anyway
                    await self._close()
        await self.abort()

    async def _close(self) -> None:
        """Shake hands once more (section 7.1.2)."""
        await self._take_turn()
        self._lost = ConnectionLost(_NORMAL)
        self._tell_lost_soon()
        await self._send_whole((close_frame(_NORMAL),))
        if self._early is not None:
            await self._catch_up(())
        while not self._wire.closed:
            await self._wait()

    async def abort(self) -> None:
        """See Transport.abort."""
        self._end(ConnectionLost())
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def reset(self) -> None:
        """See Transport.reset."""
        self._wire.reset_on_close()
        await self.abort()

    def _end(self, lost: ConnectionLost, *, heard: bool = False) -> None:
        """Close the wire, and wake all who wait; *heard*: it was the reader who found out."""
        if self._lost is None:
            self._lost = lost
        self._wire.close()
        if self._trouble is not None:
            self._trouble.close()
        self._wake()
        while self._pings:
            self._pings.popitem()[1].set()
        if heard:
            self._tell_lost()
        else:
            self._tell_lost_soon()

    def _tell_lost(self) -> None:
        on_lost, self._on_lost, self._on_message = self._on_lost, None, _drop
        if on_lost is None or self._lost is None or self._nursery.cancel_scope.cancel_called:
            return
        try:
            on_lost(self._lost.bare())
        except Exception as error:  # noqa: BLE001 - it is raised, where it belongs
            self._start_soon(_raise, error)

    def _tell_lost_soon(self) -> None:
        """Tell who listens, but not within what that very task is doing to the connection."""
        self._on_message = _drop
        if self._on_lost is not None and self._early is None:
            self._start_soon(self._tell_lost_unless_cancelled)

    async def _tell_lost_unless_cancelled(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._tell_lost()

    async def _wait(self) -> None:
        self._waiter = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)

    def _stop_waiting(self, _: object) -> trio.lowlevel.Abort:
        self._waiter = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _wake(self) -> None:
        if self._waiter is not None:
            trio.lowlevel.reschedule(self._waiter)
            self._waiter = None


def _drop(_: str | bytes) -> None:
    """Let go of a message that came after the end."""


async def _raise(error: Exception) -> None:
    raise error
