"""The scenarios that come with loadsim: found by their name, from a checkout or an installed wheel."""

from __future__ import annotations

from pathlib import Path

import loadsim
from loadsim.errors import Mistake, ScenarioError
from loadsim.scenario.places import nearest

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
    """Return *path*, or the shipped scenario of this name where there is no such file.

    Raises:
        ScenarioError: it is a mere name, and neither a file nor a shipped scenario has it.
    """
    try:
        if path.exists() or path.parent != Path():
            return path
    except OSError:  # its name is too long, or its folder must not be looked into: reading it says so
        return path
    shipped = shipped_scenarios()
    if path.name in shipped:
        return shipped[path.name]
    message = f"neither a file nor a shipped scenario ({', '.join(shipped)}){nearest(path.stem, shipped)}"
    raise ScenarioError([Mistake(str(path), 0, 0, message)])
