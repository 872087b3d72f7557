"""The grammar of charging sessions: who comes, how it begins, for how long and how much energy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loadsim import units
from loadsim.scenario.model_fields import EVERY, Name, Reads, Seconds, Share, Shorthand, quantity
from loadsim.scenario.model_part import Part
from loadsim.scenario.model_spread import Durations, Energies

SESSION_RATE = quantity(units.parse_rate, units.RATE_PATTERN, "1500/h", most=(10_000.0, "10000/s"))
SessionRates = Annotated[
    dict[Annotated[str, Reads(str, {})], Annotated[float, SESSION_RATE]], Shorthand(EVERY, SESSION_RATE.schema)
]


class StartModel(Part):
    """How sessions begin: shares, 100% in all."""

    rfid: Share | None = Field(
        default=None, description="Share that the driver starts with a card: plug, Authorize, StartTransaction."
    )
    remote: Share | None = Field(
        default=None, description="Share that plugs in and waits for RemoteStartTransaction of the CSMS."
    )


class SessionModel(Part):
    """A kind of charging session; a fleet says with its key session which one its drivers have."""

    tags: dict[Name, Share] | None = Field(
        default=None, description="Shares by tag class, 100% in all. Default: those of the fleet."
    )
    start: StartModel | None = Field(default=None, description="How it begins. Default: rfid 100%.")
    plugged_in: Durations | None = Field(
        default=None, description="From plugging in to unplugging. Default: 20m..2h (uniform)."
    )
    energy: Energies | None = Field(
        default=None,
        description="What the car wants; it gets as much as power and time allow. Default: 5kWh..40kWh (uniform).",
    )
    meter_values: Seconds | None = Field(
        default=None,
        description="MeterValueSampleInterval at the start, in whole seconds; 0s: no sampled MeterValues. "
        "The configuration of a fleet is stronger. Default: 60s.",
    )
    no_show: Share | None = Field(
        default=None, description="Share of drivers who authorize and then do not plug in. Default: 0%."
    )
    other_tag: Share | None = Field(
        default=None, description="Share of drivers who present another tag of their class at the stop. Default: 0%."
    )
