"""Texts of a charge point to what the CSMS says to them (OCPP-J 1.6, section 4), in either framing."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final, Protocol

from loadsim.ocpp import frame, legacy
from loadsim.ocpp.frame import MAX_ID_LENGTH, Call, CallError, CallResult, MalformedFrame
from loadsim.v16.central import ChargePointSession

UNREADABLE_ID: Final = "-1"
"""The id of a CALLERROR to a frame whose own id cannot be read."""

_ANSWERS: Final = (3, 4)


class Peer(Protocol):
    """The charge point at the other end of a connection."""

    legacy: bool
    """Whether it has spoken the legacy framing."""

    def answered(self, text: str) -> None:
        """Take a CALLRESULT or CALLERROR, or what was meant to be one."""


def read(text: str, counts: Counter[str], peer: Peer) -> Call | CallError | None:
    """Return the call that *text* holds, or the error to answer it with; None where nothing is answered.

    What *peer* answers to a call of ours is handed to it.
    """
    try:
        if legacy.is_object(text):
            found: frame.Frame = legacy.decode_call(text)
            counts["legacy_calls"] += 1
            peer.legacy = True
        else:
            found = frame.decode(text)
    except MalformedFrame as error:
        if error.kind in _ANSWERS:
            peer.answered(text)
        return _judge(error, counts)
    if not isinstance(found, Call):
        counts["answers"] += 1
        peer.answered(text)
        return None
    counts["calls"] += 1
    if len(found.id) > MAX_ID_LENGTH:
        counts["malformed"] += 1
        return CallError(found.id, "FormationViolation", f"the id is longer than {MAX_ID_LENGTH} characters")
    return found


def answer(request: Call | CallError, session: ChargePointSession, now: datetime) -> CallResult | CallError:
    """Answer what ``read`` returned."""
    return session.answer(request, now) if isinstance(request, Call) else request


def write(reply: CallResult | CallError) -> str:
    """Write an answer."""
    if isinstance(reply, CallError):
        return frame.encode_error(reply.id, reply.code, reply.description)
    return frame.encode_result(reply.id, bytes(reply.payload))


def _judge(error: MalformedFrame, counts: Counter[str]) -> CallError | None:
    if error.reason.startswith("unknown message type"):
        counts["unknown_types"] += 1  # section 4.1.3: ignored
        return None
    counts["malformed"] += 1
    if error.kind in _ANSWERS:
        return None  # an error answers calls only
    return CallError(UNREADABLE_ID if error.id is None else error.id, "FormationViolation", error.reason)
