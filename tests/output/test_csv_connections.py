"""connections.csv: a reconnect storm second by second, and nothing where nothing happened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from loadsim.metrics.recorder import Recorder
from loadsim.output.csv_connections import CONNECTION_COLUMNS
from loadsim.output.run_folder import RunFolder
from tests.output.builders import plan
from tests.output.test_run_folder import rows

NOW = datetime(2026, 11, 22, 9, 15)
ONLINE = {"charge_points.online": 100}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path / "results", plan(), now=NOW, workers=2)
    yield folder
    folder.close()


def written(folder: RunFolder) -> list[dict[str, str]]:
    return rows(folder.path / "connections.csv")


def connect(recorder: Recorder, count: int, *, again: int = 0, took: float = 0.1) -> None:
    recorder.counters["connections.attempted"] += count
    recorder.counters["connections.retried"] += again
    recorder.counters["connections.opened"] += count
    recorder.connect += [took] * count
    recorder.handshake += [2 * took] * count


def boot(recorder: Recorder, *, accepted: int = 0, pending: int = 0, timeout: int = 0, took: float = 1.0) -> None:
    boots = recorder.series(0, "BootNotification")
    boots.accepted += accepted
    boots.pending += pending
    boots.timeout += timeout
    boots.response += [took] * (accepted + pending + timeout)


def test_a_second_says_what_became_of_connections_and_how_charge_points_stand_at_its_end(folder: RunFolder) -> None:
    recorder = Recorder()
    recorder.counters.update({"connections.lost.1006": 3, "connections.lost.1001": 2, "connections.closed": 1})
    folder.take(recorder.fold(0.501, gauges={"charge_points.online": 94, "charge_points.backing_off": 5}))
    connect(recorder, 4, again=3)
    boot(recorder, accepted=2, pending=1, timeout=1, took=0.5)
    recorder.counters.update({"connections.refused.http_503": 2, "connections.abandoned": 1})
    recorder.time("outbox_wait").extend([60.0, 61.0])
    gauges = {"charge_points.online": 96, "charge_points.booting": 1, "charge_points.backing_off": 3}
    folder.take(recorder.fold(1.001, gauges={**gauges, "outbox.waiting": 7}))
    folder.close()

    (row,) = written(folder)
    assert tuple(row) == CONNECTION_COLUMNS
    assert list(row.values()) == [
        *("0", "96", "1", "3"),
        *("4", "3", "4", "1", "1", "2", "5"),
        *("0.100000", "0.100000", "0.100000"),
        *("0.200000", "0.200000", "0.200000"),
        *("3", "1", "0.500000", "0.500000", "0.500000"),
        *("7", "2", "60.030975", "61.000000", "61.000000"),
    ]


def test_seconds_in_which_nothing_happened_to_connections_have_no_row(folder: RunFolder) -> None:
    recorder = Recorder()
    for second in range(1, 601):
        recorder.series(0, "Heartbeat").sent += 10
        recorder.counters["messages.sent"] += 10
        if second in (60, 300):
            recorder.counters["connections.closed"] += 1
        folder.take(recorder.fold(float(second), gauges={**ONLINE, "outbox.waiting": second % 3}))
        folder.flush(float(second))
    folder.close()

    assert [row["begin_s"] for row in written(folder)] == ["59", "299"]


@pytest.mark.parametrize("state", ["booting", "backing_off"])
def test_while_charge_points_are_on_their_way_every_second_has_a_row(folder: RunFolder, state: str) -> None:
    """So that the queues are seen to grow, although nobody can connect."""
    recorder = Recorder()
    for second in range(1, 6):
        on_their_way = {f"charge_points.{state}": int(second <= 3), "outbox.waiting": second}
        folder.take(recorder.fold(float(second), gauges=on_their_way))
    folder.close()

    assert [row["outbox_waiting"] for row in written(folder)] == ["1", "2", "3"]


def test_workers_add_up_and_one_that_says_nothing_keeps_its_charge_points_until_it_is_lost(folder: RunFolder) -> None:
    recorders = [Recorder(shard) for shard in range(2)]
    for recorder in recorders:
        connect(recorder, 50, took=0.1 + recorder.shard)
        folder.take(recorder.fold(1.0, gauges={"charge_points.online": 50}))
    for second in (2.0, 3.0):
        connect(recorders[0], 1)
        folder.take(recorders[0].fold(second, gauges={"charge_points.online": 50 + int(second)}))
    folder.flush(4.0)
    folder.lose(1)
    folder.close()

    assert [(row["begin_s"], row["online"], row["opened"]) for row in written(folder)] == [
        ("0", "100", "100"),
        ("1", "102", "1"),
        ("2", "53", "1"),
    ]
    assert (written(folder)[0]["connect_p50_s"], written(folder)[0]["connect_max_s"]) == ("0.100031", "1.100000")


def test_the_rows_add_up_to_what_was_counted_and_are_there_as_the_run_goes(folder: RunFolder) -> None:
    recorders = [Recorder(shard) for shard in range(2)]
    for tick in range(1, 101):
        for recorder in recorders:
            connect(recorder, tick)
            boot(recorder, accepted=tick)
            folder.take(recorder.fold(tick / 2, gauges={}))
        folder.flush(tick / 2)
        assert len(written(folder)) == tick // 2  # the second that has just ended, too
    folder.close()

    assert sum(int(row["opened"]) for row in written(folder)) == sum(
        int(row["boots_answered"]) for row in written(folder)
    )
    assert sum(int(row["attempted"]) for row in written(folder)) == 2 * 5050


def test_the_seconds_of_a_run_of_weeks_are_written_in_full(folder: RunFolder) -> None:
    recorder = Recorder()
    connect(recorder, 1)
    folder.take(recorder.fold(1_234_567.5, gauges={}))
    folder.close()

    assert [row["begin_s"] for row in written(folder)] == ["1234567"]
    assert [row["begin_s"] for row in rows(folder.path / "generator.csv")] == ["1234565"]
