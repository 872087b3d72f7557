"""What a run leaves behind, written as it goes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from loadsim.metrics.recorder import Recorder
from loadsim.output.run_folder import RunFolder
from loadsim.scenario.plan import Stage
from tests.output.builders import plan

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

    monkeypatch.setattr("loadsim.output.run_folder._CsvFile.write", full)
    recorder = Recorder()
    calls(recorder, 0, 1)
    folder.take(recorder.fold(1.0, gauges={}))
    folder.flush(60.0)

    assert folder.problem is not None
    assert "No space left" in folder.problem
