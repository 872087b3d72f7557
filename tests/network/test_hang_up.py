"""A terminal that is closed does not end a run: it goes on without a console, and its results are written."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.network.running import ROOT, Running, is_alive, patiently, wait_until

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals on Windows"),
]

COUNT = 10
SCENARIO = f"""
version: 1
name: hang-up
seed: 9
csms: {{embedded: {{interval: 1s}}}}
fleets: {{demo: {{count: {COUNT}, authorize: 3600/h}}}}
stages: [{{for: DURATION, online: 100%, jump: true}}]
"""
# A session of its own whose terminal is the pseudo-terminal on stdin, as a shell in a terminal window has it.
AS_A_SHELL_DOES = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class InTerminal(Running):
    """A run in a pseudo-terminal, of which *master* is the side that a person looks at."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, master: int) -> None:
        super().__init__(process, folder)
        self.master = master
        self.shown = b""

    def stderr(self) -> str:
        return self.shown.decode(errors="replace")

    def read(self) -> None:
        """Take in what is on the screen, so that writing never waits."""
        while True:
            try:
                self.shown += os.read(self.master, 1 << 16)
            except BlockingIOError:
                return

    def close_terminal(self) -> None:
        os.close(self.master)
        self.master = -1


@contextmanager
def in_terminal(seconds: float, folder: Path, *options: str) -> Iterator[InTerminal]:
    import pty  # noqa: PLC0415 - there is none on Windows

    folder.mkdir()
    (folder / "scenario.yaml").write_text(SCENARIO.replace("DURATION", f"{seconds}s"), encoding="utf-8")
    master, terminal = pty.openpty()
    os.set_blocking(master, False)
    command = [sys.executable, "-m", "loadsim.cli", "run", str(folder / "scenario.yaml")]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("LOADSIM_")}
    process = subprocess.Popen(
        [sys.executable, "-c", AS_A_SHELL_DOES, *command, "--results", str(folder / "results"), *options],
        cwd=ROOT,
        env=environ | {"TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    under_way = InTerminal(process, folder, master)
    try:
        yield under_way
    finally:
        under_way.end()
        if under_way.master >= 0:
            under_way.close_terminal()


def summary_of(folder: Path) -> dict[str, object]:
    import json  # noqa: PLC0415

    return dict(json.loads((folder / "results" / "latest" / "summary.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("console", ["live", "plain"])
def test_a_run_goes_on_to_its_end_when_its_terminal_is_closed(console: str, tmp_path: Path) -> None:
    def attempt(seconds: float) -> tuple[InTerminal, int, float]:
        with in_terminal(seconds, tmp_path / str(seconds), "--console", console, "--workers", "2") as under_way:
            under_way.wait_for_connections(COUNT)
            time.sleep(1.5)
            under_way.read()
            children = under_way.children()
            under_way.close_terminal()
            time.sleep(1.5)
            alive = [is_alive(child) for child in children]
            under_way.demand_time(0.2, of=seconds)
            assert alive == [True] * 3
            assert under_way.process.poll() is None
            code = under_way.process.wait(60)
            wait_until(lambda: not any(map(is_alive, children)), "the end of all processes", 20)
        return under_way, code, seconds

    under_way, code, seconds = patiently(attempt, 7, 25)
    assert "hang-up" in under_way.stderr()
    summary = summary_of(under_way.folder)
    assert code == summary["exit_code"]
    assert code in (0, 4)
    assert summary["complete"] is True
    assert summary["duration_s"] == seconds
    assert summary["lost_workers"] == summary["troubles"] == summary["books"] == []
    log = (under_way.results / "latest" / "loadsim.log").read_text(encoding="utf-8")
    assert log == ""


def test_a_run_without_its_terminal_still_obeys_sigterm(tmp_path: Path) -> None:
    with in_terminal(60, tmp_path / "run", "--workers", "1") as under_way:
        under_way.wait_for_connections(COUNT)
        time.sleep(1.0)
        under_way.read()
        under_way.close_terminal()
        time.sleep(0.5)
        under_way.process.send_signal(signal.SIGTERM)
        code = under_way.process.wait(40)

    summary = summary_of(under_way.folder)
    assert code == summary["exit_code"] == 143
    assert summary["interrupted_by"] == "SIGTERM"
    assert summary["books"] == []
