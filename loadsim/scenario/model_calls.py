"""The grammar of a planned call: what the embedded CSMS asks of its charge points by itself, and when."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import ConfigDict, Field

from loadsim.scenario.model_fields import (
    RATE,
    Latency,
    Name,
    OneOrMore,
    Reads,
    Seconds,
    Share,
    SomeRate,
    SomeSeconds,
    Text,
    described,
    one_of,
)
from loadsim.scenario.model_part import Part
from loadsim.scenario.plan import ON_BOOT
from loadsim.v16.messages.types import ChargePointStatus

STATUSES: tuple[str, ...] = get_args(ChargePointStatus)


def _payload(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected a mapping with the request's properties, got {described(value)}")
    return value


class CallModel(Part):
    """Calls of one kind; exactly one of at, rate, each and on says when."""

    model_config = ConfigDict(**{**Part.model_config, "json_schema_extra": {"required": ["send"]}})

    name: Name | None = Field(default=None, description="Default: call-1, call-2, ...")
    send: Text | None = Field(
        default=None, description="The action, one that a central system sends.", examples=["RemoteStartTransaction"]
    )
    payload: Annotated[dict[str, Any], Reads(_payload, {"type": "object"})] | None = Field(
        default=None,
        alias="with",
        description="Properties of the request; what is left open is filled in. {now}, {now+10m}, {id} are replaced.",
    )
    to: Text | None = Field(default=None, description="Glob of identities. Default: all.", examples=["AC-*"])
    at: Seconds | None = Field(default=None, description="Once, so long after the beginning, to every charge point.")
    share: Share | None = Field(default=None, description="With at: to an exact share of them. Default: 100%.")
    over: Seconds | None = Field(default=None, description="With at: spread evenly over so long. Default: at once.")
    rate: SomeRate | None = Field(
        default=None, description="So many in all, each to a charge point that it suits.", examples=["20/s"]
    )
    each: Annotated[float, RATE] | None = Field(
        default=None, description="So many to each charge point.", examples=["0.01/h"]
    )
    arrivals: Annotated[str, one_of("poisson", "even")] | None = Field(
        default=None, description="With rate or each. Default: poisson."
    )
    on: Annotated[str, one_of(ON_BOOT, *STATUSES)] | None = Field(
        default=None, description="When a connector reports this status, or at each accepted boot."
    )
    after: Latency | None = Field(
        default=None,
        description="With on: so long after it, 2s or 2s..5s (uniform), if it still holds. Default: at once, "
        "and 1s..3s for RemoteStartTransaction.",
    )
    begin: Seconds | None = Field(default=None, alias="from", description="Nothing falls due before. Default: 0s.")
    until: SomeSeconds | None = Field(
        default=None, description="Nothing falls due from then on. Default: the end of the run."
    )
    during: Name | None = Field(default=None, description="A stage of the scenario, in place of from and until.")
    tags: Annotated[list[Name], OneOrMore()] | None = Field(
        default=None, description="Tag classes to draw id tags from. Default: those expected Accepted."
    )
    timeout: SomeSeconds | None = Field(default=None, description="How long an answer is awaited. Default: 30s.")


class CallsModel(Part):
    """A file with a plan of calls, for an embedded CSMS that runs alone."""

    calls: list[CallModel] = Field(description="The calls.")
