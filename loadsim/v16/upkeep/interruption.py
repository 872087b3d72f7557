"""What a reboot does to updates of the firmware and to uploads, which take their time (OCPP 1.6, section 5.14).

A download, an upload or an installation that is cut off has failed, which is said after the boot. An update that
waits (for its dates, for connectors) is remembered, and goes on after it.
"""

from __future__ import annotations

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.memory import memory_of


def interrupt_upkeep(charge_point: ChargePoint) -> None:
    """Cut off what is under way, for the charge point goes down now.

    An update that reboots the charge point itself is through with what could be cut off.
    """
    memory = memory_of(charge_point)
    if memory.firmware is not None:
        memory.firmware.interrupt()
    if memory.uploads is not None:
        memory.uploads.interrupt()


def resume_upkeep(charge_point: ChargePoint) -> None:
    """Have an update that waits for it see that the charge point is up again."""
    memory = memory_of(charge_point)
    if memory.firmware is not None:
        memory.firmware.alarm.ring()
