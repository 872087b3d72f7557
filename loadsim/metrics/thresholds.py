"""The grammar of a threshold: "Authorize[drivers] p99 < 800ms during peak".

::

    check     = (Action | "all") ["[" tag class "]"] aggregate op value ["during" stage]
    aggregate = p1 .. p99.99 | mean | max | errors | rejected | accepted | unexpected | rate
    op        = < | <= | > | >= | ==
    value     = a duration (pNN, mean, max) | a share or a bare count (errors ...) | a rate (rate)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from loadsim.units import parse_duration, parse_rate, parse_share, shown

Operator = Literal["<", "<=", ">", ">=", "=="]
ValueKind = Literal["share", "count", "duration", "rate"]

AGGREGATES = ("mean", "max", "errors", "rejected", "accepted", "unexpected", "rate")
_COUNTED = frozenset({"errors", "rejected", "accepted", "unexpected"})
_SUBJECT = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\[([^\[\]\s]*)\])?")
_QUANTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,2})?)")
_TOKEN = re.compile(r"<=|>=|==|[<>]|[^\s<>=]+|=")
_OPERATORS: dict[str, Operator] = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "=="}
_LATER = frozenset({"online", "transactions", "recovery"})


class ThresholdSyntaxError(ValueError):
    """A check that is not of the grammar; the text says what was expected."""


class NotInThisVersion(ThresholdSyntaxError):
    """A check of the whole grammar that this version does not build yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One threshold. *value* is in seconds, a share, a count or per second, as *value_kind* says."""

    text: str
    action: str
    tag_class: str | None
    aggregate: str
    op: Operator
    value: float
    value_kind: ValueKind
    stage: str | None

    @property
    def quantile(self) -> float | None:
        """The share of samples at or below, 0.99 for p99; None for other aggregates."""
        match = _QUANTILE.fullmatch(self.aggregate)
        return None if match is None else float(Fraction(match[1]) / 100)


def parse(check: str) -> Check:
    """Read one threshold.

    Raises:
        NotInThisVersion: it is an online, transactions, recovery or drift check.
        ThresholdSyntaxError: it is not of the grammar.
    """
    words = _TOKEN.findall(check)
    if not words:
        raise ThresholdSyntaxError("expected a check such as 'all p95 < 500ms', got nothing")
    if re.split(r"[\[<>=]", words[0])[0] in _LATER:
        raise NotInThisVersion(f"a check of '{words[0].split('[')[0]}' is not in this version")
    action, tag_class = _subject(words.pop(0))
    aggregate = _aggregate(words)
    if words and words[0] == "drift":
        raise NotInThisVersion("'drift' is not in this version")
    op = _operator(words, aggregate)
    value, kind = _value(words, aggregate)
    stage = _stage(words)
    return Check(
        text=check,
        action=action,
        tag_class=tag_class,
        aggregate=aggregate,
        op=op,
        value=value,
        value_kind=kind,
        stage=stage,
    )


def _subject(word: str) -> tuple[str, str | None]:
    match = _SUBJECT.fullmatch(word)
    if match is None or match[2] == "":
        raise ThresholdSyntaxError(
            f"expected an action or 'all', such as 'Authorize' or 'Authorize[drivers]', got {shown(word)}"
        )
    return match[1], match[2]


def _aggregate(words: list[str]) -> str:
    word = words.pop(0) if words else ""
    match = _QUANTILE.fullmatch(word)
    if word not in AGGREGATES and (match is None or float(match[1]) < 1):
        raise ThresholdSyntaxError(f"expected p1 to p99.99, {', '.join(AGGREGATES)}; got {_found(word)}")
    return word


def _operator(words: list[str], after: str) -> Operator:
    word = words.pop(0) if words else ""
    if word not in _OPERATORS:
        raise ThresholdSyntaxError(f"expected <, <=, >, >= or == after '{after}', got {_found(word)}")
    return _OPERATORS[word]


def _value(words: list[str], aggregate: str) -> tuple[float, ValueKind]:
    word = words.pop(0) if words else ""
    if not word:
        raise ThresholdSyntaxError(f"expected a value to compare '{aggregate}' with, got nothing")
    try:
        if aggregate == "rate":
            return parse_rate(word), "rate"
        if aggregate not in _COUNTED:
            return parse_duration(word), "duration"
        if re.fullmatch("[0-9]{1,15}", word):
            return float(word), "count"
        if word.endswith("%"):
            return parse_share(word), "share"
    except ValueError as error:
        raise ThresholdSyntaxError(f"'{aggregate}': {error}") from error
    expected = "a share such as '1%' or a count such as '0'"
    raise ThresholdSyntaxError(f"'{aggregate}': expected {expected}, got {shown(word)}")


def _stage(words: list[str]) -> str | None:
    if not words:
        return None
    if words[0] != "during":
        raise ThresholdSyntaxError(f"expected 'during' and a stage, or the end, got {shown(words[0])}")
    if len(words) != 2:
        got = "nothing" if len(words) == 1 else shown(" ".join(words[1:]))
        raise ThresholdSyntaxError(f"expected one stage's name after 'during', got {got}")
    return words[1]


def _found(word: str) -> str:
    return shown(word) if word else "nothing"
