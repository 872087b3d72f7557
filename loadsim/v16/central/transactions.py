"""The transactions of a central system (OCPP 1.6, sections 3.7, 4.7, 4.8 and 4.10): ids, repeats, meters, energy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from loadsim.v16.central.meter import Reading, falls, read_counter, read_register
from loadsim.v16.central.store import Store, StoreFailed
from loadsim.v16.messages.core import MeterValuesRequest, StartTransactionRequest, StopTransactionRequest
from loadsim.v16.messages.types import IdTagInfo

TRANSACTION_EVENTS: Final = (
    "started",
    "repeated_starts",
    "overlapping_starts",
    "stopped",
    "repeated_stops",
    "unknown_stops",
    "samples",
    "unknown_meter_values",
    "meter_backwards",
    "energy_wh",
)
KEPT: Final = 4
"""Ended transactions a charge point that are kept in memory where there is no store. Transaction messages are sent
in order, each until it is confirmed (section 3.7), so that a repeat is of the last one."""

_MOST_ENERGY: Final = 10**12
"""Watt-hours of one transaction; a meter that jumps further, with an integer as long as JSON lets it be, is wrong."""


class StartKey(NamedTuple):
    """What makes two StartTransaction.req the same start."""

    charge_point: str
    connector: int
    id_tag: str
    timestamp: str
    meter_start: int

    @classmethod
    def of(cls, charge_point: str, request: StartTransactionRequest) -> StartKey:
        """Return the key of *request* from *charge_point*."""
        return cls(charge_point, request.connector_id, request.id_tag, request.timestamp, request.meter_start)


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """How a transaction ended; *meter_stop* in watt-hours."""

    meter_stop: int
    timestamp: str
    reason: str | None


class TransactionInfo(msgspec.Struct, kw_only=True):
    """One transaction: how it began and what was said to it, the latest reading of its meter, and how it ended."""

    id: int
    start: StartKey
    id_tag_info: IdTagInfo
    latest: Reading
    stop: Stop | None = None

    @classmethod
    def begin(cls, transaction_id: int, start: StartKey, info: IdTagInfo) -> TransactionInfo:
        """Return an open transaction of which nothing but its start is known."""
        return cls(
            id=transaction_id, start=start, id_tag_info=info, latest=read_counter(start.timestamp, start.meter_start)
        )

    @property
    def connector(self) -> int:
        """Where it runs."""
        return self.start.connector

    @property
    def id_tag(self) -> str:
        """Who started it."""
        return self.start.id_tag


class Book:
    """The transactions of one charge point: those that are open, by id, and the last few that ended."""

    __slots__ = ("charge_point", "ended", "open")

    def __init__(self, charge_point: str) -> None:
        self.charge_point = charge_point
        self.open: dict[int, TransactionInfo] = {}
        self.ended: tuple[TransactionInfo, ...] = ()

    def held(self) -> Iterator[TransactionInfo]:
        """Yield the transactions in memory."""
        yield from self.open.values()
        yield from self.ended


class Transactions:
    """All transactions: a book for each charge point, and what was counted since the process began.

    With a *store* every start and stop is in it before it is in memory, and so before it is answered; a store
    that fails (``StoreFailed``) leaves everything as it was.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._store = store
        self._books: dict[str, Book] = {}
        self._in_use: Counter[str] = Counter()
        self._last_id = 0
        if store is not None:
            self._last_id = store.last_id()
            for transaction in store.open_transactions():
                self._open(self.book(transaction.start.charge_point), transaction)

    def book(self, charge_point: str) -> Book:
        """Return the book of *charge_point*."""
        book = self._books.get(charge_point)
        if book is None:
            book = self._books[charge_point] = Book(charge_point)
        return book

    def is_in_use(self, tag: str) -> bool:
        """Tell whether *tag* has an open transaction that was accepted, anywhere."""
        return tag.lower() in self._in_use

    def repeat(self, book: Book, request: StartTransactionRequest) -> TransactionInfo | None:
        """Return the transaction that *request* has started before, for its answer was lost (section 3.7.1)."""
        key = StartKey.of(book.charge_point, request)
        found = next((each for each in book.held() if each.start == key), None)
        if found is None and self._store is not None:
            found = self._store.find_start(key)
        if found is not None:
            self.counts["repeated_starts"] += 1
        return found

    def start(self, book: Book, request: StartTransactionRequest, info: IdTagInfo) -> TransactionInfo:
        """Begin a transaction, and return it with its id."""
        transaction = TransactionInfo.begin(self._last_id + 1, StartKey.of(book.charge_point, request), info)
        if self._store is not None:
            self._store.save_start(transaction)
        self._last_id = transaction.id
        self.counts["started"] += 1
        self.counts["overlapping_starts"] += any(
            each.connector == request.connector_id for each in book.open.values()
        )
        self._open(book, transaction)
        return transaction

    def stop(self, book: Book, request: StopTransactionRequest) -> None:
        """End the transaction that *request* names, if it is open."""
        transaction = book.open.get(request.transaction_id)
        if transaction is None:
            known = self._ended(book, request.transaction_id) is not None
            self.counts["repeated_stops" if known else "unknown_stops"] += 1
            return
        stop = Stop(
            meter_stop=request.meter_stop,
            timestamp=request.timestamp,
            reason=None if request.reason is UNSET else request.reason,
        )
        if self._store is not None:
            self._store.save_stop(msgspec.structs.replace(transaction, stop=stop))
        if request.transaction_data is not UNSET:
            self._follow(transaction, read_register(request.transaction_data))
        energy = request.meter_stop - transaction.start.meter_start
        last = read_counter(request.timestamp, request.meter_stop)
        implausible = not 0 <= energy <= _MOST_ENERGY
        self.counts["meter_backwards"] += implausible or (
            last.at >= transaction.latest.at and falls(transaction.latest, last)
        )
        self.counts["stopped"] += 1
        # What went backwards is counted as that; as energy it would hide some of what was delivered elsewhere.
        self.counts["energy_wh"] += 0 if implausible else energy
        transaction.stop = stop
        self._close(book, transaction)

    def sample(self, book: Book, request: MeterValuesRequest) -> None:
        """Take meter values, which may belong to a transaction."""
        self.counts["samples"] += sum(len(value.sampled_value) for value in request.meter_value)
        if request.transaction_id is UNSET:
            return
        transaction = book.open.get(request.transaction_id)
        if transaction is not None:
            self._follow(transaction, read_register(request.meter_value))
        elif self._ended(book, request.transaction_id) is None:
            self.counts["unknown_meter_values"] += 1

    def record(self) -> dict[str, Any]:
        """Return plain numbers by name, for JSON: of what is known *open*, *open_ids* and *doubled*, else counts.

        *doubled* are ids beyond the first that one start has got, None if the store cannot be read.
        """
        open_ids = sorted(each for book in self._books.values() for each in book.open)
        return {
            **{name: self.counts[name] for name in TRANSACTION_EVENTS},
            "doubled": self._doubled(),
            "open": len(open_ids),
            "open_ids": open_ids,
        }

    def _doubled(self) -> int | None:
        if self._store is not None:
            try:
                return self._store.doubled()
            except StoreFailed:
                return None
        held = [each for book in self._books.values() for each in book.held()]
        return len(held) - len({each.start for each in held})

    def _ended(self, book: Book, transaction_id: int) -> TransactionInfo | None:
        found = next((each for each in book.ended if each.id == transaction_id), None)
        if found is None and self._store is not None:
            found = self._store.find(book.charge_point, transaction_id)
        return found

    def _open(self, book: Book, transaction: TransactionInfo) -> None:
        book.open[transaction.id] = transaction
        if transaction.id_tag_info.status == "Accepted":
            self._in_use[transaction.id_tag.lower()] += 1

    def _close(self, book: Book, transaction: TransactionInfo) -> None:
        del book.open[transaction.id]
        if self._store is None:
            book.ended = (*book.ended, transaction)[-KEPT:]
        if transaction.id_tag_info.status == "Accepted":
            tag = transaction.id_tag.lower()
            self._in_use[tag] -= 1
            if not self._in_use[tag]:
                del self._in_use[tag]

    def _follow(self, transaction: TransactionInfo, readings: Iterable[Reading]) -> None:
        """Take readings of the transaction's meter; those from before the latest are repeats, or come late."""
        for reading in readings:
            if reading.at >= transaction.latest.at:
                self.counts["meter_backwards"] += falls(transaction.latest, reading)
                transaction.latest = reading
