"""An embedded CSMS of the tests with faults, and what they need to tell what these did."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from loadsim.csms.lines import LocalLines
from loadsim.csms.options import ServerOptions
from loadsim.csms.server import Client, Server
from loadsim.scenario.plan import EmbeddedCsms, FaultPlan
from tests.csms.peer import Peer, running

SOON = 0.2  # seconds from the beginning to the fault
LATE = 0.4  # seconds that this machine may be late
START = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-03-01T00:00:00Z"}


def fault(how: str, seconds: float = 0.6, *, at: float = SOON, **more: Any) -> FaultPlan:
    return FaultPlan(**{"name": how, "do": "csms", "how": how, "at": at, "duration": seconds, **more})


@asynccontextmanager
async def troubled(*faults: FaultPlan, end: float | None = None, **behaviour: Any) -> AsyncIterator[Server]:
    """Have a CSMS with *faults*, which has not begun."""
    options = ServerOptions(behaviour=EmbeddedCsms(faults=faults, **behaviour), hold_calls=True, calls_end=end)
    async with running(options) as server:
        yield server


def of(server: Server, name: str) -> Any:
    return server.record()["faults"][name]


def lines_of(server: Server) -> LocalLines[Client]:
    """Return the lines of a CSMS that has them in its own process."""
    lines = server._faults._lines
    assert isinstance(lines, LocalLines)
    return lines


async def begun(server: Server, name: str) -> float:
    """Begin, wait for the fault, and return its planned moment, by trio's clock."""
    zero = trio.current_time()
    server.begin()
    while of(server, name)["begun_s"] is None:  # noqa: ASYNC110
        await trio.sleep(0.005)
    (at,) = [each.at for each in server._options.behaviour.faults if each.name == name]
    assert at is not None
    assert at <= of(server, name)["begun_s"] < at + LATE
    return zero + at


async def timed(peer: Peer, times: list[float]) -> None:
    await peer.ask("Heartbeat", {})
    times.append(trio.current_time())
