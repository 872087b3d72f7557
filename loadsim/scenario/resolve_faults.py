"""Planned faults without gaps, and written back in the grammar that they were read in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadsim.scenario.model_faults import HOW, FaultModel, default_fault_name
from loadsim.scenario.plan import MALFORMED_KINDS, FaultPlan, Stage
from loadsim.scenario.resolve_calls import Window, windows
from loadsim.units import bandwidth_text, duration_text, rate_text, share_text


def planned_faults(models: Sequence[FaultModel], stages: Sequence[Stage]) -> tuple[FaultPlan, ...]:
    """Fill in the defaults of faults, their moments as seconds of the run that *stages* make."""
    by_name = windows(stages)
    duration = sum(stage.duration for stage in stages)
    return tuple(_planned(number, model, by_name, duration) for number, model in enumerate(models))


def faults_keys(faults: Sequence[FaultPlan], stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Write *faults* as a scenario has them, defaults filled in; moments count from the run's beginning."""
    return [_keys(fault, stages) for fault in faults]


def _planned(number: int, model: FaultModel, stages: Mapping[str, Window], duration: float) -> FaultPlan:
    default = FaultPlan(name="", do="drop")
    do = model.do or default.do
    begin, end, at = 0.0, 0.0, None
    if model.rate is not None:
        begin, end = (0.0, duration) if model.during is None else stages[model.during]
    elif model.at is not None:
        at = model.at.offset + (0.0 if model.at.stage is None else stages[model.at.stage][0])
    elif model.during is not None:
        at = stages[model.during][0]
    return FaultPlan(
        name=model.name or default_fault_name(number),
        do=do,
        how=model.how or ("reset" if do == "drop" else ""),
        fleet=model.fleet,
        share=default.share if model.share is None else model.share,
        at=at,
        rate=model.rate,
        begin=begin,
        end=end,
        duration=model.duration or 0.0,
        latency=model.latency or default.latency,
        bandwidth=model.bandwidth,
        kinds=tuple(model.kinds or MALFORMED_KINDS) if do == "malformed" else (),
        status=default.status if model.status is None else model.status,
    )


def _keys(fault: FaultPlan, stages: Sequence[Stage]) -> dict[str, Any]:
    keys: dict[str, Any] = {"name": fault.name, "do": fault.do}
    if fault.do in HOW:
        keys["how"] = fault.how
    keys |= _when(fault, stages)
    if fault.fleet is not None:
        keys["fleet"] = fault.fleet
    if fault.do != "csms":
        keys["share"] = share_text(fault.share)
    if fault.do != "malformed":
        keys["for"] = duration_text(fault.duration)
    if fault.latency != (0.0, 0.0):
        low, high = fault.latency
        keys["latency"] = f"{duration_text(low)}..{duration_text(high)}"
    if fault.bandwidth is not None:
        keys["bandwidth"] = bandwidth_text(fault.bandwidth)
    if fault.kinds:
        keys["kinds"] = list(fault.kinds)
    if fault.how == "refuse":
        keys["status"] = fault.status
    return keys


def _when(fault: FaultPlan, stages: Sequence[Stage]) -> dict[str, str]:
    if fault.at is not None:
        return {"at": duration_text(fault.at)}
    keys = {"rate": rate_text(fault.rate or 0.0)}
    if (fault.begin, fault.end) == (0.0, sum(stage.duration for stage in stages)):
        return keys
    window = (fault.begin, fault.end)
    return keys | {"during": next(name for name, each in windows(stages).items() if each == window)}
