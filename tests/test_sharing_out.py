"""How tests are shared out among processes, and tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import COMPUTING, UNMEASURED, WAITING, next_file, waits
from tests.network.running import Run, TooLate, patiently, settled

ROOT = Path(__file__).parents[1]
QUEUE: dict[str, dict[str, bool]] = {
    "tests/test_units.py": {"a": False, "b": False},
    "tests/test_trial.py": {"a": False},
    "tests/network/test_plan.py": {"a": False},
    "tests/fleet/test_fleet.py": {"a": False},
    "tests/network/test_truth.py": {"a": False},
}


@pytest.mark.parametrize("path", sorted({*WAITING, *COMPUTING, *UNMEASURED}))
def test_every_file_that_is_named_is_there(path: str) -> None:
    name, _, test = path.partition("::")

    assert (ROOT / name).exists()
    assert f"def {test}" in (ROOT / name).read_text(encoding="utf-8") if test else True


def test_who_takes_what_waits_begins_with_the_longest_and_helps_with_the_rest() -> None:
    assert taken(waiting=True) == [
        "tests/network/test_truth.py",
        "tests/network/test_plan.py",
        "tests/fleet/test_fleet.py",
        "tests/test_units.py",
        "tests/test_trial.py",
    ]


def test_who_takes_what_computes_leaves_what_waits_until_nothing_else_is_left() -> None:
    assert taken(waiting=False) == [
        "tests/fleet/test_fleet.py",
        "tests/test_units.py",
        "tests/test_trial.py",
        "tests/network/test_truth.py",
        "tests/network/test_plan.py",
    ]


def taken(*, waiting: bool) -> list[str]:
    left, found = dict(QUEUE), []
    while left:
        found.append(next_file(left, waiting=waiting))
        del left[found[-1]]
    return found


def test_whole_runs_wait_and_what_is_pure_computes() -> None:
    assert waits("tests/network/test_plan.py::test_a")
    assert not waits("tests/test_units.py::test_a")


def test_a_step_that_came_too_late_is_tried_in_a_longer_run() -> None:
    tried: list[float] = []

    def attempt(seconds: float) -> float:
        tried.append(seconds)
        if seconds < 20:
            raise TooLate
        return seconds

    assert patiently(attempt, 5, 20, 60) == 20
    assert tried == [5, 20]


@pytest.mark.parametrize("error", [AssertionError, TooLate])
def test_what_fails_for_another_reason_or_in_the_longest_run_fails(error: type[Exception]) -> None:
    tried: list[float] = []

    def attempt(seconds: float) -> None:
        tried.append(seconds)
        raise error

    with pytest.raises(error):
        patiently(attempt, 5, 20)
    assert tried == ([5, 20] if error is TooLate else [5])


@pytest.mark.parametrize(("codes", "last"), [([4, 0, 99], 0), ([99, 0], 99), ([4, 4, 4, 0], 4)])
def test_a_run_that_is_invalid_is_made_again_thrice_at_most(codes: list[int], last: int) -> None:
    made = iter(codes)

    assert settled(lambda: ended_with(next(made))).code == last


def ended_with(code: int) -> Run:
    return Run(code=code, stdout="", stderr="", results=ROOT, seconds=1.0)
