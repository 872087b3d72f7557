"""Files of comma-separated values, and how their cells are written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

Row = list[Any]


class CsvFile:
    """A CSV file to which whole rows are appended, each batch with one write."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8", newline="")
        self.write([columns])

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Append *rows*, each a sequence of cells.

        Raises:
            OSError: they cannot be written.
        """
        text = csv_text(rows)
        if text:
            self._file.write(text)
            self._file.flush()

    def close(self) -> None:
        """Close it."""
        self._file.close()


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Write *rows* as the lines of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def seconds_cell(value: float | None) -> str:
    """Write seconds to the microsecond; nothing at all without samples."""
    return "" if value is None else f"{value:.6f}"


def time_cell(value: float) -> str:
    """Write a time of the run on a grid of whole seconds, however long the run is."""
    return f"{value:.0f}"
