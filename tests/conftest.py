"""How the tests are shared out among processes (``-n``), and which of them coverage is measured with.

Tests that start processes wait more than they compute, the others only compute: one process of pytest-xdist takes
the computing ones, the others take those that wait, so that the machine is never idle, and runs that are judged by
their times have it nearly for themselves. Within each kind the longest file comes first, so that none is left over
at the end.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings

from tests import again

try:
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]
except ImportError:  # without pytest-xdist there is nothing to share out
    LoadFileScheduling = object

WAITING: Final = (
    "tests/network/test_truth.py",
    "tests/docs/test_readme_commands.py",
    "tests/network/test_recovery_truth.py",
    "tests/network/test_preflight.py",
    "tests/network/test_killed.py",
    "tests/network/test_outcomes.py",
    "tests/network/",
    "tests/peers/",
    "tests/docs/test_wheel.py",
    "tests/csms/test_calls_process.py",
    "tests/csms/test_faults.py",
    "tests/csms/test_other_peoples_charge_points.py",
    "tests/csms/test_process.py",
    "tests/csms/test_restart.py",
    "tests/csms/test_restart_fault.py",
    "tests/link/test_websocket_in_trouble.py",
)
"""Files and folders whose tests wait for processes and sockets, the longest first."""

COMPUTING: Final = (
    "tests/fleet/test_faults.py",
    "tests/v16/messages/test_schemas.py",
    "tests/output/test_constant_memory.py",
    "tests/v16/test_virtual_evening.py",
    "tests/fleet/",
)
"""Those whose tests compute for long, the longest first."""

# A machine that stands still for a moment is no failure, and the same code gives the same result. Other examples are
# looked at with `--hypothesis-profile searching`.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("searching", settings.get_profile("steady"), derandomize=False, max_examples=1000)
settings.load_profile("steady")

UNMEASURED: Final = (
    "tests/fleet/test_faults.py",
    "tests/fleet/test_faults_together.py",
    "tests/fleet/test_fleet.py",
    "tests/fleet/test_preflight.py",
    "tests/fleet/test_sessions.py",
    "tests/output/test_constant_memory.py",
    "tests/scenario/test_demand.py::test_a_plan_of_very_many_stages_is_there_in_seconds",
    "tests/scenario/test_hostile.py",
    "tests/v16/test_virtual_evening.py",
)
"""Tests of whole fleets and of long lives, that run three times as long while each line of theirs is traced."""


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(again)
    # Hundreds of processes are started, each of which would compile all of loadsim anew: a quarter of its beginning.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def place(path: str, kinds: tuple[str, ...]) -> int:
    """Return the place of *path*, or of its folder, in *kinds*; behind all of them if it is not there."""
    return next((number for number, kind in enumerate(kinds) if path.startswith(kind)), len(kinds))


def waits(path: str) -> bool:
    """Tell whether the tests of a file wait more than they compute."""
    return place(path, WAITING) < len(WAITING)


class TwoKinds(LoadFileScheduling):  # type: ignore[misc]
    """Shares out whole files: the first process takes those that compute, the others those that wait.

    Whoever has none of its kind left helps with the others.
    """

    def _assign_work_unit(self, node: Any) -> None:
        first = min(self.assigned_work, key=lambda each: str(each.gateway.id))
        self.workqueue.move_to_end(next_file(self.workqueue, waiting=node is not first), last=False)
        super()._assign_work_unit(node)


def next_file(queue: Mapping[str, Mapping[str, bool]], *, waiting: bool) -> str:
    """Choose the next file for a process that wants files that wait, or does not; of *queue*, tests by file."""

    def order(path: str) -> tuple[bool, int, int]:
        return waits(path) is not waiting, place(path, WAITING if waits(path) else COMPUTING), -len(queue[path])

    return min(queue, key=order)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share out whole files by their kinds where whole files are wanted (``--dist loadfile``)."""
    return TwoKinds(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Measure coverage, which is most of what a test costs, only where a test may show a line that no other does.

    What waits runs loadsim in other processes, and a property test goes the same ways a hundred times. Without them,
    and their fixtures, the figure is 2 % lower, and the whole suite takes half the time.
    """
    by_examples = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    if not (by_examples or waits(item.nodeid) or item.nodeid.startswith(UNMEASURED)):
        return (yield)
    with untraced():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """Import all modules without being traced where another process is: all of them import the same."""
    if getattr(session.config, "workerinput", {}).get("workerid", "gw0") == "gw0":
        return (yield)
    with untraced():
        return (yield)


@contextmanager
def untraced() -> Iterator[None]:
    """Measure no coverage while the block lasts.

    The tracers themselves are put aside: in a process of pytest-xdist coverage runs twice, and pausing one lets the
    other go on.
    """
    tracer, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        threading.settrace(of_threads)
        sys.settrace(tracer)
