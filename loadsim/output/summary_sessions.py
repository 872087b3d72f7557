"""What summary.json says of charging sessions, transactions, and the calls that came from the CSMS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from loadsim.metrics.snapshot import Totals
from loadsim.metrics.transactions import ENDS, FAULTS, TransactionFaults, transaction_faults
from loadsim.output.progress import Progress
from loadsim.output.session_rates import sessions_planned
from loadsim.output.summary_numbers import distribution

SESSION_SOURCES: Final = ("due", "from_csms")
"""Where charging sessions come from: the scenario's drivers, and remote starts at a free connector."""
SESSION_OUTCOMES: Final = (
    "started",
    "no_free_connector",
    "refused",
    "refused_offline",
    "not_authorized",
    "no_show",
    "no_remote_start",
    "interrupted",
    "preparing",
    "behind",
)
"""What becomes of a session that came: one of these."""

COMMAND_COUNTS: Final = ("received", "refused", "ignored")


def sessions(progress: Progress) -> dict[str, Any]:
    """Put together what has become of the drivers who came."""
    counters, remote_start = progress.totals.counters, progress.totals.time("remote_start")
    planned = sessions_planned(progress.plan, sum(stage.seconds for stage in progress.stages))
    return {
        "planned": round(planned, 3),
        **{what: counters[f"sessions.{what}"] for what in (*SESSION_SOURCES, *SESSION_OUTCOMES)},
        "remote_starts": remote_start.n,
        "remote_start_s": distribution(remote_start),
    }


def faults(progress: Progress, csms: Mapping[str, Any] | None) -> TransactionFaults:
    """Count the transactions that came to harm; *csms* is the embedded CSMS's own record, where there was one.

    A worker that was lost cannot say any more which transactions its charge points knew, so that nobody can tell
    which of those at the CSMS are orphans.
    """
    if csms is None:
        return transaction_faults(progress.totals)
    of_csms = csms["transactions"]
    return transaction_faults(
        progress.totals,
        open_at_csms=None if progress.lost_workers else of_csms["open_ids"],
        doubled_at_csms=of_csms["doubled"],
    )


def transactions(totals: Totals, harm: TransactionFaults) -> dict[str, Any]:
    """Put together what has become of the transactions; *orphaned* is null where it cannot be known."""
    counted = ("begun", "started", "ended", *ENDS)
    return {
        **{what: totals.counters[f"transactions.{what}"] for what in counted},
        **{fault: getattr(harm, fault) for fault in FAULTS if fault not in ENDS},
    }


def energy(totals: Totals) -> dict[str, int]:
    """Put together the energy in watt-hours: of transactions that ended, and of those confirmed as stopped."""
    return {what: totals.counters[f"energy.{what}"] for what in ("delivered", "stopped")}


def outbox(totals: Totals) -> dict[str, Any]:
    """Put together what became of transaction messages for which there was no connection, or no good answer."""
    wait = totals.time("outbox_wait")
    return {
        "waited": wait.n,
        "wait_s": distribution(wait),
        "given_up": totals.with_prefix("outbox.given_up."),
        "overflowed": totals.counters["outbox.overflowed"],
    }


def commands(totals: Totals) -> dict[str, dict[str, Any]]:
    """Put together the calls that came from the CSMS, by action, and how long their answers took."""
    result: dict[str, dict[str, Any]] = {}
    for name, count in totals.with_prefix("commands.").items():
        action, _, what = name.rpartition(".")
        result.setdefault(action, dict.fromkeys(COMMAND_COUNTS, 0))[what] = count
    for action, numbers in result.items():
        numbers["answer_s"] = distribution(totals.time(f"commands.{action}"))
    return result


def open_session_books(totals: Totals) -> Iterator[str]:
    """Name each book of sessions and transactions that does not close at the end of a run."""
    counters = totals.counters
    begun, ends = counters["transactions.begun"], _counts(totals, "transactions", ENDS)
    if begun != sum(ends.values()):
        yield f"transactions: {begun} begun, {_listed(ends)}"
    came, outcomes = _counts(totals, "sessions", SESSION_SOURCES), _counts(totals, "sessions", SESSION_OUTCOMES)
    if sum(came.values()) != sum(outcomes.values()):
        yield f"sessions: {sum(came.values())} came, {_listed(outcomes)}"
    delivered, stopped = counters["energy.delivered"], counters["energy.stopped"]
    all_stopped = counters["transactions.ended"] == counters["transactions.stopped"]
    if stopped > delivered or (all_stopped and stopped != delivered):
        yield f"energy: {delivered} Wh delivered, {stopped} Wh of it in confirmed stops"


def _counts(totals: Totals, of: str, names: tuple[str, ...]) -> dict[str, int]:
    return {name: totals.counters[f"{of}.{name}"] for name in names}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none accounted for"
