"""A charge point's connectors: their status table (OCPP 1.6, section 4.9; errata 3.19, 3.20), and what they hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from loadsim.v16.messages.types import (
    ChargePointErrorCode,
    ChargePointStatus,
    ChargingProfile,
    Reason,
    TransactionMeterValue,
)

if TYPE_CHECKING:
    from loadsim.v16.session import Session

VOLTAGE: Final = 230.0
"""Between a phase and neutral, in volts: what turns amperes into watts."""

# Rows A to I of the specification's table. B6 is there, though a note of edition 2 leaves it out (errata 3.19).
_TABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "Available": ("Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Reserved", "Unavailable", "Faulted"),
    "Preparing": ("Available", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing", "Faulted"),
    "Charging": ("Available", "SuspendedEV", "SuspendedEVSE", "Finishing", "Unavailable", "Faulted"),
    "SuspendedEV": ("Available", "Charging", "SuspendedEVSE", "Finishing", "Unavailable", "Faulted"),
    "SuspendedEVSE": ("Available", "Charging", "SuspendedEV", "Finishing", "Unavailable", "Faulted"),
    "Finishing": ("Available", "Preparing", "Unavailable", "Faulted"),
    "Reserved": ("Available", "Preparing", "Unavailable", "Faulted"),
    "Unavailable": ("Available", "Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Faulted"),
    "Faulted": (
        "Available",
        "Preparing",
        "Charging",
        "SuspendedEV",
        "SuspendedEVSE",
        "Finishing",
        "Reserved",
        "Unavailable",
    ),
}
_OF_ITSELF: Final = frozenset({"Available", "Unavailable", "Faulted"})
"""All that connector 0, the charge point itself, can be."""


def may_become(connector_id: int, status: str, following: str) -> bool:
    """Tell whether the table lets a connector in *status* become *following*."""
    if connector_id == 0 and following not in _OF_ITSELF:
        return False
    return following in _TABLE[status]


class Transaction:
    """A transaction as the charge point knows it; it is over for good when `settled`.

    *number* is its own among the charge point's, *id* the CSMS's: None until StartTransaction was answered, -1
    if it never was. *tried*: a StartTransaction was sent and not answered, so that the CSMS may know it. *started*
    is by the charge point's clock, *remote_at* in seconds of the run.
    """

    __slots__ = (
        "connector_id",
        "data",
        "ended",
        "id",
        "id_tag",
        "lost",
        "meter_start",
        "meter_stop",
        "number",
        "parent_id_tag",
        "remote_at",
        "session",
        "started",
        "tag_class",
        "tried",
    )

    def __init__(self, connector_id: int, id_tag: str, meter_start: int, started: datetime) -> None:
        self.connector_id = connector_id
        self.id_tag = id_tag
        self.meter_start = meter_start
        self.started = started
        self.number = 0
        self.id: int | None = None
        self.meter_stop: int | None = None
        self.parent_id_tag: str | None = None
        self.tag_class = ""
        self.remote_at: float | None = None
        self.session: Session | None = None
        self.data: list[TransactionMeterValue] | None = None
        self.ended = False
        self.lost = False
        self.tried = False


class RemoteStart:
    """A RemoteStartTransaction that was accepted; *at* in seconds of the run (section 5.11)."""

    __slots__ = ("at", "id_tag", "profile")

    def __init__(self, id_tag: str, at: float, profile: ChargingProfile | None) -> None:
        self.id_tag = id_tag
        self.at = at
        self.profile = profile


class Connector:
    """One connector, or with number 0 the charge point itself; made when something first happens to it.

    *register* is its energy meter in watt-hours, which never falls. *inoperative* was asked for by the CSMS and
    outlives reboots; *scheduled* is an availability that waits for the transaction's end. *held* means that
    firmware waits to be installed, or is. *sampled* and *aligned* are the readings of the last sample of either kind.
    """

    __slots__ = (
        "aligned",
        "error_code",
        "held",
        "id",
        "inoperative",
        "register",
        "sampled",
        "scheduled",
        "session",
        "status",
        "transaction",
    )

    def __init__(self, connector_id: int, register: float) -> None:
        self.id = connector_id
        self.register = register
        self.sampled = 0
        self.aligned: int | None = None
        self.status: ChargePointStatus = "Available"
        self.error_code: ChargePointErrorCode = "NoError"
        self.inoperative = False
        self.held = False
        self.scheduled: bool | None = None
        self.session: Session | None = None
        self.transaction: Transaction | None = None

    @property
    def out_of_service(self) -> bool:
        """Whether nobody may begin to use it."""
        return self.inoperative or self.held

    @property
    def reading(self) -> int:
        """The meter's reading in whole watt-hours."""
        return math.floor(self.register)

    def interrupt(self, reason: Reason) -> None:
        """Have the session that is there, if any, come to its end."""
        if self.session is not None:
            self.session.interrupt(reason)
