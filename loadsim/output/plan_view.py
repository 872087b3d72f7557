"""What a run would be, shown before anything is sent: its curves, its load, and what it needs of this machine.

Made from the plan and from the numbers of `loadsim.needs.needs_of`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from loadsim.output.layout import (
    BAD,
    QUIET,
    STRONG,
    WARNING,
    Column,
    clean,
    clock,
    cut,
    duration,
    encodable,
    hourly,
    labelled,
    rate,
    table,
    wrapped,
)
from loadsim.output.plan_curves import fault_marks, plan_curves
from loadsim.scenario.plan import Plan
from loadsim.units import duration_text, format_bytes, format_count

Needs = Mapping[str, Any]

_WIDEST: Final = 120
_LABEL: Final = 17
_SURGES: Final = 4
_FAULTS: Final = 30


def show_plan(plan: Plan, needs: Needs, console: Console) -> None:
    """Print what a run of *plan* would be, on a *console* whose width is used up to 120 columns."""
    width = min(console.width, _WIDEST)
    sections = (
        _heading(plan, needs, width),
        plan_curves(plan, width),
        _faults(plan, needs, width),
        _stages(needs, width),
        _calls(needs, width),
        _connects(needs, width),
        _machine(needs, width),
        _notes(needs, width),
    )
    for number, section in enumerate(section for section in sections if section):
        if number:
            console.print()
        for line in section:
            line.rstrip()
            console.print(encodable(line, console.encoding), soft_wrap=True)


def _heading(plan: Plan, needs: Needs, width: int) -> list[Text]:
    points = needs["charge_points"]
    target = "the embedded CSMS" if needs["target"] == "embedded" else clean(needs["target"])
    size = f"{format_count(points['in_all'])} charge points"
    if points["online_max"] < points["in_all"]:
        size += f" ({format_count(points['online_max'])} online at most)"
    lines = [Text.assemble((clean(plan.name), STRONG), f"  {size}, {duration(plan.duration)}, to {target}")]
    if plan.description:
        lines += wrapped(plan.description, width, indent=0, style=QUIET)
    lines[0].no_wrap = True
    return lines


def _faults(plan: Plan, needs: Needs, width: int) -> list[Text]:
    faults = needs["faults"]
    if not faults:
        return []
    marks, hours = fault_marks(plan), plan.duration >= 3600
    lines = [Text("faults", style=STRONG)]
    for fault in faults[:_FAULTS]:
        lines += wrapped(f"{marks[fault['name']]} {_fault(fault, hours=hours)}", width, hang=2)
    if len(faults) > _FAULTS:
        lines += wrapped(f"and {len(faults) - _FAULTS} more", width)
    return lines


def _fault(fault: Mapping[str, Any], *, hours: bool) -> str:
    what = f"{fault['do']} {fault['how']}" if fault["how"] else fault["do"]
    if fault["per_charge_point_and_second"] is None:
        when = f"at {clock(fault['at_s'], hours=hours)}"
    else:
        often = hourly(fault["per_charge_point_and_second"])
        when = f"{clock(fault['begin_s'], hours=hours)} to {clock(fault['end_s'], hours=hours)}, {often} each"
    lasts = f" for {duration_text(fault['lasts_s'])}" if fault["lasts_s"] else ""
    whom = "" if fault["do"] == "csms" else f", {fault['share'] * 100:.4g}% of {fault['fleet'] or 'all fleets'}"
    return f"{clean(fault['name'])}: {what} {when}{lasts}{clean(whom)}"


def _stages(needs: Needs, width: int) -> list[Text]:
    stages = needs["stages"]
    columns = [
        Column(header="stage", cells=[_stage_name(stage) for stage in stages], right=False, least=8),
        Column(header="for", cells=[duration(stage["seconds"]) for stage in stages]),
        Column(header="online", cells=[format_count(stage["online"]) for stage in stages]),
        Column(header="connects", cells=[_or_none(stage["connects"]) for stage in stages], drop=1),
        Column(header="sessions", cells=[_or_none(round(stage["sessions"])) for stage in stages], drop=2),
        Column(
            header="at its end",
            cells=[hourly(stage["sessions_per_second"]) if stage["sessions_per_second"] else "" for stage in stages],
            drop=3,
        ),
        Column(header="charging", cells=[_or_none(stage["charging"]) for stage in stages], drop=2),
        Column(header="msg/s", cells=[rate(stage["messages_per_second"]) for stage in stages]),
    ]
    title = _title("stages", "  charging and msg/s, both ways, where each is busiest", width)
    return [title, *table(columns, width, indent=2)]


def _title(title: str, told: str, width: int) -> Text:
    """Write a title and what is to be known of its figures, as far as there is room."""
    return Text.assemble((title, STRONG), (cut(told, width - len(title)), QUIET))


def _stage_name(stage: Mapping[str, Any]) -> str:
    return clean(stage["name"]) + ("" if stage["measure"] else " (not measured)")


def _or_none(number: int) -> str:
    return format_count(number) if number else ""


def _calls(needs: Needs, width: int) -> list[Text]:
    """List the calls a second of every stage's busiest stretch, the most frequent first."""
    ours = any(stage["csms_calls_per_second"] for stage in needs["stages"])
    told = "  where each stage is busiest" + ("; <- by the CSMS" if ours else "")
    lines = [_title("calls a second", told, width)]
    for stage in needs["stages"]:
        rates = [f"{action} {_rate(each)}" for action, each in stage["calls_per_second"].items()]
        rates += [f"<- {action} {_rate(each)}" for action, each in stage["csms_calls_per_second"].items()]
        text = ", ".join(rates) or "none"
        lines += wrapped(f"{clean(stage['name'])}: {text}", width, hang=2)
    return lines


def _rate(per_second: float) -> str:
    """Show a rate a second; one below 0.1 with the digits that it has."""
    return rate(per_second) if per_second >= 0.1 else f"{per_second:.3f}"


def _connects(needs: Needs, width: int) -> list[Text]:
    connects = needs["connects"]
    cap = connects["per_second_cap"]
    lines = [Text("connects", style=STRONG)]
    for surge in connects["surges"][:_SURGES]:
        per_second = surge["per_second"]
        count = format_count(surge["count"])
        text = f"{clean(surge['what'])} at {clock(surge['at_s'])}: {count}"
        text += " at once" if per_second is None else f" in {duration(surge['seconds'])}, {rate(per_second)}/s"
        late = cap is not None and (per_second is None or per_second > cap)
        if late:
            text += f", and csms.connect.rate lets {rate(cap)}/s through: it takes {duration(surge['count'] / cap)}"
        lines += wrapped(text, width, hang=2, style=WARNING if late else "")
    more = len(connects["surges"]) - _SURGES
    if more > 0:
        lines += wrapped(f"and {more} that are not as steep", width)
    if cap is None and connects["surges"]:
        handshakes = format_count(connects["in_flight_cap"])
        lines += wrapped(
            f"no csms.connect.rate: only {handshakes} handshakes at a time bound them", width, style=QUIET
        )
    return lines if len(lines) > 1 else []


def _machine(needs: Needs, width: int) -> list[Text]:
    lines = [Text("this machine", style=STRONG)]
    lines += [labelled(f"  {label}", [text], width, label_width=_LABEL) for label, text in _machine_rows(needs)]
    for warning in needs["warnings"]:
        lines += wrapped(f"warning: {warning}", width, hang=2, style=WARNING)
    if needs["problem"] is not None:
        lines += wrapped(f"NOT ENOUGH: {needs['problem']}", width, style=BAD)
    return lines


def _machine_rows(needs: Needs) -> Iterator[tuple[str, str]]:
    workers, descriptors, ports = needs["workers"], needs["descriptors"], needs["ports"]
    memory, disk = needs["memory_bytes"], needs["disk_bytes"]
    count = workers["count"]
    one = "" if count == 1 else "s"
    each = f"{format_count(workers['charge_points_each'])} charge points" + (" each" if count > 1 else "")
    yield "workers", f"{count} process{'es' if one else ''}, {each}; {workers['cores']} cores"
    own, processes = descriptors["embedded_csms"], descriptors["embedded_csms_processes"]
    csms = ""
    if own is not None:
        needed = format_count(own)
        csms = f", the embedded CSMS {needed}" if processes == 1 else f", {needed} a CSMS process"
    yield (
        "descriptors",
        f"{format_count(descriptors['worker'])} a worker{csms}; limit {format_count(descriptors['limit'])}",
    )
    addresses = ports["source_addresses"]
    yield (
        "ports",
        f"{format_count(ports['needed'])} of {format_count(ports['there_are'])}, "
        f"{addresses} source address{'' if addresses == 1 else 'es'}",
    )
    low, high, free = (format_bytes(memory[which]) for which in ("least", "most", "free"))
    yield "memory", f"{low if low == high else f'{low} to {high}'}; {free} free"
    yield "disk", f"{format_bytes(disk['at_most'])} at most; {format_bytes(disk['a_day'])} for each day"


def _notes(needs: Needs, width: int) -> list[Text]:
    notes: Sequence[str] = needs["assumed"]
    return [
        line for note in notes for line in wrapped(f"{note[:1].upper()}{note[1:]}.", width, indent=0, style=QUIET)
    ]
