"""What went wrong with transactions, counted from both sides: the charge points' and the CSMS's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from loadsim.metrics.snapshot import Totals

FAULTS: Final = ("lost", "undelivered", "doubled", "orphaned")
"""What a threshold can count of transactions."""
ENDS: Final = ("stopped", "lost", "open", "undelivered")
"""What becomes of a transaction that was begun: one of these, once its charge point has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionFaults:
    """Of the *begun* transactions of a run those that came to harm; None is what cannot be known.

    *lost*: the StartTransaction or the StopTransaction was given up. *undelivered*: over, and the StopTransaction
    not confirmed at the end. *doubled*: one StartTransaction has got two ids. *orphaned*: open at the CSMS, unknown
    to the charge points.
    """

    begun: int
    lost: int
    undelivered: int | None
    doubled: int
    orphaned: int | None

    def count(self, fault: str) -> int | None:
        """Return how many of *fault*, one of `FAULTS`; None without transactions, or where it cannot be known."""
        if not self.begun:
            return None
        counted: int | None = getattr(self, fault)
        return counted


def transaction_faults(
    totals: Totals, *, open_at_csms: Collection[int] | None = None, doubled_at_csms: int | None = None
) -> TransactionFaults:
    """Hold the charge points' transactions against those of the CSMS.

    Args:
        totals: the charge points' numbers, all of them: an orphan is one that none of them knows.
        open_at_csms: ids of the transactions that are open at the CSMS at the end; None where only it knows.
        doubled_at_csms: ids beyond the first that it gave one start. A charge point sees both ids only where the
            first answer came late, and not lost, so that the larger number is the right one.
    """
    counters, orphaned = totals.counters, None
    ends = sum(counters[f"transactions.{end}"] for end in ENDS)
    if open_at_csms is not None:
        # A transaction whose number has not come yet is known all the same: it is no orphan.
        unknown = len(set(map(str, open_at_csms)) - totals.open_transactions)
        orphaned = max(0, unknown - counters["transactions.unnumbered"])
    return TransactionFaults(
        begun=counters["transactions.begun"],
        lost=counters["transactions.lost"],
        # A charge point says what it could not deliver when it ends: until all have, none so far is not none.
        undelivered=counters["transactions.undelivered"] if ends == counters["transactions.begun"] else None,
        doubled=max(counters["transactions.doubled"], doubled_at_csms or 0),
        orphaned=orphaned,
    )
