"""Planned calls without gaps, and written back in the grammar that they were read in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from loadsim.scenario.check_calls import WITH_TAGS, default_name, plain
from loadsim.scenario.model_calls import CallModel
from loadsim.scenario.plan import PlannedCall, Stage, TagClass, follow_up_remote_start
from loadsim.units import duration_text, rate_text, share_text

Window = tuple[float, float]


def planned_calls(
    models: Sequence[CallModel], tag_classes: Sequence[TagClass], stages: Mapping[str, Window]
) -> tuple[PlannedCall, ...]:
    """Fill in the defaults of planned calls; *stages* are begin and end of each, in seconds."""
    return tuple(_planned(number, model, tag_classes, stages) for number, model in enumerate(models))


def windows(stages: Sequence[Stage]) -> dict[str, Window]:
    """Return begin and end of each of *stages*, in seconds."""
    ends = list(accumulate(stage.duration for stage in stages))
    return {stage.name: (end - stage.duration, end) for stage, end in zip(stages, ends, strict=True)}


def good_tags(tag_classes: Sequence[TagClass]) -> tuple[TagClass, ...]:
    """Return the classes that are expected Accepted; all of them, where none is."""
    return tuple(each for each in tag_classes if each.expect == "Accepted") or tuple(tag_classes)


def calls_keys(calls: Sequence[PlannedCall]) -> list[dict[str, Any]]:
    """Write *calls* as a scenario has them, defaults filled in."""
    return [_keys(call) for call in calls]


def _planned(
    number: int,
    model: CallModel,
    tag_classes: Sequence[TagClass],
    stages: Mapping[str, Window],
) -> PlannedCall:
    default = PlannedCall(name="", send="")
    send = model.send or ""
    begin, end = (model.begin or 0.0, model.until) if model.during is None else stages[model.during]
    after = default.after if model.on is None else _wait(model, send)
    chosen = good_tags(tag_classes)
    if model.tags is not None:
        chosen = tuple(each for each in tag_classes if each.name in model.tags)
    return PlannedCall(
        name=model.name or default_name(number),
        send=send,
        payload=plain(model.payload or {}),
        to=model.to or default.to,
        at=model.at,
        share=default.share if model.share is None else model.share,
        over=model.over or 0.0,
        rate=model.rate,
        each=model.each,
        spacing="even" if model.arrivals == "even" else "poisson",
        on=model.on,
        after=after,
        begin=begin,
        end=end,
        tags=chosen if send in WITH_TAGS else (),
        timeout=default.timeout if model.timeout is None else model.timeout,
    )


def _wait(model: CallModel, send: str) -> tuple[float, float]:
    if model.after is not None:
        return model.after
    return follow_up_remote_start(()).after if send == "RemoteStartTransaction" else (0.0, 0.0)


def _keys(call: PlannedCall) -> dict[str, Any]:
    keys: dict[str, Any] = {"name": call.name, "send": call.send}
    if call.payload:
        keys["with"] = call.payload
    keys["to"] = call.to
    if call.at is not None:
        keys |= {"at": duration_text(call.at), "share": share_text(call.share), "over": duration_text(call.over)}
    elif call.on is not None:
        low, high = call.after
        keys |= {"on": call.on, "after": f"{duration_text(low)}..{duration_text(high)}"}
    elif call.rate is not None:
        keys |= {"rate": rate_text(call.rate), "arrivals": call.spacing}
    elif call.each is not None:
        keys |= {"each": rate_text(call.each), "arrivals": call.spacing}
    if call.at is None:
        keys["from"] = duration_text(call.begin)
        if call.end is not None:
            keys["until"] = duration_text(call.end)
    if call.tags:
        keys["tags"] = [each.name for each in call.tags]
    keys["timeout"] = duration_text(call.timeout)
    return keys
