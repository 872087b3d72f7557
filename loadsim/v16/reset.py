"""Resets and reboots (OCPP 1.6, section 5.14; errata 3.36): transactions are stopped, the charge point boots anew."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

import trio

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Reply
from loadsim.v16.configuration import apply_pending
from loadsim.v16.memory import is_answering, memory_of
from loadsim.v16.messages.core import ResetRequest, ResetResponse
from loadsim.v16.messages.types import Reason
from loadsim.v16.security import report_security_event
from loadsim.v16.upkeep.interruption import interrupt_upkeep

_STOPS_TAKE: Final = 30.0
"""Seconds that a soft reset waits for its transactions' stops to be confirmed; what is left goes out after it."""
_POLL: Final = 0.05
_LAST_BREATH: Final = 0.5
"""Seconds from the answer to a hard reset until the charge point is gone: hardware takes as long, and a CSMS that is
just writing when the connection breaks would lose the answer."""


def reset(charge_point: ChargePoint, request: ResetRequest) -> Reply:
    """Reset (section 5.14): softly with the stops sent before, hard with the stops sent after the boot.

    The answer goes first: what hangs up begins only when it is out.
    """
    if charge_point.over or not is_answering(charge_point) or memory_of(charge_point).rebooting:
        return Reply(ResetResponse(status="Rejected"))
    hard = request.type == "Hard"
    report_security_event(charge_point, "ResetOrReboot", f"{request.type} reset by the central system")
    return Reply(ResetResponse(status="Accepted"), partial(_begin, hard=hard))


async def _begin(charge_point: ChargePoint, *, hard: bool) -> None:
    reason: Reason = "HardReset" if hard else "SoftReset"
    charge_point.spawn(partial(reboot, charge_point, reason, abrupt=hard, after=_LAST_BREATH if hard else 0.0))
    await trio.lowlevel.checkpoint()


async def reboot(
    charge_point: ChargePoint,
    reason: Reason,
    *,
    abrupt: bool = False,
    after: float = 0.0,
    away: float | None = None,
) -> None:
    """Stop all transactions for *reason*, hang up, be away for *away* seconds (None: drawn) and boot.

    An *abrupt* one comes *after* so many seconds and waits for nothing: the stops are in the outbox, which a reboot
    does not empty. One that is under way is enough.
    """
    memory = memory_of(charge_point)
    if memory.rebooting:
        return
    memory.rebooting = True
    if after:  # else not even a checkpoint: who has no power says nothing more
        await trio.sleep(after)
    stop_all(charge_point, reason)
    if not abrupt:
        with trio.move_on_after(_STOPS_TAKE):
            while memory.outbox and charge_point.linked:  # noqa: ASYNC110 - rare, and the outbox wakes nobody
                await trio.sleep(_POLL)
    if charge_point.over:
        return
    memory.reboots += 1
    if away is None:
        away = charge_point.settings.reboot.draw(charge_point.draws(f"reboot {memory.reboots}").uniform())
    interrupt_upkeep(charge_point)
    memory.registration = ""
    memory.boot_due = -math.inf
    apply_pending(charge_point)
    charge_point.context.recorder.counters[f"reboots.{reason}"] += 1
    charge_point.reboot(away, abrupt=abrupt)


def stop_all(charge_point: ChargePoint, reason: Reason, due: float | None = None) -> None:
    """End all sessions, and stop the transactions among them."""
    for connector in memory_of(charge_point).connectors.values():
        if connector.transaction is not None and connector.transaction.session is not None:
            connector.transaction.session.interrupt(reason, due)
        else:
            connector.interrupt(reason)
