"""Transport and RPC joined: calls that end with an outcome, and a reader that never waits for a handler.

CallFailed  a call that was sent ended without a valid answer; *cause* is one of catalogue.CAUSES, or
            "open_at_end" when it was given up at the end of the run
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import msgspec
import trio

from loadsim.link.transport import ConnectionLost, Transport
from loadsim.ocpp import frame, legacy
from loadsim.ocpp.frame import Call, CallError
from loadsim.ocpp.rpc import Answered, Asked, AskedBadly, Rpc, Spoilt, Stray


class CallFailed(Exception):
    """A call ended without a valid answer; *frame* is what came instead, where something came.

    *message_id* is the call's, which an answer that comes too late will have. *provoked*: the connection was lost,
    and not because of this call (`Link.provoked`).
    """

    def __init__(self, cause: str, detail: str, *, at: float, frame: str = "", message_id: str = "") -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
        self.at = at
        self.frame = frame
        self.message_id = message_id
        self.provoked = False


class _OpenCall:
    """The place of the one open call's answer."""

    __slots__ = ("answer", "answered_at", "failure", "scope", "sent", "task", "text")

    def __init__(self, scope: trio.CancelScope) -> None:
        self.scope = scope
        self.task: trio.lowlevel.Task | None = None
        self.answer: Answered | Spoilt | None = None
        self.answered_at = 0.0
        self.sent = False
        self.failure: str | None = None
        self.text = ""

    async def wait(self) -> None:
        """Sleep until `wake`. By hand, because a trio.Event a call costs more than all that it is used for here."""
        self.task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._cancelled)

    def wake(self) -> None:
        """End the sleep, if there is one yet."""
        if self.task is not None:
            trio.lowlevel.reschedule(self.task)
            self.task = None

    def _cancelled(self, _: object) -> trio.lowlevel.Abort:
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Link:
    """One open connection of a charge point."""

    __slots__ = ("_counters", "_encode_call", "_open", "_rpc", "_transport", "last_traffic", "lost", "provoked")

    def __init__(self, transport: Transport, rpc: Rpc, counters: Counter[str], *, framing: str = "array") -> None:
        self._transport = transport
        self._rpc = rpc
        self._counters = counters
        self._encode_call = legacy.encode_call if framing == "object" else frame.encode_call
        self._open: _OpenCall | None = None
        self.last_traffic = trio.current_time()
        self.lost: ConnectionLost | None = None
        self.provoked = False
        """Whether it was lost while a message that is malformed on purpose had not shown yet what comes of it."""

    @property
    def transport(self) -> Transport:
        """The connection below."""
        return self._transport

    async def call(self, action: str, payload: bytes, *, timeout: float) -> tuple[msgspec.Raw, float, str]:
        """Send a CALL and wait for its answer; not to be cancelled from outside, so that each call has an outcome.

        Returns:
            The answer's payload, the time at which its text was read, and that text.

        Raises:
            CallFailed: time-out, CALLERROR, an answer that is none, a broken connection, or given up.
        """
        message_id = self._rpc.open_call()
        with trio.CancelScope(deadline=trio.current_time() + timeout, shield=True) as scope:
            waiting = self._open = _OpenCall(scope)
            begun = False
            try:
                if self._transport.held:
                    await self._transport.released()
                begun = True
                await self.send(self._encode_call(message_id, action, payload))
                waiting.sent = True
                if waiting.answer is None:
                    await waiting.wait()
            except ConnectionLost as error:
                self.lost = self.lost or error.bare()
                waiting.failure = waiting.failure or f"connection_lost {error}"
            finally:
                self._open = None
                if waiting.answer is None:
                    self._rpc.give_up()  # before anything waits: the reader must not take an answer to it any more
        if begun and not waiting.sent:  # part of the text may be out: nothing can follow it
            self.lost = self.lost or ConnectionLost(reason="a message could not be sent to its end")
            await self._transport.abort()
        return self._outcome(waiting, timeout, message_id)

    def _outcome(self, waiting: _OpenCall, timeout: float, message_id: str) -> tuple[msgspec.Raw, float, str]:
        answer = waiting.answer
        if answer is None:
            cause, _, detail = (waiting.failure or f"timeout no answer within {timeout:g} s").partition(" ")
            raise CallFailed(cause, detail, at=trio.current_time(), message_id=message_id)
        at, text = waiting.answered_at, waiting.text
        if isinstance(answer, Spoilt):
            raise CallFailed("malformed", answer.reason, at=at, frame=text)
        if isinstance(answer.answer, CallError):
            error = answer.answer
            raise CallFailed("callerror", f"{error.code} {error.description}".rstrip(), at=at, frame=text)
        return answer.answer.payload, at, text

    async def send(self, text: str) -> None:
        """Send a frame.

        Raises:
            ConnectionLost: the connection has ended.
        """
        self.last_traffic = trio.current_time()
        await self._transport.send(text)
        self._counters["messages.sent"] += 1
        self._counters["bytes.sent"] += _size(text)

    async def send_raw(self, message: str | bytes, *, frames: int = 1) -> None:
        """Send anything, right or wrong, in so many WebSocket frames.

        Raises:
            ConnectionLost: the connection has ended.
        """
        self.last_traffic = trio.current_time()
        await self._transport.send_raw(message, frames=frames)
        self._counters["messages.sent"] += 1
        self._counters["bytes.sent"] += _size(message)

    def listen(
        self,
        nursery: trio.Nursery,
        *,
        asked: Callable[[Call | AskedBadly], None],
        stray: Callable[[Stray, str | bytes], None],
        ended: Callable[[], None],
    ) -> None:
        """Take in what arrives from now on: wake the open call, hand calls from the CSMS to *asked*.

        *ended* is called when the connection has ended, and `lost` says how. See Transport.listen.
        """

        def lost(how: ConnectionLost) -> None:
            self.lost = how.bare()
            self.fail_open_call(f"connection_lost {how}")
            ended()

        self._transport.listen(nursery, partial(self._take, asked, stray), lost)

    def _take(
        self,
        asked: Callable[[Call | AskedBadly], None],
        stray: Callable[[Stray, str | bytes], None],
        text: str | bytes,
    ) -> None:
        self.last_traffic = trio.current_time()
        self._counters["messages.received"] += 1
        self._counters["bytes.received"] += _size(text)
        event = self._rpc.receive(text)
        if isinstance(event, Answered | Spoilt):
            self._wake(event, str(text))
        elif isinstance(event, Asked):
            asked(event.call)
        elif isinstance(event, AskedBadly):
            stray(Stray("malformed", event.reason), text)
            asked(event)
        else:
            stray(event, text)

    def fail_open_call(self, failure: str) -> None:
        """End the open call, if there is one, without an answer; *failure* is a cause and its detail."""
        if self._open is not None and self._open.answer is None:
            self._open.failure = failure
            self._open.scope.cancel()

    def _wake(self, event: Answered | Spoilt, text: str) -> None:
        waiting = self._open
        assert waiting is not None  # the RPC has an open call exactly while `call` waits
        waiting.answer = event
        waiting.answered_at = self.last_traffic
        waiting.text = text
        waiting.wake()


def _size(message: str | bytes) -> int:
    """Return the payload bytes of a message."""
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return len(message.encode(errors="surrogatepass"))
