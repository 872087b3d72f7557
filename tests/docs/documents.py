"""The documentation as the tests see it: files, tables, blocks of code."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "results" / "README.md", *sorted(DOCS.rglob("*.md")))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        first = next((line for line in self.text.splitlines() if "name:" in line), self.text[:20])
        return f"{self.page.relative_to(ROOT)} {first.strip()}"


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(language: str) -> list[Block]:
    """Return the blocks of code in *language*, of all pages."""
    return [
        Block(page, found, text) for page in PAGES for found, text in _FENCE.findall(read(page)) if found == language
    ]


def without_code(text: str) -> str:
    return _CODE.sub("", _FENCE.sub("", text))


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of each table in *text* whose first cell is code."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("| ").split(" | ")]


def table(page: str, name: str) -> list[str]:
    """Return the first column of the table that is marked *name* on a page of the reference."""
    text = read(REFERENCE / page).partition(f"<!-- table: {name} -->")[2].partition("\n\n")[0]
    return [code(row[0]) for row in rows(text)]


def code(cell: str) -> str:
    found = _CODE.search(cell)
    assert found is not None, cell
    return found[1]


def codes(cell: str) -> list[str]:
    return _CODE.findall(cell)


def script(name: str) -> ModuleType:
    """Import a script of docs/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
