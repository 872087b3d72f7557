"""TriggerMessage (OCPP 1.6, section 5.17; errata 3.35): the answer goes first, then the message."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec import UNSET, UnsetType

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Behaviour, Command, Reply
from loadsim.link.link import CallFailed
from loadsim.v16.boot import boot_when_triggered
from loadsim.v16.configuration import items
from loadsim.v16.heartbeat import send_heartbeat
from loadsim.v16.memory import is_accepted, may_send_triggered, memory_of
from loadsim.v16.messages.core import MeterValuesRequest
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.remote_trigger import TriggerMessageRequest, TriggerMessageResponse
from loadsim.v16.messages.types import MeterValue, SampledValue
from loadsim.v16.meter_values import read_meter, sampled
from loadsim.v16.status import send_statuses
from loadsim.v16.transactions import METER_VALUES, put_sample
from loadsim.v16.upkeep.diagnostics import send_diagnostics_status
from loadsim.v16.upkeep.firmware import send_firmware_status

FIRMWARE_MESSAGES: Final = ("DiagnosticsStatusNotification", "FirmwareStatusNotification")
_REGISTER: Final = ("Energy.Active.Import.Register",)


def trigger_message(charge_point: ChargePoint, request: TriggerMessageRequest) -> Reply:
    """Send a message because the CSMS asks for it."""
    kind = request.requested_message
    if kind in FIRMWARE_MESSAGES and "FirmwareManagement" not in charge_point.settings.profiles:
        return Reply(TriggerMessageResponse(status="NotImplemented"))
    then = triggered(charge_point, kind, request.connector_id)
    if then is None:
        return Reply(TriggerMessageResponse(status="Rejected"))
    return Reply(TriggerMessageResponse(status="Accepted"), then)


def triggered(charge_point: ChargePoint, kind: str, connector_id: int | UnsetType) -> Behaviour | None:
    """Return what sends a message of *kind*, or None where it is to be Rejected.

    Without a connector all are meant; what concerns no connector is sent whatever it says.
    """
    due = charge_point.context.clock.elapsed
    connectors = range(charge_point.settings.connectors + 1)
    if connector_id is not UNSET and kind in ("MeterValues", "StatusNotification"):
        if connector_id not in connectors:
            return None
        connectors = range(connector_id, connector_id + 1)
    if kind == "BootNotification":  # errata 3.35: one that is accepted does not boot again
        return None if is_accepted(charge_point) else boot_when_triggered
    if kind == "Heartbeat":
        return partial(send_heartbeat, due=due)
    if kind == "StatusNotification":
        return partial(send_statuses, connectors=connectors, due=due)
    if kind == "MeterValues":
        asked = connectors if connector_id is not UNSET else range(1, len(connectors))
        return partial(_send_meter_values, connectors=asked, due=due)
    if kind == "DiagnosticsStatusNotification":
        return partial(send_diagnostics_status, due=due)
    return partial(send_firmware_status, due=due)


async def _send_meter_values(charge_point: ChargePoint, connectors: range, due: float) -> None:
    """Send what the meters show now; where none of the configured measurands is measured, the register.

    It goes behind the values that wait to be sent, for those of a transaction are in order (section 3.7).
    """
    names = items(charge_point, "MeterValuesSampledData")
    for number in connectors:
        connector = memory_of(charge_point).connectors.get(number)
        transaction = None if connector is None else connector.transaction
        reading = read_meter(charge_point, number)
        values = sampled(names, reading, "Trigger", SampledValue)
        if not values:
            values = sampled(_REGISTER, reading, "Trigger", SampledValue)
        value = MeterValue(timestamp=format_date_time(charge_point.now()), sampled_value=values)
        if is_accepted(charge_point):
            put_sample(charge_point, number, transaction, value, due)
            continue
        request = MeterValuesRequest(
            connector_id=number,
            meter_value=(value,),
            transaction_id=UNSET if transaction is None or transaction.id is None else transaction.id,
        )
        with suppress(CallFailed):  # counted; the next goes out all the same
            await charge_point.call(METER_VALUES, request, due=due, allowed=may_send_triggered)


COMMANDS: Final[Mapping[str, Command]] = {"TriggerMessage": trigger_message}
