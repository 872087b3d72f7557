"""Transport and RPC joined: calls that end with an outcome, and a reader that never waits for a handler.

CallFailed  a call that was sent ended without a valid answer; *cause* is one of catalogue.CAUSES, or
            "open_at_end" when it was given up at the end of the run
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, Protocol

import trio

from loadsim.link.transport import ConnectionLost, Transport
from loadsim.metrics.traffic import Traffic
from loadsim.ocpp import frame, legacy
from loadsim.ocpp.action import Action, InvalidPayload
from loadsim.ocpp.frame import Call, CallError
from loadsim.ocpp.rpc import Answered, Asked, AskedBadly, Responded, Rpc, Spoilt, Stray
from loadsim.timers import Timer

_ANSWERS: Final = (Responded, Answered, Spoilt)


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


class _Ended(Exception):
    """The open call's time is over, or it was made to fail, before its text was sent."""


class _OpenCall:
    """The place of the one open call's answer, and who waits for it."""

    __slots__ = ("action", "answer", "answered_at", "deadline", "failure", "sending", "task", "text")

    def __init__(self, action: Action, deadline: float) -> None:
        self.action = action
        self.deadline = deadline
        self.answer: Responded | Answered | Spoilt | None = None
        self.answered_at = 0.0
        self.text = ""
        self.failure: str | None = None
        self.sending: trio.CancelScope | None = None  # seldom a send has to wait
        self.task: trio.lowlevel.Task | None = None

    async def wait(self) -> None:
        """Sleep until `wake`. By hand, because a trio.Event a call costs more than all that it is used for here."""
        self.task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(_not_from_outside)

    def wake(self) -> None:
        """End the sleep, if there is one."""
        if self.task is not None:
            trio.lowlevel.reschedule(self.task)
            self.task = None


def _not_from_outside(_: object) -> trio.lowlevel.Abort:
    """Refuse to be cancelled: each call ends with an answer, at its deadline, or with its connection."""
    return trio.lowlevel.Abort.FAILED


class Listener(Protocol):
    """Who is told of what arrives on a link and is no answer to the open call; plain functions, which never wait.

    One object, because three closures and what they close over took 700 bytes of every connection.
    """

    def asked(self, link: Link, call: Call | AskedBadly) -> None:
        """Take a call from the CSMS."""

    def strayed(self, link: Link, stray: Stray, text: str | bytes) -> None:
        """Take what belongs to nothing, and its text."""

    def ended(self, link: Link) -> None:
        """Take in that the connection has ended; `Link.lost` says how."""


class Link(Timer):
    """One open connection of a charge point; falls due when its open call has waited long enough for its answer."""

    __slots__ = (
        "_encode_call",
        "_listener",
        "_open",
        "_rpc",
        "_traffic",
        "_transport",
        "last_traffic",
        "lost",
        "provoked",
    )

    def __init__(self, transport: Transport, rpc: Rpc, traffic: Traffic, *, framing: str = "array") -> None:
        super().__init__()
        self._transport = transport
        self._rpc = rpc
        self._traffic = traffic
        self._encode_call = legacy.encode_call if framing == "object" else frame.encode_call
        self._open: _OpenCall | None = None
        self._listener: Listener | None = None
        self.last_traffic = trio.current_time()
        self.lost: ConnectionLost | None = None
        self.provoked = False
        """Whether it was lost while a message that is malformed on purpose had not shown yet what comes of it."""

    @property
    def transport(self) -> Transport:
        """The connection below."""
        return self._transport

    @property
    def answer_is_news(self) -> bool:
        """Whether the open call has its answer, and whoever waits for it has not gone on yet."""
        return self._open is not None and self._open.answer is not None

    async def call(self, action: Action, payload: bytes, *, now: float, timeout: float) -> tuple[Any, float]:
        """Send a CALL and wait for its answer; not to be cancelled from outside, so that each call has an outcome.

        Args:
            action: the row of the request.
            payload: the request, encoded.
            now: trio's time, as whoever calls has just read it: from then on it has *timeout* seconds.
            timeout: after so many seconds without an answer it has failed, also when it could not be sent.

        Returns:
            The answer's Struct, and the time at which its text was read.

        Raises:
            CallFailed: time-out, CALLERROR, an answer that is none, a broken connection, or given up.
        """
        message_id = self._rpc.open_call()
        waiting = self._open = _OpenCall(action, now + timeout)
        begun = sent = False
        try:
            if self._transport.held:
                await self._no_longer_than(waiting, self._transport.released())
                now = trio.current_time()
            begun = True
            text = self._encode_call(message_id, action.name, payload)
            self.last_traffic = now
            rest = self._transport.begin_send(text)
            if rest is not None:
                await self._no_longer_than(waiting, rest)
            self._count_sent(text)
            sent = True
            if waiting.answer is None and waiting.failure is None:
                self.set(waiting.deadline)
                await waiting.wait()
                self.unset()
        except ConnectionLost as error:
            self.lost = self.lost or error.bare()
            waiting.failure = waiting.failure or f"connection_lost {error}"
        except _Ended:
            pass
        finally:
            self._open = None
            if waiting.answer is None:
                self._rpc.give_up()  # before anything waits: the reader must not take an answer to it any more
        if begun and not sent:  # part of the text may be out: nothing can follow it
            self.lost = self.lost or ConnectionLost(reason="a message could not be sent to its end")
            await self._transport.abort()
        return self._outcome(waiting, timeout, message_id)

    @staticmethod
    async def _no_longer_than(waiting: _OpenCall, work: Awaitable[None]) -> None:
        """Wait for *work* while the call may, whoever cancels.

        Raises:
            _Ended: the call has ended first.
        """
        with trio.CancelScope(deadline=waiting.deadline, shield=True) as waiting.sending:
            await work
        ended = waiting.sending.cancelled_caught
        waiting.sending = None
        if ended:
            raise _Ended

    def _outcome(self, waiting: _OpenCall, timeout: float, message_id: str) -> tuple[Any, float]:
        answer = waiting.answer
        at, text = waiting.answered_at, waiting.text
        if isinstance(answer, Responded):
            return answer.response, at
        if answer is None:
            cause, _, detail = (waiting.failure or f"timeout no answer within {timeout:g} s").partition(" ")
            raise CallFailed(cause, detail, at=trio.current_time(), message_id=message_id)
        if isinstance(answer, Spoilt):
            raise CallFailed("malformed", answer.reason, at=at, frame=text)
        if isinstance(answer.answer, CallError):
            error = answer.answer
            raise CallFailed("callerror", f"{error.code} {error.description}".rstrip(), at=at, frame=text)
        try:
            return waiting.action.decode_response(answer.answer.payload), at
        except InvalidPayload as error:
            raise CallFailed("malformed", str(error), at=at, frame=text) from error

    def fall_due(self) -> None:
        """Let the open call time out; see Timer."""
        if self._open is not None:
            self._open.wake()

    async def send(self, text: str) -> None:
        """Send a frame.

        Raises:
            ConnectionLost: the connection has ended.
        """
        self.last_traffic = trio.current_time()
        rest = self._transport.begin_send(text)
        if rest is not None:
            await rest
        self._count_sent(text)

    async def send_raw(self, message: str | bytes, *, frames: int = 1) -> None:
        """Send anything, right or wrong, in so many WebSocket frames.

        Raises:
            ConnectionLost: the connection has ended.
        """
        self.last_traffic = trio.current_time()
        await self._transport.send_raw(message, frames=frames)
        self._count_sent(message)

    def _count_sent(self, message: str | bytes) -> None:
        traffic = self._traffic
        traffic.messages_sent += 1
        traffic.bytes_sent += _size(message)

    def listen(self, nursery: trio.Nursery, listener: Listener) -> None:
        """Take in what arrives from now on: wake the open call, hand all else to *listener*. See Transport.listen."""
        self._listener = listener
        self._transport.listen(nursery, self._take, self._lose)

    def _lose(self, how: ConnectionLost) -> None:
        self.lost = how.bare()
        self.fail_open_call(f"connection_lost {how}")
        if self._listener is not None:
            self._listener.ended(self)

    def _take(self, text: str | bytes) -> None:
        self.last_traffic = trio.current_time()
        traffic = self._traffic
        traffic.messages_received += 1
        traffic.bytes_received += _size(text)
        waiting = self._open
        event = self._rpc.receive(text, None if waiting is None else waiting.action)
        if isinstance(event, _ANSWERS):
            self._wake(event, str(text))
            return
        listener = self._listener
        assert listener is not None  # nothing is handed over before `listen`
        if isinstance(event, Asked):
            listener.asked(self, event.call)
        elif isinstance(event, AskedBadly):
            listener.strayed(self, Stray("malformed", event.reason), text)
            listener.asked(self, event)
        else:
            listener.strayed(self, event, text)

    def fail_open_call(self, failure: str) -> None:
        """End the open call, if there is one, without an answer; *failure* is a cause and its detail."""
        waiting = self._open
        if waiting is not None and waiting.answer is None:
            waiting.failure = failure
            if waiting.sending is not None:
                waiting.sending.cancel()
            waiting.wake()

    def _wake(self, answer: Responded | Answered | Spoilt, text: str) -> None:
        waiting = self._open
        assert waiting is not None  # the RPC has an open call exactly while `call` waits
        waiting.answer = answer
        waiting.answered_at = self.last_traffic
        waiting.text = text
        waiting.wake()


def _size(message: str | bytes) -> int:
    """Return the payload bytes of a message."""
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return len(message.encode(errors="surrogatepass"))
