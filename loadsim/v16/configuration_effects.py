"""What a change of a configuration key does at once, beside being read the next time (OCPP 1.6, section 5.3).

Apart from the keys, for what depends on them reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.authorization import clear_cache
from loadsim.v16.configuration import flag
from loadsim.v16.memory import memory_of
from loadsim.v16.meter_values import clock_aligned_changed


def take_effect(charge_point: ChargePoint, name: str) -> None:
    """Take up the value of key *name*, which the CSMS has set."""
    for changed, effect in _EFFECTS:
        if changed == name:
            effect(charge_point)


def _wake_sessions(charge_point: ChargePoint) -> None:
    memory_of(charge_point).ring()


def _forget_unless_enabled(charge_point: ChargePoint) -> None:
    if not flag(charge_point, "AuthorizationCacheEnabled"):
        clear_cache(charge_point)  # what is not kept up to date must not come back later


_EFFECTS: Final[tuple[tuple[str, Callable[[ChargePoint], None]], ...]] = (
    ("AuthorizationCacheEnabled", _forget_unless_enabled),
    ("ClockAlignedDataInterval", clock_aligned_changed),
    ("MeterValueSampleInterval", _wake_sessions),
)
