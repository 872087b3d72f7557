"""What a run leaves behind, written as it goes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from loadsim.metrics.recorder import Recorder
from loadsim.output.run_folder import RunFolder
from loadsim.output.summary import build_summary
from loadsim.scenario.plan import Stage
from tests.output.builders import calls as take_calls
from tests.output.builders import plan, progress, take

STAGES = (
    Stage(name="first", duration=3, online={"demo": 1}),
    Stage(name="second", duration=7, online={"demo": 1}),
)
NOW = datetime(2026, 11, 22, 9, 15)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def calls(recorder: Recorder, stage: int, count: int) -> None:
    series = recorder.series(stage, "Authorize")
    series.planned += count
    series.sent += count
    series.accepted += count
    series.response += [0.1] * count
    series.service += [0.1] * count


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path / "results", plan(stages=STAGES), now=NOW, workers=1)
    yield folder
    folder.close()


def test_a_window_that_a_stages_edge_divides_has_a_row_for_each_stage(folder: RunFolder) -> None:
    recorder = Recorder()
    calls(recorder, 0, 3)
    calls(recorder, 1, 2)
    folder.take(recorder.fold(4.5, gauges={}))
    folder.take(recorder.fold(9.0, gauges={}))
    folder.flush(9.0)

    assert [(row["stage"], row["sent"]) for row in rows(folder.path / "windows.csv")] == [
        ("first", "3"),
        ("second", "2"),
    ]


def test_what_comes_after_its_window_was_written_goes_into_the_next(folder: RunFolder) -> None:
    recorder = Recorder()
    calls(recorder, 0, 1)
    folder.take(recorder.fold(4.0, gauges={}))
    folder.flush(60.0)
    calls(recorder, 0, 2)
    folder.take(recorder.fold(4.5, gauges={}))
    folder.close()

    written = rows(folder.path / "windows.csv")
    assert [(row["begin_s"], row["sent"]) for row in written] == [("0", "1"), ("5", "2")]


def test_a_second_run_of_the_same_minute_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = [RunFolder(tmp_path, plan(), now=NOW, workers=1) for _ in range(2)]

    assert len({folder.path for folder in folders}) == 2
    assert (tmp_path / "latest").resolve() == folders[1].path.resolve()
    for folder in folders:
        folder.close()


def test_a_real_folder_of_the_name_latest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    RunFolder(tmp_path, plan(), now=NOW, workers=1).close()

    assert (tmp_path / "latest").is_dir()
    assert not list(tmp_path.glob(".latest*"))


def test_a_disk_that_is_full_ends_no_run_and_is_not_kept_quiet(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loadsim.output.csv_file.CsvFile.write", full)
    recorder = Recorder()
    calls(recorder, 0, 1)
    folder.take(recorder.fold(1.0, gauges={}))
    folder.flush(60.0)

    assert folder.problem is not None
    assert "No space left" in folder.problem


def test_sessions_have_a_row_a_window_with_what_all_workers_counted(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, plan(), now=NOW, workers=2)
    for shard, counts in enumerate(((3, 1500), (2, 500))):
        recorder = Recorder(shard)
        recorder.counters.update({"sessions.due": counts[0], "energy.delivered": counts[1]})
        recorder.time("remote_start").append(0.1 + shard / 10)
        folder.take(recorder.fold(3.0, gauges={"transactions.running": counts[0]}))
    folder.close()

    (row,) = rows(folder.path / "sessions.csv")
    assert (row["begin_s"], row["end_s"], row["charging"], row["sessions_due"]) == ("0", "5", "5", "5")
    assert (row["energy_delivered_wh"], row["sessions_no_free_connector"]) == ("2000", "0")
    assert (row["remote_start_mean_s"], row["remote_start_max_s"]) == ("0.150000", "0.200000")


def test_a_window_without_sessions_has_no_row_of_them(folder: RunFolder) -> None:
    recorder = Recorder()
    calls(recorder, 0, 1)
    folder.take(recorder.fold(3.0, gauges={"transactions.running": 0}))
    folder.close()

    assert rows(folder.path / "sessions.csv") == []
    assert rows(folder.path / "commands.csv") == []


def test_a_worker_that_is_silent_keeps_its_cars_and_one_that_is_lost_does_not(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, plan(), now=NOW, workers=3)
    recorders = [Recorder(shard) for shard in range(3)]
    for recorder in recorders:
        folder.take(recorder.fold(3.0, gauges={"transactions.running": 10}))
    folder.take(recorders[0].fold(8.0, gauges={"transactions.running": 7}))
    folder.flush(60.0)
    folder.lose(1)
    folder.take(recorders[0].fold(62.0, gauges={"transactions.running": 6}))
    folder.close()

    assert [row["charging"] for row in rows(folder.path / "sessions.csv")] == ["30", "27", "16"]


def test_calls_from_the_csms_have_a_row_for_each_action_and_window(folder: RunFolder) -> None:
    recorder = Recorder()
    recorder.counters.update({"commands.Reset.received": 2, "commands.Reset.refused": 1})
    recorder.counters.update({"commands.GetLog.received": 1, "commands.GetLog.ignored": 1})
    recorder.time("commands.Reset").extend([0.25, 0.75])
    folder.take(recorder.fold(3.0, gauges={}))
    recorder.counters["commands.Reset.received"] = 5
    folder.take(recorder.fold(8.0, gauges={}))
    folder.close()

    written = rows(folder.path / "commands.csv")
    assert [(row["begin_s"], row["action"], row["received"], row["refused"], row["ignored"]) for row in written] == [
        ("0", "GetLog", "1", "0", "1"),
        ("0", "Reset", "2", "1", "0"),
        ("5", "Reset", "5", "0", "0"),
    ]
    assert [row["answer_mean_s"] for row in written] == ["", "0.500000", ""]


def test_the_rows_of_sessions_add_up_to_what_was_counted(folder: RunFolder) -> None:
    recorder = Recorder()
    for tick in range(1, 101):
        recorder.counters.update({"transactions.begun": tick, "transactions.stopped": 1})
        folder.take(recorder.fold(tick / 2, gauges={"transactions.running": tick}))
        folder.flush(tick / 2)
    folder.close()

    written = rows(folder.path / "sessions.csv")
    assert sum(int(row["transactions_begun"]) for row in written) == 5050
    assert sum(int(row["transactions_stopped"]) for row in written) == 100
    assert [row["charging"] for row in written] == [str(ten * 10) for ten in range(1, 11)]


def test_the_summary_comes_with_the_same_verdict_for_pipelines(folder: RunFolder) -> None:
    run = progress(plan(checks=("all errors == 0",)), elapsed=10.0)
    take(run, take_calls("Authorize", [0.1], accepted=0, timeout=1))
    folder.write_summary(build_summary(run, duration=10.0))

    (suite,) = ET.parse(folder.path / "junit.xml").getroot().iter("testsuite")  # noqa: S314 - our own
    assert (suite.get("name"), suite.get("failures")) == ("smoke", "1")
    assert json.loads((folder.path / "summary.json").read_text(encoding="utf-8"))["verdict"] == "failed"
    assert not list(folder.path.glob("*.new"))
