"""WebSocket pings (RFC 6455, section 5.5.2): at the fleet's interval, until the CSMS sets another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from loadsim.link.link import Link
from loadsim.link.transport import ConnectionLost

if TYPE_CHECKING:
    from loadsim.charge_point.charge_point import ChargePoint


def start_pings(charge_point: ChargePoint, start_soon: Callable[..., object]) -> None:
    """Ping on the connection that there is, at the charge point's interval; earlier pings end.

    *start_soon* runs the task that pings, if any are to be sent.
    """
    if charge_point.pinging is not None:
        charge_point.pinging.cancel()
        charge_point.pinging = None
    if charge_point.ping_interval is not None and charge_point.link is not None:
        charge_point.pinging = trio.CancelScope()
        start_soon(_ping, charge_point.link, charge_point.ping_interval, charge_point.pinging)


async def _ping(link: Link, every: float, scope: trio.CancelScope) -> None:
    with scope:
        try:
            while True:
                await trio.sleep(every)
                await link.transport.ping()
        except ConnectionLost:
            return  # the reader says so too
