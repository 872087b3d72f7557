"""The grammar of a threshold: a check, and when it is held against the numbers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from loadsim.scenario.model_fields import Flag, Reads, Seconds, Shorthand, described
from loadsim.scenario.model_part import Part


def _check(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a check such as 'all p95 < 500ms', got {described(value)}")
    return str(value)


CHECK = Reads(_check, {"type": "string", "examples": ["Authorize p99 < 800ms during peak"]})


class ThresholdModel(Part):
    """A check that decides whether the run passed; as text it is judged at the end, over the whole of it."""

    check: Annotated[str, CHECK] = Field(description="What has to hold.")
    over: Seconds | None = Field(
        default=None,
        description="In every stretch of that length, in whole seconds, of which the worst counts. "
        "Default: over the run, or the stage it names, as a whole.",
    )
    abort: Flag | None = Field(default=None, description="End the run as soon as it fails. Default: false.")
    after: Seconds | None = Field(
        default=None,
        description="With over: nothing before this moment of the run counts. With abort: no end before it. "
        "Default: 0s.",
    )


Thresholds = list[Annotated[ThresholdModel, Shorthand("check", CHECK.schema)]]
