"""Lines of text for a terminal: columns, cutting, and values as a person reads them; no markup, no input/output."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from loadsim.metrics.thresholds import Check
from loadsim.ocpp.action import always_accepts
from loadsim.units import format_duration, format_share
from loadsim.v16.messages import BY_NAME

_NARROWEST: Final = 8
NONE: Final = "-"
"""What stands for a number that there is not: no samples, or nothing that could be counted."""

GOOD: Final = "green"
WARNING: Final = "yellow"
BAD: Final = "bold red"
QUIET: Final = "dim"
STRONG: Final = "bold"
ACCENT: Final = "cyan"

_ASCII: Final = str.maketrans("▁▂▃▄▅▆▇█━╸─…·", "..::||####.~-")
_PER_SECOND: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def clean(text: str) -> str:
    """Make text from outside harmless: what a terminal would obey, and line ends, become escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def cut(text: str, width: int) -> str:
    """Clean *text* and cut it to *width* cells, with a mark where something is missing."""
    # No more than *width* characters fit; the rest of a long frame need not be measured.
    cleaned = Text(clean(text[: max(width, 0) + 1]))
    cleaned.truncate(max(width, 0), overflow="ellipsis")
    return cleaned.plain


def encodable(line: Text, encoding: str) -> Text:
    """Put ASCII for what a terminal of *encoding* cannot show; lengths stay as they are."""
    if not encoding.lower().startswith("utf"):
        line.plain = line.plain.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return line


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    *least* is the width it has at least, so that a table whose numbers change stands still. *drop* says how
    soon it is left out when the table is too wide: the highest first, 0 never.
    """

    header: str
    cells: Sequence[str | Text]
    right: bool = True
    least: int = 0
    drop: int = 0

    @property
    def width(self) -> int:
        """Cells that the widest of its contents takes."""
        contents = (cell.cell_len if isinstance(cell, Text) else cell_len(cell) for cell in self.cells)
        return max(self.least, cell_len(self.header), *contents) if self.cells else cell_len(self.header)


def table(columns: Sequence[Column], width: int, *, indent: int = 0, gap: int = 2) -> list[Text]:
    """Set *columns* side by side under their headers.

    When they are too wide, the first is cut to its least width where it has one, then columns are left out,
    and then the first is cut further.
    """
    kept = [(column, column.width) for column in columns]
    first, first_width = kept[0]
    spare = max(first_width - first.least, 0) if first.least else 0
    while _total(kept, indent, gap) - spare > width and any(column.drop for column, _ in kept[1:]):
        kept.remove(max(kept[1:], key=lambda each: each[0].drop))
    too_wide = max(_total(kept, indent, gap) - width, 0)
    kept[0] = first, max(first_width - too_wide, min(first_width, _NARROWEST))
    lines = [Text(" " * indent, no_wrap=True, overflow="crop") for _ in range(len(first.cells) + 1)]
    for position, (column, column_width) in enumerate(kept):
        contents = [Text(column.header, style=QUIET), *column.cells]
        for line, content in zip(lines, contents, strict=True):
            if position:
                line.append(" " * gap)
            _append_cell(line, content, column_width, right=column.right)
    for line in lines:
        line.rstrip()
    return lines


def _total(kept: Sequence[tuple[Column, int]], indent: int, gap: int) -> int:
    return indent + sum(width for _, width in kept) + gap * (len(kept) - 1)


def _append_cell(line: Text, content: str | Text, width: int, *, right: bool) -> None:
    cell = content.copy() if isinstance(content, Text) else Text(content)
    if cell.cell_len > width:
        cell.truncate(width, overflow="ellipsis")
    padding = " " * (width - cell.cell_len)
    if right:
        line.append(padding)
    line.append_text(cell)
    if not right:
        line.append(padding)


def labelled(label: str, items: Sequence[str | Text], width: int, *, label_width: int = 15) -> Text:
    """Put *items* behind a label; items for which there is no room are left out, the first is cut."""
    line = Text(label.ljust(label_width), style="", no_wrap=True, overflow="crop")
    line.stylize(QUIET, 0, len(label))
    for position, item in enumerate(items):
        text = item if isinstance(item, Text) else Text(item)
        gap = 3 if position else 0
        room = width - line.cell_len - gap
        if text.cell_len > room:
            if position:
                continue
            text = text.copy()
            text.truncate(max(room, 0), overflow="ellipsis")
        line.append(" " * gap)
        line.append_text(text)
    return line


def wrapped(text: str, width: int, *, indent: int = 2, hang: int = 0, style: str = "") -> list[Text]:
    """Break cleaned *text* into lines of at most *width*, indented, all but the first by *hang* more."""
    first, others = " " * indent, " " * (indent + hang)
    lines = textwrap.wrap(
        clean(text), max(width, 30), initial_indent=first, subsequent_indent=others, break_on_hyphens=False
    )
    return [Text(line, style=style, no_wrap=True) for line in lines or [first]]


def duration(seconds: float | None) -> str:
    """Show a duration; "-" for none."""
    return NONE if seconds is None else format_duration(seconds)


def share(part: float | None) -> str:
    """Show a share; "-" for none, and never 0.00% for what is not 0."""
    if part is None:
        return NONE
    return "<0.01%" if 0 < part < 0.00005 else format_share(part)


def rate(per_second: float) -> str:
    """Show a rate a second with as many digits as a person compares."""
    return f"{per_second:,.0f}" if per_second >= 999.5 else f"{per_second:.1f}"


def energy(watt_hours: int) -> str:
    """Show an energy: "12,345.6 kWh", or "870 Wh" where kilowatt-hours would hide it."""
    return f"{watt_hours / 1000:,.1f} kWh" if watt_hours >= 1000 else f"{watt_hours} Wh"


def hourly(per_second: float) -> str:
    """Show a rate a second as one an hour: "2,875/h"."""
    return f"{rate(per_second * 3600)}/h"


def clock(seconds: float, *, hours: bool = False) -> str:
    """Show a time of the run: "18:20", "2:03:04"; with hours in any case if *hours*."""
    minutes, rest = divmod(int(max(seconds, 0.0)), 60)
    if hours or minutes >= 100:
        return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
    return f"{minutes:02}:{rest:02}"


def can_refuse(action: str) -> bool:
    """Say whether an answer to *action* can refuse; of an unknown action it is assumed."""
    known = BY_NAME.get(action)
    return known is None or known.verdict is not always_accepts


def measured(check: Check, actual: float | None) -> str:
    """Show what was measured in the check's own unit, with more digits where it would look like the limit."""
    if actual is None:
        return "no samples"
    texts = (
        (_quantity(check, actual, fine=fine), _quantity(check, check.value, fine=fine)) for fine in (False, True)
    )
    rounded, limit = next(texts)
    return rounded if rounded != limit or actual == check.value else next(texts)[0]


def _quantity(check: Check, value: float, *, fine: bool) -> str:
    match check.value_kind:
        case "duration":
            return f"{value * 1e3:,.3f}ms" if fine else format_duration(value)
        case "share":
            return f"{value:.6%}" if fine else share(value)
        case "rate":
            # The limit's own unit: 1500/h is compared with 1490/h, not with 0.414/s.
            unit = found[1] if (found := re.search(r"[0-9]/([smhd])\b", check.text)) else "s"
            number = value * _PER_SECOND[unit]
            return f"{number:,.6f}/{unit}" if fine else f"{rate(number)}/{unit}"
        case "count":
            return f"{value:,.0f}"
