"""The file of ``loadsim csms --tags``: what each id tag is answered, its group and its expiry."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final, get_args

import msgspec

from loadsim.errors import UsageError
from loadsim.scenario.files import LARGEST, MOST_MISTAKES, read_file
from loadsim.scenario.patterns import tag_problem
from loadsim.units import shown
from loadsim.v16.central.tags import parse_expiry
from loadsim.v16.messages.types import AuthorizationStatus

NEEDED: Final = ("tag", "status")
OPTIONAL: Final = ("parent", "expiry")
STATUSES: Final[tuple[str, ...]] = get_args(AuthorizationStatus)


class TagFile(msgspec.Struct):
    """By tag: its status, its parentIdTag, and the date-time of RFC 3339 from which it is Expired."""

    statuses: dict[str, str] = msgspec.field(default_factory=dict)
    parents: dict[str, str] = msgspec.field(default_factory=dict)
    expiries: dict[str, str] = msgspec.field(default_factory=dict)


def read_tag_file(path: Path) -> TagFile:
    """Read a CSV file with the columns tag and status, and perhaps parent and expiry.

    Raises:
        UsageError: the file cannot be read or lacks a column, or a row makes no sense; the first few are told,
            each with file and line.
    """
    try:
        reader = csv.reader(io.StringIO(read_file(path, LARGEST), newline=""), strict=True)
    except ValueError as error:
        raise UsageError(f"--tags: {path} {error}") from error
    tags, first_lines, mistakes = TagFile(), dict[str, int](), list[str]()
    try:
        header = _header(next(reader, []), path)
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            try:
                _take(tags, _named(header, cells), first_lines, reader.line_num)
            except ValueError as error:
                mistakes.append(f"--tags: {path}:{reader.line_num}: {error}")
            if len(mistakes) == MOST_MISTAKES:
                break
    except csv.Error as error:
        mistakes.append(f"--tags: {path}:{reader.line_num}: {error}")
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return tags


def _header(row: list[str], path: Path) -> list[str]:
    header = [cell.strip() for cell in row]
    allowed = (*NEEDED, *OPTIONAL)
    if not set(NEEDED) <= set(header) <= set(allowed) or len(header) != len(set(header)):
        found = ",".join(header)
        raise UsageError(
            f"--tags: {path}:1: expected the columns {','.join(NEEDED)}, and perhaps {','.join(OPTIONAL)};"
            f" got {shown(found)}"
        )
    return header


def _named(header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise ValueError(f"expected {len(header)} columns, got {len(cells)}")
    return dict(zip(header, cells, strict=True))


def _take(tags: TagFile, row: dict[str, str], first_lines: dict[str, int], line: int) -> None:
    tag, status = row["tag"], row["status"]
    parent, expiry = row.get("parent", ""), row.get("expiry", "")
    for text in (tag, parent) if parent else (tag,):
        if (problem := tag_problem(text)) is not None:
            raise ValueError(problem)
    first = first_lines.setdefault(tag.lower(), line)
    if first != line:
        raise ValueError(f"the tag {shown(tag)} stands here twice (case does not count), first in line {first}")
    if status not in STATUSES:
        raise ValueError(f"expected the status {', '.join(STATUSES)}; got {shown(status)}")
    tags.statuses[tag] = status
    if parent:
        tags.parents[tag] = parent
    if expiry:
        try:
            parse_expiry(expiry)
        except ValueError as error:
            raise ValueError(f"expiry {shown(expiry)}: {error}") from error
        tags.expiries[tag] = expiry
