"""Which connectors can be used, and what the CSMS makes of that (OCPP 1.6, section 5.2)."""

from __future__ import annotations

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Reply
from loadsim.v16.connectors import Connector, may_become
from loadsim.v16.memory import connector_of, is_accepted, memory_of
from loadsim.v16.messages.core import AvailabilityStatus, ChangeAvailabilityRequest, ChangeAvailabilityResponse
from loadsim.v16.reservations import cancel_for, may_use, reserve_again
from loadsim.v16.status import set_status


def change_availability(charge_point: ChargePoint, request: ChangeAvailabilityRequest) -> Reply:
    """Take a connector, or all of them and the charge point (0), into or out of service (section 5.2).

    Where someone is about to charge or charging it is Scheduled; where it is so already it is Accepted. It
    outlives reboots.
    """
    connectors = charge_point.settings.connectors
    if not 0 <= request.connector_id <= connectors:
        return Reply(ChangeAvailabilityResponse(status="Rejected"))
    numbers = range(connectors + 1) if request.connector_id == 0 else (request.connector_id,)
    inoperative = request.type == "Inoperative"
    scheduled = [_change(charge_point, connector_of(charge_point, number), inoperative) for number in numbers]
    status: AvailabilityStatus = "Scheduled" if any(scheduled) else "Accepted"
    return Reply(ChangeAvailabilityResponse(status=status))


def _change(charge_point: ChargePoint, connector: Connector, inoperative: bool) -> bool:
    """Change one connector; tell whether the change waits for the one who uses it."""
    busy = connector.session is not None or connector.transaction is not None
    if connector.inoperative == inoperative:
        connector.scheduled = None  # as it is; a change that was to come will not
        return False
    if inoperative and busy:
        connector.scheduled = True
        return True
    connector.inoperative = inoperative
    connector.scheduled = None
    if inoperative:
        cancel_for(charge_point, connector.id)
    if not busy:
        free(charge_point, connector)
    return False


def free(charge_point: ChargePoint, connector: Connector) -> None:
    """Have a connector that nobody uses any more take the status that it should have."""
    if connector.scheduled:
        connector.inoperative, connector.scheduled = True, None
        cancel_for(charge_point, connector.id)
    if connector.status == "Faulted" or (connector.status == "Reserved" and not connector.out_of_service):
        return
    if connector.out_of_service and connector.status == "Unavailable":
        return
    if connector.out_of_service and not may_become(connector.id, connector.status, "Unavailable"):
        set_status(charge_point, connector, "Available")  # from Preparing the table has no other way
    set_status(charge_point, connector, "Unavailable" if connector.out_of_service else "Available")
    reserve_again(charge_point, connector)


def free_connector(charge_point: ChargePoint, id_tag: str, beginning: float) -> int | None:
    """Return a connector at which the driver with *id_tag* can begin, the first from *beginning* (a share) on."""
    memory, count = memory_of(charge_point), charge_point.settings.connectors
    if memory.rebooting or not is_accepted(charge_point):
        return None
    itself = memory.connectors.get(0)
    if itself is not None and itself.status != "Available":
        return None
    first = int(beginning * count)
    for offset in range(count):
        number = 1 + (first + offset) % count
        if is_free(charge_point, number) and may_use(charge_point, number, id_tag, None):
            return number
    return None


def is_free(charge_point: ChargePoint, connector_id: int) -> bool:
    """Tell whether nobody uses a connector, and whether it can be used."""
    connector = memory_of(charge_point).connectors.get(connector_id)
    return connector is None or (connector.session is None and connector.status in ("Available", "Reserved"))
