"""Drivers who come, by the scenario or by an app, and are sent away (OCPP 1.6, sections 5.11 and 5.12)."""

from __future__ import annotations

from msgspec import UNSET

from loadsim.charge_point.arrival import Arrival, draw_arrival
from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.dialect import Reply
from loadsim.charge_point.settings import SessionSettings
from loadsim.charge_point.tags import DrawnTag, TagClassPool, TagPool
from loadsim.v16.authorization import parent_of
from loadsim.v16.availability import free_connector, is_free
from loadsim.v16.connectors import Connector, RemoteStart
from loadsim.v16.memory import connector_of, is_accepted, memory_of
from loadsim.v16.messages.core import (
    RemoteStartTransactionRequest,
    RemoteStartTransactionResponse,
    RemoteStopTransactionRequest,
    RemoteStopTransactionResponse,
)
from loadsim.v16.reservations import may_use, only_the_csms_knows
from loadsim.v16.session import Session
from loadsim.v16.smart_charging.in_force import remote_start_problem


def arrive(charge_point: ChargePoint, arrival: Arrival) -> bool:
    """Have a driver begin a session at a free connector; False where there is none, or the charge point stops."""
    if charge_point.over or not charge_point.alive:
        return False
    number = free_connector(charge_point, arrival.tag.id_tag, arrival.hurry)
    if number is None:
        return False
    _come(charge_point, connector_of(charge_point, number), arrival, None)
    return True


def remote_start_transaction(charge_point: ChargePoint, request: RemoteStartTransactionRequest) -> Reply:
    """Start a transaction for a driver who waits, or who comes now (section 5.11); the answer goes first.

    Refused while the boot is Pending (section 4.2), where no connector is free for this tag, and where the
    charging profile that comes with it is none for a transaction.
    """
    connector = None
    if is_accepted(charge_point) and not (charge_point.over or memory_of(charge_point).rebooting):
        connector = _connector_for(charge_point, request)
    profile = None if request.charging_profile is UNSET else request.charging_profile
    smart = "SmartCharging" in charge_point.settings.profiles  # without it a profile is ignored
    if connector is None or (smart and profile is not None and remote_start_problem(profile)):
        return Reply(RemoteStartTransactionResponse(status="Rejected"))
    remote = RemoteStart(request.id_tag, charge_point.context.clock.elapsed, profile)
    # What follows from it is sent by other tasks, and so after the answer.
    if connector.session is not None:
        connector.session.start_remotely(remote)
    else:
        _come(charge_point, connector, _app_user(charge_point, remote), remote)
    return Reply(RemoteStartTransactionResponse(status="Accepted"))


def remote_stop_transaction(charge_point: ChargePoint, request: RemoteStopTransactionRequest) -> Reply:
    """Stop a running transaction (section 5.12); one that is not known is Rejected."""
    connector = running_transaction(charge_point, request.transaction_id)
    if connector is None or not is_accepted(charge_point) or charge_point.over:
        return Reply(RemoteStopTransactionResponse(status="Rejected"))
    connector.interrupt("Remote")
    return Reply(RemoteStopTransactionResponse(status="Accepted"))


def running_transaction(charge_point: ChargePoint, transaction_id: int) -> Connector | None:
    """Return the connector at which the transaction of that id runs; any integer is an id, 0 and -1 among them."""
    for connector in memory_of(charge_point).connectors.values():
        if connector.transaction is not None and connector.transaction.id == transaction_id:
            return connector
    return None


def _connector_for(charge_point: ChargePoint, request: RemoteStartTransactionRequest) -> Connector | None:
    """Return the connector to start at: where the driver waits, else a free one."""
    memory, count = memory_of(charge_point), charge_point.settings.connectors
    asked = range(1, count + 1) if request.connector_id is UNSET else (request.connector_id,)
    parent = parent_of(charge_point, request.id_tag)
    for number in asked:
        connector = memory.connectors.get(number)
        if connector is not None and connector.session is not None and connector.session.waits_for_remote_start:
            return connector
    itself = memory.connectors.get(0)
    if itself is not None and itself.status != "Available":
        return None
    for number in asked:
        free = 1 <= number <= count and is_free(charge_point, number)
        if free and may_use(charge_point, number, request.id_tag, parent):
            return connector_of(charge_point, number)
        if free and number == request.connector_id and only_the_csms_knows(charge_point, number, request.id_tag):
            return connector_of(charge_point, number)  # the session asks
    return None


def _app_user(charge_point: ChargePoint, remote: RemoteStart) -> Arrival:
    """Make up a driver who started with an app: the fleet's kind of session, the CSMS's tag."""
    settings = charge_point.settings.session or SessionSettings()
    memory = memory_of(charge_point)
    memory.remote_starts += 1
    draws = charge_point.draws(f"remote {memory.remote_starts}")
    pool = TagPool([TagClassPool("", "", 1.0, 1, lambda _: remote.id_tag)])
    drawn = draw_arrival(settings, pool, draws, remote.at)
    charge_point.context.recorder.counters["sessions.from_csms"] += 1
    return drawn._replace(tag=DrawnTag(remote.id_tag, "", ""), remote=False, other_tag=None)


def _come(charge_point: ChargePoint, connector: Connector, arrival: Arrival, remote: RemoteStart | None) -> None:
    connector.session = Session(charge_point, connector, arrival, remote)
    charge_point.spawn(connector.session.run)
