"""OCPP 1.6 as tables: what a charge point of this version does and answers."""

from __future__ import annotations

from typing import Final

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Dialect
from loadsim.v16.arriving import arrive
from loadsim.v16.authorize import authorize
from loadsim.v16.boot import boot
from loadsim.v16.commands import COMMANDS, refuses
from loadsim.v16.data_transfer import transfer_data
from loadsim.v16.hardware import break_down
from loadsim.v16.heartbeat import Heartbeats
from loadsim.v16.memory import Memory, is_accepted, is_answering, memory_of
from loadsim.v16.messages import BY_NAME
from loadsim.v16.meter_values import clock_aligned_changed
from loadsim.v16.reservations import resume_reservations
from loadsim.v16.reset import stop_all
from loadsim.v16.security import prepare_security, report_security_event
from loadsim.v16.sending import forget_what_passes, resume_sending, send_last_words
from loadsim.v16.status import announce_status
from loadsim.v16.transactions import settle, take_late_answer


async def connected(charge_point: ChargePoint) -> None:
    """Boot where a boot is due, say the status of the connectors, send what has waited.

    A plain reconnect is no boot (OCPP-J 1.6, section 5.4); real firmware sometimes boots all the same.
    """
    memory = memory_of(charge_point)
    started_up = not is_accepted(charge_point)
    if charge_point.settings.boot_on_reconnect and is_accepted(charge_point):
        memory.registration = ""
    memory.unannounced = range(charge_point.settings.connectors + 1)
    resume_reservations(charge_point)
    if not is_accepted(charge_point):
        await boot(charge_point)
    charge_point.online()
    if started_up:
        report_security_event(charge_point, "StartupOfTheDevice")
    resume_sending(charge_point)
    clock_aligned_changed(charge_point)
    await announce_status(charge_point, charge_point.context.clock.elapsed)
    memory.unannounced = ()


def disconnected(charge_point: ChargePoint) -> None:
    """Beat no more, and leave unsaid what has not been said of the connectors."""
    memory = memory_of(charge_point)
    memory.unannounced = ()
    if memory.heartbeats is not None:
        memory.heartbeats.end()
        memory.heartbeats = None
    if memory.sending is not None:
        memory.sending.ring()  # it looks whether there still is a connection


async def living(charge_point: ChargePoint) -> None:
    """Authorize as drivers pass by, send what the vendor wants to know, and break down as hardware does."""
    hardware = charge_point.settings.hardware
    if hardware.faults or hardware.power_losses or hardware.ev_disconnects:
        charge_point.spawn(break_down, charge_point)
    transfer_data(charge_point)
    authorize(charge_point)


async def leaving(charge_point: ChargePoint) -> None:
    """Stop what still charges, and say so."""
    stop_all(charge_point, "Other", charge_point.over_at)
    await send_last_words(charge_point)


def gone(charge_point: ChargePoint) -> None:
    """Leave the connectors as they are found when the charge point is switched on again: repaired, nobody there."""
    stop_all(charge_point, "Other", charge_point.over_at)
    forget_what_passes(charge_point)
    memory_of(charge_point).rebooting = False
    for connector in memory_of(charge_point).connectors.values():
        connector.session = None
        if connector.scheduled:
            connector.inoperative, connector.scheduled = True, None
        connector.error_code = "NoError"
        connector.status = "Unavailable" if connector.inoperative else "Available"


V16: Final = Dialect(
    version="1.6",
    actions=BY_NAME,
    connected=connected,
    routine=Heartbeats,
    disconnected=disconnected,
    living=living,
    memory=Memory,
    answers=is_answering,
    commands=COMMANDS,
    refuses=refuses,
    arrive=arrive,
    leaving=leaving,
    gone=gone,
    settle=settle,
    prepare=prepare_security,
    late=take_late_answer,
)
