"""DataTransfer by rate: the telemetry that vendors send beside what OCPP has words for (OCPP 1.6, section 4.3)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import DataTransferSettings
from loadsim.v16.memory import is_accepted
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import DataTransferRequest
from loadsim.v16.open_arrivals import OpenArrivals, arrival_times

DATA_TRANSFER: Final = BY_NAME["DataTransfer"]

_TRACE_LENGTH: Final = 4096


def transfer_data(charge_point: ChargePoint) -> None:
    """Send vendor data as it falls due, until the charge point stops."""
    settings = charge_point.settings.data_transfer
    if settings is not None and settings.arrivals.rate > 0:
        draws = charge_point.draws(f"data arrivals {charge_point.lives}")
        _DataTransfers(charge_point, settings, arrival_times(settings.arrivals, charge_point.living_since, draws))


class _DataTransfers(OpenArrivals[int]):
    """Messages of vendor data, numbered from 1 in each life."""

    __slots__ = ("_number", "_settings")

    action = DATA_TRANSFER

    def __init__(self, charge_point: ChargePoint, settings: DataTransferSettings, times: Iterator[float]) -> None:
        self._settings = settings
        self._number = 0
        super().__init__(charge_point, times)

    def arrived(self) -> int:
        """Count the next message."""
        self._number += 1
        return self._number

    async def send(self, due: float, arrived: int) -> None:
        """Send a message; its text depends on the seed alone, not on what was sent before."""
        charge_point, settings = self.charge_point, self._settings

        def request() -> DataTransferRequest:
            draws = charge_point.draws(f"data {charge_point.lives} {arrived}")
            return DataTransferRequest(
                vendor_id=settings.vendor_id,
                message_id=UNSET if settings.message_id is None else settings.message_id,
                data=telemetry(settings.size, arrived, draws) if settings.size else UNSET,
            )

        await charge_point.call(DATA_TRANSFER, request, due=due, allowed=is_accepted)


def telemetry(size: int, number: int, draws: Draws) -> str:
    """Return *size* characters of ASCII such as charge points report: readings, and a trace where there is room.

    *number* comes first, so that no two texts of a charge point are the same that have room for it.
    """
    head = (
        f"n={number};temp={draws.between(-10.0, 55.0):.1f};hum={draws.between(20.0, 90.0):.0f}"
        f";volt={draws.between(219.0, 241.0):.1f};rssi={draws.between(-110.0, -50.0):.0f}"
        f";heap={draws.below(60_000)};trace="
    )
    begin = draws.below(_TRACE_LENGTH)
    room = max(size - len(head), 0)
    # Cut out of one text that is shared: to draw each character anew would hold up the loop that measures.
    repeats = (begin + room) // _TRACE_LENGTH + 1
    return (head + (_trace() * repeats)[begin : begin + room])[:size]


@lru_cache(maxsize=1)
def _trace() -> str:
    draws = Draws(0, "", 0, "trace")
    return "".join(f"{draws.below(1000):03}," for _ in range(_TRACE_LENGTH // 4))
