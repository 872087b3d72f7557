"""Calls from the CSMS (OCPP 1.6, chapter 5; security extension): a function each, in a module a profile."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from loadsim.charge_point.dialect import Command
from loadsim.v16.commands import core, smart_charging

COMMANDS: Final[Mapping[str, Command]] = MappingProxyType({**core.COMMANDS, **smart_charging.COMMANDS})
