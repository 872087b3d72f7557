"""``loadsim csms``: the embedded CSMS alone, its options read and checked."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Final, cast

import trio

from loadsim.csms.options import ServerOptions, SubprotocolRule
from loadsim.csms.standalone import run_standalone
from loadsim.errors import UsageError
from loadsim.scenario.plan import EmbeddedCsms
from loadsim.units import parse_duration, parse_share

_BOOT_STATUS: Final = ("Accepted", "Pending", "Rejected")
_TAG_STATUS: Final = ("Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx")


def serve(
    *,
    host: str,
    port: int,
    subprotocol: str,
    password: str | None,
    interval: str,
    boot_status: str,
    tags: Path | None,
    latency: str,
    reject: str,
) -> None:
    """Serve until Ctrl-C.

    Raises:
        UsageError: an option makes no sense, or the port is taken.
    """
    try:
        behaviour = EmbeddedCsms(
            interval=_whole_seconds(interval),
            boot_status=_statuses(boot_status),
            latency=_latency(latency),
            reject=parse_share(reject),
            tags=None if tags is None else _tags(tags),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    options = ServerOptions(
        host=host,
        port=port,
        subprotocol=cast("SubprotocolRule", subprotocol),
        password=password,
        behaviour=behaviour,
    )
    trio.run(run_standalone, options, lambda line: print(line, file=sys.stderr, flush=True))


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


def _tags(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"tag", "status"} <= set(rows.fieldnames or ()):
                raise ValueError(f"--tags: {path}: expected the columns tag,status")
            tags = {row["tag"]: row["status"] for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"--tags: {path}: {error}") from error
    for tag, status in tags.items():
        if status not in _TAG_STATUS:
            raise ValueError(f"--tags: {path}: {tag}: expected {', '.join(_TAG_STATUS)}; got {status!r}")
    return tags
