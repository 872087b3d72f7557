"""Thresholds held against the numbers, and the run's verdict."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loadsim.metrics.online_time import share_online
from loadsim.metrics.recovery import recovery
from loadsim.metrics.snapshot import Totals
from loadsim.metrics.thresholds import Check
from loadsim.metrics.transactions import TransactionFaults, transaction_faults
from loadsim.units import duration_text

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
    """A stage as far as thresholds are concerned: how long it lasted, in seconds, and whether it counts.

    *planned_online* is for how many seconds, summed, charge points were to be online in it, as far as it lasted.
    """

    name: str
    seconds: float
    measure: bool
    planned_online: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """A check and what came of it; *actual* in the check's own unit, None without samples, which fails.

    *over* is the length of the windows it was held against, in seconds; *window* is when the worst of them was, in
    seconds of the run. *aborted_at* is when it ended the run: what it had come to then is what counts.
    """

    check: Check
    actual: float | None
    ok: bool
    over: float | None = None
    window: tuple[float, float] | None = None
    aborted_at: float | None = None

    @property
    def text(self) -> str:
        """The threshold as a person says it: "all errors < 5% over 1m"."""
        return self.check.text if self.over is None else f"{self.check.text} over {duration_text(self.over)}"


def evaluate(
    check: Check, totals: Totals, stages: Sequence[MeasuredStage], faults: TransactionFaults | None = None
) -> Result:
    """Hold *check* against the measured numbers of the run, or of the stage it names.

    Args:
        check: the threshold, of anything but a drift: which thirds calls were of is not in the totals.
        totals: the numbers of the run so far.
        stages: its stages.
        faults: what became of its transactions, where more is known of it than the charge points can tell.
    """
    if check.drift:
        raise ValueError(f"{check.text}: a drift cannot be told from totals")
    actual: float | None
    if check.subject == "calls":
        actual = _of_calls(check, totals, stages)
    elif check.subject == "online":
        actual = _of_online(check, totals, stages)
    elif check.subject == "recovery":
        actual = recovery(totals, check.fault or "").time_until_all
    else:
        count = (faults or transaction_faults(totals)).count(check.aggregate)
        actual = None if count is None else float(count)
    return Result(check, actual, holds(check, actual))


def holds(check: Check, actual: float | None) -> bool:
    """Tell whether *actual* is as the check wants it; without samples nothing is."""
    return actual is not None and _OPERATORS[check.op](actual, check.value)


def chosen_stages(check: Check, stages: Sequence[MeasuredStage]) -> list[int]:
    """Return the stages that *check* is of, by index: those measured, or the one it names."""
    return [
        index
        for index, stage in enumerate(stages)
        if stage.measure and (check.stage is None or check.stage == stage.name)
    ]


def _of_online(check: Check, totals: Totals, stages: Sequence[MeasuredStage]) -> float | None:
    chosen = chosen_stages(check, stages)
    planned = sum(stages[index].planned_online for index in chosen)
    return share_online(math.fsum(totals.online_seconds.get(index, 0.0) for index in chosen), planned)


def _of_calls(check: Check, totals: Totals, stages: Sequence[MeasuredStage]) -> float | None:
    chosen = chosen_stages(check, stages)
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


@dataclass(frozen=True, slots=True)
class Late:
    """A part of the run, such as " of worker 2", and the p99 of the lateness in it, in seconds."""

    part: str
    seconds: float


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
    cores: int = 0
    """Cores of this machine; 0: unknown."""
    latest: tuple[Late, ...] = ()
    """The parts of the run that were the latest: a worker, a stage."""


MOST_LATENESS: Final = 0.020
LATENESS_OF_AN_IDLE_MACHINE: Final = 0.005
"""Wake-ups come to the millisecond, and 1 to 2 ms late on an idle machine: less than this says nothing."""
MOST_CPU: Final = 0.90
MOST_BUSY_SECONDS: Final = 10.0
MOST_BEHIND: Final = 0.02
_LATENESS_SHARE: Final = 0.10
_IDLE_WORKER: Final = 0.50
_EXHAUSTION: Final = {
    "EMFILE": "use more workers, or raise the descriptor limit",
    "EADDRNOTAVAIL": "use more source_addresses, or fewer charge points",
}


def invalid_because(health: GeneratorHealth, checks: Sequence[Check]) -> list[str]:
    """Say why the figures show the simulator and not the CSMS: which limit was crossed, what helps; none is right.

    Everything here is measured of the generator: whatever a CSMS does, how slowly, or not at all, is no reason.
    """
    reasons = []
    limit, because = _lateness_limit(checks)
    cure = what_helps(health)
    late = Late("", health.lateness_p99 or 0.0)
    if late.seconds <= limit:  # over the whole run; what is too late in a part of it is told only then
        late = next((each for each in health.latest if each.seconds > limit), late)
    if late.seconds > limit:
        reasons.append(
            f"p99 lateness{late.part} {late.seconds * 1e3:.1f} ms, more than {limit * 1e3:.1f} ms{because}: {cure}"
        )
    if health.busy_seconds >= MOST_BUSY_SECONDS:
        reasons.append(
            f"a worker above {MOST_CPU:.0%} of a core for {health.busy_seconds:.0f} s, "
            f"{MOST_BUSY_SECONDS:.0f} s are too long: {cure}"
        )
    for behind, due, what in (
        (health.behind, health.due, "charge points"),
        (health.sessions_behind, health.sessions_due, "sessions"),
    ):
        if due and behind > MOST_BEHIND * due:
            reasons.append(
                f"{behind} of {due} {what} that were due were not begun by the end, more than {MOST_BEHIND:.0%}: "
                f"{cure}"
            )
    for what, count in health.exhausted.items():
        reasons.append(f"{count} connects failed with {what} on this machine: {_EXHAUSTION.get(what, cure)}")
    return reasons


def _lateness_limit(checks: Sequence[Check]) -> tuple[float, str]:
    """Return how late the generator may be, in seconds, and which threshold makes it that little."""
    latencies = [
        check
        for check in checks
        if check.subject == "calls" and check.value_kind == "duration" and check.op in ("<", "<=")
    ]
    if latencies:
        tightest = min(latencies, key=lambda check: check.value)
        share = max(tightest.value * _LATENESS_SHARE, LATENESS_OF_AN_IDLE_MACHINE)
        if share < MOST_LATENESS:
            return share, f" (a tenth of what '{tightest.text}' allows)"
    return MOST_LATENESS, ""


def what_helps(health: GeneratorHealth) -> str:
    """Say what makes the generator faster on this machine; where no worker had much to do, it is not its own load."""
    if 0 < health.cpu_max < _IDLE_WORKER:
        return (
            f"no worker took more than {health.cpu_max:.0%} of a core, so end what else takes this machine's cores, "
            "or run on another one"
        )
    if health.cores and health.workers >= health.cores:
        return f"use fewer charge points a worker, or a machine with more than {health.cores} cores for more workers"
    return "use more workers, or fewer charge points a worker"


def verdict(results: Sequence[Result], invalid: Sequence[str]) -> VerdictName:
    """Return the verdict: an invalid run is neither passed nor failed."""
    if invalid:
        return "invalid"
    return "passed" if all(result.ok for result in results) else "failed"
