"""The scenarios that come with loadsim: found by their name, from a checkout or an installed wheel."""

from __future__ import annotations

from pathlib import Path

import loadsim

_PACKAGE = Path(loadsim.__file__).parent
_FOLDERS = (_PACKAGE / "scenarios", _PACKAGE.parent / "scenarios")


def shipped_scenarios() -> dict[str, Path]:
    """Return the shipped scenarios by name."""
    for folder in _FOLDERS:
        found = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
        if found:
            return found
    return {}


def find_scenario(path: Path) -> Path:
    """Return *path*, or the shipped scenario of this name where there is no such file."""
    if path.exists() or path.parent != Path():
        return path
    return shipped_scenarios().get(path.name, path)
