"""faults.csv: a fault's charge points come back along a curve, as many as were counted, in a bounded file."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from random import Random

from msgspec import structs

from loadsim.metrics.recorder import Recorder
from loadsim.metrics.snapshot import Snapshot
from loadsim.output.csv_faults import FAULT_COLUMNS, FaultCurves
from loadsim.output.run_folder import RunFolder
from loadsim.scenario.plan import FaultPlan
from tests.output.builders import plan
from tests.output.test_run_folder import rows

NOW = datetime(2026, 11, 22, 9, 15)
WEEK = 7 * 86400


def curves_of(*recorders: Recorder, faults: tuple[str, ...] = ("storm",)) -> FaultCurves:
    curves = FaultCurves(faults)
    for recorder in recorders:
        curves.take(recorder.fold(1.0, gauges={}))
    return curves


def hit(recorder: Recorder, fault: str, offline: int, *, gone: int = 0) -> None:
    for what, count in {"hit": offline + 1, "offline": offline, "gone": gone}.items():
        recorder.counters[f"faults.{fault}.{what}"] += count


def test_the_curve_rises_to_all_that_can_come_back() -> None:
    first, second = Recorder(0), Recorder(1)
    hit(first, "storm", 3)
    hit(second, "storm", 2, gone=1)
    for recorder, seconds in ((first, 0.4), (first, 1.0), (second, 1.01), (first, 7.3)):
        recorder.recovered("storm", seconds)

    assert list(curves_of(first, second).rows()) == [
        ["storm", "0", 7, 5, 1, 0, "0.000000"],
        ["storm", "1", 7, 5, 1, 2, "0.500000"],
        ["storm", "2", 7, 5, 1, 3, "0.750000"],
        ["storm", "8", 7, 5, 1, 4, "1.000000"],
    ]


def test_a_fault_that_hit_nobody_has_no_row_and_one_that_took_nobody_offline_no_share() -> None:
    recorder = Recorder()
    hit(recorder, "slow", 0)

    assert list(curves_of(recorder, faults=("never", "slow")).rows()) == [["slow", "0", 1, 0, 0, 0, ""]]


def test_malformed_messages_and_kinds_of_them_are_no_faults_of_the_curve() -> None:
    recorder = Recorder()
    recorder.counters.update(
        {"faults.garbage.sent.huge": 5, "faults.garbage.hit": 5, "faults.garbage.messages_lost": 2}
    )

    assert list(curves_of(recorder, faults=("garbage",)).rows()) == [["garbage", "0", 5, 0, 0, 0, ""]]


def test_however_long_recoveries_take_the_rows_are_bounded() -> None:
    chance, curves = Random(1), FaultCurves(["storm"])
    for _ in range(2000):
        times = Counter(chance.randrange(WEEK * 100) for _ in range(100))
        counters = {"faults.storm.hit": 100, "faults.storm.offline": 100}
        curves.take(Snapshot(shard=0, elapsed=1.0, counters=counters, recoveries={"storm": dict(times)}))

    written = list(curves.rows())
    assert written[-1][-2:] == [200_000, "1.000000"]
    assert [int(row[1]) for row in written] == sorted({int(row[1]) for row in written})
    assert len(curves) <= len(written) <= 1 + 3600 + (WEEK - 3600) // 60


def test_the_file_is_there_from_the_beginning_and_grows_as_windows_close(tmp_path: Path) -> None:
    faults = (FaultPlan(name="storm", do="drop", at=1.0),)
    folder = RunFolder(tmp_path, structs.replace(plan(), faults=faults), now=NOW, workers=1)
    recorder = Recorder()

    def curve() -> list[tuple[str, str]]:
        return [(row["second"], row["back"]) for row in rows(folder.path / "faults.csv")]

    assert (folder.path / "faults.csv").read_text(encoding="utf-8") == ",".join(FAULT_COLUMNS) + "\n"
    hit(recorder, "storm", 2)
    recorder.recovered("storm", 1.5)
    folder.take(recorder.fold(3.0, gauges={}))
    folder.flush(8.0)
    assert curve() == [("0", "0"), ("2", "1")]
    recorder.recovered("storm", 2.5)
    folder.take(recorder.fold(8.0, gauges={}))
    folder.close()
    assert curve() == [("0", "0"), ("2", "1"), ("3", "2")]
    assert not list(folder.path.glob("*.new"))
