"""BootNotification until accepted (OCPP 1.6, section 4.2)."""

from __future__ import annotations

from typing import Final

import trio
from msgspec import UNSET, UnsetType

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.preflight import Finding, Preflight
from loadsim.charge_point.reconnect import wait_before_try
from loadsim.link.link import CallFailed
from loadsim.v16.memory import LONGEST_INTERVAL, OWN_HEARTBEAT_INTERVAL, is_accepted, memory_of
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import BootNotificationRequest, BootNotificationResponse
from loadsim.v16.security import set_clock
from loadsim.v16.upkeep.firmware import firmware_version
from loadsim.v16.upkeep.interruption import resume_upkeep

BOOT: Final = BY_NAME["BootNotification"]


async def boot(charge_point: ChargePoint) -> None:
    """Boot until the CSMS accepts; a refused or unanswered boot is sent again, never in a flood."""
    memory = memory_of(charge_point)
    clock = charge_point.context.clock
    jitter = charge_point.draws(f"boot {charge_point.connections}")
    tries = 0
    if trio.current_time() < memory.boot_due:  # the interval that an earlier answer named holds here too
        await memory.alarm.sleep_until(memory.boot_due)
    while not is_accepted(charge_point):
        tries += 1
        own_choice = wait_before_try(charge_point.settings.reconnect, tries, jitter.uniform())
        try:
            interval = await send_boot(charge_point, clock.elapsed)
        except CallFailed as failed:
            interval = 0
            _note_failure(charge_point, failed)
        ended = trio.current_time()
        if charge_point.context.preflight is not None:
            await _wait_for_begin(charge_point, charge_point.context.preflight, interval)
        if is_accepted(charge_point):
            return
        await memory.alarm.sleep_until(ended + (interval if interval > 0 else own_choice))


async def send_boot(charge_point: ChargePoint, due: float) -> int:
    """Send one BootNotification and take in its answer; return the interval, in seconds, that it names.

    Raises:
        CallFailed: no valid answer.
    """
    memory = memory_of(charge_point)
    request = boot_request(charge_point)
    response: BootNotificationResponse = await charge_point.call(BOOT, request, due=due)
    memory.registration = response.status
    set_clock(charge_point, response.current_time)
    interval = min(response.interval, LONGEST_INTERVAL)
    if response.status == "Accepted":
        memory.heartbeat_interval = float(interval) if interval > 0 else OWN_HEARTBEAT_INTERVAL
        if not memory.booted:
            memory.booted = True
            charge_point.context.recorder.counters["boots.accepted"] += 1
    elif interval > 0:
        memory.boot_due = trio.current_time() + interval
    if response.status != "Rejected":  # Pending, it does all that it is asked for, other firmware and resets too
        memory.rebooting = False
        resume_upkeep(charge_point)
    return interval


def _note_failure(charge_point: ChargePoint, failed: CallFailed) -> None:
    if charge_point.context.preflight is not None:
        finding = Finding(charge_point.identity, "boot", failed.cause, failed.detail)
        charge_point.context.preflight.failed(finding)


async def _wait_for_begin(charge_point: ChargePoint, preflight: Preflight, interval: int) -> None:
    """Do nothing more before the run begins; one that the CSMS has not accepted goes on all the same."""
    status = memory_of(charge_point).registration
    detail = f"interval {interval} s"
    note = None if status == "Accepted" else Finding(charge_point.identity, "boot", status, detail)
    preflight.passed(charge_point.identity, note)
    await preflight.begun.wait()


async def boot_when_triggered(charge_point: ChargePoint) -> None:
    """Boot now instead of at the interval's end: the wait for it ends, and `boot` goes on."""
    memory_of(charge_point).alarm.ring()
    await trio.lowlevel.checkpoint()


def boot_request(charge_point: ChargePoint) -> BootNotificationRequest:
    """Say what the charge point is, by its fleet's boot data."""
    data = charge_point.settings.boot

    def optional(text: str | None) -> str | UnsetType:
        return UNSET if text is None else text.replace("{id}", charge_point.identity)

    return BootNotificationRequest(
        charge_point_vendor=data.vendor,
        charge_point_model=data.model,
        charge_point_serial_number=optional(data.serial),
        charge_box_serial_number=optional(data.box_serial),
        firmware_version=optional(firmware_version(charge_point) or data.firmware),
        iccid=optional(data.iccid),
        imsi=optional(data.imsi),
        meter_type=optional(data.meter_type),
        meter_serial_number=optional(data.meter_serial),
    )
