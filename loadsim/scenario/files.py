"""The files that a scenario names: identities, id tags and a password."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from loadsim.errors import Mistake
from loadsim.scenario.patterns import id_problem, tag_problem
from loadsim.scenario.plan import Identity
from loadsim.units import shown

LARGEST = 64 * 1024 * 1024
MOST_MISTAKES = 10


def read_file(path: Path, largest: int) -> str:
    """Return the text of a file.

    Raises:
        ValueError: it is missing, no file, too large, not UTF-8, or holds a NUL; the text says which.
    """
    try:
        if not path.is_file():
            raise ValueError("is a directory" if path.is_dir() else "does not exist, or is no regular file")
        with path.open("rb") as stream:
            data = stream.read(largest + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or 'unknown reason'}") from None
    if len(data) > largest:
        size = f"{largest // 1024**2} MiB" if largest >= 1024**2 else f"{largest // 1024} KiB"
        raise ValueError(f"is larger than {size}, the most that is read")
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"holds a NUL byte in line {data[: data.index(0)].count(10) + 1}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"is not UTF-8: byte 0x{data[error.start]:02x} in line {line}") from None


def read_identities(path: Path, report: Callable[[Mistake], None]) -> tuple[Identity, ...]:
    """Read a CSV file of identities: a column ``id``, and ``password`` where each has its own.

    Source lines are never quoted in a mistake, as they hold passwords.

    Raises:
        ValueError: the file cannot be read, or has the wrong columns.
    """
    rows = _rows(read_file(path, LARGEST))
    header = _header(rows)
    if "id" not in header or set(header) - {"id", "password"} or len(set(header)) != len(header):
        # Without a header the first line is an id and its password: it is not repeated.
        raise ValueError("expected a first line that names its columns: id, or id,password")
    place = header.index("id")
    secret = header.index("password") if "password" in header else None
    seen: dict[str, int] = {}
    complain = _Complaints(path, report)
    identities = []
    for line, row in rows:
        if len(row) != len(header):
            complain(line, f"expected {len(header)} columns, got {len(row)}")
            continue
        identity = row[place].strip()
        problem = id_problem(identity)
        if problem is None and identity in seen:
            problem = f"the identity {shown(identity)} stands here twice, first in line {seen[identity]}"
        if problem is None and secret is not None and not row[secret].isprintable():
            problem = "the password holds a control character, which RFC 7617 forbids"
        if problem is not None:
            complain(line, problem)
            continue
        seen[identity] = line
        identities.append(Identity(identity, (row[secret] or None) if secret is not None else None))
    if not identities and not complain.count:
        raise ValueError("holds no identity")
    return tuple(identities)


def read_tags(path: Path, report: Callable[[Mistake], None]) -> tuple[str, ...]:
    """Read a CSV file of id tags: a column ``tag`` or ``id_tag``; other columns are of no interest.

    A list of one tag a line is such a file once its first line says ``tag``.

    Raises:
        ValueError: the file cannot be read, or has no such column.
    """
    rows = _rows(read_file(path, LARGEST))
    header = _header(rows)
    places = [number for number, column in enumerate(header) if column in {"tag", "id_tag"}]
    if len(places) != 1:
        raise ValueError(f"expected one column tag (or id_tag), named in its first line; got {_columns(header)}")
    seen: dict[str, int] = {}
    complain = _Complaints(path, report)
    tags = []
    for line, row in rows:
        tag = row[places[0]].strip() if len(row) > places[0] else ""
        problem = tag_problem(tag)
        if problem is None and tag.casefold() in seen:
            problem = f"the id tag {shown(tag)} stands here twice, first in line {seen[tag.casefold()]}"
        if problem is not None:
            complain(line, problem)
            continue
        seen[tag.casefold()] = line
        tags.append(tag)
    if not tags and not complain.count:
        raise ValueError("holds no id tag")
    return tuple(tags)


def read_password(path: Path) -> str:
    """Return the first line of a file.

    Raises:
        ValueError: the file cannot be read, or its first line is empty.
    """
    lines = read_file(path, 64 * 1024).splitlines()
    if not lines or not lines[0]:
        raise ValueError("its first line is empty; expected the password")
    return lines[0]


class _Complaints:
    """Mistakes in one file, the first few of them."""

    def __init__(self, path: Path, report: Callable[[Mistake], None]) -> None:
        self.count = 0
        self._path = path
        self._report = report

    def __call__(self, line: int, message: str) -> None:
        self.count += 1
        if self.count <= MOST_MISTAKES:
            self._report(Mistake(str(self._path), line, 1, message))
        elif self.count == MOST_MISTAKES + 1:
            self._report(Mistake(str(self._path), line, 1, "and more mistakes from here on"))


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells) of every row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f"is not CSV in line {reader.line_num}: {error}") from None


def _header(rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    return [cell.strip() for cell in next(rows, (0, []))[1]]


def _columns(header: list[str]) -> str:
    return ", ".join(shown(cell, 20) for cell in header[:5]) or "an empty file"
