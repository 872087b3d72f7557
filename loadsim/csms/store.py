"""The embedded CSMS's memory in a file of SQLite, so that it survives the end of the process, ``kill -9`` too.

Every change is a transaction of its own, in the write-ahead log when the method returns: the system has it then,
whatever becomes of the process. It is not forced to the disk each time (``synchronous=NORMAL``), so that a power
cut can lose the last moments, but never damages the file. One process at a time has the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from loadsim.errors import UsageError
from loadsim.v16.central import KnownChargePoint, StoreFailed, TransactionInfo
from loadsim.v16.central.transactions import StartKey
from loadsim.v16.messages.types import IdTagInfo

APPLICATION_ID: Final = 0x4C6F6164  # "Load"
SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT: Final = 2.0
"""Seconds to wait for a process that has the file and is just ending."""

# The integers of a charge point have no type here, for JSON's are unbounded: see _stored.
_SCHEMA: Final = (
    """CREATE TABLE charge_points (
        identity TEXT PRIMARY KEY,
        boots INTEGER NOT NULL,
        accepted INTEGER NOT NULL,
        firmware_version TEXT
    )""",
    """CREATE TABLE transactions (
        id INTEGER PRIMARY KEY,
        charge_point TEXT NOT NULL,
        connector NOT NULL,
        id_tag TEXT NOT NULL,
        timestamp TEXT NOT NULL,
        meter_start NOT NULL,
        id_tag_info TEXT NOT NULL,
        meter_stop,
        stop_timestamp TEXT,
        reason TEXT
    )""",
    "CREATE INDEX transactions_by_start ON transactions (charge_point, timestamp)",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
_DOUBLED: Final = """SELECT coalesce(sum(times - 1), 0) FROM (
    SELECT count(*) AS times FROM transactions
    GROUP BY charge_point, timestamp, connector, id_tag, meter_start
)"""
_FIND_START: Final = """SELECT * FROM transactions
    WHERE charge_point = ? AND timestamp = ? AND connector = ? AND id_tag = ? AND meter_start = ?
    ORDER BY id LIMIT 1"""
_SAVE_CHARGE_POINT: Final = """INSERT INTO charge_points VALUES (?, ?, ?, ?) ON CONFLICT (identity) DO UPDATE SET
    boots = excluded.boots, accepted = excluded.accepted, firmware_version = excluded.firmware_version"""
_LARGEST: Final = 2**63 - 1


class SqliteStore:
    """A ``Store`` in a file that ``open_store`` has opened."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def charge_points(self) -> Iterator[KnownChargePoint]:
        """Yield all that were saved."""
        for identity, boots, accepted, version in self._run("SELECT * FROM charge_points ORDER BY rowid"):
            yield KnownChargePoint(identity=identity, boots=boots, accepted=bool(accepted), firmware_version=version)

    def open_transactions(self) -> Iterator[TransactionInfo]:
        """Yield those that were started and not stopped."""
        yield from map(_read, self._run("SELECT * FROM transactions WHERE stop_timestamp IS NULL ORDER BY id"))

    def last_id(self) -> int:
        """Return the highest transaction id, 0 when there is none."""
        return int(self._run("SELECT coalesce(max(id), 0) FROM transactions")[0][0])

    def doubled(self) -> int:
        """Count the transactions that have the same start as an earlier one."""
        return int(self._run(_DOUBLED)[0][0])

    def save_charge_point(self, charge_point: KnownChargePoint) -> None:
        """Save a charge point, new or known."""
        self._run(
            _SAVE_CHARGE_POINT,
            (charge_point.identity, charge_point.boots, charge_point.accepted, charge_point.firmware_version),
        )

    def save_start(self, transaction: TransactionInfo) -> None:
        """Save a new transaction."""
        key = transaction.start
        self._run(
            "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
            (
                transaction.id,
                key.charge_point,
                _stored(key.connector),
                key.id_tag,
                key.timestamp,
                _stored(key.meter_start),
                msgspec.json.encode(transaction.id_tag_info).decode(),
            ),
        )

    def save_stop(self, transaction: TransactionInfo) -> None:
        """Save the end of a transaction that was saved."""
        assert transaction.stop is not None
        stop = transaction.stop
        self._run(
            "UPDATE transactions SET meter_stop = ?, stop_timestamp = ?, reason = ? WHERE id = ?",
            (_stored(stop.meter_stop), stop.timestamp, stop.reason, transaction.id),
        )

    def find_start(self, key: StartKey) -> TransactionInfo | None:
        """Return the transaction, open or ended, that began with this start; the first if there are several."""
        rows = self._run(
            _FIND_START,
            (key.charge_point, key.timestamp, _stored(key.connector), key.id_tag, _stored(key.meter_start)),
        )
        return _read(rows[0]) if rows else None

    def find(self, charge_point: str, transaction_id: int) -> TransactionInfo | None:
        """Return the transaction of *charge_point* with this id, open or ended."""
        rows = self._run(
            "SELECT * FROM transactions WHERE id = ? AND charge_point = ?", (_stored(transaction_id), charge_point)
        )
        return _read(rows[0]) if rows else None

    def _run(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreFailed(str(error)) from error


@contextmanager
def open_store(path: str) -> Iterator[SqliteStore]:
    """Open the file, a new one if there is none, for this process alone.

    Raises:
        UsageError: it cannot be opened or written, another process has it, or it is none of this program and
            version; it is left as it was.
    """
    try:
        # An absolute path, because SQLite takes ":memory:" and "" for no file at all.
        connection = sqlite3.connect(Path(path).absolute(), timeout=BUSY_TIMEOUT, isolation_level=None)
    except sqlite3.Error as error:
        raise UsageError(f"--db: {path}: {error}") from error
    try:
        _prepare(connection, path)
        yield SqliteStore(connection)
    finally:
        with suppress(sqlite3.Error):  # the log stays beside the file then, and the next start reads it
            connection.close()


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    try:
        is_new = _check(connection, path)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA if is_new else ():
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")  # known, but shows whether it can be written
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        reason = "another process has it open" if "locked" in str(error) else str(error)
        raise UsageError(f"--db: {path}: {reason}") from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_CORRUPT:
            raise UsageError(unreadable(path, error)) from error
        raise UsageError(f"--db: {path}: expected a new file or one of `loadsim csms --db`; {error}") from error


def unreadable(path: str, error: Exception) -> str:
    """Say of a file that is ours, and of which something cannot be read, what can be done."""
    return (
        f"--db: {path}: {error}; the file is damaged: put a copy of it back, or move it away and begin a new one,"
        " which knows none of its charge points and transactions"
    )


def _check(connection: sqlite3.Connection, path: str) -> bool:
    """Say whether the file is new; nothing is written before it is known to be ours."""
    ((application,), (version,)) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
    )
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
    if (application, version, tables) == (0, 0, 0):
        return True
    if application != APPLICATION_ID:
        raise UsageError(f"--db: {path}: expected a new file or one of `loadsim csms --db`; it is another program's")
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"--db: {path}: expected schema version {SCHEMA_VERSION}, got {version};"
            " another version of loadsim has written it"
        )
    return False


def _read(row: Sequence[Any]) -> TransactionInfo:
    transaction_id, charge_point, connector, id_tag, timestamp, meter_start, info, *_ = row
    try:
        found = msgspec.json.decode(info, type=IdTagInfo)
        start = StartKey(charge_point, int(connector), id_tag, timestamp, int(meter_start))
        return TransactionInfo.begin(transaction_id, start, found)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise StoreFailed(f"transaction {transaction_id} is damaged: {error}") from error


def _stored(number: int) -> int | str:
    """Return what stands for *number* in the file: SQLite's integers have 64 bits."""
    return number if -_LARGEST <= number <= _LARGEST else str(number)
