"""StatusNotification (OCPP 1.6, section 4.9): every change of a connector's status, and all of them after a boot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.outbox import Message
from loadsim.link.link import CallFailed
from loadsim.v16.authorization import conflicts, remember
from loadsim.v16.configuration import integer
from loadsim.v16.connectors import Connector, may_become
from loadsim.v16.memory import connector_of, is_accepted, may_send_triggered, memory_of
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import StatusNotificationRequest
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.types import ChargePointErrorCode, ChargePointStatus, IdTagInfo
from loadsim.v16.sending import outbox_of, put

STATUS: Final = BY_NAME["StatusNotification"]


async def announce_status(charge_point: ChargePoint, due: float) -> None:
    """Say the current status of every connector once, and no history (errata 3.22; section 4.9).

    One that changes before it is its turn is said once, as it is then.
    """
    left = list(range(charge_point.settings.connectors + 1))
    memory_of(charge_point).unannounced = left  # from which those that were said are taken
    await _send_statuses(charge_point, left, due, is_accepted)


async def send_statuses(charge_point: ChargePoint, connectors: Iterable[int], due: float) -> None:
    """Send the status of *connectors* because the CSMS asks for it, all due at once.

    Where changes wait to be said it goes behind them: an older status that comes after it would be taken for what
    is now. What is about to be said all the same is said once; what waits for MinimumStatusDuration is said now.
    """
    memory = memory_of(charge_point)
    if not is_accepted(charge_point):
        await _send_statuses(charge_point, list(connectors), due, may_send_triggered)
        return
    for number in connectors:
        if number not in memory.unannounced:
            connector = connector_of(charge_point, number)
            _withdraw(charge_point, connector)
            put(charge_point, StatusMessage(connector, status_request(charge_point, number), due))


async def _send_statuses(
    charge_point: ChargePoint, left: list[int], due: float, allowed: Callable[[ChargePoint], bool]
) -> None:
    try:
        while left:
            request = status_request(charge_point, left.pop(0))
            with suppress(CallFailed):
                await charge_point.call(STATUS, request, due=due, allowed=allowed)
    except trio.Cancelled:
        charge_point.leave_unsent(STATUS, [due] * len(left))
        raise


def status_request(charge_point: ChargePoint, connector_id: int) -> StatusNotificationRequest:
    """Say how *connector_id* is now, at the CSMS's time."""
    connector = memory_of(charge_point).connectors.get(connector_id)
    return StatusNotificationRequest(
        connector_id=connector_id,
        error_code="NoError" if connector is None else connector.error_code,
        status="Available" if connector is None else connector.status,
        timestamp=format_date_time(charge_point.now()),
    )


class StatusMessage(Message):
    """A change of *connector*'s status that is to be said."""

    __slots__ = ("_request", "before", "connector")

    action = STATUS

    def __init__(
        self,
        connector: Connector,
        request: StatusNotificationRequest,
        due: float,
        before: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(due, ready=due)
        self.connector = connector
        self.before = before
        """The status and the error code that were said before."""
        self._request = request

    def request(self) -> StatusNotificationRequest:
        """Return the request: what the status was, at its time."""
        return self._request


def set_status(
    charge_point: ChargePoint,
    connector: Connector,
    status: ChargePointStatus,
    error_code: ChargePointErrorCode = "NoError",
) -> None:
    """Change a connector's status and have it said; nothing happens where it is that already.

    A status that lasts shorter than MinimumStatusDuration is not said (section 4.9), nor is the one before it said
    again where that comes back. Nor is one that changes before the boot was accepted, for after it all are said.

    Raises:
        RuntimeError: the specification's table knows no such change, or a fault has no error code.
    """
    if (status == "Faulted") == (error_code == "NoError"):
        raise RuntimeError(f"connector {connector.id} cannot be {status} with {error_code}")
    if connector.status == status and connector.error_code == error_code:
        return
    if connector.status != status and not may_become(connector.id, connector.status, status):
        raise RuntimeError(f"connector {connector.id} cannot go from {connector.status} to {status}")
    if status == "Available":
        charge_point.context.connector_freed(charge_point.number)
    before: tuple[str, str] = connector.status, connector.error_code
    connector.status = status
    connector.error_code = error_code
    if (firmware := memory_of(charge_point).firmware) is not None:
        firmware.alarm.ring()  # it may wait for this
    if not is_accepted(charge_point) or charge_point.over:
        return
    if connector.id in memory_of(charge_point).unannounced:
        return  # it is about to be said all the same
    # What still waits goes also where the duration was set to 0 meanwhile: an older status must not come last.
    before = _withdraw(charge_point, connector) or before
    if before == (status, error_code):
        return
    due = charge_point.context.clock.elapsed + integer(charge_point, "MinimumStatusDuration")
    put(charge_point, StatusMessage(connector, status_request(charge_point, connector.id), due, before))


def _withdraw(charge_point: ChargePoint, connector: Connector) -> tuple[str, str] | None:
    """Withdraw what waits for having lasted long enough; return what was said before it, None: nothing waited."""
    outbox, now = outbox_of(charge_point), charge_point.context.clock.elapsed
    before = None
    for message in list(outbox.others):
        if isinstance(message, StatusMessage) and message.connector is connector and message.ready > now:
            outbox.remove(message)
            before = message.before or before
    return before


def learn(charge_point: ChargePoint, id_tag: str, info: IdTagInfo) -> None:
    """Take in what the CSMS says of a tag; a local list that says otherwise is reported (section 3.5.2)."""
    if conflicts(charge_point, id_tag, info):
        _report_list_conflict(charge_point)
    remember(charge_point, id_tag, info)


def _report_list_conflict(charge_point: ChargePoint) -> None:
    itself = connector_of(charge_point, 0)
    request = StatusNotificationRequest(
        connector_id=0,
        error_code="LocalListConflict",
        status=itself.status,
        timestamp=format_date_time(charge_point.now()),
    )
    put(charge_point, StatusMessage(itself, request, charge_point.context.clock.elapsed))
