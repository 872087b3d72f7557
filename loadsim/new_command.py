"""``loadsim new``: a commented scenario to start from, one of those in ``loadsim/templates``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

import loadsim
from loadsim.errors import UsageError
from loadsim.scenario.places import unknown

STDOUT: Final = "-"

_FOLDER: Final = Path(loadsim.__file__).parent / "templates"
_ORDER: Final = ("smoke", "ramp", "soak", "storm", "firmware-rollout")
_PLACEHOLDER: Final = "FILE"
"""What stands in a template for the name of the file that it becomes."""


def templates() -> dict[str, Path]:
    """Return the templates by name, the simplest first."""
    return {name: _FOLDER / f"{name}.yaml" for name in _ORDER}


def summary_of(template: Path) -> str:
    """Return the sentence that *template* begins with."""
    with template.open(encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()


def show_templates() -> None:
    """Print what there is, on stdout."""
    width = max(map(len, _ORDER))
    for name, path in templates().items():
        print(f"{name.ljust(width)}  {summary_of(path)}")
    print(f"\nloadsim new {_ORDER[0]}         writes {_ORDER[0]}.yaml\nloadsim new {_ORDER[0]} -       prints it")


def new(name: str, target: str | None, *, force: bool) -> None:
    """Write the template *name* to *target*: a file or a folder, '-' for stdout, by default ``<name>.yaml`` here.

    Raises:
        UsageError: there is no such template, the file is there already, or it cannot be written.
    """
    found = templates().get(name)
    if found is None:
        raise UsageError(unknown("template", name, list(_ORDER)))
    text = found.read_text(encoding="utf-8")
    if target == STDOUT:
        sys.stdout.write(text)
        return
    path = Path(target or f"{name}.yaml")
    try:
        if path.is_dir():
            path /= f"{name}.yaml"
        shown = shlex.quote(str(path))
        with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text.replace(_PLACEHOLDER, shown if shown.isprintable() else _PLACEHOLDER))
    except FileExistsError:
        raise UsageError(f"{path} is there already; --force overwrites it") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    print(f"{path}: {summary_of(found)}\nNext: loadsim plan {shown}", file=sys.stderr)
