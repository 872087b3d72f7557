"""The embedded CSMS as a process, and a charge point of another make against it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest

from loadsim.csms.options import ServerOptions
from loadsim.scenario.plan import EmbeddedCsms

pytestmark = pytest.mark.network

ROOT = Path(__file__).parents[2]
DEADLINE = 20.0


@contextmanager
def process(first_line: bytes) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(
        [sys.executable, "-m", "loadsim.csms"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        pipe(running.stdin).write(first_line)
        pipe(running.stdin).flush()
        yield running
    finally:
        running.kill()
        running.wait(DEADLINE)
        for end in (running.stdin, running.stdout, running.stderr):
            pipe(end).close()


def pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None
    return end


def line(options: ServerOptions) -> bytes:
    return msgspec.json.encode(options) + b"\n"


def read(running: subprocess.Popen[bytes]) -> Any:
    return json.loads(pipe(running.stdout).readline())


def ended(running: subprocess.Popen[bytes]) -> Any:
    """End the process in peace, and return its last line."""
    output, errors = running.communicate(timeout=DEADLINE)
    assert errors == b""
    assert running.returncode == 0
    return json.loads(output)


def test_the_end_of_stdin_ends_the_process_with_its_record() -> None:
    with process(line(ServerOptions())) as running:
        assert read(running)["url"].startswith("ws://127.0.0.1:")
        record = ended(running)

    assert record["connections"]["opened"] == 0
    assert record["actions"] == {}


def test_a_further_line_ends_the_process_too() -> None:
    with process(line(ServerOptions())) as running:
        assert "url" in read(running)
        pipe(running.stdin).write(b"\n")
        pipe(running.stdin).flush()
        assert "connections" in read(running)
        assert running.wait(DEADLINE) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a console's Ctrl-C cannot be sent to one process")
def test_the_ctrl_c_of_the_terminal_is_left_to_the_parent() -> None:
    with process(line(ServerOptions())) as running:
        assert "url" in read(running)
        for _ in range(3):
            running.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert running.poll() is None
        assert "connections" in ended(running)


@pytest.mark.parametrize(
    ("first_line", "said"),
    [
        (b"no json\n", "options"),
        (b"\n", "options"),
        (b'{"subprotocol": "ocpp9"}\n', "subprotocol"),
        (b'{"prot": 1}\n', "prot"),
        (b'{"behaviour": {"boot_status": ["Maybe"]}}\n', "Maybe"),
        (b'{"port": 99999}\n', "port 99999"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(first_line: bytes, said: str) -> None:
    with process(first_line) as running:
        answer = read(running)

        assert said in answer["error"]
        assert running.wait(DEADLINE) == 2
        assert pipe(running.stderr).read() == b""


def test_a_charge_point_of_another_make_gets_through_a_session() -> None:
    tags = {"GOOD": "Accepted", "BAD": "Blocked"}
    options = ServerOptions(subprotocol="ocpp1.6", behaviour=EmbeddedCsms(interval=30, tags=tags))
    with process(line(options)) as running:
        url = read(running)["url"]
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("pypi_charge_point.py")), f"{url}/ocpp/CP1"],
            capture_output=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        record = ended(running)

    assert json.loads(done.stdout) == {
        "subprotocol": "ocpp1.6",
        "boot": ["Accepted", 30],
        "heartbeat": True,
        "authorize": ["Accepted", "Blocked"],
        "start": "Accepted",
        "transaction": 1,
        "stop": "Accepted",
    }
    assert record["transactions"]["stopped"] == 1
    assert {counts["received"] - counts["answered"] for counts in record["actions"].values()} == {0}
    assert record["closed"] == {"1000": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="a console's Ctrl-C cannot be sent to one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_alone_it_reports_its_url_and_at_the_end_what_it_counted(number: signal.Signals) -> None:
    code = (
        "import functools, sys, trio; from loadsim.csms.options import ServerOptions;"
        "from loadsim.csms.standalone import run_standalone;"
        "sys.exit(trio.run(run_standalone, ServerOptions(), functools.partial(print, flush=True)))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as running:
        try:
            assert pipe(running.stdout).readline().startswith(b"listening on ws://127.0.0.1:")
            running.send_signal(number)
            rest = pipe(running.stdout).read()
            assert running.wait(DEADLINE) == number
        finally:
            running.kill()

    lines = rest.decode().split(os.linesep)
    assert lines[0] == "charge points  0 known, 0 accepted; 0 connections, 0 at a time"
    assert lines[1] == "no call was received"
