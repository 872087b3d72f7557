"""What every client does alike: its arguments, and its phases, between which it stands still."""

from __future__ import annotations

import sys
from typing import Final, NamedTuple

IN_FLIGHT: Final = 50
"""Connects at a time: all at once would starve their own handshakes."""
WARM_UP: Final = 10
"""Calls of each connection before those that are measured."""
BOOT: Final = '{"chargePointVendor":"loadsim","chargePointModel":"virtual"}'


class Work(NamedTuple):
    """What is to be done: on *connections* to *url*, so many *calls* each."""

    url: str
    connections: int
    calls: int

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.url.split("/")[2].partition(":")
        return host, int(port)


def read_work() -> Work:
    """Read the command line: URL, connections, calls."""
    url, connections, calls = sys.argv[-3:]
    return Work(url, int(connections), int(calls))


def pause(word: str) -> None:
    """Say that a phase is over, and stand still until a line comes; a parent that has gone ends the process."""
    print(word, flush=True)
    if not sys.stdin.readline():
        sys.exit(1)
