"""OCPP 1.6 as tables: what a charge point of this version does and answers."""

from __future__ import annotations

from typing import Final

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Dialect
from loadsim.v16.authorize import authorize
from loadsim.v16.boot import boot
from loadsim.v16.commands import COMMANDS
from loadsim.v16.heartbeat import heartbeat
from loadsim.v16.memory import Memory, is_accepted, is_answering, memory_of
from loadsim.v16.messages import BY_NAME
from loadsim.v16.status import announce_status


async def connected(charge_point: ChargePoint) -> None:
    """Boot where a boot is due, say the status of the connectors, beat.

    A plain reconnect is no boot (OCPP-J 1.6, section 5.4); real firmware sometimes boots all the same.
    """
    if charge_point.settings.boot_on_reconnect and is_accepted(charge_point):
        memory_of(charge_point).registration = ""
    if not is_accepted(charge_point):
        await boot(charge_point)
    charge_point.online()
    await announce_status(charge_point, charge_point.context.clock.elapsed)
    await heartbeat(charge_point)


V16: Final = Dialect(
    version="1.6",
    actions=BY_NAME,
    connected=connected,
    living=authorize,
    memory=Memory,
    answers=is_answering,
    commands=COMMANDS,
)
