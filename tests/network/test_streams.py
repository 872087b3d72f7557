"""What becomes of commands whose stdout or stderr is closed, full, or of an old encoding: real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DEADLINE = 60
COMMAND = f"'{sys.executable}' -m loadsim.cli"
SCENARIO = """
version: 1
name: t
description: "\u00fc \u20ac"
fleets: {demo: {count: 2, session: short}}
stages: [{for: 10s, online: 100%, sessions: 1/s}]
sessions: {short: {plugged_in: 1h}}
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes and fills descriptors")


def shell(folder: Path, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    (folder / "t.yaml").write_text(SCENARIO, encoding="utf-8")
    return subprocess.run(  # noqa: S602 - the redirections are the test
        f"{COMMAND} {command}",
        shell=True,
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        env=os.environ | environ,
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["plan t.yaml", "ids t.yaml", "new smoke -"])
def test_what_cannot_be_written_to_stdout_is_told_in_a_line(tmp_path: Path, command: str) -> None:
    done = shell(tmp_path, f"{command} >/dev/full")

    assert done.stderr.splitlines()[-1] == "stdout cannot be written: No space left on device"
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("command", ["ids t.yaml", "new smoke -"])
def test_a_command_without_stdout_ends_well(tmp_path: Path, command: str) -> None:
    done = shell(tmp_path, f"{command} >&-")

    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_makes_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-m", "loadsim.cli", "schema"],
        stdout=writer,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=DEADLINE,
        check=False,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (0, "")


def test_without_stderr_no_warning_gets_into_stdout(tmp_path: Path) -> None:
    with_stderr = shell(tmp_path, "plan t.yaml --json")
    assert "warning" in with_stderr.stderr

    done = shell(tmp_path, "plan t.yaml --json 2>&-")

    assert json.loads(done.stdout)["name"] == "t"


def test_json_is_whole_in_an_encoding_that_lacks_its_characters(tmp_path: Path) -> None:
    done = shell(tmp_path, "plan t.yaml --json", PYTHONIOENCODING="ascii")

    assert json.loads(done.stdout)["description"] == "\u00fc \u20ac"
