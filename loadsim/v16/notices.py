"""What the CSMS is to know although there is no connection now: how an update or an upload goes, security events.

Unlike what is about transactions (`transactions`) it is neither in one order with the rest nor tried again after an
answer that refuses it; a connection that breaks only delays it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.outbox import Message
from loadsim.ocpp.action import Action
from loadsim.v16.messages import BY_NAME
from loadsim.v16.sending import can_send, outbox_of, put


class Notice(Message):
    """A request that waits for a connection, if it must.

    Of those of one kind about the same *number* (of an update, of an upload) only the last waits: what a status
    was meanwhile is no news.
    """

    __slots__ = ("_charge_point", "_told", "message", "number")

    lasting: ClassVar[bool] = True

    def __init__(self, charge_point: ChargePoint, request: msgspec.Struct, number: int | None = None) -> None:
        super().__init__(charge_point.context.clock.elapsed)
        self.number = number
        self._charge_point = charge_point
        self.message = request
        self._told = request

    def request(self) -> msgspec.Struct:
        """Return the request, now that it is its turn."""
        self._told = self.message
        return self._told

    def takes_place_of(self, earlier: Message) -> bool:
        """Have *earlier*, which waits, say this instead, if they are about the same; tell whether they are."""
        if self.number is None or not isinstance(earlier, type(self)) or earlier.number != self.number:
            return False
        self._charge_point.leave_unsent(self.action, [earlier.due])
        earlier.due, earlier.message = self.due, self.message
        return True

    def delivered(self, response: Any) -> None:
        """Look whether there is news since: it was given another request while its answer was under way."""
        if self._told is not self.message:
            announce(self._charge_point, type(self)(self._charge_point, self.message, self.number))


def announce(charge_point: ChargePoint, notice: Notice) -> None:
    """Have *notice* sent as soon as there is a connection; nobody waits for it."""
    if charge_point.over:
        return
    waiting = () if can_send(charge_point) else outbox_of(charge_point).others
    if not any(notice.takes_place_of(earlier) for earlier in waiting):
        put(charge_point, notice)


class FirmwareNotice(Notice):
    """How an update of the firmware goes (section 4.5)."""

    __slots__ = ()
    action: ClassVar[Action] = BY_NAME["FirmwareStatusNotification"]


class SignedFirmwareNotice(Notice):
    """How an update to signed firmware goes (L01)."""

    __slots__ = ()
    action: ClassVar[Action] = BY_NAME["SignedFirmwareStatusNotification"]


class DiagnosticsNotice(Notice):
    """How an upload of diagnostics goes (section 4.4)."""

    __slots__ = ()
    action: ClassVar[Action] = BY_NAME["DiagnosticsStatusNotification"]


class LogNotice(Notice):
    """How an upload of a log goes (N01)."""

    __slots__ = ()
    action: ClassVar[Action] = BY_NAME["LogStatusNotification"]


class SecurityNotice(Notice):
    """What has happened that bears on security (A04); each one is news."""

    __slots__ = ()
    action: ClassVar[Action] = BY_NAME["SecurityEventNotification"]
