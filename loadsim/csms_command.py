"""``loadsim csms``: the embedded CSMS alone, its options read and checked."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

import trio

from loadsim.csms.control import check_token, parse_place
from loadsim.csms.options import ServerOptions, SubprotocolRule
from loadsim.csms.standalone import run_standalone
from loadsim.csms.tag_file import STATUSES, TagFile, read_tag_file
from loadsim.errors import UsageError
from loadsim.scenario.plan import DEFAULT_TAGS, MOST_PROCESSES, EmbeddedCsms, PlannedCall, TagClass
from loadsim.units import parse_duration, parse_share, shown

_BOOT_STATUS: Final = ("Accepted", "Pending", "Rejected")
_Text = TypeVar("_Text")
_Value = TypeVar("_Value")
_Other = TypeVar("_Other")


def serve(
    *,
    host: str,
    port: int,
    subprotocol: str,
    password: str | None,
    interval: str,
    boot_status: str,
    tags: Path | None,
    processes: int,
    concurrent_tx: bool,
    latency: str,
    reject: str,
    db: Path | None,
    calls: Path | None,
    control: str | None,
    control_token: str | None,
) -> None:
    """Serve until Ctrl-C.

    Raises:
        UsageError: options make no sense or name files that cannot be used, all of which are told, or the port is
            taken.
    """
    given, default = _Given(), EmbeddedCsms()
    known = TagFile() if tags is None else given.take("--tags", read_tag_file, tags, None)
    behaviour = EmbeddedCsms(
        interval=given.take("--interval", _whole_seconds, interval, default.interval),
        boot_status=given.take("--boot-status", _statuses, boot_status, default.boot_status),
        latency=given.take("--latency", _latency, latency, default.latency),
        reject=given.take("--reject", parse_share, reject, default.reject),
        tags=None if tags is None or known is None else known.statuses,
        parents={} if known is None else known.parents,
        expiries={} if known is None else known.expiries,
        concurrent_tx=concurrent_tx,
        processes=given.take("--processes", _processes, processes, default.processes),
        calls=() if calls is None else given.take("--calls", lambda path: _calls(path, known), calls, ()),
    )
    if control is not None:
        place = given.take("--control", parse_place, control, None)
        if place is not None:
            given.take("--control-token", lambda token: check_token(control, place[0], token), control_token, None)
    given.check()
    options = ServerOptions(
        host=host,
        port=port,
        subprotocol=cast("SubprotocolRule", subprotocol),
        password=password,
        db=None if db is None else str(db),
        behaviour=behaviour,
        control=control,
        control_token=control_token,
    )
    trio.run(run_standalone, options, lambda line: print(line, file=sys.stderr, flush=True))


class _Given:
    """The options as they are read, and what is wrong with them."""

    def __init__(self) -> None:
        self._mistakes: list[UsageError] = []

    def take(self, option: str, read: Callable[[_Text], _Value], given: _Text, otherwise: _Other) -> _Value | _Other:
        """Return what *read* makes of what was *given*; where that is wrong, note it and return *otherwise*."""
        try:
            return read(given)
        except UsageError as error:  # it names the option, or the file and the line
            self._mistakes.append(error)
        except ValueError as error:
            self._mistakes.append(UsageError(f"{option}: {error}"))
        return otherwise

    def check(self) -> None:
        """Go on only where nothing was wrong.

        Raises:
            UsageError: something was; the text says all of it.
        """
        if len(self._mistakes) == 1:
            raise self._mistakes[0]
        if self._mistakes:
            raise UsageError("\n".join(map(str, self._mistakes)))


def _calls(path: Path, known: TagFile | None) -> tuple[PlannedCall, ...]:
    """Read a plan of calls; the tag classes in it are the statuses that the tag file has.

    Where that file is wrong, *known* is None and any status is taken, so that the plan's own mistakes show.
    """
    from loadsim.scenario.read_calls import read_calls  # noqa: PLC0415 - only a plan needs YAML

    classes: dict[str, list[str]] = {}
    for tag, status in known.statuses.items() if known is not None else ((each, each) for each in STATUSES):
        classes.setdefault(status, []).append(tag)
    tag_classes = [
        TagClass(name=status, expect=status, count=len(tags), tags=tuple(tags)) for status, tags in classes.items()
    ]
    return read_calls(path, os.environ, tag_classes or [DEFAULT_TAGS])


def _processes(number: int) -> int:
    if not 1 <= number <= MOST_PROCESSES:
        raise ValueError(f"expected 1 to {MOST_PROCESSES}, got {number}")
    return number


def _whole_seconds(text: str) -> int:
    seconds = parse_duration(text)
    if seconds % 1:
        raise ValueError(f"expected whole seconds, as OCPP sends them; got {shown(text)}")
    return int(seconds)


def _statuses(text: str) -> tuple[str, ...]:
    statuses = tuple(each.strip() for each in text.split(","))
    for status in statuses:
        if status not in _BOOT_STATUS:
            raise ValueError(f"expected {', '.join(_BOOT_STATUS)}; got {shown(status)}")
    return statuses


def _latency(text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    first = parse_duration(low)
    second = parse_duration(high) if dots else first
    if second < first:
        raise ValueError(f"expected a..b with a <= b, got {shown(text)}")
    return first, second
