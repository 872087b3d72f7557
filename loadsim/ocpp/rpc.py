"""The RPC state machine of one charge point (OCPP-J 1.6, section 4): what each text that arrives means.

No I/O and no clock. It outlives connections, so that an id is never used twice, and an answer that comes
after its call timed out is known for what it is, also on the next connection.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from loadsim.ocpp import frame
from loadsim.ocpp.action import Action
from loadsim.ocpp.frame import Call, CallError, CallResult, MalformedFrame

_LATE_IDS_KEPT: Final = 32
_PREFIX_LENGTH: Final = 24  # leaves 12 hexadecimal digits of the 36 characters to the count


class Responded(msgspec.Struct, frozen=True, gc=False):
    """The answer to the open call, read: *response* is the Struct of its action."""

    response: Any


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The answer to the open call: a CALLERROR, or a CALLRESULT that is not read yet."""

    answer: CallResult | CallError


class Spoilt(msgspec.Struct, frozen=True, gc=False):
    """The open call was answered with what is no answer: it ends without one."""

    reason: str


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A call from the CSMS."""

    call: Call


class AskedBadly(msgspec.Struct, frozen=True, gc=False):
    """A call from the CSMS that is malformed but has an id to answer to."""

    id: str
    reason: str


class Stray(msgspec.Struct, frozen=True, gc=False):
    """What belongs to nothing; *kind* is one of catalogue.STRAYS."""

    kind: str
    reason: str


class Provoked(Stray, frozen=True, gc=False):
    """An answer to a message that is malformed on purpose: nobody waits for it, and it is no mistake of the CSMS."""


Event = Responded | Answered | Spoilt | Asked | AskedBadly | Stray


_PROVOKED: Final = Provoked("provoked", "an answer to a message that is malformed on purpose")


class Rpc:
    """One open CALL at a time (section 4.1.1), ids of at most 36 characters that are never used again."""

    __slots__ = ("_any_id_answers", "_count", "_forgotten", "_late", "_open_id", "_prefix", "_provoked")

    def __init__(self, prefix: str, *, any_id_answers: bool = False) -> None:
        """Begin with nothing open.

        Args:
            prefix: begins every id; distinct for each charge point of a run and for each run. Of a long one
                the end is used.
            any_id_answers: take an answer under any id for the one open call, as the legacy framing does.
        """
        self._prefix = prefix[-_PREFIX_LENGTH:]
        self._any_id_answers = any_id_answers
        self._count = 0
        self._open_id: str | None = None
        self._late: dict[str, None] | None = None  # ids that timed out, oldest first; most never have one
        self._forgotten = 0  # the number of the last id that fell out of them
        self._provoked: list[tuple[str, bool]] | None = None  # id, and whether the other side may not know it

    @property
    def open_id(self) -> str | None:
        """The id of the call that waits for its answer."""
        return self._open_id

    @property
    def last_id(self) -> str | None:
        """The id of the newest call or malformed message; None before the first."""
        return f"{self._prefix}{self._count:x}" if self._count else None

    def open_call(self) -> str:
        """Open a call and return its id.

        Raises:
            RuntimeError: another call is open.
        """
        if self._open_id is not None:
            raise RuntimeError("a charge point has one open CALL at a time")
        self._count += 1
        self._open_id = f"{self._prefix}{self._count:x}"
        return self._open_id

    def give_up(self) -> None:
        """End the open call without an answer: it timed out, or the connection broke."""
        if self._open_id is None:
            return
        if self._late is None:
            self._late = {}
        self._late[self._open_id] = None
        self._open_id = None
        if len(self._late) > _LATE_IDS_KEPT:
            oldest = next(iter(self._late))
            del self._late[oldest]
            self._forgotten = int(oldest[len(self._prefix) :], 16)

    def new_id(self) -> str:
        """Return an id for a message that is no call of the charge point's; no other will have it."""
        self._count += 1
        return f"{self._prefix}{self._count:x}"

    def provoke(self, message_id: str, *, nameless: bool = False) -> None:
        """Expect an answer to a malformed message under *message_id*, which may be that of an earlier call.

        *nameless*: the other side may not be able to read an id, so a CALLERROR under any that was never used is
        taken for one to it.
        """
        self._provoked = [*(self._provoked or ())[1 - _LATE_IDS_KEPT :], (message_id, nameless)]

    def connected(self) -> None:
        """Note that there is a new connection: nothing comes any more to what was malformed on the one before."""
        self._provoked = None

    def receive(self, text: str | bytes, awaited: Action | None = None) -> Event:
        """Say what *text* means, and close the open call if it is that call's answer.

        *awaited* is the open call's action: an answer that is as it should be, which nearly all of them are, is read
        at once (Responded), and everything else is looked at part by part.
        """
        if isinstance(text, bytes):
            return Stray("malformed", "a binary message")
        if awaited is not None and self._open_id is not None:
            response = awaited.read_answer(text, self._open_id)
            if response is not None:
                self._open_id = None
                return Responded(response)
        try:
            received = frame.decode(text)
        except MalformedFrame as error:
            return self._receive_malformed(error)
        if isinstance(received, Call):
            return Asked(received)
        if self._is_provoked(received.id, refused=isinstance(received, CallError)):
            return _PROVOKED
        if self._answers_open_call(received.id):
            self._open_id = None
            return Answered(received)
        return self._stray(received.id)

    def _answers_open_call(self, message_id: str | None) -> bool:
        if self._open_id is None:
            return False
        if message_id == self._open_id:
            return True
        # Under any id, but not under that of another call: a late answer is known for what it is.
        return self._any_id_answers and not (message_id is not None and self._was_used(message_id))

    def _is_provoked(self, message_id: str | None, *, refused: bool) -> bool:
        """Tell whether a malformed message has provoked this answer, and expect it no more."""
        if self._provoked is None or (message_id is not None and message_id == self._open_id):
            return False
        if message_id is not None and self._was_used(message_id):
            if self._late is not None and message_id in self._late:
                return False  # the call's own answer comes first
            found = next((each for each in self._provoked if each[0] == message_id), None)
        else:
            found = next((each for each in self._provoked if each[1] and refused), None)
        if found is not None:
            self._provoked.remove(found)
        return found is not None

    def _receive_malformed(self, error: MalformedFrame) -> Event:
        if error.kind in (3, 4) and self._is_provoked(error.id, refused=error.kind == 4):
            return _PROVOKED
        if error.kind in (3, 4) and self._answers_open_call(error.id):
            self._open_id = None
            return Spoilt(error.reason)
        if error.id is not None and error.kind == 2:
            return AskedBadly(error.id, error.reason)
        return Stray("malformed", error.reason)

    def _stray(self, message_id: str) -> Stray:
        if self._late is not None and message_id in self._late:
            del self._late[message_id]  # a second answer to it is a duplicate
            return Stray("late", f"an answer to {message_id}, which had ended without one")
        if self._was_used(message_id) and int(message_id[len(self._prefix) :], 16) <= self._forgotten:
            return Stray("late", f"an answer to {message_id}, so old that it most likely ended without one")
        if self._was_used(message_id):
            return Stray("duplicate", f"a second answer to {message_id}")
        return Stray("unknown_id", f"an answer to {message_id[: frame.MAX_ID_LENGTH]!r}, which was never sent")

    def _was_used(self, message_id: str) -> bool:
        if not message_id.startswith(self._prefix):
            return False
        try:
            number = int(message_id[len(self._prefix) :], 16)
        except ValueError:
            return False
        return 0 < number <= self._count and message_id == f"{self._prefix}{number:x}"
