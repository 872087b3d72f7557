"""The embedded CSMS's memory in a file: what survives a restart, and files that cannot be used."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import loadsim.csms.store as store_module
from loadsim.csms.options import ServerOptions
from loadsim.csms.standalone import serve_until
from loadsim.csms.store import APPLICATION_ID, SCHEMA_VERSION, SqliteStore, open_store
from loadsim.errors import UsageError
from loadsim.ocpp.frame import CallError
from loadsim.scenario.plan import EmbeddedCsms
from loadsim.v16.central import Central, ChargePointSession, StoreFailed
from loadsim.v16.central.transactions import StartKey
from tests.v16.central_system import BOOT, NOW, START, STOP, ask, booted, call, refused, start, stop, tag_status


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "csms.db"


@contextmanager
def central(path: Path, **settings: Any) -> Iterator[Central]:
    """Run a central system on the file until the end of the block."""
    with open_store(str(path)) as store:
        yield Central(EmbeddedCsms(**settings), store)


def test_a_start_sent_again_after_a_restart_is_the_same_transaction(path: Path) -> None:
    with central(path, reject=1.0, parents={"A": "GROUP"}, expiries={"A": "2030-01-01T00:00:00Z"}) as before:
        first = start(booted(before))
    with central(path) as after:
        session = after.charge_point("CP1")

        assert start(session) == first
        assert tag_status(first) == "Blocked"
        assert start(session, meterStart=1)["transactionId"] == 2
        counts = after.record()["transactions"]

    assert (counts["repeated_starts"], counts["started"], counts["doubled"]) == (1, 1, 0)


def test_also_when_it_was_stopped_before_the_restart(path: Path) -> None:
    with central(path) as before:
        first = start(booted(before))
        stop(before.charge_point("CP1"), 1)
    with central(path) as after:
        session = after.charge_point("CP1")

        assert start(session) == first
        stop(session, 1)
        stop(session, 2)
        counts = after.record()["transactions"]

    assert (counts["repeated_starts"], counts["repeated_stops"], counts["unknown_stops"]) == (1, 1, 1)
    assert (counts["open"], counts["energy_wh"]) == (0, 0)


def test_ended_transactions_are_in_the_file_and_not_in_memory(path: Path) -> None:
    with central(path) as system:
        session = booted(system)
        answers = [start(session, meterStart=n) for n in range(20)]
        for n in range(20):
            stop(session, n + 1, meterStop=n)

        assert list(session.book.held()) == []
        assert [start(session, meterStart=n) for n in range(20)] == answers


def test_open_transactions_are_known_after_a_restart_and_make_their_tags_concurrent(path: Path) -> None:
    with central(path) as before:
        session = booted(before)
        start(session, connectorId=2, idTag="DRIVER", meterStart=700)
        stop(session, start(session)["transactionId"])
    with central(path, concurrent_tx=True) as after:
        session = after.charge_point("CP1")
        transaction = session.open_transactions[1]

        assert (transaction.connector, transaction.id_tag) == (2, "DRIVER")
        assert after.record()["transactions"]["open_ids"] == [1]
        assert tag_status(start(session, idTag="driver")) == "ConcurrentTx"
        assert tag_status(start(session, idTag="A", meterStart=3)) == "Accepted"
        stop(session, 1, meterStop=1000)
        assert after.record()["transactions"]["energy_wh"] == 300


def test_row_11_a_charge_point_that_does_not_boot_again_is_still_accepted_after_a_restart(path: Path) -> None:
    boot_status = ("Pending", "Accepted", "Rejected")
    with central(path, boot_status=boot_status) as before:
        accepted, pending = before.charge_point("CP1"), before.charge_point("CP2")
        for session in (accepted, accepted, pending):
            ask(session, "BootNotification", {**BOOT, "firmwareVersion": "1.4"})
    with central(path, boot_status=boot_status) as after:
        accepted, pending = after.charge_point("CP1"), after.charge_point("CP2")

        assert ask(accepted, "Heartbeat", {})
        assert refused(pending, "Heartbeat", {}) == "SecurityError"
        assert accepted.firmware_version == "1.4"
        assert after.record()["charge_points"] == {"known": 2, "accepted": 1}
        assert [ask(session, "BootNotification", BOOT)["status"] for session in (pending, accepted)] == [
            "Accepted",
            "Rejected",
        ]


integers = st.integers(-(2**80), 2**80) | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**400])
tags = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(connector=integers, tag=tags, meter_start=integers, meter_stop=integers, identity=tags)
def test_what_json_can_say_survives_in_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    connector: int,
    tag: str,
    meter_start: int,
    meter_stop: int,
    identity: str,
) -> None:
    path = tmp_path_factory.mktemp("store") / "csms.db"
    with central(path) as before:
        session = booted(before, identity)
        first = start(session, connectorId=connector, idTag=tag, meterStart=meter_start)
        start(session, connectorId=connector, idTag=tag, meterStart=meter_start + 1)
        stop(session, 2, meterStop=meter_stop)
    with central(path) as after:
        session = after.charge_point(identity)
        key = StartKey(identity, connector, tag, str(START["timestamp"]), meter_start)

        assert session.open_transactions[1].start == key
        assert start(session, connectorId=connector, idTag=tag, meterStart=meter_start) == first
        assert after.record()["transactions"]["doubled"] == 0
        stop(session, 2**70)


def test_doubled_ids_are_found_in_the_file_whoever_wrote_them(path: Path) -> None:
    with central(path) as system:
        session = booted(system)
        for n in range(3):
            start(session, meterStart=n)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE transactions SET meter_start = 0")
        connection.commit()
    with central(path) as system:
        assert system.record()["transactions"]["doubled"] == 2


def starts_until_refused(session: ChargePointSession) -> tuple[int, str]:
    """Start transactions until one is refused; return how many were not, and the code of the refusal."""
    for accepted in range(10_000):
        reply = session.answer(call("StartTransaction", {**START, "meterStart": accepted}), NOW)
        if isinstance(reply, CallError):
            return accepted, reply.code
    raise AssertionError("the disk never filled up")


def set_room(store: SqliteStore, pages: int) -> None:
    """Let the file grow by so many pages and no more; SQLite then says what it says of a full disk."""
    ((now,),) = store._run("PRAGMA page_count")
    store._run(f"PRAGMA max_page_count = {now + pages}")


def test_what_a_full_disk_does_not_take_is_refused_and_nothing_is_lost_or_doubled(path: Path) -> None:
    with open_store(str(path)) as store:
        system = Central(EmbeddedCsms(), store)
        session = booted(system)
        set_room(store, pages=2)
        accepted, code = starts_until_refused(session)
        record = system.record()

        assert (accepted > 10, code) == (True, "InternalError")
        assert record["store_failures"] == {"database or disk is full": 1}
        assert record["actions"]["StartTransaction"]["errors"] == {"InternalError": 1}
        assert record["transactions"]["started"] == record["transactions"]["open"] == accepted

        set_room(store, pages=1000)

        assert start(session, meterStart=accepted)["transactionId"] == accepted + 1
    with central(path) as after:
        assert after.record()["transactions"]["open_ids"] == list(range(1, accepted + 2))


def test_a_boot_and_a_stop_that_cannot_be_stored_have_not_happened(path: Path) -> None:
    with open_store(str(path)) as store:
        system = Central(EmbeddedCsms(boot_status=("Accepted", "Rejected")), store)
        session = booted(system)
        start(session)
        store._run("PRAGMA query_only = ON")

        assert refused(session, "BootNotification", BOOT) == "InternalError"
        assert refused(session, "StopTransaction", {**STOP, "transactionId": 1}) == "InternalError"
        assert (session.accepted, session.boots, list(session.open_transactions)) == (True, 1, [1])
        assert system.record()["boots"] == {"Accepted": 1}
        assert system.record()["transactions"]["stopped"] == 0

        store._run("PRAGMA query_only = OFF")
        stop(session, 1)

        assert ask(session, "BootNotification", BOOT)["status"] == "Rejected"
        assert system.record()["transactions"]["stopped"] == 1


def test_a_record_says_null_where_the_file_cannot_be_read(path: Path) -> None:
    with central(path) as system:
        booted(system)

    assert system.record()["transactions"]["doubled"] is None


def written(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def refusal(path: Path) -> str:
    """Return what is said of a file that cannot be used, and see that it is left as it was."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UsageError) as caught, open_store(str(path)):
        raise AssertionError("it was opened")
    assert (path.read_bytes() if path.is_file() else None) == before
    message = str(caught.value)
    assert message.startswith(f"--db: {path}: ")
    return message


def test_a_file_of_another_program_is_refused_and_left_alone(path: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database at all, " * 100)

    assert "expected a new file or one of `loadsim csms --db`" in refusal(text)
    assert "another program's" in refusal(written(path, "CREATE TABLE albums (title)"))
    assert "another program's" in refusal(written(tmp_path / "a", "PRAGMA user_version = 1"))
    assert "another program's" in refusal(written(tmp_path / "b", "PRAGMA application_id = 7"))


def test_a_file_of_another_version_is_refused_and_left_alone(path: Path) -> None:
    with central(path) as system:
        start(booted(system))
    written(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    assert f"expected schema version {SCHEMA_VERSION}, got {SCHEMA_VERSION + 1}" in refusal(path)


def test_a_path_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    assert "unable to open" in refusal(tmp_path)
    assert "unable to open" in refusal(tmp_path / "missing" / "csms.db")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anything")
def test_a_file_that_cannot_be_written_is_refused(path: Path) -> None:
    with central(path) as system:
        booted(system)
    path.chmod(0o400)

    assert "readonly" in refusal(path)


def test_one_process_at_a_time_has_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT", 0.01)
    with central(path) as system:
        start(booted(system))
        with pytest.raises(UsageError, match="another process has it open"), open_store(str(path)):
            raise AssertionError("it was opened")
    with central(path) as after:
        assert after.record()["transactions"]["open_ids"] == [1]


def test_an_empty_file_is_a_new_one(path: Path) -> None:
    path.touch()
    with central(path) as system:
        start(booted(system))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_a_name_that_sqlite_reads_as_no_file_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("csms ?mode=memory"):
        pass

    assert [each.name for each in tmp_path.iterdir()] == ["csms ?mode=memory"]


def start_refusal(path: Path) -> str:
    """Return what is said when the embedded CSMS cannot begin with a file."""
    with pytest.raises(UsageError) as caught:
        trio.run(serve_until, ServerOptions(db=str(path)), lambda _: pytest.fail("it began"), trio.sleep_forever)
    message = str(caught.value)
    assert message.startswith(f"--db: {path}: ")
    return message


REMEDY = "the file is damaged: put a copy of it back, or move it away and begin a new one"


@pytest.mark.parametrize("table", ["transactions", "charge_points"])
def test_of_a_file_that_lacks_a_table_it_is_said_what_to_do(path: Path, table: str) -> None:
    with central(path) as system:
        start(booted(system))
    written(path, f"DROP TABLE {table}")

    assert f"no such table: {table}; {REMEDY}" in start_refusal(path)


@pytest.mark.parametrize("first", [100, 4096])
def test_of_a_file_that_was_overwritten_in_part_it_is_said_what_to_do(path: Path, first: int) -> None:
    with central(path) as system:
        start(booted(system))
    data = path.read_bytes()
    path.write_bytes(data[:first] + b"\xff" * (len(data) - first))

    assert f"database disk image is malformed; {REMEDY}" in start_refusal(path)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE transactions SET id_tag_info = '{'",
        "UPDATE transactions SET id_tag_info = 7",
        "UPDATE transactions SET meter_start = 'a lot'",
        "UPDATE transactions SET timestamp = 'yesterday'",
    ],
)
def test_a_damaged_row_is_a_failure_of_the_store(path: Path, damage: str) -> None:
    with central(path) as system:
        start(booted(system))
    written(path, damage)

    with pytest.raises(StoreFailed, match="transaction 1 is damaged"), central(path):
        raise AssertionError("it was read")
