"""The final report's account of the load: what each stage planned, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from loadsim.output.layout import BAD, NONE, QUIET, STRONG, WARNING, Column, clean, duration, share, table
from loadsim.units import format_count

Numbers = Mapping[str, Any]

_ALL_THERE: Final = 0.999
"""From this share of the planned time on there is nothing to say of who was online."""


def load(summary: Numbers, width: int) -> list[Text]:
    """Show planned load against what came, stage by stage; nothing where a single stage was simply there."""
    stages = {name: stage for name, stage in summary.get("stages", {}).items() if stage.get("online")}
    with_sessions = any(stage["sessions"]["planned"] or stage["sessions"]["due"] for stage in stages.values())
    if not stages or (len(stages) == 1 and not with_sessions and not any(map(_is_short, stages.values()))):
        return []
    numbers = list(stages.values())
    columns = [
        Column(header="stage", cells=[_name(name, stage) for name, stage in stages.items()], right=False, least=12),
        Column(header="online", cells=[format_count(each["online"]["planned_end"]) for each in numbers]),
        Column(header="kept", cells=[_online(each) for each in numbers]),
    ]
    if with_sessions:
        columns += [
            Column(header="drivers", cells=[format_count(round(_of(each, "planned"))) for each in numbers]),
            Column(header="came", cells=[format_count(_of(each, "due")) for each in numbers]),
            Column(header="started", cells=[format_count(_of(each, "started")) for each in numbers], drop=1),
            Column(header="no connector", cells=[_not_carried(_of(each, "no_free_connector")) for each in numbers]),
        ]
    told = "  online: planned at its end; kept: share of the planned time that they were"
    heading = Text.assemble(("load", STRONG), (told, QUIET))
    return [heading, *table(columns, width, indent=2)]


def _name(name: str, stage: Numbers) -> Text:
    return Text.assemble(clean(name), (f" {duration(stage['seconds'])}", QUIET))


def _of(stage: Numbers, what: str) -> Any:
    return stage["sessions"][what]


def _is_short(stage: Numbers) -> bool:
    actual = stage["online"]["share"]
    return actual is not None and actual < _ALL_THERE


def _online(stage: Numbers) -> Text:
    return Text(share(stage["online"]["share"]), style=WARNING if _is_short(stage) else "")


def _not_carried(count: int) -> Text:
    return Text(format_count(count) if count else NONE, style=BAD if count else "")
