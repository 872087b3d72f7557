"""Downloads of firmware and uploads of files: tried as often as the CSMS says, really or as if, and counted."""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import trio
from msgspec import UNSET, UnsetType

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.location import is_real, is_supported
from loadsim.charge_point.quota import chosen
from loadsim.charge_point.transfer_thread import Result
from loadsim.v16.memory import LONGEST_INTERVAL

_MOST_RETRIES: Final = 100
_OWN_RETRY_INTERVAL: Final = 60


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be transferred: *retries* more tries, *retry_interval* seconds apart, if the first fails."""

    location: str
    retries: int = 0
    retry_interval: int = _OWN_RETRY_INTERVAL

    @property
    def supported(self) -> bool:
        """Whether the location is one over a protocol that charge points know."""
        return is_supported(self.location)


def errand(location: str, retries: int | UnsetType, retry_interval: int | UnsetType) -> Errand:
    """Read what a request says of a transfer; where it leaves tries to the charge point, there is one."""
    return Errand(
        location=location,
        retries=0 if retries is UNSET else min(max(retries, 0), _MOST_RETRIES),
        retry_interval=_OWN_RETRY_INTERVAL
        if retry_interval is UNSET
        else min(max(retry_interval, 0), LONGEST_INTERVAL),
    )


def picked(charge_point: ChargePoint, purpose: str, *shares: float) -> int | None:
    """Return of which of *shares* of the fleet this charge point is, None: of none; exact, by the seed."""
    size = max(charge_point.fleet_size, charge_point.n + 1)
    key = f"{charge_point.context.seed}\0{charge_point.fleet}\0{purpose}"
    return chosen(charge_point.n, size, key, *shares)


async def transfer(
    charge_point: ChargePoint,
    todo: Errand,
    really: Callable[[], Awaitable[Result]],
    seconds: Callable[[], float],
    *,
    fails: bool,
    cut: trio.CancelScope,
) -> Result:
    """Transfer, and try again where that fails.

    Args:
        charge_point: who does it.
        todo: what is transferred.
        really: does it, where the location is one that may be reached.
        seconds: how long a try takes that is only simulated.
        fails: whether it is to fail; such a one is only simulated, wherever it would go.
        cut: cancelled, it ends the transfer there and then, or the wait for the next try; it has failed.
    """
    context = charge_point.context
    real = not fails and is_real(todo.location, charge_point.settings.transfer_hosts)
    result = Result("unsupported", "no such protocol")
    trying = False
    with cut:
        for number in range(todo.retries + 1):
            if number:
                await context.sleep_until(context.clock.elapsed + todo.retry_interval)
            trying = True
            if real:
                result = await really()
            elif todo.supported:
                await context.sleep_until(context.clock.elapsed + seconds())
                result = Result("failed", "by the scenario") if fails else Result()
            trying = False
            if charge_point.over:
                return result
            context.recorder.counters["transfers.ok" if result.ok else "transfers.failed"] += 1
            if result.ok:
                return result
            if real:
                detail = f"{result.detail} {_without_password(todo.location)}"
                context.recorder.example(
                    context.clock.elapsed, charge_point.identity, "transfer", result.cause, detail
                )
        return result
    context.recorder.counters["transfers.failed"] += trying
    return Result("failed", "the charge point went down")


def _without_password(location: str) -> str:
    parts = urllib.parse.urlsplit(location)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
