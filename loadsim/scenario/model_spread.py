"""Durations and energies that differ from one time to the next: one value, ``a..b``, or a mapping that spreads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from loadsim import units
from loadsim.charge_point.distribution import Distribution, fixed, uniform
from loadsim.scenario.model_fields import VARIABLE, Reads, described, quantity, typed
from loadsim.scenario.model_part import Part
from loadsim.units import shown

LONGEST = (365 * 86400.0, "365d")
MOST_ENERGY = (1e7, "10000kWh")
WIDEST_SIGMA = 3.0


DESCRIPTIONS = {
    "normal": "Mean of a normal distribution, which is cut off at min and max.",
    "sd": "Its standard deviation.",
    "min": "None is below. Default: 0.",
    "max": "None is above. Default: no limit.",
    "lognormal": "Median of a lognormal distribution.",
    "sigma": "The standard deviation of its natural logarithm, a plain number.",
}


def _sigma(value: Any) -> float:
    found = typed(value)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found <= WIDEST_SIGMA:
        raise ValueError(f"expected a number from 0 to {WIDEST_SIGMA:g}, got {described(value)}")
    return float(found)


SIGMA = Reads(
    _sigma,
    {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": WIDEST_SIGMA},
            {"type": "string", "pattern": VARIABLE},
        ]
    },
)
SPREAD_SECONDS = quantity(units.parse_duration, units.DURATION_PATTERN, "30m", most=LONGEST)
SPREAD_ENERGY = quantity(units.parse_energy, units.ENERGY_PATTERN, "8kWh", most=MOST_ENERGY)
_Seconds = Annotated[float, SPREAD_SECONDS]
_WattHours = Annotated[float, SPREAD_ENERGY]


class SpreadMapping(Part):
    """A quantity that is spread around a value, in SI units; the classes below read its units."""

    normal: float | None = None
    sd: float | None = None
    min: float | None = None
    max: float | None = None
    lognormal: float | None = None
    sigma: Annotated[float, SIGMA] | None = None


class DurationMapping(SpreadMapping):
    """A duration that is spread around a value."""

    normal: _Seconds | None = None
    sd: _Seconds | None = None
    min: _Seconds | None = None
    max: _Seconds | None = None
    lognormal: _Seconds | None = None


class EnergyMapping(SpreadMapping):
    """An energy that is spread around a value."""

    normal: _WattHours | None = None
    sd: _WattHours | None = None
    min: _WattHours | None = None
    max: _WattHours | None = None
    lognormal: _WattHours | None = None


@dataclass(frozen=True, eq=False)
class Spread:
    """The reader of a quantity that is spread, for pydantic, and its JSON Schema."""

    reads: Reads
    model: type[SpreadMapping]
    pattern: str
    examples: tuple[Any, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "string", "pattern": rf"^{self.pattern}(?:\.\.{self.pattern})?$|{VARIABLE}"},
                self._mapping_schema("normal", ("sd",), ("min", "max")),
                self._mapping_schema("lognormal", ("sigma",), ()),
            ],
            "examples": list(self.examples),
        }

    def parse(self, value: Any) -> Distribution:
        """Read one value, ``a..b`` or a mapping; a mistake within the mapping keeps its own place."""
        if isinstance(value, dict):
            return _spread(self.model.model_validate(value))
        if not isinstance(value, str) or ".." not in value:
            return fixed(self.reads.parse(value))
        low, high = (self.reads.parse(part) for part in value.split("..", 1))
        if high < low:
            raise ValueError(f"expected the smaller value first, got {shown(value)}")
        return uniform(low, high)

    def _mapping_schema(self, kind: str, needed: tuple[str, ...], possible: tuple[str, ...]) -> Mapping[str, Any]:
        properties = {
            name: {**(SIGMA if name == "sigma" else self.reads).schema, "description": DESCRIPTIONS[name]}
            for name in (kind, *needed, *possible)
        }
        return {
            "type": "object",
            "properties": properties,
            "required": [kind, *needed],
            "additionalProperties": False,
        }


def _spread(mapping: SpreadMapping) -> Distribution:
    if (mapping.normal is None) == (mapping.lognormal is None):
        raise ValueError("expected either normal and sd, or lognormal and sigma")
    if mapping.lognormal is not None:
        if mapping.sigma is None:
            raise ValueError("lognormal needs sigma, the standard deviation of the natural logarithm, such as 0.4")
        if (mapping.sd, mapping.min, mapping.max) != (None, None, None):
            raise ValueError("sd, min and max are those of normal; lognormal takes sigma alone")
        return Distribution(kind="lognormal", a=mapping.lognormal, b=mapping.sigma)
    if mapping.sigma is not None:
        raise ValueError("sigma is that of lognormal; normal takes sd, min and max")
    if mapping.normal is None or mapping.sd is None:
        raise ValueError("normal needs sd, the standard deviation")
    bell = Distribution(kind="normal", a=mapping.normal, b=mapping.sd)
    least = bell.least if mapping.min is None else mapping.min
    most = bell.most if mapping.max is None else mapping.max
    if most < least:
        raise ValueError("expected 'min' to be at most 'max'")
    return Distribution(kind="normal", a=mapping.normal, b=mapping.sd, least=least, most=most)


DURATION_SPREAD = Spread(
    SPREAD_SECONDS,
    DurationMapping,
    units.DURATION_PATTERN,
    ("20m..2h", {"normal": "2h", "sd": "40m", "min": "5m"}, {"lognormal": "25m", "sigma": 0.4}),
)
ENERGY_SPREAD = Spread(
    SPREAD_ENERGY, EnergyMapping, units.ENERGY_PATTERN, ("8kWh..40kWh", {"normal": "20kWh", "sd": "8kWh"})
)
Durations = Annotated[Distribution, DURATION_SPREAD]
Energies = Annotated[Distribution, ENERGY_SPREAD]
