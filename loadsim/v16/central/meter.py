"""Readings of a connector's energy register, and whether it falls between two (OCPP 1.6, sections 4.7 and 7.31)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import UNSET

from loadsim.v16.messages.formats import parse_date_time
from loadsim.v16.messages.types import MeterValue, SampledValue, TransactionMeterValue, TransactionSampledValue

_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(?:\.([0-9]{1,9}))?")
_REGISTER: Final = "Energy.Active.Import.Register"
_WATT_HOURS: Final[Mapping[object, float]] = MappingProxyType({UNSET: 1.0, "Wh": 1.0, "kWh": 1000.0})


class Reading(NamedTuple):
    """The register at a moment: *at* in Unix seconds; *resolution* is the watt-hours of its last digit."""

    at: float
    watt_hours: float
    resolution: float = 1.0


def read_counter(timestamp: str, watt_hours: int) -> Reading:
    """Return the reading that *meterStart* or *meterStop* is."""
    at = parse_date_time(timestamp).timestamp()
    try:
        return Reading(at, float(watt_hours))
    except OverflowError:  # an integer of JSON may be longer than a float can hold
        return Reading(at, math.inf if watt_hours > 0 else -math.inf)


def read_register(values: Iterable[MeterValue] | Iterable[TransactionMeterValue]) -> Iterator[Reading]:
    """Yield the readings of the energy register among *values*: those over all phases, in watt-hours."""
    for value in values:
        for sample in value.sampled_value:
            if found := _watt_hours(sample):
                yield Reading(parse_date_time(value.timestamp).timestamp(), *found)


def falls(earlier: Reading, later: Reading) -> bool:
    """Tell whether the register went down in between, by more than the last digits of both can explain."""
    last_digit = max(earlier.resolution, later.resolution)
    return earlier.watt_hours - later.watt_hours > 0.999 * last_digit  # 0.1 is no exact float


def _watt_hours(sample: SampledValue | TransactionSampledValue) -> tuple[float, float] | None:
    """Return watt-hours and resolution, None for what is no total of the register or cannot be compared."""
    if sample.measurand not in (UNSET, _REGISTER) or sample.phase is not UNSET or sample.format == "SignedData":
        return None
    factor, number = _WATT_HOURS.get(sample.unit), _NUMBER.fullmatch(sample.value)
    if factor is None or number is None or sample.location not in (UNSET, "Outlet"):
        return None
    decimals = len(number[1] or "")
    return float(sample.value) * factor, factor * 10.0**-decimals
