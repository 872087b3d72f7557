"""What every peer does alike: options, the line with its url, the end with its stdin, and the record."""

import argparse
import asyncio
import json
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

HOST = "127.0.0.1"
BACKLOG = 8192  # thousands of charge points may knock in one instant; the kernel cuts this to its own maximum
LIFETIME = 300.0  # seconds: no peer lives longer, whatever becomes of its parent

Record = dict[str, object]


def options(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--lifetime", type=float, default=LIFETIME, help="seconds, at most")
    return parser


def raise_descriptor_limit() -> None:
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # some systems cap it below what they call the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def announce(server: asyncio.Server) -> None:
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"ws://{HOST}:{port}/ocpp"}), flush=True)


def report(record: Mapping[str, object]) -> None:
    print(json.dumps(record), flush=True)


async def until_the_parent_ends_it(lifetime: float) -> None:
    """Wait for the end of stdin, or for anything to be read from it, for *lifetime* seconds at most.

    A line ends it too: another child of the parent may have inherited the pipe and hold it open.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def watch() -> None:
        with suppress(OSError):
            os.read(0, 1)  # not sys.stdin: its lock would be held when the interpreter ends before it
        with suppress(RuntimeError):  # the loop is closed: the lifetime was over first
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), lifetime)


def now_text(later: float = 0.0) -> str:
    """Give the time of day as OCPP writes it, now or so many seconds *later*."""
    return (datetime.now(UTC) + timedelta(seconds=later)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def percentile(ordered: Sequence[float], per_mille: int) -> float:
    """Give the nearest-rank percentile: the smallest value that at least so many of all do not exceed.

    Raises:
        IndexError: *ordered* is empty.
    """
    rank = -(-len(ordered) * per_mille // 1000)  # rounded up, in integers
    return ordered[max(rank, 1) - 1]


def figures(seconds: Sequence[float]) -> Record:
    """Sum up durations, in milliseconds; without any there is a count only, never a 0."""
    ordered = sorted(seconds)
    if not ordered:
        return {"count": 0}
    return {
        "count": len(ordered),
        "min_ms": ordered[0] * 1e3,
        "mean_ms": sum(ordered) / len(ordered) * 1e3,
        "p50_ms": percentile(ordered, 500) * 1e3,
        "p95_ms": percentile(ordered, 950) * 1e3,
        "p99_ms": percentile(ordered, 990) * 1e3,
        "p99.9_ms": percentile(ordered, 999) * 1e3,
        "max_ms": ordered[-1] * 1e3,
    }
