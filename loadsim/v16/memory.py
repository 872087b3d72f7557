"""What a charge point of OCPP 1.6 remembers from one connection to the next.

Thousands of idle charge points have one each: what only few ever need is None until then.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from loadsim.charge_point.alarm import Alarm
from loadsim.charge_point.outbox import Outbox
from loadsim.v16.connectors import Connector, Transaction

if TYPE_CHECKING:
    from loadsim.charge_point.charge_point import ChargePoint
    from loadsim.v16.certificates import Certificates
    from loadsim.v16.heartbeat import Heartbeats
    from loadsim.v16.known_tags import KnownTags
    from loadsim.v16.reservations import Reservations
    from loadsim.v16.security import SecurityEvent
    from loadsim.v16.smart_charging.charging_profiles import ChargingProfiles
    from loadsim.v16.transactions import StartMessage
    from loadsim.v16.upkeep.diagnostics import Uploads
    from loadsim.v16.upkeep.firmware import FirmwareState

OWN_HEARTBEAT_INTERVAL: Final = 300.0
"""Seconds; what a charge point chooses where the CSMS says 0 and leaves it the choice (section 4.2)."""

LONGEST_INTERVAL: Final = 2**31 - 1
"""Seconds; an integer of JSON may be longer than a float can hold."""


class Memory:
    """Registration and heartbeat interval (seconds), the connectors, and what waits to be sent.

    *alarm* is the wait for the next boot or the next beat, which a call from the CSMS may end. *changed* are
    values of configuration keys that differ from the fleet's.
    """

    __slots__ = (
        "alarm",
        "aligned",
        "boot_due",
        "booted",
        "certificates",
        "changed",
        "clock_alarms",
        "connectors",
        "firmware",
        "heartbeat_interval",
        "heartbeats",
        "known_tags",
        "late_starts",
        "outbox",
        "pending",
        "profiles",
        "rebooting",
        "reboots",
        "registration",
        "remote_starts",
        "reservations",
        "security_log",
        "sending",
        "transactions",
        "unannounced",
        "unsettled",
        "uploads",
    )

    def __init__(self) -> None:
        self.registration: Literal["", "Accepted", "Pending", "Rejected"] = ""
        self.heartbeat_interval = OWN_HEARTBEAT_INTERVAL
        self.heartbeats: Heartbeats | None = None
        self.boot_due = -math.inf  # in trio's time: not before, says the last answer that did not accept
        self.booted = False  # ever accepted; registration is lost by a reboot
        self.alarm = Alarm()
        self.changed: dict[str, str] | None = None
        self.pending: dict[str, str] | None = None  # values of keys that wait for a reboot
        self.connectors: dict[int, Connector] = _NONE_YET
        self.outbox: Outbox | None = None
        self.sending: Alarm | None = None  # of the task that empties the outbox
        self.transactions = 0  # begun so far, as the next two are
        self.remote_starts = 0
        self.reboots = 0
        self.rebooting = False  # from the beginning of a reboot until its boot is answered, not Rejected
        self.unannounced: Sequence[int] = ()  # connectors whose status is still to be said on this connection
        self.unsettled: list[Transaction] | None = None  # of which it is not yet known what has become
        self.late_starts: dict[str, StartMessage] | None = None  # by the id of a try that had no answer
        self.aligned: Alarm | None = None  # of the task that reports clock-aligned data
        self.clock_alarms: list[Alarm] | None = None  # of those who wait for a moment of the clock
        self.known_tags: KnownTags | None = None
        self.reservations: Reservations | None = None
        self.profiles: ChargingProfiles | None = None
        self.firmware: FirmwareState | None = None
        self.certificates: Certificates | None = None
        self.uploads: Uploads | None = None  # of diagnostics and logs
        self.security_log: deque[SecurityEvent] | None = None

    def ring(self, connector_id: int | None = None) -> None:
        """Have the charging session of a connector, or of all (None), look again at what it may do."""
        for connector in self.connectors.values():
            if connector.session is not None and connector_id in (None, 0, connector.id):
                connector.session.look_again()


# One for all that have none of their own; `connector_of` replaces it before the first entry.
_NONE_YET: Final[dict[int, Connector]] = {}


def memory_of(charge_point: ChargePoint) -> Memory:
    """Return the charge point's memory, typed."""
    memory: Memory = charge_point.memory  # no cast: it is a call, and this is called a dozen times a message
    return memory


def connector_of(charge_point: ChargePoint, connector_id: int) -> Connector:
    """Return connector *connector_id* (0: the charge point itself), made if nothing happened to it yet.

    Its energy meter begins somewhere, as that of a charge point that has been in use does.
    """
    memory = memory_of(charge_point)
    connector = memory.connectors.get(connector_id)
    if connector is None:
        if memory.connectors is _NONE_YET:
            memory.connectors = {}
        register = float(charge_point.draws(f"meter {connector_id}").below(1_000_000))
        connector = memory.connectors[connector_id] = Connector(connector_id, register)
    return connector


def is_accepted(charge_point: ChargePoint) -> bool:
    """Tell whether the CSMS has accepted the charge point: only then may it send what it likes (section 4.2)."""
    return memory_of(charge_point).registration == "Accepted"


def is_answering(charge_point: ChargePoint) -> bool:
    """Tell whether the charge point answers calls; one that was Rejected is silent (section 4.2)."""
    return memory_of(charge_point).registration != "Rejected"


def may_send_triggered(charge_point: ChargePoint) -> bool:
    """Tell whether a triggered message may go out: while Pending, too (section 4.2)."""
    return memory_of(charge_point).registration in ("Accepted", "Pending")
