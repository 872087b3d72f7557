"""What summary.json says of the faults that the scenario planned: whom they hit, and how those came back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from loadsim.metrics.recovery import Recovery, recovery
from loadsim.metrics.snapshot import Totals
from loadsim.output.summary_numbers import rounded
from loadsim.scenario.plan import FaultPlan, Plan

SHARES: Final = {"p50": 0.50, "p95": 0.95, "p100": 1.0}
"""Shares of the charge points that a fault took offline, of which is told when they were back."""
MALFORMED: Final = ("sent", "survived", "closed")
"""What is counted of malformed messages, by kind."""


def fault_numbers(plan: Plan, totals: Totals) -> dict[str, Any]:
    """Put together what became of each fault of *plan*, in its order."""
    return {fault.name: _of_fault(fault, totals) for fault in plan.faults}


def _of_fault(fault: FaultPlan, totals: Totals) -> dict[str, Any]:
    told = recovery(totals, fault.name)
    numbers: dict[str, Any] = {
        "do": fault.do,
        "how": fault.how,
        "moment_s": rounded(fault.at),
        "hit": told.hit,
        "offline": told.offline,
        "back": told.back,
        "gone": told.gone,
        "missing": told.missing,
        "messages_lost": told.messages_lost,
        "recovery_s": {name: rounded(told.time_until(share)) for name, share in SHARES.items()},
    }
    if fault.do == "malformed":
        numbers["malformed"] = {kind: _of_kind(fault, kind, totals) for kind in fault.kinds}
    return numbers


def _of_kind(fault: FaultPlan, kind: str, totals: Totals) -> dict[str, int]:
    return {what: totals.counters[f"faults.{fault.name}.{what}.{kind}"] for what in MALFORMED}


def open_fault_books(plan: Plan, totals: Totals) -> Iterator[str]:
    """Name each book of the faults that does not close at the end of a run."""
    for fault in plan.faults:
        told = recovery(totals, fault.name)
        yield from (f"fault {fault.name}: {problem}" for problem in _problems(told))
        for kind in fault.kinds:
            sent, survived, closed = _of_kind(fault, kind, totals).values()
            if survived + closed > sent:
                yield f"fault {fault.name}: {sent} {kind} sent, {survived} survived and {closed} closed"


def _problems(told: Recovery) -> Iterator[str]:
    if told.offline > told.hit:
        yield f"{told.hit} hit, {told.offline} of them offline"
    if told.back + told.gone > told.offline:
        yield f"{told.offline} offline, {told.back} back and {told.gone} gone"
    timed = sum(told.times.values())
    if timed != told.back:
        yield f"{told.back} back, the times of {timed} known"
