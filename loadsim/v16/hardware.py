"""What breaks: faults of connectors, power losses, cables pulled at the car; at the rates that the scenario gives."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate
from typing import Final, cast, get_args

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.availability import free
from loadsim.v16.connectors import Connector
from loadsim.v16.memory import connector_of, is_accepted, memory_of
from loadsim.v16.messages.types import ChargePointErrorCode
from loadsim.v16.reservations import cancel_for
from loadsim.v16.reset import reboot
from loadsim.v16.security import report_security_event
from loadsim.v16.status import set_status

_NO_FAULTS: Final = ("NoError", "LocalListConflict")
ERROR_CODES: Final = tuple(code for code in get_args(ChargePointErrorCode) if code not in _NO_FAULTS)
"""What a connector can report when it is Faulted."""


async def break_down(charge_point: ChargePoint) -> None:
    """Let things break as Poisson processes do, until cancelled; each at its own time, whatever broke before."""
    hardware, context = charge_point.settings.hardware, charge_point.context
    connectors = charge_point.settings.connectors
    rates = (hardware.faults * connectors, hardware.power_losses, hardware.ev_disconnects)
    total = sum(rates)
    draws = charge_point.draws(f"hardware {charge_point.lives}")
    cumulative = tuple(accumulate(rates))
    due = charge_point.living_since
    while total and due < math.inf:
        due += draws.exponential(total)
        what, number, lasts, code = (
            draws.choice(cumulative),
            draws.below(connectors),
            draws.uniform(),
            draws.uniform(),
        )
        await context.sleep_until(due)
        if charge_point.over:
            return
        if memory_of(charge_point).rebooting or not is_accepted(charge_point):
            continue  # not started up: nothing that could break more
        if what == 0:
            _fault(charge_point, connector_of(charge_point, number + 1), lasts, code)
        elif what == 1:
            context.recorder.counters["hardware.power_losses"] += 1
            away = hardware.power_loss_lasts.draw(lasts)
            report_security_event(charge_point, "ResetOrReboot", "power loss")
            await reboot(charge_point, "PowerLoss", abrupt=True, away=away)
        else:
            _pull_a_cable(charge_point)


def _fault(charge_point: ChargePoint, connector: Connector, lasts: float, code: float) -> None:
    if connector.status in ("Faulted", "Unavailable"):
        return
    hardware = charge_point.settings.hardware
    charge_point.context.recorder.counters["hardware.faults"] += 1
    weights = hardware.codes or dict.fromkeys(ERROR_CODES, 1.0)
    sums = tuple(accumulate(weights.values()))
    chosen = list(weights)[bisect_right(sums, code * sums[-1], 0, len(sums) - 1)]
    if connector.session is not None:
        connector.session.evict()
    cancel_for(charge_point, connector.id)
    set_status(charge_point, connector, "Faulted", cast("ChargePointErrorCode", chosen))
    charge_point.spawn(_recover, charge_point, connector, hardware.fault_lasts.draw(lasts))


async def _recover(charge_point: ChargePoint, connector: Connector, seconds: float) -> None:
    context = charge_point.context
    await context.sleep_until(context.clock.elapsed + seconds)
    recover(charge_point, connector)


def recover(charge_point: ChargePoint, connector: Connector) -> None:
    """Repair a connector: it is what it would be without the fault."""
    if connector.status == "Faulted" and not charge_point.over:
        # Not through `free`, which leaves a fault alone.
        if connector.scheduled:
            connector.inoperative, connector.scheduled = True, None
        set_status(charge_point, connector, "Unavailable" if connector.out_of_service else "Available")
        free(charge_point, connector)


def _pull_a_cable(charge_point: ChargePoint) -> None:
    for connector in memory_of(charge_point).connectors.values():
        if connector.session is not None and connector.session.unplug():
            charge_point.context.recorder.counters["hardware.ev_disconnects"] += 1
            return
