"""What planned faults do to the run, told in sentences as it happens: few, however many charge points they hit."""

from __future__ import annotations

from typing import Final

from loadsim.metrics.recovery import Recovery, recovery
from loadsim.metrics.snapshot import CENTISECOND, Snapshot, Totals
from loadsim.scenario.plan import FaultPlan, Plan
from loadsim.units import format_count, format_duration

LONG_RUN: Final = 3600.0
"""Seconds: a longer run says less, so that the log of days can still be read."""

_SETTLED: Final = 1.0  # by then every worker has told of a fault's moment
_GAP: Final = 5.0
_GAP_OF_LONG_RUNS: Final = 60.0
_HIT: Final = {
    "drop": "dropped",
    "silent": "silent",
    "slow": "slowed down",
    "malformed": "sent what is malformed",
    "csms": "hit",
}


class FaultNews:
    """Makes the sentences from the run's numbers; keeps a few of them for each fault."""

    def __init__(self, plan: Plan) -> None:
        gap = _GAP if plan.duration <= LONG_RUN else _GAP_OF_LONG_RUNS
        self._told = [(_OfMoment if fault.rate is None else _OfRate)(fault, gap) for fault in plan.faults]

    def take(self, totals: Totals, snapshot: Snapshot) -> list[str]:
        """Say what is new, now that *snapshot* is in *totals*."""
        sentences = []
        for told in self._told:
            name = told.fault.name
            sentence = told.look(recovery(totals, name), snapshot.recoveries.get(name, {}), snapshot.elapsed)
            if sentence is not None:
                sentences.append(f"fault {name}: {sentence}")
        return sentences


class _OfMoment:
    """A fault at a moment: whom it hit, and when all were back; what it takes offline later is told now and then."""

    def __init__(self, fault: FaultPlan, gap: float) -> None:
        self.fault = fault
        self._gap = gap
        self._first: float | None = None
        self._at = 0.0
        self._hit = self._offline = 0
        self._back_told = True

    def look(self, now: Recovery, new_times: dict[int, int], at: float) -> str | None:
        if not now.hit:
            return None
        if self._first is None:
            self._first = at
        if at < self._first + _SETTLED:
            return None
        if (now.hit, now.offline) != (self._hit, self._offline) and (not self._hit or at >= self._at + self._gap):
            self._hit, self._offline, self._at = now.hit, now.offline, at
            self._back_told = not now.offline
            return self._whom(now)
        if self._back_told or now.missing or now.offline != self._offline:
            return None
        self._back_told, self._at = True, at
        return _back(now)

    def _whom(self, now: Recovery) -> str:
        if now.offline == now.hit:
            return f"{format_count(now.offline)} offline"
        hit = f"{format_count(now.hit)} {_HIT[self.fault.do]}"
        return f"{hit}, {format_count(now.offline)} offline" if now.offline else hit


class _OfRate:
    """A fault that happens to one charge point after the other: how many since the last sentence."""

    def __init__(self, fault: FaultPlan, gap: float) -> None:
        self.fault = fault
        self._gap = gap
        self._at = -gap
        self._since = 0.0
        self._hit = 0
        self._slowest = 0

    def look(self, now: Recovery, new_times: dict[int, int], at: float) -> str | None:
        self._slowest = max(self._slowest, *new_times, 0)
        new = now.hit - self._hit
        if not new:
            self._since = at
            return None
        # They are soon back, mostly; where somebody always is away, that is no reason to say nothing.
        patience = max(self._at, self._since) + 2 * self._gap if now.missing else self._at + self._gap
        if at < patience:
            return None
        slowest, self._hit, self._at, self._slowest = self._slowest, now.hit, at, 0
        sentence = f"{format_count(new)} {_HIT[self.fault.do]}"
        if now.missing:
            return f"{sentence}, {format_count(now.missing)} not yet back"
        return f"{sentence}, back after {format_duration(slowest * CENTISECOND)}" if slowest else sentence


def _back(now: Recovery) -> str:
    if not now.back:
        return f"{format_count(now.gone)} taken offline by the plan"
    after = format_duration(max(now.times) * CENTISECOND)
    gone = f", {format_count(now.gone)} taken offline by the plan meanwhile" if now.gone else ""
    return f"all {format_count(now.back)} back after {after}{gone}" if now.back > 1 else f"back after {after}{gone}"


def open_faults(plan: Plan, totals: Totals) -> list[str]:
    """Say of each fault that has charge points offline now how many are back."""
    sentences = []
    for fault in plan.faults:
        now = recovery(totals, fault.name)
        if not now.missing:
            continue
        if fault.rate is None:
            back = f"{format_count(now.back)} of {format_count(now.offline - now.gone)} back"
            sentences.append(f"{fault.name} {back}")
        else:
            sentences.append(f"{fault.name} {format_count(now.missing)} offline")
    return sentences
