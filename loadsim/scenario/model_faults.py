"""The grammar of a fault: trouble that is planned, when it comes, and whom it hits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from loadsim import units
from loadsim.scenario.model_fields import (
    NAME_PATTERN,
    RATE,
    VARIABLE,
    Latency,
    Name,
    OneOrMore,
    Reads,
    Seconds,
    Share,
    described,
    one_of,
    quantity,
    whole,
)
from loadsim.scenario.model_part import Part
from loadsim.scenario.plan import MALFORMED_KINDS
from loadsim.units import shown

DOES: Final = ("drop", "silent", "slow", "malformed", "csms")
HOW: Final = {"drop": ("reset", "close"), "csms": ("stall", "restart", "refuse", "delay")}
"""Ways in which some of them happen; the first of ``drop`` is its default, of ``csms`` one has to be given."""

_NUMBER = re.compile(r"[-+]?[0-9.]*")


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the run: *offset* seconds after the beginning of *stage*, or of the run; *text* as written."""

    text: str
    stage: str | None
    offset: float


def _moment(value: Any) -> Moment:
    expected = "expected a moment such as 'peak+20m', 'peak' or '20m'"
    if not isinstance(value, str):
        missing = "; the unit is missing" if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
        raise ValueError(f"{expected}, got {described(value)}{missing}")
    written = str(value)
    stage, plus, offset = written.partition("+")
    if plus and not stage:
        raise ValueError(f"{expected}, got {shown(written)}")
    try:
        return Moment(written, stage if plus else None, units.parse_duration(offset if plus else written))
    except ValueError as error:
        if plus or _NUMBER.fullmatch(written):
            raise ValueError(f"{expected}: {error}") from error
    return Moment(written, stage, 0.0)


MOMENT = Reads(
    _moment,
    {
        "type": "string",
        "pattern": rf"^(?:{units.DURATION_PATTERN}|{NAME_PATTERN}(?:\+{units.DURATION_PATTERN})?)$|{VARIABLE}",
        "examples": ["peak+20m", "peak", "20m"],
    },
)
BANDWIDTH = quantity(units.parse_bandwidth, units.BANDWIDTH_PATTERN, "64kbit/s", above=0)


class FaultModel(Part):
    """Trouble that is planned; at, or rate, or during alone says when, do what happens."""

    model_config = ConfigDict(**{**Part.model_config, "json_schema_extra": {"required": ["do"]}})

    name: Name | None = Field(default=None, description="Default: fault-1, fault-2, ...")
    do: Annotated[Literal["drop", "silent", "slow", "malformed", "csms"], one_of(*DOES)] | None = Field(
        default=None,
        description="drop: connections end. silent: they are kept, and nothing is read or written. slow: bytes take "
        "longer. malformed: a message that is none. csms: the embedded CSMS has the trouble.",
    )
    how: (
        Annotated[
            Literal["reset", "close", "stall", "restart", "refuse", "delay"], one_of(*HOW["drop"], *HOW["csms"])
        ]
        | None
    ) = Field(
        default=None,
        description="With drop: reset (TCP RST, the default) or close (a closing handshake). With csms: stall, "
        "restart, refuse or delay.",
    )
    at: Annotated[Moment, MOMENT] | None = Field(
        default=None, description="Once, at this moment: STAGE, STAGE+20m, or 20m from the run's beginning."
    )
    rate: Annotated[float, RATE] | None = Field(
        default=None, description="So often to each charge point, poisson; during a stage, or the whole run."
    )
    during: Name | None = Field(
        default=None, description="The stage to which rate is limited; without rate: once, at its beginning."
    )
    fleet: Name | None = Field(default=None, description="Whose charge points. Default: those of every fleet.")
    share: Share | None = Field(
        default=None,
        description="An exact share: with at, of those planned online then; with rate, of all. Default: 100%.",
    )
    duration: Seconds | None = Field(
        default=None,
        alias="for",
        description="How long it lasts; silent, slow and csms need it. With drop: so long none of them reconnects, "
        "0s by default.",
    )
    latency: Latency | None = Field(
        default=None,
        description="With slow: what every byte takes more, one way. With csms delay: what every answer takes more.",
        examples=["200ms..2s"],
    )
    bandwidth: Annotated[float, BANDWIDTH] | None = Field(
        default=None, description="With slow: all that the link carries, each way."
    )
    kinds: Annotated[list[Annotated[str, one_of(*MALFORMED_KINDS)]], OneOrMore()] | None = Field(
        default=None, description="With malformed: what is sent, one of these each time. Default: all kinds."
    )
    status: Annotated[int, whole(400, 599)] | None = Field(
        default=None, description="With csms refuse: the HTTP status of its answers. Default: 503."
    )


def default_fault_name(number: int) -> str:
    """Return the name of a fault that has none, by its number from 0."""
    return f"fault-{number + 1}"
