"""What the CSMS is to know although there is no connection now: how an update or an upload goes, security events.

Unlike what is about transactions (`transactions`) it is neither in one order with the rest nor tried again after an
answer that refuses it; a connection that breaks only delays it.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.outbox import Message
from loadsim.ocpp.action import Action
from loadsim.v16.messages import BY_NAME
from loadsim.v16.sending import can_send, leave, outbox_of, put


class Notice(Message):
    """A request that waits for a connection, if it must.

    Of those of one kind about the same *number* (of an update, of an upload) only the last waits: what a status
    was meanwhile is no news.
    """

    __slots__ = ("message", "number", "under_way")

    lasting: ClassVar[bool] = True

    def __init__(self, charge_point: ChargePoint, request: msgspec.Struct, number: int | None = None) -> None:
        super().__init__(charge_point.context.clock.elapsed)
        self.number = number
        self.message = request
        self.under_way = False

    def request(self) -> msgspec.Struct:
        """Return the request, now that it is its turn."""
        self.under_way = True
        return self.message

    def unanswered(self, message_id: str) -> None:
        """Take in that it may have to be sent again."""
        self.under_way = False

    def replaces(self, earlier: Message) -> bool:
        """Tell whether *earlier* waits, and is no news any more: they are about the same."""
        return (
            self.number is not None
            and isinstance(earlier, type(self))
            and earlier.number == self.number
            and not earlier.under_way
        )


def announce(charge_point: ChargePoint, notice: Notice) -> None:
    """Have *notice* sent as soon as there is a connection; nobody waits for it."""
    if charge_point.over:
        return
    if not can_send(charge_point):
        outbox = outbox_of(charge_point)
        for earlier in [each for each in outbox.others if notice.replaces(each)]:
            outbox.remove(earlier)
            leave(charge_point, earlier)
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
