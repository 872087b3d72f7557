"""docs/reference/commands.md is what --help says, and nothing is missing from it or from the README."""

from __future__ import annotations

import re
from typing import Any

import pytest
from typer.testing import CliRunner

from loadsim.cli import app
from loadsim.scenario.shipped import shipped_scenarios
from tests.docs.documents import REFERENCE, ROOT, blocks, read, script

make_reference: Any = script("make_reference")
COMMANDS: list[str] = make_reference.command_names()


@pytest.mark.parametrize(("file", "name", "make"), make_reference.PARTS, ids=lambda part: str(part)[:12])
def test_what_is_generated_is_up_to_date(file: str, name: str, make: Any) -> None:
    text = read(REFERENCE / file)

    assert make_reference.renew(text, name, make()) == text, "run: python docs/make_reference.py"


def test_every_command_and_no_other_has_its_help_in_the_reference() -> None:
    sections = re.findall(r"^## loadsim ?(\w*)$", read(REFERENCE / "commands.md"), re.MULTILINE)

    assert sections == ["", *COMMANDS]


def test_every_command_and_no_other_is_in_the_readme() -> None:
    assert set(re.findall(r"^\| `loadsim (\w+)", read(ROOT / "README.md"), re.MULTILINE)) == set(COMMANDS)


def test_every_command_line_of_the_documentation_has_options_that_exist() -> None:
    wrong = []
    for block in (*blocks("sh"), *blocks("powershell")):
        for command, rest in re.findall(r"\bloadsim (\w+)([^\n|;&>#]*)", block.text):
            known = make_reference.help_text(command) if command in COMMANDS else ""
            wrong += [f"{block}: {command} {option}" for option in re.findall(r" (--?\w[\w-]*)", rest)
                      if f"{option} " not in f"{known} " and f"{option}, " not in known]  # fmt: skip
            if command not in COMMANDS:
                wrong.append(f"{block}: loadsim {command}")

    assert wrong == []


def test_the_shipped_scenarios_are_named_in_the_reference() -> None:
    text = read(REFERENCE / "commands.md")

    assert [name for name in shipped_scenarios() if f"`{name}`" not in text] == []


def test_the_help_is_that_of_the_program() -> None:
    result = CliRunner().invoke(app, ["run", "--help"], prog_name="loadsim", env={"COLUMNS": "80"})

    assert result.exit_code == 0
    assert result.output.strip().splitlines()[0] in read(REFERENCE / "commands.md")
