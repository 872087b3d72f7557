"""What a version of OCPP adds to a charge point: its subprotocol, its behaviours, its commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from loadsim.charge_point.arrival import Arrival
from loadsim.charge_point.routine import Routine
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.ocpp.action import Action

if TYPE_CHECKING:
    from loadsim.charge_point.charge_point import ChargePoint

Behaviour = Callable[["ChargePoint"], Awaitable[None]]
"""Runs until cancelled, or returns when it has nothing more to do."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command answers; *then* runs after the answer has been sent."""

    response: msgspec.Struct
    then: Behaviour | None = None


Command = Callable[["ChargePoint", Any], Reply]
"""Answers one call from the CSMS; its argument is the typed request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One version of OCPP, as tables."""

    version: str
    actions: Mapping[str, Action]
    connected: Behaviour
    """What a charge point does when a connection has been opened; cancelled when that ends."""
    living: Behaviour
    """Begins what goes on while a charge point is planned to be online, connected or not."""
    memory: Callable[[], Any]
    """Makes what a charge point remembers across connections."""
    routine: Callable[[ChargePoint], Routine] = lambda charge_point: Routine()
    """What it does again and again after that, as long as the connection is open."""
    disconnected: Callable[[ChargePoint], None] = lambda charge_point: None
    """Puts an end to what began with the connection: it has ended, or is about to."""
    answers: Callable[[ChargePoint], bool]
    """Whether a charge point answers the CSMS's calls at all now."""
    commands: Mapping[str, Command] = field(default_factory=dict)
    refuses: Callable[[ChargePoint, str], str | None] = lambda charge_point, action: None
    """The CALLERROR code with which a charge point answers an action that its fleet has switched off."""
    arrive: Callable[[ChargePoint, Arrival], bool] = lambda charge_point, arrival: False
    """Has a driver begin a charging session; False where no connector is free."""
    leaving: Behaviour | None = None
    """What a charge point still says before it hangs up for good, its open transactions' stops among it."""
    gone: Callable[[ChargePoint], None] = lambda charge_point: None
    """Tidies up after a charge point that the plan has taken offline, connected or not."""
    settle: Callable[[ChargePoint], None] = lambda charge_point: None
    """Accounts for what is left when the charge point will never be online again."""
    prepare: Callable[[ChargePointSettings], None] = lambda settings: None
    """Imports what charge points with these settings need, before anything is measured."""
    late: Callable[[ChargePoint, str], None] = lambda charge_point, text: None
    """Takes in the text of an answer that came after its call had ended."""
