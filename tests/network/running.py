"""Runs `loadsim run` as a user would: a process of its own, its output in files, every wait with a deadline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import Arrivals
from loadsim.metrics.thresholds import parse
from loadsim.v16.open_arrivals import arrival_times

ROOT = Path(__file__).parents[2]
DEADLINE = 120.0  # seconds: of a whole run, with much room for a busy machine
SETTLED = (0, 4)
"""Exit codes of a run that came to its planned end; 4 says that this machine was too busy for its figures."""


INVALID = 4
T = TypeVar("T")


class TooLate(AssertionError):
    """A step of the test did not come in time: the run was over, or nearly so. It says nothing of loadsim."""


def patiently(attempt: Callable[[float], T], *durations: float) -> T:
    """Return what *attempt* makes of a run that lasts the first of *durations* in which its steps come in time.

    The first is what a machine at leisure needs, and the others are for one that has other things to do.
    """
    for duration in durations[:-1]:
        with suppress(TooLate):
            return attempt(duration)
    return attempt(durations[-1])


def undisturbed(attempt: Callable[[], T], of: Callable[[T], Iterable[Run]], *, attempts: int = 3) -> T:
    """Return what *attempt* gives as soon as none *of* its runs is INVALID, at last even if one is.

    A machine that is busy for a moment makes a run INVALID, and rightly so.
    """
    for _ in range(attempts - 1):
        made = attempt()
        if all(ended.code != INVALID for ended in of(made)):
            return made
    return attempt()


def settled(attempt: Callable[[], Run], *, attempts: int = 3) -> Run:
    """Return the first of some runs that is not INVALID, at last even one that is."""
    return undisturbed(attempt, lambda ended: [ended], attempts=attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that has ended."""

    code: int
    stdout: str
    stderr: str
    results: Path
    seconds: float

    @property
    def folder(self) -> Path:
        """The run folder."""
        return (self.results / "latest").resolve(strict=True)

    @property
    def log(self) -> str:
        """What the workers and the embedded CSMS said on stderr."""
        return (self.folder / "loadsim.log").read_text(encoding="utf-8")

    @property
    def summary(self) -> Any:
        return json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))

    @property
    def examples(self) -> list[dict[str, Any]]:
        """The failures that errors.jsonl tells of."""
        lines = (self.folder / "errors.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def check(self, codes: Sequence[int] = SETTLED, *, books: bool = True) -> Any:
        """Demand one of *codes*, no traceback anywhere and books that close; return the summary."""
        said = f"exit code {self.code}: {self.stderr[-2000:]}"
        assert "Traceback" not in self.stderr, self.stderr[-4000:]
        assert self.code in codes, said
        assert self.log == "", self.log[-4000:]
        summary = self.summary
        assert summary["exit_code"] == self.code, said
        if books:
            assert summary["books"] == []
        return summary


class Running:
    """A run under way."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.began = time.monotonic()
        self._children: dict[int, psutil.Process] = {}

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def children(self) -> list[psutil.Process]:
        """Return the processes that the conductor has started."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self._children[child.pid] = child
        return [child for child in self._children.values() if is_alive(child)]

    def workers(self) -> list[psutil.Process]:
        return [child for child in self.children() if "loadsim.workers.shard_worker" in command_of(child)]

    def csms(self) -> psutil.Process:
        (csms,) = [child for child in self.children() if "loadsim.csms" in command_of(child)]
        return csms

    def wait_for_connections(self, count: int) -> None:
        """Wait until the workers hold *count* connections: the run has begun."""

        def enough() -> bool:
            self.demand_life()
            workers = self.workers()
            # All sockets of the machine are gone through for each process: seconds, if there are 100,000 of them.
            return sum(map(descriptors_of, workers)) >= count and sum(map(connections_of, workers)) >= count

        wait_until(enough, f"{count} connections", 40)

    def demand_life(self) -> None:
        """See that the run goes on.

        Raises:
            TooLate: it has come to its planned end.
        """
        code = self.process.poll()
        if code in SETTLED:
            raise TooLate(self.stderr())
        assert code is None, self.stderr()

    def demand_time(self, seconds: float, *, of: float) -> None:
        """See that the run, which was to last *of* seconds, goes on for *seconds* yet.

        It begins after its process has, so it is no nearer to its end than that process's age says.

        Raises:
            TooLate: it may be over sooner.
        """
        if (age := time.monotonic() - self.began) > of - seconds:
            raise TooLate(f"after {age:.1f} s of {of:g} less than {seconds:g} may be left")

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")

    def finish(self, timeout: float = DEADLINE) -> Run:
        """Wait for the run's end."""
        code = self.process.wait(timeout)
        return Run(
            code=code,
            stdout=(self.folder / "stdout").read_text(encoding="utf-8"),
            stderr=self.stderr(),
            results=self.results,
            seconds=time.monotonic() - self.began,
        )

    def end(self) -> None:
        """Leave nothing behind: of this run's own processes, by their ids."""
        left = self.children()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for child in left:
            with suppress(psutil.NoSuchProcess):
                child.send_signal(signal.SIGCONT) if sys.platform != "win32" else None
                child.kill()


@contextmanager
def running(
    text: str,
    folder: Path,
    *options: str,
    url: str | None = None,
    environ: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[Running]:
    """Run the scenario *text*, in which ${CSMS_URL} is *url*, while the block lasts; *prefix* is a shell's."""
    own = Path(tempfile.mkdtemp(dir=folder))
    (own / "scenario.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "loadsim.cli", "run", str(own / "scenario.yaml")]
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("LOADSIM_")}
    with (own / "stdout").open("wb") as stdout, (own / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [*prefix, *command, "--results", str(own / "results"), *options],
            cwd=ROOT,
            env=surroundings | {"CSMS_URL": url or ""} | dict(environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    under_way = Running(process, own)
    try:
        yield under_way
    finally:
        under_way.end()


def run(text: str, folder: Path, *options: str, url: str | None = None, **more: Any) -> Run:
    """Run the scenario *text* to its end."""
    with running(text, folder, *(options or ("-q",)), url=url, **more) as under_way:
        return under_way.finish()


def is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def command_of(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return list(process.cmdline())
    return []


def descriptors_of(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        if sys.platform == "win32":
            return int(process.num_handles())
        return int(process.num_fds())
    return 0


def connections_of(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return sum(each.status == psutil.CONN_ESTABLISHED for each in process.net_connections("tcp"))
    return 0


def wait_until(condition: Callable[[], bool], what: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.05)


def quiet_seed(fleets: Mapping[str, int], *, rate: float, edges: Sequence[float], slack: float = 0.1) -> int:
    """Return a seed with which no driver comes within *slack* seconds before an edge.

    A charge point begins to count when it is really started, a few milliseconds after its plan, and so do its
    drivers' arrivals: with this seed that cannot move one over the end, and two runs plan the same calls.
    All charge points are taken to begin at 0; *rate* is per second.
    """
    arrivals = Arrivals(rate=rate)
    for seed in range(1, 100_000):
        if not any(
            comes_near(arrivals, Draws(seed, fleet, n, "arrivals 1"), edges, slack)
            for fleet, count in fleets.items()
            for n in range(count)
        ):
            return seed
    raise AssertionError("no such seed: fewer charge points, or less slack")


def comes_near(arrivals: Arrivals, draws: Draws, edges: Sequence[float], slack: float) -> bool:
    last = max(edges)
    for due in arrival_times(arrivals, 0.0, draws):
        if due > last:
            return False
        if any(edge - slack < due <= edge for edge in edges):
            return True
    return False


def unmet(ended: Run) -> list[Any]:
    """Return the thresholds that a run did not meet; of an INVALID one, how long things took says nothing."""
    failed = [each for each in ended.summary["thresholds"] if not each["ok"]]
    if ended.code == INVALID:
        failed = [each for each in failed if parse(each["check"]).value_kind != "duration"]
    return failed


def books_balance(actions: Mapping[str, Any]) -> None:
    """Hold the counts of every action against each other, by the rules of the design, not by the run's own word."""
    for name, of in actions.items():
        errors = sum(of["errors"].values())
        assert of["planned"] == of["sent"] + of["waiting_at_end"] + of["skipped_offline"], name
        assert of["sent"] == of["answered"] + errors + of["open_at_end"], name
        assert of["answered"] == of["accepted"] + of["rejected"] + of["pending"], name
