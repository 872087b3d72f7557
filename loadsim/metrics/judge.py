"""Thresholds held against the numbers, and the run's verdict."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loadsim.metrics.snapshot import Totals
from loadsim.metrics.thresholds import Check
from loadsim.metrics.transactions import TransactionFaults, transaction_faults

VerdictName = Literal["passed", "failed", "invalid"]

_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_SHARE_OF: Final = {
    "errors": "sent",
    "rejected": "answered",
    "accepted": "answered",
    "unexpected": "answered",
}


@dataclass(frozen=True, slots=True)
class MeasuredStage:
    """A stage as far as thresholds are concerned: how long it lasted, in seconds, and whether it counts."""

    name: str
    seconds: float
    measure: bool


@dataclass(frozen=True, slots=True)
class Result:
    """A check and what came of it; *actual* in the check's own unit, None without samples, which fails."""

    check: Check
    actual: float | None
    ok: bool


def evaluate(
    check: Check, totals: Totals, stages: Sequence[MeasuredStage], faults: TransactionFaults | None = None
) -> Result:
    """Hold *check* against the measured calls of the run or of the stage it names, or against its transactions.

    Args:
        check: the threshold.
        totals: the numbers of the run so far.
        stages: its stages.
        faults: what became of its transactions, where more is known of it than the charge points can tell.
    """
    if check.action is None:
        count = (faults or transaction_faults(totals)).count(check.aggregate)
        actual = None if count is None else float(count)
    else:
        actual = _of_calls(check, totals, stages)
    return Result(check, actual, actual is not None and _OPERATORS[check.op](actual, check.value))


def _of_calls(check: Check, totals: Totals, stages: Sequence[MeasuredStage]) -> float | None:
    chosen = [
        index
        for index, stage in enumerate(stages)
        if stage.measure and (check.stage is None or check.stage == stage.name)
    ]
    calls = totals.select(
        action=None if check.action == "all" else check.action, tag_class=check.tag_class, stages=chosen
    )
    seconds = sum(stages[index].seconds for index in chosen)
    if check.quantile is not None:
        return calls.response.percentile(check.quantile * 100)
    if check.aggregate == "mean":
        return calls.response.mean
    if check.aggregate == "max":
        return calls.response.max if calls.response.n else None
    if check.aggregate == "rate":
        return calls.sent / seconds if calls.sent and seconds else None
    whole: int = getattr(calls, _SHARE_OF[check.aggregate])
    if not whole:
        return None
    part: int = getattr(calls, check.aggregate)
    return part / whole if check.value_kind == "share" else float(part)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorHealth:
    """The generator over the whole run; seconds, shares of one core, bytes."""

    workers: int
    lateness_p99: float | None
    lateness_max: float
    gc_pause_max: float
    cpu_max: float
    busy_seconds: float
    """The longest stretch that a worker spent above `MOST_CPU`."""
    rss_max: int
    rss_empty: int
    descriptors_max: int
    descriptor_limit: int
    exhausted: dict[str, int]
    behind: int
    """Charge points that were to come online and that the generator had not begun at the end."""
    due: int
    """Charge points that were to come online by the end."""
    sessions_behind: int = 0
    """Sessions that were due and that the generator had not begun at the end."""
    sessions_due: int = 0


MOST_LATENESS: Final = 0.020
LATENESS_OF_AN_IDLE_MACHINE: Final = 0.005
"""Wake-ups come to the millisecond, and 1 to 2 ms late on an idle machine: less than this says nothing."""
MOST_CPU: Final = 0.90
MOST_BUSY_SECONDS: Final = 10.0
MOST_BEHIND: Final = 0.02
_LATENESS_SHARE: Final = 0.10


def invalid_because(health: GeneratorHealth, checks: Sequence[Check]) -> list[str]:
    """Say why the figures show the simulator and not the CSMS; none is right."""
    reasons = []
    limit, because = MOST_LATENESS, ""
    latencies = [check for check in checks if check.value_kind == "duration" and check.op in ("<", "<=")]
    if latencies:
        tightest = min(latencies, key=lambda check: check.value)
        share = max(tightest.value * _LATENESS_SHARE, LATENESS_OF_AN_IDLE_MACHINE)
        if share < limit:
            limit, because = share, f" (a tenth of what '{tightest.text}' allows)"
    if health.lateness_p99 is not None and health.lateness_p99 > limit:
        reasons.append(
            f"p99 lateness {health.lateness_p99 * 1e3:.1f} ms, more than {limit * 1e3:.1f} ms{because}: "
            "use more workers, or fewer charge points a worker"
        )
    if health.busy_seconds >= MOST_BUSY_SECONDS:
        reasons.append(
            f"a worker above {MOST_CPU:.0%} of a core for {health.busy_seconds:.0f} s: use more workers or cores"
        )
    if health.due and health.behind > MOST_BEHIND * health.due:
        reasons.append(
            f"{health.behind} of {health.due} charge points not begun at the end: use more workers, or more cores"
        )
    if health.sessions_due and health.sessions_behind > MOST_BEHIND * health.sessions_due:
        reasons.append(
            f"{health.sessions_behind} of {health.sessions_due} sessions not begun at the end: use more workers, or "
            "more cores"
        )
    for what, count in health.exhausted.items():
        cure = "more descriptors or workers" if what == "EMFILE" else "more source_addresses"
        reasons.append(f"{count} connects failed with {what} on this machine: use {cure}")
    return reasons


def verdict(results: Sequence[Result], invalid: Sequence[str]) -> VerdictName:
    """Return the verdict: an invalid run is neither passed nor failed."""
    if invalid:
        return "invalid"
    return "passed" if all(result.ok for result in results) else "failed"
