"""How each kind of scalar in a scenario is read, said in our own words, and described to editors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from loadsim import units
from loadsim.scenario.document import core_value
from loadsim.scenario.patterns import parse_address, parse_url
from loadsim.scenario.places import nearest
from loadsim.scenario.variables import FromVariable
from loadsim.units import shown

VARIABLE = r"\$\{"
"""Whatever holds a variable is checked when it is read, not by an editor."""
EVERY = "*"
"""The key for a value of a stage that is not set fleet by fleet."""


@dataclass(frozen=True, eq=False)
class Reads:
    """The reader of a scalar for pydantic, and its JSON Schema; the reader raises ValueError in plain words."""

    parse: Callable[[Any], Any]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


@dataclass(frozen=True, eq=False)
class Shorthand:
    """A mapping of which one key may be written alone: ``heartbeat: 60s`` for ``heartbeat: {every: 60s}``."""

    key: str
    alone: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._spell_out, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [dict(self.alone), handler(schema)]}

    def _spell_out(self, value: Any) -> Any:
        return value if isinstance(value, dict) else {self.key: value}


@dataclass(frozen=True)
class OneOrMore:
    """A list of which a single item may stand alone."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._as_list, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}

    def _as_list(self, value: Any) -> Any:
        return value if isinstance(value, (list, dict)) else [value]


@dataclass(frozen=True)
class Amount:
    """A number of charge points, or a share of them."""

    value: float
    share: bool

    def of(self, count: int) -> int:
        """Return the charge points of *count*; a share is rounded to the nearest."""
        return int(self.value * count + 0.5) if self.share else int(self.value)


def described(value: Any) -> str:
    """Name what stands in a scenario, for a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if isinstance(value, (int, float)):
        return f"the number {value}" if abs(value) < 1e40 else "a giant number"
    if isinstance(value, str):
        return shown(value)
    return "a mapping" if isinstance(value, dict) else "a list"


def typed(value: Any) -> Any:
    """Type a value from a variable as if it stood in the file unquoted."""
    return core_value(str(value)) if isinstance(value, FromVariable) else value


def read_text(value: Any) -> str:
    """Take text; a bare number is refused, as YAML would have changed it (1.40 is 1.4)."""
    if isinstance(value, str):
        return str(value)
    quotes = "; put it in quotes" if isinstance(value, (int, float)) else ""
    raise ValueError(f"expected text, got {described(value)}{quotes}")


def text(pattern: str, expected: str, example: str, longest: int = 0) -> Reads:
    """Text of which the whole matches *pattern*."""
    whole = re.compile(pattern)

    def parse(value: Any) -> str:
        found = read_text(value)
        if longest and len(found) > longest:
            raise ValueError(f"expected at most {longest} characters, got {len(found)}")
        if not whole.fullmatch(found):
            raise ValueError(f"expected {expected}, got {shown(found)}")
        return found

    schema = {"type": "string", "pattern": f"^(?:{pattern})$|{VARIABLE}", "examples": [example]}
    return Reads(parse, schema)


def quantity(
    read: Callable[[str], float],
    pattern: str,
    example: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: tuple[float, str] | None = None,
) -> Reads:
    """A number with a mandatory unit; *most* is the largest that makes sense, and how it is written."""

    def parse(value: Any) -> float:
        if not isinstance(value, str) and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ValueError(f"expected a value such as '{example}', got {described(value)}")
        number = read(str(value))
        if above is not None and number <= above:
            raise ValueError(f"expected more than {above:g}, got {shown(str(value))}")
        if least is not None and number < least:
            raise ValueError(f"expected at least {least:g}, got {shown(str(value))}")
        if most is not None and number > most[0]:
            raise ValueError(f"expected at most {most[1]}, got {shown(str(value))}")
        return number

    return Reads(parse, {"type": "string", "pattern": f"^{pattern}$|{VARIABLE}", "examples": [example]})


def or_word(word: str, reads: Reads) -> Reads:
    """*word*, read as None, or what *reads* takes."""

    def parse(value: Any) -> Any:
        if value == word:
            return None
        try:
            return reads.parse(value)
        except ValueError as error:
            raise ValueError(f"{error} (or '{word}')") from error

    return Reads(parse, {"anyOf": [{"const": word}, dict(reads.schema)]})


def whole(least: int, most: int) -> Reads:
    """A whole number from *least* to *most*."""

    def parse(value: Any) -> int:
        number = typed(value)
        if isinstance(number, bool) or not isinstance(number, int):
            raise ValueError(f"expected a whole number from {least:,} to {most:,}, got {described(value)}")
        if not least <= number <= most:
            raise ValueError(f"expected a whole number from {least:,} to {most:,}, got {described(number)[11:]}")
        return number

    number = {"type": "integer", "minimum": least, "maximum": most}
    return Reads(parse, {"anyOf": [number, {"type": "string", "pattern": VARIABLE}]})


def one_of(*words: str) -> Reads:
    """One of a few words."""

    def parse(value: Any) -> str:
        if value not in words:
            hint = nearest(value, words) if isinstance(value, str) else ""
            raise ValueError(f"expected {' or '.join(words)}, got {described(value)}{hint}")
        return str(value)

    return Reads(parse, {"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": VARIABLE}]})


def _flag(value: Any) -> bool:
    found = typed(value)
    if not isinstance(found, bool):
        raise ValueError(f"expected true or false, got {described(value)}")
    return found


def _factor(value: Any) -> float:
    found = typed(value)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 1 <= found <= 100:
        raise ValueError(f"expected a factor from 1 to 100, got {described(value)}")
    return float(found)


def _amount(value: Any) -> Amount:
    found = typed(value)
    if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
        return Amount(found, share=False)
    if isinstance(found, str) and found.endswith("%"):
        return Amount(units.parse_share(found), share=True)
    raise ValueError(f"expected a share such as '100%' or a count such as 500, got {described(value)}")


def _latency(value: Any) -> tuple[float, float]:
    low, dots, high = read_text(value).partition("..") if isinstance(value, str) else (str(value), "", "")
    first = units.parse_duration(low)
    last = units.parse_duration(high) if dots else first
    if last < first:
        raise ValueError(f"expected the smaller duration first, got {shown(str(value))}")
    return first, last


_DURATION = units.DURATION_PATTERN
NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
NAME = text(NAME_PATTERN, "a name of letters, digits, '_', '.' and '-', at most 64 characters", "street_ac")
SECONDS = quantity(units.parse_duration, _DURATION, "30s")
SOME_SECONDS = quantity(units.parse_duration, _DURATION, "30s", above=0)
RATE = quantity(units.parse_rate, units.RATE_PATTERN, "0.5/h", most=(100.0, "100/s, for each charge point"))
SECONDS_OR_CSMS = or_word("from_csms", SOME_SECONDS)
RATE_OR_NONE = or_word("none", RATE)
SOME_RATE = quantity(units.parse_rate, units.RATE_PATTERN, "200/s", above=0)
SIZE = quantity(units.parse_size, units.SIZE_PATTERN, "200B", most=(500_000, "500kB"))
SHARE = quantity(units.parse_share, units.SHARE_PATTERN, "10%")
URL = Reads(lambda value: parse_url(read_text(value)), {"type": "string", "pattern": rf"^wss?://|{VARIABLE}"})
ADDRESS = Reads(lambda value: parse_address(read_text(value)), {"type": "string", "examples": ["127.0.0.2"]})
FACTOR = Reads(_factor, {"anyOf": [{"type": "number", "minimum": 1, "maximum": 100}, {"type": "string"}]})
ON_LINE = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": f"^{units.SHARE_PATTERN}$|{VARIABLE}"},
    ]
}
LATENCY = Reads(
    _latency,
    {
        "type": "string",
        "pattern": rf"^{_DURATION}(?:\.\.{_DURATION})?$|{VARIABLE}",
        "examples": ["20ms", "5ms..40ms"],
    },
)

Name = Annotated[str, NAME]
Text = Annotated[str, Reads(read_text, {"type": "string"})]
FilePath = Annotated[str, text(r"[^\x00-\x1f]+", "a path", "ids.csv")]
Seconds = Annotated[float, SECONDS]
SomeSeconds = Annotated[float, SOME_SECONDS]
SecondsOrNone = Annotated[float | None, or_word("none", SOME_SECONDS)]
SecondsOrCsms = Annotated[float | None, SECONDS_OR_CSMS]
RateOrNone = Annotated[float | None, RATE_OR_NONE]
SomeRate = Annotated[float, SOME_RATE]
Share = Annotated[float, SHARE]
Size = Annotated[int, SIZE]
Flag = Annotated[bool, Reads(_flag, {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": VARIABLE}]})]
Factor = Annotated[float, FACTOR]
Latency = Annotated[tuple[float, float], LATENCY]
Url = Annotated[str, URL]
Address = Annotated[str, ADDRESS]
OnlineAmount = Annotated[Amount, Reads(_amount, ON_LINE)]
