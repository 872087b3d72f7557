"""Write the parts of docs/reference that the program itself knows: help texts and the catalogue of metrics.

``python docs/make_reference.py`` rewrites what stands between the markers; a test fails while it differs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import typer
from typer.testing import CliRunner

from loadsim.cli import app
from loadsim.metrics.catalogue import METRICS

REFERENCE: Final = Path(__file__).resolve().with_name("reference")
END: Final = "<!-- end -->"
WIDTH: Final = "80"


def command_names() -> list[str]:
    """Return the commands, in the order of ``loadsim --help``."""
    group = typer.main.get_command(app)
    return list(getattr(group, "commands", {}))


def help_text(*command: str) -> str:
    """Return what ``loadsim COMMAND --help`` prints on a terminal of 80 columns."""
    result = CliRunner().invoke(app, [*command, "--help"], prog_name="loadsim", env={"COLUMNS": WIDTH})
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def commands() -> str:
    """Return the help texts of all commands, as Markdown."""
    sections = [("loadsim", help_text())]
    sections += [(f"loadsim {name}", help_text(name)) for name in command_names()]
    return "\n\n".join(f"## {title}\n\n```text\n{text}\n```" for title, text in sections)


def catalogue() -> str:
    """Return the table of all metrics, as Markdown."""
    rows = [f"| `{metric.name}` | {metric.kind} | {metric.unit} | {metric.help} |" for metric in METRICS]
    return "\n".join(["| metric | kind | unit | what |", "|---|---|---|---|", *rows])


PARTS: Final = (("commands.md", "commands", commands), ("metrics.md", "catalogue", catalogue))


def renew(text: str, name: str, content: str) -> str:
    """Return *text* with *content* between the markers of *name*.

    Raises:
        ValueError: the markers are missing.
    """
    begin = f"<!-- generated: {name} -->"
    if begin not in text or END not in text.partition(begin)[2]:
        raise ValueError(f"expected {begin} and {END}")
    return re.sub(rf"{re.escape(begin)}.*?{END}", lambda _: f"{begin}\n{content}\n{END}", text, flags=re.DOTALL)


def main() -> None:
    """Rewrite the generated parts."""
    for file, name, make in PARTS:
        path = REFERENCE / file
        path.write_text(renew(path.read_text(encoding="utf-8"), name, make()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
