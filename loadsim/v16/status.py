"""StatusNotification (OCPP 1.6, section 4.9): every change of a connector's status, and all of them after a boot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Final

import trio
from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.outbox import Message
from loadsim.link.link import CallFailed
from loadsim.v16.configuration import integer
from loadsim.v16.connectors import Connector, may_become
from loadsim.v16.memory import connector_of, is_accepted, may_send_triggered, memory_of
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import StatusNotificationRequest
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.types import ChargePointErrorCode, ChargePointStatus
from loadsim.v16.sending import outbox_of, put

STATUS: Final = BY_NAME["StatusNotification"]


async def announce_status(charge_point: ChargePoint, due: float) -> None:
    """Say the current status of every connector once, and no history (errata 3.22; section 4.9)."""
    await send_statuses(charge_point, range(charge_point.settings.connectors + 1), due, is_accepted)


async def send_statuses(
    charge_point: ChargePoint,
    connectors: Iterable[int],
    due: float,
    allowed: Callable[[ChargePoint], bool] = may_send_triggered,
) -> None:
    """Send the status of *connectors*, all due at once; a failed one is counted, the next goes out all the same."""
    left = list(connectors)
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


def set_status(
    charge_point: ChargePoint,
    connector: Connector,
    status: ChargePointStatus,
    error_code: ChargePointErrorCode = "NoError",
) -> None:
    """Change a connector's status and have it said; nothing happens where it is that already.

    A status that lasts shorter than MinimumStatusDuration is not said (section 4.9).

    Raises:
        RuntimeError: the specification's table knows no such change.
    """
    if connector.status == status and connector.error_code == error_code:
        return
    if connector.status != status and not may_become(connector.id, connector.status, status):
        raise RuntimeError(f"connector {connector.id} cannot go from {connector.status} to {status}")
    if charge_point.settings.session is not None and status == "Available":
        charge_point.context.connectors_freed += 1
    connector.status = status
    connector.error_code = error_code
    if not is_accepted(charge_point):
        return  # all of them are said after the boot
    now = charge_point.context.clock.elapsed
    steady_for = integer(charge_point, "MinimumStatusDuration")
    outbox = outbox_of(charge_point)
    if steady_for:
        for earlier in [each for each in outbox.others if each.subject is connector]:
            outbox.remove(earlier)  # it did not last
    request = StatusNotificationRequest(
        connector_id=connector.id,
        error_code=error_code,
        status=status,
        timestamp=format_date_time(charge_point.now()),
        vendor_id=UNSET,
    )
    put(
        charge_point,
        Message(
            STATUS,
            partial(_itself, request),
            due=now + steady_for,
            ready=now + steady_for,
            kept=False,
            subject=connector,
        ),
    )


def _itself(request: StatusNotificationRequest) -> StatusNotificationRequest:
    return request
