"""The grammar of a threshold: "Authorize[drivers] p99 < 800ms during peak", "transactions lost == 0".

::

    check        = call | drift | online | transactions | recovery
    call         = (Action | "all") ["[" tag class "]"] aggregate op value ["during" stage]
    drift        = (Action | "all") ["[" tag class "]"] pNN "drift" op percent ["during" stage]
    online       = "online" op percent ["during" stage]
    transactions = "transactions" ("lost" | "undelivered" | "doubled" | "orphaned") op count
    recovery     = "recovery[" fault "]" op duration
    aggregate    = p1 .. p99.99 | mean | max | errors | rejected | accepted | unexpected | rate
    op           = < | <= | > | >= | ==
    value        = a duration (pNN, mean, max) | a share or a bare count (errors ...) | a rate (rate)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from loadsim.metrics.threshold_words import Operator, ThresholdSyntaxError, Words, found
from loadsim.metrics.transactions import FAULTS
from loadsim.units import shown

__all__ = ["AGGREGATES", "Check", "Operator", "Subject", "ThresholdSyntaxError", "ValueKind", "parse"]

ValueKind = Literal["share", "count", "duration", "rate"]
Subject = Literal["calls", "online", "transactions", "recovery"]

AGGREGATES = ("mean", "max", "errors", "rejected", "accepted", "unexpected", "rate")
_COUNTED = frozenset({"errors", "rejected", "accepted", "unexpected"})
_CALLS: Final = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\[([^\[\]\s]*)\])?")
_QUANTILE: Final = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,2})?)")
_RECOVERY: Final = re.compile(r"recovery\[([^\[\]\s]+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One threshold. *value* is in seconds, a share, a count or per second, as *value_kind* says.

    *subject* says what is judged. *action* and *tag_class* are of calls; *action* is None where it is not calls.
    *aggregate* is of transactions one of `FAULTS`; of what is online, and of a recovery, it is that word. *fault* is
    the name of the one that is recovered from. *drift*: the percentile of the last third over that of the first.
    """

    text: str
    subject: Subject = "calls"
    action: str | None
    tag_class: str | None = None
    aggregate: str
    fault: str | None = None
    drift: bool = False
    op: Operator
    value: float
    value_kind: ValueKind
    stage: str | None = None

    @property
    def quantile(self) -> float | None:
        """The share of samples at or below, 0.99 for p99; None for other aggregates."""
        match = _QUANTILE.fullmatch(self.aggregate)
        return None if match is None else float(Fraction(match[1]) / 100)

    @property
    def has_windows(self) -> bool:
        """Whether it can be held against every window of a length: what is counted over a whole run cannot."""
        return self.subject in ("calls", "online") and not self.drift


def parse(check: str) -> Check:
    """Read one threshold.

    Raises:
        ThresholdSyntaxError: it is not of the grammar.
    """
    words = Words(check)
    if not words:
        raise ThresholdSyntaxError("expected a check such as 'all p95 < 500ms', got nothing")
    match words.ahead.partition("[")[0]:
        case "online":
            return _of_online(check, words)
        case "recovery":
            return _of_recovery(check, words)
        case "transactions":
            return _of_transactions(check, words)
    return _of_calls(check, words)


def _of_calls(check: str, words: Words) -> Check:
    subject = words.take()
    if words.ahead in FAULTS:
        raise ThresholdSyntaxError(
            f"'{words.ahead}' is counted of transactions alone, not of {shown(subject)}; did you mean 'transactions'?"
        )
    match = _CALLS.fullmatch(subject)
    if match is None or match[2] == "":
        raise ThresholdSyntaxError(
            f"expected an action or 'all', such as 'Authorize' or 'Authorize[drivers]', got {shown(subject)}"
        )
    aggregate = _aggregate(words)
    drift = words.ahead == "drift"
    if drift:
        words.take()
        if not _QUANTILE.fullmatch(aggregate):
            raise ThresholdSyntaxError(f"'drift' is of a percentile such as 'p95', not of '{aggregate}'")
    op = words.operator("drift" if drift else aggregate)
    value, kind = _growth(words) if drift else _value(words, aggregate)
    return Check(
        text=check,
        action=match[1],
        tag_class=match[2],
        aggregate=aggregate,
        drift=drift,
        op=op,
        value=value,
        value_kind=kind,
        stage=words.stage(),
    )


def _of_online(check: str, words: Words) -> Check:
    subject = words.take()
    if subject != "online":
        raise ThresholdSyntaxError(f"what is online has no classes; expected 'online', got {shown(subject)}")
    op = words.operator("online")
    value = words.share("online", "99.5%")
    return Check(
        text=check,
        subject="online",
        action=None,
        aggregate="online",
        op=op,
        value=value,
        value_kind="share",
        stage=words.stage(),
    )


def _of_recovery(check: str, words: Words) -> Check:
    subject = words.take()
    match = _RECOVERY.fullmatch(subject)
    if match is None:
        raise ThresholdSyntaxError(f"expected a fault's name, such as 'recovery[csms_restart]', got {shown(subject)}")
    op = words.operator(subject)
    value = words.duration("recovery")
    words.end("recovery", "a fault has its moment, and no stage")
    return Check(
        text=check,
        subject="recovery",
        action=None,
        aggregate="recovery",
        fault=match[1],
        op=op,
        value=value,
        value_kind="duration",
    )


def _of_transactions(check: str, words: Words) -> Check:
    subject = words.take()
    if subject != "transactions":
        raise ThresholdSyntaxError(
            f"transactions are not counted by tag class; expected 'transactions', got {shown(subject)}"
        )
    fault = words.take()
    if fault not in FAULTS:
        expected = f"{', '.join(FAULTS[:-1])} or {FAULTS[-1]}"
        raise ThresholdSyntaxError(f"expected {expected} after 'transactions', got {found(fault)}")
    op = words.operator(fault)
    count = words.count(fault)
    words.end(f"{count:.0f}", "transactions are counted over the whole run")
    return Check(
        text=check,
        subject="transactions",
        action=None,
        aggregate=fault,
        op=op,
        value=count,
        value_kind="count",
    )


def _aggregate(words: Words) -> str:
    word = words.take()
    match = _QUANTILE.fullmatch(word)
    if word not in AGGREGATES and (match is None or float(match[1]) < 1):
        raise ThresholdSyntaxError(f"expected p1 to p99.99, {', '.join(AGGREGATES)}; got {found(word)}")
    return word


def _growth(words: Words) -> tuple[float, ValueKind]:
    return words.growth("drift"), "share"


def _value(words: Words, aggregate: str) -> tuple[float, ValueKind]:
    if aggregate == "rate":
        return words.rate(aggregate), "rate"
    if aggregate not in _COUNTED:
        return words.duration(aggregate), "duration"
    return words.share_or_count(aggregate)
