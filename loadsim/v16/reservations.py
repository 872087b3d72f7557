"""Reservations of a connector, or of any connector, for one driver or a group (OCPP 1.6, sections 3.11, 5.1, 5.13).

One for connector 0 reserves none in particular: as many connectors as there are such reservations stay free for
those who hold them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from msgspec import UNSET

from loadsim.charge_point.alarm import Alarm
from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.authorization import known, parent_of
from loadsim.v16.configuration import flag
from loadsim.v16.connectors import Connector
from loadsim.v16.memory import connector_of, memory_of
from loadsim.v16.messages.formats import parse_date_time
from loadsim.v16.messages.reservation import ReservationStatus, ReserveNowRequest
from loadsim.v16.status import set_status
from loadsim.v16.waiting import due_at

_ANY: Final = 0
_OUT_OF_ORDER: Final = ("Faulted", "Unavailable")


class Reservation(NamedTuple):
    """One reservation; the tags in small letters, for they are CiStrings."""

    id: int
    connector_id: int
    id_tag: str
    parent_id_tag: str | None
    expires: datetime

    def is_for(self, id_tag: str, parent_id_tag: str | None) -> bool:
        """Tell whether a driver with this tag, of this group, may use it."""
        if self.id_tag == id_tag.lower():
            return True
        return parent_id_tag is not None and self.parent_id_tag == parent_id_tag.lower()


class Reservations:
    """The reservations of one charge point by id, and the alarm of the task that watches them expire."""

    __slots__ = ("alarm", "by_id")

    def __init__(self) -> None:
        self.alarm: Alarm | None = None
        self.by_id: dict[int, Reservation] = {}


def reserve(charge_point: ChargePoint, request: ReserveNowRequest) -> ReservationStatus:
    """Reserve a connector, or any of them (section 5.13); a reservation of the same id is replaced.

    One that could not be used is Rejected: of a connector that does not exist, or expired when it comes.
    """
    connector_id, expires = request.connector_id, parse_date_time(request.expiry_date)
    if not 0 <= connector_id <= charge_point.settings.connectors or expires <= charge_point.now():
        return "Rejected"
    if connector_id == _ANY and not flag(charge_point, "ReserveConnectorZeroSupported"):
        return "Rejected"
    current = {each.id: each for each in _current(charge_point)}
    replaced = current.pop(request.reservation_id, None)
    obstacle = _obstacle(charge_point, connector_id, current.values(), replaced)
    if obstacle is not None:
        return obstacle
    memory = memory_of(charge_point)
    if memory.reservations is None:
        memory.reservations = Reservations()
    if replaced is not None and replaced.connector_id != connector_id:
        _end(charge_point, replaced)
    memory.reservations.by_id[request.reservation_id] = Reservation(
        request.reservation_id,
        connector_id,
        request.id_tag.lower(),
        None if request.parent_id_tag is UNSET else request.parent_id_tag.lower(),
        expires,
    )
    if connector_id != _ANY:
        set_status(charge_point, connector_of(charge_point, connector_id), "Reserved")
    charge_point.context.reservations += 1
    resume_reservations(charge_point)
    return "Accepted"


def cancel(charge_point: ChargePoint, reservation_id: int) -> bool:
    """Cancel a reservation (section 5.1); tell whether there was one of that id."""
    found = [each for each in _current(charge_point) if each.id == reservation_id]
    for reservation in found:
        _end(charge_point, reservation)
    return bool(found)


def may_use(charge_point: ChargePoint, connector_id: int, id_tag: str, parent_id_tag: str | None) -> bool:
    """Tell whether reservations of others leave a connector to this driver.

    The group is looked up among the known tags where it is not given.
    """
    current = _current(charge_point)
    if not current:
        return True
    group = parent_id_tag or parent_of(charge_point, id_tag)
    others = [each for each in current if not each.is_for(id_tag, group)]
    if any(each.connector_id == connector_id for each in others):
        return False
    if any(each.connector_id == connector_id for each in current):
        return True
    left = sum(number != connector_id and _is_free(charge_point, number) for number in _numbers(charge_point))
    return left >= sum(each.connector_id == _ANY for each in others)


def only_the_csms_knows(charge_point: ChargePoint, connector_id: int, id_tag: str) -> bool:
    """Tell whether a connector is reserved for a group of which nobody here knows whether the driver is one.

    Then the CSMS is to be asked (section 5.13).
    """
    current = _current(charge_point)
    for_a_group = any(each.connector_id == connector_id and each.parent_id_tag is not None for each in current)
    return for_a_group and known(charge_point, id_tag) is None


def reservation_for(
    charge_point: ChargePoint, connector_id: int, id_tag: str, parent_id_tag: str | None
) -> int | None:
    """Return the id of the reservation that a transaction at this connector uses up, if any (section 5.13).

    Of several it is one of this very connector, else the one that would have expired first.
    """
    current = _current(charge_point)
    if not current:
        return None
    group = parent_id_tag or parent_of(charge_point, id_tag)
    usable = [each for each in current if each.connector_id in (connector_id, _ANY) and each.is_for(id_tag, group)]
    if not usable:
        return None
    used = min(usable, key=lambda each: (each.connector_id == _ANY, each.expires))
    _forget(charge_point, used)
    return used.id


def cancel_for(charge_point: ChargePoint, connector_id: int) -> None:
    """Drop what reserves a connector, or with 0 all: it becomes Faulted or Unavailable (section 5.13)."""
    for reservation in _current(charge_point):
        if connector_id in (_ANY, reservation.connector_id):
            _forget(charge_point, reservation)


def reserve_again(charge_point: ChargePoint, connector: Connector) -> None:
    """Have an Available connector be Reserved again: its driver came and left without a transaction."""
    if connector.status == "Available" and any(each.connector_id == connector.id for each in _current(charge_point)):
        set_status(charge_point, connector, "Reserved")


def resume_reservations(charge_point: ChargePoint) -> None:
    """Watch the reservations, if there are any, also after the charge point has been stopped and started again.

    Being switched off ends no reservation; what was Reserved is so again.
    """
    memory = memory_of(charge_point)
    for reservation in _current(charge_point):
        connector = memory.connectors.get(reservation.connector_id)
        if connector is not None and reservation.connector_id != _ANY and connector.session is None:
            reserve_again(charge_point, connector)
    reservations = memory.reservations
    if reservations is None or not reservations.by_id:
        return
    if reservations.alarm is not None:
        reservations.alarm.ring()
    else:
        charge_point.spawn(_watch, charge_point, reservations)


async def _watch(charge_point: ChargePoint, reservations: Reservations) -> None:
    """End reservations as they expire, until there is none."""
    if reservations.alarm is not None:
        return  # somebody watches
    reservations.alarm = alarm = Alarm()
    try:
        while current := _current(charge_point):
            await due_at(charge_point, min(each.expires for each in current), alarm)
    finally:
        reservations.alarm = None


def _current(charge_point: ChargePoint) -> list[Reservation]:
    """Return the reservations that hold; those that have expired end."""
    reservations = memory_of(charge_point).reservations
    if reservations is None or not reservations.by_id:
        return []
    now = charge_point.now()
    for reservation in list(reservations.by_id.values()):
        if reservation.expires <= now:
            _end(charge_point, reservation)
    return list(reservations.by_id.values())


def _end(charge_point: ChargePoint, reservation: Reservation) -> None:
    """Forget a reservation, and make its connector available."""
    _forget(charge_point, reservation)
    connector = memory_of(charge_point).connectors.get(reservation.connector_id)
    if connector is not None and connector.status == "Reserved":
        set_status(charge_point, connector, "Available")


def _forget(charge_point: ChargePoint, reservation: Reservation) -> None:
    reservations = memory_of(charge_point).reservations
    assert reservations is not None
    del reservations.by_id[reservation.id]
    if reservations.alarm is not None:
        reservations.alarm.ring()


def _obstacle(
    charge_point: ChargePoint, connector_id: int, others: Iterable[Reservation], replaced: Reservation | None
) -> ReservationStatus | None:
    """Say why a connector, or any, cannot be reserved beside *others*; None: it can."""
    numbers = _numbers(charge_point)
    asked = numbers if connector_id == _ANY else (connector_id,)
    for status in (_status(charge_point, 0), *_common(_status(charge_point, number) for number in asked)):
        if status == "Faulted":
            return "Faulted"
        if status == "Unavailable":
            return "Unavailable"
    free = [number for number in numbers if _is_free(charge_point, number, replaced)]
    wanted = sum(each.connector_id == _ANY for each in others)
    possible = connector_id in (_ANY, *free) and len(free) > wanted
    return None if possible else "Occupied"


def _common(statuses: Iterable[str]) -> tuple[str, ...]:
    """Return what all that are asked about have in common: nothing works, or something does."""
    found = set(statuses)
    if not found <= set(_OUT_OF_ORDER):
        return ()
    return ("Faulted",) if found == {"Faulted"} else ("Unavailable",)


def _is_free(charge_point: ChargePoint, number: int, replaced: Reservation | None = None) -> bool:
    """Tell whether nobody uses a connector and no other reservation than *replaced* is for it."""
    connector = memory_of(charge_point).connectors.get(number)
    if connector is None:
        return True
    if connector.session is not None:
        return False
    by_itself = replaced is not None and replaced.connector_id == number and connector.status == "Reserved"
    return connector.status == "Available" or by_itself


def _status(charge_point: ChargePoint, number: int) -> str:
    connector = memory_of(charge_point).connectors.get(number)
    return "Available" if connector is None else connector.status


def _numbers(charge_point: ChargePoint) -> range:
    return range(1, charge_point.settings.connectors + 1)
