"""``loadsim report``: which run is meant, and what becomes of one that was killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from loadsim.errors import UsageError
from loadsim.output.checkpoint import STATE_FILE, Checkpoint, read_state
from loadsim.output.summary import build_summary
from loadsim.report_command import report, run_folder
from tests.output.builders import calls, plan, progress, take


def a_run(folder: Path, *, name: str = "smoke", summary: bool = True) -> Path:
    """Leave in *folder* what a run leaves: one that has ended, or one whose conductor is no more."""
    folder.mkdir(parents=True)
    run = progress(plan(name=name, checks=("all errors == 0",)), elapsed=20.0)
    take(run, calls("Heartbeat", [0.1] * 30), at=20.0, gauges={"online": 480})
    facts = {"schema": 1, "exit_code": 0 if summary else None, "command": f"loadsim run {name} --seed 1"}
    (folder / "run.json").write_text(json.dumps(facts))
    if summary:
        run.ended_at = 20.0
        (folder / "summary.json").write_text(json.dumps(build_summary(run, duration=20.0)))
        return folder
    Checkpoint(folder).write_if_due(run)
    state = read_state(folder)
    assert state is not None
    of_another_process = msgspec.structs.replace(state, started=state.started - 1000)
    (folder / STATE_FILE).write_bytes(msgspec.msgpack.encode(of_another_process))
    return folder


def test_the_report_of_a_run_is_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(a_run(tmp_path / "run"), as_json=False)

    said = capsys.readouterr().out
    assert said.startswith("PASSED  smoke")
    assert said.endswith("loadsim run smoke --seed 1\n")


def test_the_summary_can_be_had_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_run(tmp_path / "run")

    report(folder, as_json=True)

    assert json.loads(capsys.readouterr().out) == json.loads((folder / "summary.json").read_text())


def test_a_run_that_was_killed_gets_its_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_run(tmp_path / "run", summary=False)

    report(folder, as_json=False)

    summary = json.loads((folder / "summary.json").read_text())
    assert capsys.readouterr().out.startswith("PASSED INCOMPLETE  smoke")
    assert (summary["complete"], summary["exit_code"]) == (False, 3)
    assert summary["actions"]["Heartbeat"]["planned"] == 30
    assert json.loads((folder / "run.json").read_text())["exit_code"] == 3
    assert 'errors="1"' in (folder / "junit.xml").read_text()
    assert not (folder / STATE_FILE).exists()


def test_a_second_report_of_a_killed_run_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_run(tmp_path / "run", summary=False)
    report(folder, as_json=True)
    first = capsys.readouterr().out

    report(folder, as_json=True)

    assert capsys.readouterr().out == first


def test_a_run_that_goes_on_is_reported_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_run(tmp_path / "run", summary=False)
    run = progress(elapsed=20.0)
    Checkpoint(folder).write_if_due(run)

    report(folder, as_json=True)

    assert json.loads(capsys.readouterr().out)["troubles"] == ["the run goes on; figures up to 0:00:00"]
    assert not (folder / "summary.json").exists()


def test_of_a_results_folder_the_latest_run_is_meant(tmp_path: Path) -> None:
    a_run(tmp_path / "20260101-1000-smoke")
    newest = a_run(tmp_path / "20260101-1100-smoke")
    (tmp_path / "latest").write_text(f"{newest.name}\n")  # as where links are not allowed

    assert run_folder(tmp_path) == newest


def test_where_nothing_points_to_the_latest_run_the_newest_is_taken(tmp_path: Path) -> None:
    newest, old = a_run(tmp_path / "20260101-1000-b"), a_run(tmp_path / "20260101-1100-a")
    os.utime(old, (1, 1))

    assert run_folder(tmp_path) == newest


def test_a_folder_of_folders_that_are_not_named_as_runs_are_holds_no_run(tmp_path: Path) -> None:
    a_run(tmp_path / "tmpx7f")

    with pytest.raises(UsageError, match="holds no run"):
        run_folder(tmp_path)


def test_a_link_to_a_run_that_was_removed_does_not_hide_the_others(tmp_path: Path) -> None:
    there = a_run(tmp_path / "20260101-1000-a")
    (tmp_path / "latest").write_text("gone\n")

    assert run_folder(tmp_path) == there


@pytest.mark.parametrize("name", ["nope", "file"])
def test_what_is_no_folder_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(UsageError, match="expected the folder of a run"):
        report(tmp_path / name, as_json=False)


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        report(tmp_path, as_json=False)


def test_a_run_that_left_nothing_to_report_is_told(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"exit_code": 3}))

    with pytest.raises(UsageError, match="nothing to report: the run could not begin: exit code 3"):
        report(tmp_path, as_json=False)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": 2}', '{"schema": 1}'])
def test_a_damaged_summary_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(text)

    with pytest.raises(UsageError, match=r"summary\.json"):
        report(tmp_path, as_json=False)


def test_a_damaged_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_bytes(b"\xc1")

    with pytest.raises(UsageError, match=r"state\.msgpack is damaged"):
        report(tmp_path, as_json=False)


def test_a_line_of_errors_that_was_cut_off_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_run(tmp_path / "run")
    whole = {"at": 1.0, "charge_point": "CP1", "what": "Heartbeat", "cause": "timeout", "detail": "no answer in 30s"}
    (folder / "errors.jsonl").write_text(json.dumps(whole) + '\n{"at": 2.0, "charge_po')

    report(folder, as_json=False)

    assert "CP1" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value"), [("troubles", 5), ("thresholds", None), ("duration_s", "long"), ("duration_s", float("inf"))]
)
def test_a_checkpoint_of_something_else_is_told(key: str, value: object, tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run", summary=False)
    state = read_state(folder)
    assert state is not None
    strange = msgspec.structs.replace(state, summary={**state.summary, key: value})
    (folder / STATE_FILE).write_bytes(msgspec.msgpack.encode(strange))

    with pytest.raises(UsageError, match="is no summary of a run"):
        report(folder, as_json=False)


def test_a_run_whose_summary_was_removed_is_not_said_to_have_failed(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    (folder / "summary.json").unlink()

    with pytest.raises(UsageError, match=r"the run left no summary\.json; it ended with exit code 0"):
        report(folder, as_json=False)


def test_a_folder_of_a_name_that_no_system_takes_is_told() -> None:
    with pytest.raises(UsageError, match="x cannot be read: "):
        report(Path("x" * 5000), as_json=False)
