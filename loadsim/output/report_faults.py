"""The final report's account of planned faults: whom each hit, how those came back, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from loadsim.output.layout import BAD, NONE, QUIET, STRONG, WARNING, Column, clean, clock, duration, table, wrapped
from loadsim.units import format_count

Numbers = Mapping[str, Any]

_RECOVERY: Final = {"p50": "back 50%", "p95": "95%", "p100": "100%"}


def faults(summary: Numbers, width: int) -> list[Text]:
    """Show the faults that the scenario planned; nothing when it planned none."""
    planned: Mapping[str, Numbers] = summary.get("faults") or {}
    if not planned:
        return []
    numbers = list(planned.values())
    columns = [
        Column(header="fault", cells=[clean(name) for name in planned], right=False, least=12),
        Column(header="what", cells=[_what(each) for each in numbers], right=False, drop=2),
        Column(header="at", cells=[_moment(each) for each in numbers], drop=1),
        Column(header="hit", cells=_counts(numbers, "hit")),
        Column(header="offline", cells=_counts(numbers, "offline")),
        *(
            Column(header=header, cells=[duration(each["recovery_s"][key]) for each in numbers], least=6, drop=drop)
            for (key, header), drop in zip(_RECOVERY.items(), (0, 3, 0), strict=True)
        ),
        Column(header="calls lost", cells=[_loud(each["messages_lost"], WARNING) for each in numbers]),
    ]
    heading = Text.assemble(("faults", STRONG), ("  back: since the fault, until online again", QUIET))
    lines = [heading, *table(columns, width, indent=2)]
    for name, each in planned.items():
        for told, style in _remarks(each):
            lines += wrapped(f"{name}: {told}", width, style=style)
    return [*lines, *_malformed(planned, width)]


def _what(numbers: Numbers) -> str:
    return f"{numbers['do']} {numbers['how']}".rstrip()


def _moment(numbers: Numbers) -> str:
    return "by rate" if numbers["moment_s"] is None else clock(numbers["moment_s"])


def _remarks(numbers: Numbers) -> Iterator[tuple[str, str]]:
    if not numbers["hit"]:
        yield "hit nobody", WARNING
    if numbers["missing"]:
        missing, offline = format_count(numbers["missing"]), format_count(numbers["offline"])
        yield f"{missing} of {offline} NOT BACK at the end", BAD
    if numbers["gone"]:
        yield f"{format_count(numbers['gone'])} were taken offline by the plan before they were back", QUIET


def _malformed(planned: Mapping[str, Numbers], width: int) -> list[Text]:
    """Show what became of malformed messages, by kind, where any were sent."""
    rows = [
        (name, kind, each)
        for name, numbers in planned.items()
        for kind, each in (numbers.get("malformed") or {}).items()
        if each["sent"]
    ]
    if not rows:
        return []
    numbers = [each for _, _, each in rows]
    several = len({name for name, _, _ in rows}) > 1
    unknown = [each["sent"] - each["survived"] - each["closed"] for each in numbers]
    columns = [
        Column(
            header="malformed",
            cells=[f"{clean(name)} {kind}" if several else kind for name, kind, _ in rows],
            right=False,
            least=14,
        ),
        Column(header="sent", cells=_counts(numbers, "sent")),
        Column(header="survived", cells=_counts(numbers, "survived")),
        Column(header="closed", cells=[_loud(each["closed"], WARNING) for each in numbers]),
        Column(header="not known", cells=[NONE if not count else format_count(count) for count in unknown], drop=1),
    ]
    told = "survived: a later call on that connection was answered; closed: it ended before"
    return [*wrapped(told, width, style=QUIET), *table(columns, width, indent=2)]


def _counts(numbers: Sequence[Numbers], key: str) -> list[str]:
    return [format_count(each[key]) for each in numbers]


def _loud(count: int, style: str) -> Text:
    return Text(format_count(count), style=style if count else "")
