"""The charge points of a plan of calls: who is connected, and what each can be asked right now (no I/O)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final, Protocol

from loadsim.csms.roster import Field

_MARKED: Final = frozenset({"RemoteStartTransaction", "RemoteStopTransaction"})
MOST_LOOKED_AT: Final = 1000
"""Connectors and transactions of a charge point that are looked at; it could make up as many as it likes."""


class Runs(Protocol):
    """A transaction, as far as calls are concerned."""

    @property
    def connector(self) -> int:
        """Where it runs."""


class Known(Protocol):
    """A charge point as the central system knows it."""

    @property
    def accepted(self) -> bool:
        """Whether its last boot was accepted."""

    @property
    def connector_status(self) -> Mapping[int, str]:
        """The last status of each connector that was heard of; 0 is the charge point itself."""

    @property
    def open_transactions(self) -> Mapping[int, Runs]:
        """Its transactions that are not stopped, by id."""


class Point:
    """A charge point that was accepted at some time.

    *asked* are connectors for which a remote start is on its way or accepted, and has not shown yet, *stopping*
    transactions of which the same is true of a remote stop; *reservation* is the last one it accepted.
    """

    __slots__ = ("asked", "known", "online", "reservation", "stopping")

    def __init__(self, known: Known) -> None:
        self.known = known
        self.online = False
        self.asked: frozenset[int] = frozenset()
        self.stopping: frozenset[int] = frozenset()
        self.reservation: int | None = None

    @property
    def connectors(self) -> dict[int, str]:
        """The connectors, without those that are asked already, with their statuses."""
        transactions = islice(self.known.open_transactions.values(), MOST_LOOKED_AT)
        busy = self.asked.union(each.connector for each in transactions)
        return {
            number: "Charging" if number in busy and status in ("Preparing", "Available") else status
            for number, status in islice(self.known.connector_status.items(), MOST_LOOKED_AT)
            if number > 0
        }

    @property
    def transactions(self) -> dict[int, int]:
        """The transactions that nobody stops yet, with their connectors."""
        open_ones = islice(self.known.open_transactions.items(), MOST_LOOKED_AT)
        return {number: each.connector for number, each in open_ones if number not in self.stopping}


class Points:
    """All charge points that were accepted, and the fields that the globs of a plan make of them."""

    def __init__(self, globs: Iterable[str], known: Callable[[str], Known]) -> None:
        self.fields = {glob: Field(glob) for glob in globs}
        self._known = known
        self._points: dict[str, Point] = {}

    def __getitem__(self, identity: str) -> Point:
        return self._points[identity]

    def accepted(self, identity: str) -> bool:
        """Tell whether the last boot of *identity* was accepted."""
        return self._known(identity).accepted

    def online(self, identity: str) -> Point | None:
        """Return *identity*, if it is connected and accepted."""
        point = self._points.get(identity)
        return point if point is not None and point.online else None

    def enter(self, identity: str) -> None:
        """Have *identity*, which is accepted, online."""
        point = self._points.get(identity)
        if point is None:
            point = self._points[identity] = Point(self._known(identity))
        point.online = True
        for field in self.fields.values():
            if identity in field:
                field.known[identity] = None
                field.online.set(identity, present=True)
        self.update(identity, point)

    def leave(self, identity: str) -> None:
        """Have *identity* offline: its connection has ended, or its boot was not accepted."""
        point = self.online(identity)
        if point is not None:
            point.online = False
            for field in self.fields.values():
                field.leave(identity)

    def update(self, identity: str, point: Point) -> None:
        """Bring the rosters up to what is known of a charge point, if it is online."""
        if not point.online:
            return
        point.stopping &= point.known.open_transactions.keys()
        statuses = point.connectors.values()
        waiting, free = "Preparing" in statuses, "Available" in statuses
        charging, reserved = bool(point.transactions), point.reservation is not None
        for field in self.fields.values():
            if identity in field.online:
                field.waiting.set(identity, present=waiting)
                field.free.set(identity, present=free)
                field.charging.set(identity, present=charging)
                field.reserved.set(identity, present=reserved)

    def mark(self, identity: str, send: str, payload: Mapping[str, Any]) -> None:
        """Remember a remote start or stop while it has not shown yet, so that nobody asks for the same again."""
        point = self._points[identity]
        if send == "RemoteStartTransaction" and "connectorId" in payload:
            point.asked |= {payload["connectorId"]}
        elif send == "RemoteStopTransaction":
            point.stopping |= {payload["transactionId"]}
        if send in _MARKED:
            self.update(identity, point)

    def settle(self, identity: str, send: str, payload: Mapping[str, Any], *, accepted: bool) -> None:
        """Take note of how a request ended: accepted by its answer, or not."""
        point = self._points[identity]
        if send == "RemoteStartTransaction" and not accepted:
            point.asked -= {payload.get("connectorId")}
        elif send == "RemoteStopTransaction" and not accepted:
            point.stopping -= {payload["transactionId"]}
        elif send == "ReserveNow" and accepted:
            point.reservation = payload["reservationId"]
        elif send == "CancelReservation" and point.reservation == payload.get("reservationId"):
            point.reservation = None
        self.update(identity, point)
