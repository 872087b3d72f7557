"""Messages of OCPP 1.6 with the security extension: a struct each, and the table of all 39 actions.

A payload is accepted if the OCA's JSON schema accepts it, with formats asserted, and refused if that refuses
it. Where validators differ, or JSON itself has limits:

- An integer is written without fraction or exponent, as draft 4 of JSON Schema has it: 1.0 is refused, also
  in the security extension, whose schemas are of draft 6, in which 1.0 is an integer.
- A date-time has no leap second (23:59:60), and no year 0.
- Numbers are those of RFC 8259, section 6: a fraction is read as a double, so that 1e400 is refused and digits
  beyond a double's are not seen; an integer may have 4300 digits. A lone surrogate is no text.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from loadsim.ocpp.action import Action
from loadsim.v16.messages.core import CORE
from loadsim.v16.messages.firmware import FIRMWARE
from loadsim.v16.messages.local_list import LOCAL_LIST
from loadsim.v16.messages.remote_trigger import REMOTE_TRIGGER
from loadsim.v16.messages.reservation import RESERVATION
from loadsim.v16.messages.security import SECURITY
from loadsim.v16.messages.smart_charging import SMART_CHARGING

__all__ = [
    "ACTIONS",
    "BY_NAME",
    "CORE",
    "FIRMWARE",
    "LOCAL_LIST",
    "REMOTE_TRIGGER",
    "RESERVATION",
    "SECURITY",
    "SMART_CHARGING",
]

ACTIONS: Final[tuple[Action, ...]] = (
    *CORE,
    *FIRMWARE,
    *LOCAL_LIST,
    *RESERVATION,
    *SMART_CHARGING,
    *REMOTE_TRIGGER,
    *SECURITY,
)
BY_NAME: Final[Mapping[str, Action]] = MappingProxyType({action.name: action for action in ACTIONS})
