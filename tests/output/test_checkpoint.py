"""The run so far on disk: how often, how much, and what is made of it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import msgspec
import pytest

from loadsim.output.checkpoint import STATE_FILE, Checkpoint, State, read_state, summary_of, write_whole
from loadsim.output.progress import Progress
from loadsim.output.summary import build_summary
from tests.output.builders import calls, plan, progress, stage, take


def running(elapsed: float = 20.0, *, measured_at: float | None = None) -> Progress:
    run = progress(plan(checks=("all p95 < 500ms",)), elapsed=elapsed)
    at = elapsed if measured_at is None else measured_at
    take(run, calls("Heartbeat", [0.1] * 30), at=at, gauges={"online": 480})
    run.elapsed = elapsed
    return run


def saved(folder: Path, run: Progress) -> State:
    Checkpoint(folder).write_if_due(run)
    state = read_state(folder)
    assert state is not None
    return state


def dead(state: State) -> State:
    """Return what a process wrote that was started at another time, and so is not there any more."""
    return msgspec.structs.replace(state, started=state.started - 1000)


def test_the_summary_of_a_killed_run_has_the_figures_of_the_checkpoint(tmp_path: Path) -> None:
    run = running()
    run.ended_at = 20.0
    expected = build_summary(run, duration=20.0)
    run.ended_at = None

    summary = summary_of(dead(saved(tmp_path, run)))

    for part in ("all", "actions", "connections", "thresholds", "stages", "generator", "verdict", "duration_s"):
        assert summary[part] == json.loads(json.dumps(expected[part])), part


def test_a_killed_run_is_not_complete_and_says_up_to_when_its_figures_go(tmp_path: Path) -> None:
    summary = summary_of(dead(saved(tmp_path, running(20.4, measured_at=20.0))))

    assert summary["complete"] is False
    assert summary["troubles"] == ["the run was killed; figures up to 0:00:20"]
    assert summary["exit_code"] == 3
    assert summary["duration_s"] == 20.0


def test_a_run_that_was_interrupted_before_it_was_killed_keeps_that_exit_code(tmp_path: Path) -> None:
    run = running()
    run.interrupted_by = "SIGTERM"

    assert summary_of(dead(saved(tmp_path, run)))["exit_code"] == 143


def test_who_is_online_at_the_checkpoint_counts_as_online_at_the_end(tmp_path: Path) -> None:
    assert summary_of(saved(tmp_path, running()))["charge_points"]["online_end"] == 480


def test_a_run_that_goes_on_is_not_called_killed(tmp_path: Path) -> None:
    state = saved(tmp_path, running())

    assert state.goes_on
    assert summary_of(state)["troubles"] == ["the run goes on; figures up to 0:00:20"]


def test_what_has_no_value_yet_fails_a_run_that_is_over_and_none_that_goes_on(tmp_path: Path) -> None:
    run = progress(plan(checks=("all p95 < 500ms", "Authorize p95 < 500ms")), elapsed=20.0)
    take(run, calls("Heartbeat", [0.1] * 30), at=20.0, gauges={"online": 480})
    state = saved(tmp_path, run)

    assert (summary_of(state)["verdict"], summary_of(dead(state))["verdict"]) == ("passed", "failed")
    assert (summary_of(state)["goes_on"], "goes_on" in summary_of(dead(state))) == (True, False)


def test_what_fails_so_far_fails_a_run_that_goes_on(tmp_path: Path) -> None:
    run = progress(plan(checks=("all p95 < 50ms", "Authorize p95 < 500ms")), elapsed=20.0)
    take(run, calls("Heartbeat", [0.1] * 30), at=20.0, gauges={"online": 480})

    assert summary_of(saved(tmp_path, run))["verdict"] == "failed"


def test_a_process_of_the_same_number_is_not_taken_for_the_run(tmp_path: Path) -> None:
    assert not dead(saved(tmp_path, running())).goes_on


def test_a_process_of_another_machine_is_not_looked_for_here() -> None:
    assert not State(elapsed=1.0, summary={}, host=f"not-{platform.node()}", pid=os.getpid()).goes_on


def test_the_run_itself_is_left_as_it_was(tmp_path: Path) -> None:
    run = running()
    saved(tmp_path, run)

    assert run.ended_at is None
    assert run.troubles == []


def writes(folder: Path, moments: Iterator[float], takes: float = 0.0) -> list[float]:
    """Return when a checkpoint is written that takes so many seconds each time."""
    stopwatch = chain.from_iterable((0.0, takes) for _ in repeat(None))
    checkpoint, run, when = Checkpoint(folder, stopwatch=lambda: next(stopwatch)), running(), []
    for run.elapsed in moments:
        checkpoint.write_if_due(run)
        if (folder / STATE_FILE).exists():
            when.append(run.elapsed)
            checkpoint.remove()
    return when


def test_it_is_written_a_second_after_the_beginning_and_then_every_five(tmp_path: Path) -> None:
    moments = (tick / 4 for tick in range(90))

    assert writes(tmp_path, moments) == [1.0, 5.0, 10.0, 15.0, 20.0]


def test_it_takes_no_more_than_a_hundredth_of_the_time(tmp_path: Path) -> None:
    moments = (tick / 4 for tick in range(200))

    assert writes(tmp_path, moments, takes=0.2) == [1.0, 21.0, 41.0]


def test_a_disk_that_is_full_is_tried_again_when_it_is_due(tmp_path: Path) -> None:
    checkpoint, run = Checkpoint(tmp_path), running()
    (tmp_path / f"{STATE_FILE}.new").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        checkpoint.write_if_due(run)
    (tmp_path / f"{STATE_FILE}.new").rmdir()

    checkpoint.write_if_due(run)
    at_once = (tmp_path / STATE_FILE).exists()
    run.elapsed = 60.0
    checkpoint.write_if_due(run)

    assert not at_once
    assert (tmp_path / STATE_FILE).exists()


def test_its_size_does_not_grow_with_the_run(tmp_path: Path) -> None:
    stages = tuple(stage(f"stage-{number}", 60.0, 500) for number in range(5))
    run = progress(plan(stages=stages), elapsed=290.0)
    deltas = [
        calls(f"Action{action}", [0.01 * (number + 1), 1.0 / (action + 1)], stage=number, tag_class=f"class{tags}")
        for action in range(20)
        for number in range(5)
        for tags in range(10)
    ]
    take(run, *deltas, at=290.0)
    saved(tmp_path, run)
    before = (tmp_path / STATE_FILE).stat().st_size
    for _ in range(20):
        take(run, *deltas, at=290.0)
    saved(tmp_path, run)

    assert (tmp_path / STATE_FILE).stat().st_size < before * 1.1 < 150_000


def test_a_file_that_is_replaced_is_whole_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    (tmp_path / "file.new").write_bytes(b"half of what a killed process was about to")

    assert path.read_bytes() == b"old"
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_without_a_checkpoint_has_none(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("data", [b"", b"\xc1", b"half", msgspec.msgpack.encode({"schema": 1})])
def test_a_damaged_checkpoint_is_told(data: bytes, tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_bytes(data)

    with pytest.raises(ValueError, match=r"state\.msgpack is damaged"):
        read_state(tmp_path)


def test_a_checkpoint_of_a_later_version_is_told(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_bytes(msgspec.msgpack.encode(State(schema=2, elapsed=1.0, summary={})))

    with pytest.raises(ValueError, match="schema 2; this version reads 1"):
        read_state(tmp_path)
