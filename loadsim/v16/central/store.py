"""What a central system needs of a store that outlives its process; without one it remembers in memory alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from loadsim.v16.central.transactions import StartKey, TransactionInfo


class StoreFailed(Exception):
    """The store could not be read or written: a full disk, say. What was to be stored is not."""


class KnownChargePoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a store keeps of a charge point: *boots* were answered, the last of them with Accepted or not."""

    identity: str
    boots: int
    accepted: bool
    firmware_version: str | None


class Store(Protocol):
    """Registrations and transactions. What is saved here is safe from the end of the process when it returns.

    Every method raises ``StoreFailed`` when it cannot.
    """

    def charge_points(self) -> Iterable[KnownChargePoint]:
        """Return all that were saved."""

    def open_transactions(self) -> Iterable[TransactionInfo]:
        """Return those that were started and not stopped."""

    def last_id(self) -> int:
        """Return the highest transaction id, 0 when there is none."""

    def doubled(self) -> int:
        """Count the transactions that have the same start as an earlier one."""

    def save_charge_point(self, charge_point: KnownChargePoint) -> None:
        """Save a charge point, new or known."""

    def save_start(self, transaction: TransactionInfo) -> None:
        """Save a new transaction."""

    def save_stop(self, transaction: TransactionInfo) -> None:
        """Save the end of a transaction that was saved."""

    def find_start(self, key: StartKey) -> TransactionInfo | None:
        """Return the transaction, open or ended, that began with this start."""

    def find(self, charge_point: str, transaction_id: int) -> TransactionInfo | None:
        """Return the transaction of *charge_point* with this id, open or ended."""
