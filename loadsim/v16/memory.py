"""What a charge point of OCPP 1.6 remembers from one connection to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

from loadsim.charge_point.alarm import Alarm

if TYPE_CHECKING:
    from loadsim.charge_point.charge_point import ChargePoint

OWN_HEARTBEAT_INTERVAL: Final = 300.0
"""Seconds; what a charge point chooses where the CSMS says 0 and leaves it the choice (section 4.2)."""

LONGEST_INTERVAL: Final = 2**31 - 1
"""Seconds; an integer of JSON may be longer than a float can hold."""


class Memory:
    """Registration and heartbeat interval (seconds), and the waits that a call from the CSMS may end."""

    __slots__ = ("boot_due", "booted", "heartbeat_alarm", "heartbeat_interval", "registration", "retry_alarm")

    def __init__(self) -> None:
        self.registration: Literal["", "Accepted", "Pending", "Rejected"] = ""
        self.heartbeat_interval = OWN_HEARTBEAT_INTERVAL
        self.boot_due = 0.0  # in seconds of the run: not before, says the last answer that did not accept
        self.booted = False  # ever accepted; registration is lost by a boot on reconnect
        self.heartbeat_alarm = Alarm()
        self.retry_alarm = Alarm()


def memory_of(charge_point: ChargePoint) -> Memory:
    """Return the charge point's memory, typed."""
    return cast("Memory", charge_point.memory)


def is_accepted(charge_point: ChargePoint) -> bool:
    """Tell whether the CSMS has accepted the charge point: only then may it send what it likes (section 4.2)."""
    return memory_of(charge_point).registration == "Accepted"


def is_answering(charge_point: ChargePoint) -> bool:
    """Tell whether the charge point answers calls; one that was Rejected is silent (section 4.2)."""
    return memory_of(charge_point).registration != "Rejected"


def may_send_triggered(charge_point: ChargePoint) -> bool:
    """Tell whether a triggered message may go out: while Pending, too (section 4.2)."""
    return memory_of(charge_point).registration in ("Accepted", "Pending")
