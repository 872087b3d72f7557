"""WebSocket pings (RFC 6455, section 5.5.2): at the fleet's interval, until the CSMS sets another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from loadsim.link.link import Link
from loadsim.link.transport import ConnectionLost
from loadsim.timers import Timer

if TYPE_CHECKING:
    from loadsim.charge_point.charge_point import ChargePoint


def start_pings(charge_point: ChargePoint) -> None:
    """Ping on the connection that there is, at the charge point's interval; earlier pings end."""
    if charge_point.pinging is not None:
        charge_point.pinging.unset()
        charge_point.pinging = None
    if charge_point.ping_interval is not None and charge_point.link is not None:
        charge_point.pinging = Pings(charge_point, charge_point.link, charge_point.ping_interval)


class Pings(Timer):
    """Pings on *link*, each so many seconds after the one before had its pong."""

    __slots__ = ("_charge_point", "_every", "_link")

    def __init__(self, charge_point: ChargePoint, link: Link, every: float) -> None:
        super().__init__()
        self._charge_point = charge_point
        self._link = link
        self._every = every
        self.set(trio.current_time() + every)

    def fall_due(self) -> None:
        """Ping, unless the connection is gone."""
        if self._charge_point.pinging is self and self._charge_point.link is self._link:
            self._charge_point.spawn_beside(self._ping)

    def broke(self, mistake: Exception) -> None:
        """See Timer.broke."""
        self._charge_point.fail(mistake)

    async def _ping(self) -> None:
        try:
            await self._link.transport.ping()
        except ConnectionLost:
            return  # the reader says so too
        if self._charge_point.pinging is self:
            self.set(trio.current_time() + self._every)
