"""The plan of calls of an embedded CSMS that is a process: told when to begin, given in a file, driven by hand."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from loadsim.cli import app
from loadsim.csms.options import BEGIN_CALLS, END_CALLS, ServerOptions
from loadsim.errors import ScenarioError, UsageError
from loadsim.scenario.plan import EmbeddedCsms, FaultPlan, PlannedCall
from tests.csms.test_process import DEADLINE, ROOT, ended, line, pipe, process, read

pytestmark = [pytest.mark.network, pytest.mark.timed]

EVERY_TENTH = PlannedCall(name="it", send="ClearCache", rate=10.0, spacing="even")


def due_after(
    seconds: float, words: bytes, *, later: bytes = b"", hold: bool = True, end: float | None = None
) -> int:
    """Return how many calls fall due within *seconds* after *words*, and within a second after *later*."""
    options = ServerOptions(behaviour=EmbeddedCsms(calls=(EVERY_TENTH,)), hold_calls=hold, calls_end=end)
    with process(line(options)) as running:
        assert "url" in read(running)
        stdin = pipe(running.stdin)
        for word in (words, later):
            if word:
                stdin.write(word)
                stdin.flush()
            time.sleep(seconds if word == words else 1.0)
        count: int = ended(running)["planned_calls"]["it"]["due"]
        return count


def test_held_calls_begin_when_they_are_told_to() -> None:
    assert due_after(1.0, b"") == 0
    assert due_after(1.0, BEGIN_CALLS) >= 15


def test_calls_that_are_not_held_begin_at_once() -> None:
    assert due_after(1.0, b"", hold=False) >= 15


def test_nothing_falls_due_any_more_once_it_is_told_so_or_the_run_is_over() -> None:
    assert due_after(0.5, BEGIN_CALLS, later=END_CALLS) <= 12
    assert due_after(0.5, BEGIN_CALLS, end=0.35) in (3, 4)


@pytest.mark.parametrize("how", ["stall", "restart", "refuse", "delay"])
def test_faults_begin_when_they_are_told_to_and_none_holds_up_the_end(how: Any) -> None:
    plan = FaultPlan(name="it", do="csms", how=how, at=0.2, duration=3600.0, latency=(60.0, 60.0))
    with process(line(ServerOptions(behaviour=EmbeddedCsms(faults=(plan,)), hold_calls=True))) as running:
        assert "url" in read(running)
        pipe(running.stdin).write(BEGIN_CALLS)
        pipe(running.stdin).flush()
        time.sleep(1.2)
        began = time.monotonic()
        record = ended(running)["faults"]["it"]
        took = time.monotonic() - began

    assert 0.2 <= record["begun_s"] < 0.7
    assert 0.5 < record["seconds"] < 3.0
    assert took < 5.0


def test_the_end_of_the_calls_is_that_of_a_fault() -> None:
    plan = FaultPlan(name="it", do="csms", how="stall", at=0.0, duration=3600.0)
    with process(line(ServerOptions(behaviour=EmbeddedCsms(faults=(plan,)), hold_calls=True))) as running:
        assert "url" in read(running)
        for word in (BEGIN_CALLS, END_CALLS):
            pipe(running.stdin).write(word)
            pipe(running.stdin).flush()
            time.sleep(0.5)
        time.sleep(1.0)
        record = ended(running)["faults"]["it"]

    assert record["begun_s"] < 0.3
    assert 0.3 < record["seconds"] < 1.2


def test_a_plan_that_cannot_be_carried_out_is_one_line_and_an_exit_code() -> None:
    options = ServerOptions(behaviour=EmbeddedCsms(calls=(PlannedCall(name="x", send="Heartbeat", rate=1.0),)))
    with process(line(options)) as running:
        assert "Heartbeat is for the charge point to send" in read(running)["error"]
        assert running.wait(DEADLINE) == 2


def test_mistakes_in_a_file_of_calls_are_all_told_before_anything_listens(tmp_path: Path) -> None:
    path = tmp_path / "calls.yaml"
    path.write_text("calls:\n  - {send: Rest, each: 1/h}\n  - {send: Reset, each: 1}\n", encoding="utf-8")

    result = CliRunner().invoke(app, ["csms", "--port", "0", "--calls", str(path)])

    assert isinstance(result.exception, ScenarioError)
    assert [(each.line, each.column) for each in result.exception.mistakes] == [(2, 12), (3, 25)]


def test_all_wrong_options_are_told_at_once_each_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("tag,status\nA,Perhaps\n", encoding="utf-8")
    (tmp_path / "calls.yaml").write_text(
        "calls: [{send: RemoteStartTransaction, each: 1, tags: Blocked}]\n", encoding="utf-8"
    )
    options = {
        "--tags": str(tmp_path / "tags.csv"),
        "--interval": "10",
        "--boot-status": "Accept",
        "--latency": "20",
        "--reject": "2",
        "--calls": str(tmp_path / "calls.yaml"),
        "--control": "127.0.0.1:99999",
    }
    arguments = [word for option in options.items() for word in option]

    result = CliRunner().invoke(app, ["csms", "--port", "0", *arguments])

    assert isinstance(result.exception, UsageError)
    said = [line.partition(": ")[0] for line in str(result.exception).splitlines() if not line.startswith(" ")]
    assert said == [*list(options)[:5], f"{options['--calls']}:1:46", "--control"]
    assert "got '10'; the unit is missing" in str(result.exception)
    assert "tag class" not in str(result.exception)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--interval", "1500ms", "expected whole seconds, as OCPP sends them; got '1500ms'"),
        ("--latency", "2s..1s", "expected a..b with a <= b, got '2s..1s'"),
        ("--control-token", "ä", "expected printable ASCII without spaces around it"),
    ],
)
def test_a_wrong_option_is_told_by_its_name(option: str, value: str, said: str) -> None:
    result = CliRunner().invoke(app, ["csms", "--port", "0", "--control", "127.0.0.1:0", option, value])

    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == f"{option}: {said}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--control", "8080"], "HOST:PORT"), (["--control", "0.0.0.0:0"], "without a token")],
)
def test_an_endpoint_that_cannot_be_is_told(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["csms", "--port", "0", *arguments], env={"LOADSIM_CONTROL_TOKEN": None})

    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)


@pytest.mark.skipif(sys.platform == "win32", reason="a console's Ctrl-C cannot be sent to one process")
def test_alone_it_draws_tags_by_status_tells_its_endpoint_and_ends_with_its_counts(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("tag,status\nGOOD,Accepted\nBAD,Blocked\n", encoding="utf-8")
    (tmp_path / "calls.yaml").write_text(
        "calls:\n  - {name: bad, send: RemoteStartTransaction, rate: 20/s, tags: Blocked}\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "loadsim.cli", "csms", "--port", "0", "--control", "127.0.0.1:0"]
    command += ["--tags", str(tmp_path / "tags.csv"), "--calls", str(tmp_path / "calls.yaml")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as running:
        try:
            assert pipe(running.stderr).readline().startswith(b"listening on ws://127.0.0.1:")
            said = pipe(running.stderr).readline().decode()
            record = get(said.split()[-1] + "/record")
            time.sleep(0.3)
            running.send_signal(signal.SIGINT)
            rest = pipe(running.stderr).read().decode()
            running.wait(DEADLINE)
        finally:
            running.kill()

    assert said.startswith("control endpoint on http://127.0.0.1:")
    assert record["planned_calls"]["bad"]["action"] == "RemoteStartTransaction"
    assert "planned call   bad: due " in rest


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=DEADLINE) as response:  # noqa: S310
        return json.load(response)
