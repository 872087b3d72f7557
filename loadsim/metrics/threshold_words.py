"""The words of a threshold, taken one after the other; whatever is not as expected is told."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, Literal

from loadsim.units import parse_duration, parse_rate, parse_share, shown

Operator = Literal["<", "<=", ">", ">=", "=="]

_TOKEN: Final = re.compile(r"<=|>=|==|[<>]|[^\s<>=]+|=")
_OPERATORS: Final[dict[str, Operator]] = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "=="}
_COUNT: Final = re.compile("[0-9]{1,15}")
_PERCENT: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?%")


class ThresholdSyntaxError(ValueError):
    """A check that is not of the grammar; the text says what was expected."""


class Words:
    """What is left of a check's words. Every method takes what it reads, and raises ThresholdSyntaxError else."""

    def __init__(self, check: str) -> None:
        self._words: list[str] = _TOKEN.findall(check)

    def __bool__(self) -> bool:
        return bool(self._words)

    @property
    def ahead(self) -> str:
        """The next word, which stays; nothing at the end."""
        return self._words[0] if self._words else ""

    def take(self) -> str:
        """Take a word, whatever it is; nothing at the end."""
        return self._words.pop(0) if self._words else ""

    def operator(self, after: str) -> Operator:
        """Take an operator."""
        word = self.take()
        if word not in _OPERATORS:
            raise ThresholdSyntaxError(f"expected <, <=, >, >= or == after '{after}', got {found(word)}")
        return _OPERATORS[word]

    def duration(self, of: str) -> float:
        """Take a duration, in seconds."""
        word = self._value(of)
        try:
            return parse_duration(word)
        except ValueError as error:
            raise ThresholdSyntaxError(f"'{of}': {error}") from error

    def rate(self, of: str) -> float:
        """Take a rate, per second."""
        word = self._value(of)
        try:
            return parse_rate(word)
        except ValueError as error:
            raise ThresholdSyntaxError(f"'{of}': {error}") from error

    def count(self, of: str) -> float:
        """Take a bare number."""
        word = self.take()
        if not _COUNT.fullmatch(word):
            raise ThresholdSyntaxError(f"'{of}': expected a count such as '0', got {found(word)}")
        return float(word)

    def share(self, of: str, example: str) -> float:
        """Take a share of a whole."""
        word = self.take()
        if not word.endswith("%"):
            raise ThresholdSyntaxError(f"'{of}': expected a share such as '{example}', got {found(word)}")
        return self._share(of, word)

    def share_or_count(self, of: str) -> tuple[float, Literal["share", "count"]]:
        """Take a share, which has its ``%``, or a bare number, and say which it was."""
        word = self._value(of)
        if _COUNT.fullmatch(word):
            return float(word), "count"
        if word.endswith("%"):
            return self._share(of, word), "share"
        expected = "a share such as '1%' or a count such as '0'"
        raise ThresholdSyntaxError(f"'{of}': expected {expected}, got {shown(word)}")

    def growth(self, of: str) -> float:
        """Take a share that may be beyond the whole: "10%", "150%"."""
        word = self.take()
        if not _PERCENT.fullmatch(word):
            raise ThresholdSyntaxError(f"'{of}': expected a share such as '10%', got {found(word)}")
        return float(Fraction(word[:-1]) / 100)

    def stage(self) -> str | None:
        """Take "during" and a stage's name, and with it the end; None is the end at once."""
        if not self._words:
            return None
        if self.ahead != "during":
            raise ThresholdSyntaxError(f"expected 'during' and a stage, or the end, got {shown(self.ahead)}")
        _, *names = self._words
        if len(names) != 1:
            got = shown(" ".join(names)) if names else "nothing"
            raise ThresholdSyntaxError(f"expected one stage's name after 'during', got {got}")
        return names[0]

    def end(self, after: str, why: str) -> None:
        """Take the end; *why* says why nothing may follow *after*."""
        if self._words:
            raise ThresholdSyntaxError(f"{why}; expected the end after '{after}', got {shown(self.ahead)}")

    def _value(self, of: str) -> str:
        word = self.take()
        if not word:
            raise ThresholdSyntaxError(f"expected a value to compare '{of}' with, got nothing")
        return word

    def _share(self, of: str, word: str) -> float:
        try:
            return parse_share(word)
        except ValueError as error:
            raise ThresholdSyntaxError(f"'{of}': {error}") from error


def found(word: str) -> str:
    """Show a word that was found, or that there was none."""
    return shown(word) if word else "nothing"
