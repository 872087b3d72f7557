"""The errors that end a command, and the exit code of each.

LoadsimError           1  internal: anything that is not one of these
├── UsageError         2  a bad command line or scenario; nothing was sent
│   └── ScenarioError  2  every mistake of a scenario, each with its place
└── PreflightFailed    3  the run could not begin: too few descriptors or ports, a process that did not start
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class LoadsimError(Exception):
    """Something went wrong that ends the command; the text is for the user."""

    exit_code: ClassVar[int] = 1


class UsageError(LoadsimError):
    """The command line asks for what cannot be done."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a scenario file; line and column count from 1, 0 where the place is unknown.

    With *warning* it is none that the run must not begin with: it is told, and no more.
    *source* is the line, or as much of it as is shown; the mistake is at its character number *caret*, from 1, where
    that is another one than the column.
    """

    file: str
    line: int
    column: int
    message: str
    source: str = ""
    caret: int = 0
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{place}: {'warning' if self.warning else 'error'}: {self.message}"
        if self.source:
            number = f"{self.line:6}"
            text += f"\n{number} | {self.source}\n{' ' * len(number)} | {' ' * ((self.caret or self.column) - 1)}^"
        return text


class ScenarioError(UsageError):
    """A scenario that cannot be run, with every mistake in it."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


class PreflightFailed(LoadsimError):
    """The run cannot begin; the text says what was tried."""

    exit_code = 3
