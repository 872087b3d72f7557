"""One call to one charge point: sent in its turn, awaited, matched, judged and counted (OCPP-J 1.6, section 4.1)."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any, Final, Literal, Protocol

import msgspec
import trio

from loadsim.metrics.catalogue import STRAYS
from loadsim.metrics.histogram import Histogram
from loadsim.ocpp.action import Action, InvalidPayload, Verdict
from loadsim.ocpp.frame import ERROR_CODES, CallError, encode_call
from loadsim.ocpp.rpc import Answered as AnsweredFrame
from loadsim.ocpp.rpc import Rpc, Spoilt, Stray
from loadsim.v16.orders import Request

CALL_TIMEOUT: Final = 30.0
"""Seconds that an answer is awaited, where nothing else is said."""
UNKNOWN_CODE: Final = "(unknown)"
"""All error codes that are none of OCPP 1.6 count as one, for they come from the other side."""

Cause = Literal["error", "malformed", "timeout", "lost", "not_sent", "not_connected"]

_FOLDED_AT: Final = 4096  # seconds kept as they are, before they go into the histogram


class Answered(msgspec.Struct, frozen=True):
    """A valid CALLRESULT, its payload as it came, and the seconds from the sending to it."""

    response: Any
    payload: msgspec.Raw
    seconds: float


class Failed(msgspec.Struct, frozen=True):
    """A call that ended without a valid answer.

    ``error``: CALLERROR, with its *code*. ``malformed``: an answer that the schema refuses, or that is no frame.
    ``timeout``: none in time. ``lost``: the connection ended first. ``not_sent``: its turn did not come in time,
    or the connection ended before it. ``not_connected``: there was none.
    """

    cause: Cause
    code: str = ""
    description: str = ""


Outcome = Answered | Failed


class LineLost(Exception):
    """The connection has ended; nothing can be sent on it."""


class Line(Protocol):
    """The way to a charge point, as long as one connection lasts."""

    async def send(self, text: str) -> None:
        """Send a frame.

        Raises:
            LineLost: the connection has ended.
        """

    def cut(self) -> None:
        """End the connection at once: part of a frame may be out, and nothing can follow it."""


class CallCounts:
    """What became of the calls of one action. ``sent`` is the sum of its ends and of those still open."""

    __slots__ = (
        "_recent",
        "_times",
        "answered",
        "errors",
        "lost",
        "malformed",
        "not_connected",
        "not_sent",
        "refused",
        "sent",
        "timeouts",
    )

    def __init__(self) -> None:
        self.sent = 0
        self.answered = 0
        self.malformed = 0
        self.timeouts = 0
        self.lost = 0
        self.not_sent = 0
        self.not_connected = 0
        self.refused: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._recent: list[float] = []
        self._times = Histogram()

    def took(self, seconds: float) -> None:
        """Count an answer that came *seconds* after its call was sent."""
        self.answered += 1
        self._recent.append(seconds)
        if len(self._recent) >= _FOLDED_AT:
            self._fold()

    @property
    def open(self) -> int:
        """Calls that are sent and have not ended."""
        return self.sent - self.answered - self.errors.total() - self.malformed - self.timeouts - self.lost

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers; *refused* are among *answered*, by status, *errors* by code, times in seconds."""
        self._fold()
        times = self._times
        return {
            "sent": self.sent,
            "answered": self.answered,
            "refused": dict(self.refused),
            "errors": dict(self.errors),
            "malformed": self.malformed,
            "timeouts": self.timeouts,
            "lost": self.lost,
            "open": self.open,
            "not_sent": self.not_sent,
            "not_connected": self.not_connected,
            "answer_s": {
                **{f"p{percent}": times.percentile(percent) for percent in (50, 95, 99)},
                "max": times.max if times.n else None,
            },
        }

    def _fold(self) -> None:
        self._times.record(self._recent)
        self._recent.clear()


class _Slot:
    """The place of the one open call's answer."""

    __slots__ = ("arrived", "at", "event", "lost")

    def __init__(self) -> None:
        self.arrived = trio.Event()
        self.at = 0.0
        self.event: AnsweredFrame | Spoilt | None = None
        self.lost = False


class Callee:
    """A charge point that is called, as long as one connection lasts: one open CALL, the others wait their turn."""

    __slots__ = ("_calls", "_ended", "_line", "_rpc", "_slot", "_turn")

    def __init__(self, calls: Calls, rpc: Rpc, line: Line) -> None:
        self._calls = calls
        self._rpc = rpc
        self._line = line
        self._turn = trio.Lock()
        self._slot: _Slot | None = None
        self._ended = False

    async def call(self, request: Request, *, timeout: float) -> Outcome:
        """Send *request* in its turn and return what became of it.

        *timeout* is how many seconds its turn is awaited, and again how many its answer is.
        """
        counts = self._calls.count(request.action.name)
        acquired = False
        with trio.move_on_after(timeout):
            await self._turn.acquire()
            acquired = True
        if not acquired:
            counts.not_sent += 1
            return Failed("not_sent", description=f"another call was open for {timeout:g} s")
        try:
            if self._ended:
                counts.not_sent += 1
                return Failed("not_sent", description="the connection ended before the call was sent")
            return await self._exchange(request, counts, timeout)
        finally:
            self._turn.release()

    def receive(self, event: AnsweredFrame | Spoilt) -> None:
        """Take the answer to the open call."""
        slot = self._slot
        assert slot is not None  # the RPC has an open call exactly while `_exchange` waits
        slot.event = event
        slot.at = trio.current_time()
        slot.arrived.set()

    def end(self) -> None:
        """Give up on the open call and on those that wait: the connection has ended."""
        self._ended = True
        if self._slot is not None and self._slot.event is None:
            self._slot.lost = True
            self._slot.arrived.set()
            self._rpc.give_up()  # at once: another connection may be there already

    async def _exchange(self, request: Request, counts: CallCounts, timeout: float) -> Outcome:
        text = encode_call(self._rpc.open_call(), request.action.name, request.payload)
        slot = self._slot = _Slot()
        began = trio.current_time()
        sent = False
        counts.sent += 1
        try:
            with trio.move_on_after(timeout):
                await self._line.send(text)
                sent = True
                await slot.arrived.wait()
        except LineLost:
            sent = slot.lost = True
        finally:
            self._slot = None
            if slot.event is None and not self._ended:
                self._rpc.give_up()  # before anything waits: a late answer must not be taken any more
            if not sent:
                self._line.cut()
        if slot.event is not None:
            return _judge(request.action, slot.event, counts, slot.at - began)
        if slot.lost:
            counts.lost += 1
            return Failed("lost", description="the connection ended before the answer")
        counts.timeouts += 1
        return Failed("timeout", description=f"no answer within {timeout:g} s")


class Calls:
    """The calls of a central system: their ids, their counts, and what came that answers none of them."""

    def __init__(self) -> None:
        self.strays: Counter[str] = Counter()
        self._counts: dict[str, CallCounts] = {}
        self._rpcs: dict[str, Rpc] = {}
        self._token = secrets.token_hex(4)  # ids differ from those before a restart, too

    def count(self, action: str) -> CallCounts:
        """Return the counts of *action*."""
        counts = self._counts.get(action)
        if counts is None:
            counts = self._counts[action] = CallCounts()
        return counts

    def callee(self, identity: str, line: Line, *, legacy: bool) -> Callee:
        """Begin to call *identity* over *line*; one of the *legacy* framing may answer under any id."""
        rpc = self._rpcs.get(identity)
        if rpc is None:
            prefix = f"{self._token}-{len(self._rpcs):x}-"
            rpc = self._rpcs[identity] = Rpc(prefix, any_id_answers=legacy)
        return Callee(self, rpc, line)

    def not_connected(self, request: Request) -> Failed:
        """Count a call to a charge point that has no connection."""
        self.count(request.action.name).not_connected += 1
        return Failed("not_connected", description="the charge point is not connected")

    def receive(self, identity: str, callee: Callee | None, text: str) -> None:
        """Take *text*, a CALLRESULT or CALLERROR of *identity*, or what was meant to be one."""
        event = self._rpcs.get(identity, _NEVER_CALLED).receive(text)
        if isinstance(event, Stray):
            self.strays[event.kind] += 1
        elif isinstance(event, AnsweredFrame | Spoilt):
            assert callee is not None  # an open call ends with its connection
            callee.receive(event)

    def record(self) -> dict[str, Any]:
        """Return plain numbers by name, for JSON."""
        return {
            "calls": {name: counts.as_dict() for name, counts in sorted(self._counts.items())},
            "strays": {kind: self.strays[kind] for kind in STRAYS},
        }


_NEVER_CALLED: Final = Rpc("-")


def _judge(action: Action, event: AnsweredFrame | Spoilt, counts: CallCounts, seconds: float) -> Outcome:
    if isinstance(event, Spoilt):
        counts.malformed += 1
        return Failed("malformed", description=event.reason)
    answer = event.answer
    if isinstance(answer, CallError):
        counts.errors[answer.code if answer.code in ERROR_CODES else UNKNOWN_CODE] += 1
        return Failed("error", answer.code, answer.description)
    try:
        response = action.decode_response(answer.payload)
    except InvalidPayload as error:
        counts.malformed += 1
        return Failed("malformed", error.code, str(error))
    counts.took(seconds)
    if action.verdict(response) is not Verdict.ACCEPTED:
        counts.refused[response.status] += 1
    return Answered(response, answer.payload, seconds)
