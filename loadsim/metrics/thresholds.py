"""The grammar of a threshold: "Authorize[drivers] p99 < 800ms during peak", "transactions lost == 0".

::

    check        = call | transactions
    call         = (Action | "all") ["[" tag class "]"] aggregate op value ["during" stage]
    transactions = "transactions" ("lost" | "undelivered" | "doubled" | "orphaned") op count
    aggregate    = p1 .. p99.99 | mean | max | errors | rejected | accepted | unexpected | rate
    op           = < | <= | > | >= | ==
    value        = a duration (pNN, mean, max) | a share or a bare count (errors ...) | a rate (rate)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from loadsim.metrics.transactions import FAULTS
from loadsim.units import parse_duration, parse_rate, parse_share, shown

Operator = Literal["<", "<=", ">", ">=", "=="]
ValueKind = Literal["share", "count", "duration", "rate"]

AGGREGATES = ("mean", "max", "errors", "rejected", "accepted", "unexpected", "rate")
_COUNTED = frozenset({"errors", "rejected", "accepted", "unexpected"})
_SUBJECT = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\[([^\[\]\s]*)\])?")
_QUANTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,2})?)")
_TOKEN = re.compile(r"<=|>=|==|[<>]|[^\s<>=]+|=")
_OPERATORS: dict[str, Operator] = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "=="}
_COUNT = re.compile("[0-9]{1,15}")
_TRANSACTIONS = "transactions"
_LATER = frozenset({"online", "recovery"})


class ThresholdSyntaxError(ValueError):
    """A check that is not of the grammar; the text says what was expected."""


class NotInThisVersion(ThresholdSyntaxError):
    """A check of the whole grammar that this version does not build yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One threshold. *value* is in seconds, a share, a count or per second, as *value_kind* says.

    *action* is None where it is not calls that are judged but transactions; *aggregate* is then one of `FAULTS`.
    """

    text: str
    action: str | None
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
        NotInThisVersion: it is an online, recovery or drift check.
        ThresholdSyntaxError: it is not of the grammar.
    """
    words = _TOKEN.findall(check)
    if not words:
        raise ThresholdSyntaxError("expected a check such as 'all p95 < 500ms', got nothing")
    subject = words[0].partition("[")[0]
    if subject in _LATER:
        raise NotInThisVersion(f"a check of '{subject}' is not in this version")
    if subject == _TRANSACTIONS:
        return _of_transactions(check, words)
    if words[1:] and words[1] in FAULTS:
        raise ThresholdSyntaxError(
            f"'{words[1]}' is counted of transactions alone, not of {shown(words[0])}; did you mean 'transactions'?"
        )
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


def _of_transactions(check: str, words: list[str]) -> Check:
    subject = words.pop(0)
    if subject != _TRANSACTIONS:
        raise ThresholdSyntaxError(
            f"transactions are not counted by tag class; expected 'transactions', got {shown(subject)}"
        )
    fault = words.pop(0) if words else ""
    if fault not in FAULTS:
        expected = f"{', '.join(FAULTS[:-1])} or {FAULTS[-1]}"
        raise ThresholdSyntaxError(f"expected {expected} after 'transactions', got {_found(fault)}")
    op = _operator(words, fault)
    count = words.pop(0) if words else ""
    if not _COUNT.fullmatch(count):
        raise ThresholdSyntaxError(f"'{fault}': expected a count such as '0', got {_found(count)}")
    if words:
        raise ThresholdSyntaxError(
            f"transactions are counted over the whole run; expected the end after '{count}', got {shown(words[0])}"
        )
    return Check(
        text=check,
        action=None,
        tag_class=None,
        aggregate=fault,
        op=op,
        value=float(count),
        value_kind="count",
        stage=None,
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
        if _COUNT.fullmatch(word):
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
