"""``loadsim report``: a run's report again, from its folder; of a run that was killed, from what it kept so far."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from loadsim.errors import PreflightFailed, UsageError
from loadsim.metrics.snapshot import Example
from loadsim.output.checkpoint import STATE_FILE, State, read_state, summary_of, write_whole
from loadsim.output.final_report import render_report
from loadsim.output.junit import junit_xml
from loadsim.output.summary import SCHEMA
from loadsim.streams import print_json

_RUN: Final = "run.json"
_SUMMARY: Final = "summary.json"
_RUN_NAME: Final = re.compile(r"[0-9]{8}-[0-9]{4}-.+")
"""How a run's folder is called; one of another name is reported, and with it changed, only when it is named."""
_ANY: Final = (_RUN, _SUMMARY, STATE_FILE)


def report(path: Path, *, as_json: bool) -> None:
    """Print the report of the run in *path*: its folder, or a results folder, in which the latest is meant.

    The summary of a run that was killed is written beside what it left.

    Raises:
        UsageError: there is nothing to report.
    """
    folder = run_folder(path)
    summary = read_summary(folder)
    if summary is None:
        summary = _rebuild(folder)
    if as_json:
        print_json(summary, sys.stdout)
        return
    paths = {"results": str(folder)}
    if (folder / _SUMMARY).exists():
        paths["summary"] = str(folder / _SUMMARY)
    next_command = _read_json(folder / _RUN, {}).get("command")
    with _understood(folder / _SUMMARY):
        render_report(
            summary,
            examples=read_examples(folder),
            paths=paths,
            next_command=None if next_command is None else str(next_command),
            console=Console(),
        )


def run_folder(path: Path) -> Path:
    """Return the run folder that *path* is, or the latest of the results folder that it is.

    Raises:
        UsageError: it is neither.
    """
    try:
        what = "" if path.is_dir() else "is no folder" if path.exists() else "does not exist"
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
    if what:
        raise UsageError(f"{path} {what}; expected the folder of a run, or one with results in it")
    if _is_run(path):
        return path
    latest = path / "latest"
    try:
        # Where links are not allowed it is a file with the folder's name.
        newest = path / latest.read_text(encoding="utf-8").strip() if latest.is_file() else latest.resolve()
    except (OSError, UnicodeDecodeError):
        newest = latest
    if _is_run(newest):
        return newest
    runs = [
        each
        for each in path.iterdir()
        if _RUN_NAME.fullmatch(each.name) and each.is_dir() and not each.is_symlink() and _is_run(each)
    ]
    if not runs:
        raise UsageError(f"{path} holds no run: no {_RUN} in it, and no folder of a run such as 20261122-0915-smoke")
    return max(runs, key=lambda each: each.stat().st_mtime)


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return summary.json; None if there is none.

    Raises:
        UsageError: it cannot be understood.
    """
    summary: dict[str, Any] | None = _read_json(folder / _SUMMARY, None)
    if summary is None:
        return None
    if summary.get("schema") != SCHEMA:
        raise UsageError(
            f"{folder / _SUMMARY} is of schema {summary.get('schema')!r}; this version reads schema {SCHEMA}"
        )
    return summary


def read_examples(folder: Path) -> list[Example]:
    """Return the failures in errors.jsonl; a last line that is cut off, as of a killed run, is left out."""
    examples = []
    try:
        lines = (folder / "errors.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            examples.append(msgspec.json.decode(line, type=Example))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return examples


def _rebuild(folder: Path) -> dict[str, Any]:
    """Make the summary of a run that left none, and write it, unless the run goes on."""
    state = _state(folder)
    if state is None:
        ended = _read_json(folder / _RUN, {}).get("exit_code")
        why = "has only just begun, or was killed in its first second"
        if ended is not None:
            could_not = ended == PreflightFailed.exit_code
            why = f"{'could not begin:' if could_not else 'left no summary.json; it ended with'} exit code {ended}"
        raise UsageError(f"{folder}: nothing to report: the run {why}")
    with _understood(folder / STATE_FILE):
        summary = summary_of(state)
        junit = junit_xml(summary).encode()
    if not state.goes_on:
        _write(folder, state, summary, junit)
    return summary


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Turn whatever a file that is no summary, or a damaged one, leads to into a message that names it."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise UsageError(f"{path} is no summary of a run: {error!r}") from error


def _state(folder: Path) -> State | None:
    try:
        return read_state(folder)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def _write(folder: Path, state: State, summary: dict[str, Any], junit: bytes) -> None:
    """Write what the run did not come to write; a folder that cannot be written to is no reason not to report."""
    run = _read_json(folder / _RUN, {})
    run |= {"exit_code": summary["exit_code"], "duration_s": state.elapsed}
    try:
        write_whole(folder / "junit.xml", junit)
        write_whole(folder / _RUN, _json_bytes(run))
        write_whole(folder / _SUMMARY, _json_bytes(summary))
        (folder / STATE_FILE).unlink(missing_ok=True)
    except OSError as error:
        print(f"the summary cannot be written: {error}", file=sys.stderr)


def _json_bytes(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _read_json(path: Path, otherwise: Any) -> Any:
    """Return the mapping in a JSON file, *otherwise* if there is none.

    Raises:
        UsageError: it cannot be understood.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return otherwise
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} is damaged: expected an object")
    return content


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _ANY)
