"""The exit code of a run: what went wrong first, by its precedence."""

from __future__ import annotations

import pytest

from loadsim.output.summary import exit_code
from tests.output.builders import calls, plan, progress, take


@pytest.mark.parametrize(
    ("broken", "signal", "lost", "judged", "code"),
    [
        (0, None, False, "passed", 0),
        (0, None, False, "failed", 99),
        (0, None, False, "invalid", 4),
        (0, None, True, "invalid", 3),
        (0, "SIGINT", True, "failed", 130),
        (0, "SIGTERM", False, "passed", 143),
        (1, "SIGINT", True, "failed", 1),
        (2, None, False, "passed", 1),
    ],
)
def test_the_worst_that_happened_is_the_exit_code(
    broken: int, signal: str | None, lost: bool, judged: str, code: int
) -> None:
    run = progress(plan())
    take(run, calls("Heartbeat", [0.1]), counters={"generator.broken": broken} if broken else {})
    run.interrupted_by = signal
    if lost:
        run.lose(0, "killed")

    assert exit_code(run, judged) == code
