"""``loadsim csms``: the embedded CSMS alone, its options read and checked."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final, cast

import trio

from loadsim.csms.options import ServerOptions, SubprotocolRule
from loadsim.csms.standalone import run_standalone
from loadsim.csms.tag_file import TagFile, read_tag_file
from loadsim.errors import UsageError
from loadsim.scenario.plan import DEFAULT_TAGS, EmbeddedCsms, PlannedCall, TagClass
from loadsim.units import parse_duration, parse_share

_BOOT_STATUS: Final = ("Accepted", "Pending", "Rejected")


def serve(
    *,
    host: str,
    port: int,
    subprotocol: str,
    password: str | None,
    interval: str,
    boot_status: str,
    tags: Path | None,
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
        UsageError: an option makes no sense, a file cannot be used, or the port is taken.
    """
    known = TagFile() if tags is None else read_tag_file(tags)
    try:
        behaviour = EmbeddedCsms(
            interval=_whole_seconds(interval),
            boot_status=_statuses(boot_status),
            latency=_latency(latency),
            reject=parse_share(reject),
            tags=None if tags is None else known.statuses,
            parents=known.parents,
            expiries=known.expiries,
            concurrent_tx=concurrent_tx,
            calls=() if calls is None else _calls(calls, known),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
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


def _calls(path: Path, known: TagFile) -> tuple[PlannedCall, ...]:
    """Read a plan of calls; the tag classes in it are the statuses that the tag file has."""
    from loadsim.scenario.read_calls import read_calls  # noqa: PLC0415 - only a plan needs YAML

    classes: dict[str, list[str]] = {}
    for tag, status in known.statuses.items():
        classes.setdefault(status, []).append(tag)
    tag_classes = [
        TagClass(name=status, expect=status, count=len(tags), tags=tuple(tags)) for status, tags in classes.items()
    ]
    return read_calls(path, os.environ, tag_classes or [DEFAULT_TAGS])


def _whole_seconds(text: str) -> int:
    seconds = parse_duration(text)
    if seconds % 1:
        raise ValueError(f"--interval: expected whole seconds, as OCPP sends them; got {text!r}")
    return int(seconds)


def _statuses(text: str) -> tuple[str, ...]:
    statuses = tuple(each.strip() for each in text.split(","))
    for status in statuses:
        if status not in _BOOT_STATUS:
            raise ValueError(f"--boot-status: expected {', '.join(_BOOT_STATUS)}; got {status!r}")
    return statuses


def _latency(text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    first = parse_duration(low)
    second = parse_duration(high) if dots else first
    if second < first:
        raise ValueError(f"--latency: expected a..b with a <= b, got {text!r}")
    return first, second
