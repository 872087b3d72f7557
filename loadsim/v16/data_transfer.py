"""DataTransfer by rate: the telemetry that vendors send beside what OCPP has words for (OCPP 1.6, section 4.3)."""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import count
from typing import Final

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import DataTransferSettings
from loadsim.v16.memory import is_accepted
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import DataTransferRequest
from loadsim.v16.open_arrivals import arrival_times, send_as_due

DATA_TRANSFER: Final = BY_NAME["DataTransfer"]

_TRACE_LENGTH: Final = 4096


async def transfer_data(charge_point: ChargePoint) -> None:
    """Send vendor data as it falls due, until cancelled."""
    settings = charge_point.settings.data_transfer
    if settings is None or settings.arrivals.rate == 0:
        return
    draws = charge_point.draws(f"data arrivals {charge_point.lives}")
    times = arrival_times(settings.arrivals, charge_point.living_since, draws)
    numbers = partial(next, count(1))
    await send_as_due(charge_point, DATA_TRANSFER, times, numbers, partial(_send, charge_point, settings))


async def _send(charge_point: ChargePoint, settings: DataTransferSettings, due: float, number: int) -> None:
    """Send message *number* of this life; its text depends on the seed alone, not on what was sent before.

    Raises:
        CallFailed: no valid answer.
    """

    def request() -> DataTransferRequest:
        draws = charge_point.draws(f"data {charge_point.lives} {number}")
        return DataTransferRequest(
            vendor_id=settings.vendor_id,
            message_id=UNSET if settings.message_id is None else settings.message_id,
            data=telemetry(settings.size, number, draws) if settings.size else UNSET,
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
