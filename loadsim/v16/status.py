"""StatusNotification (OCPP 1.6, section 4.9): the current status of connectors 0 to n."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.link.link import CallFailed
from loadsim.v16.memory import is_accepted, may_send_triggered
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import StatusNotificationRequest
from loadsim.v16.messages.formats import format_date_time

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


def status_request(charge_point: ChargePoint, connector: int) -> StatusNotificationRequest:
    """Say how *connector* is now, at the CSMS's time."""
    return StatusNotificationRequest(
        connector_id=connector,
        error_code="NoError",
        status="Available",
        timestamp=format_date_time(charge_point.now()),
    )
