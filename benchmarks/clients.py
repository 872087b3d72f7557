"""Measures clients beside each other: each in a process of its own, led through its phases, looked at from outside.

The sink is on another core where processes can be pinned. CPU and memory are those of the client's process and its
children, read while it stands still between two phases.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from tests.peers import NodeMissing, node_with_packages, start

PEERS: Final = Path(__file__).parent / "peers"
CLIENT_CORE: Final = 0
SINK_CORE: Final = 1


def _python(name: str, *arguments: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-m", f"benchmarks.peers.{name}", *arguments]


def _swarm() -> list[str]:
    return [node_with_packages(PEERS), str(PEERS / "swarm.mjs")]


@dataclass(frozen=True, slots=True)
class Client:
    """A client, what it is called in the tables, and how it is started."""

    label: str
    command: Callable[[], list[str]]


CLIENTS: Final = {
    "heartbeat": Client("loadsim", _python("own", "heartbeat")),
    "meter-values": Client("loadsim, MeterValues", _python("own", "meter_values")),
    "bare": Client("trio-websocket, bare", _python("bare_trio")),
    "pypi": Client("PyPI `ocpp` on `websockets`", _python("pypi_ocpp")),
    "swarm": Client("Node `ws`, a swarm written by hand", _swarm),
    "picows": Client("picows, which frames in C", _python("picows_floor")),
}


class Reading(NamedTuple):
    """CPU seconds so far, and bytes of memory, of a process and its children."""

    cpu: float
    memory: int


class Measured(NamedTuple):
    """What a connection costs in seconds of CPU and in bytes, and a call in seconds of CPU."""

    connect: float
    memory: float
    call: float


@dataclass(slots=True)
class Figures:
    """The rounds of one client."""

    rounds: list[Measured] = field(default_factory=list)

    def text(self, name: str, scale: float, unit: str) -> str:
        """Write the median of what is called *name*, with the smallest and the largest."""
        values = [getattr(measured, name) * scale for measured in self.rounds]
        return f"{statistics.median(values):.0f} {unit} ({min(values):.0f} to {max(values):.0f})"

    def median(self, name: str) -> float:
        """Return the median of what is called *name*."""
        middle: float = statistics.median(getattr(measured, name) for measured in self.rounds)
        return middle


class Missing(NamedTuple):
    """Why a client was not measured."""

    why: str


class Led:
    """A client that is led through its phases."""

    def __init__(self, client: Client, url: str, connections: int, calls: int) -> None:
        command = [*pinned(CLIENT_CORE), *client.command(), url, str(connections), str(calls)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seen = psutil.Process(self.process.pid)

    def wait_for(self, word: str) -> Reading:
        """Wait for the end of a phase, and look at the client while it stands still.

        Raises:
            RuntimeError: it has ended, or said something else.
        """
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        if said != word:
            raise RuntimeError(f"a client was to say {word!r} and said {said!r}")
        return self.read()

    def read(self) -> Reading:
        """Look at the client as it is now."""
        everyone = [self.seen, *self.seen.children(recursive=True)]
        times = [process.cpu_times() for process in everyone]
        return Reading(
            sum(each.user + each.system for each in times), sum(process.memory_info().rss for process in everyone)
        )

    def go_on(self) -> None:
        """Let the next phase begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def pinned(core: int) -> list[str]:
    """Return what to put before a command so that it stays on *core*; nothing where that cannot be."""
    taskset = shutil.which("taskset")
    cores = psutil.cpu_count() or 1
    return [taskset, "-c", str(core)] if taskset is not None and cores > core else []


@contextmanager
def lead(client: Client, url: str, connections: int, calls: int) -> Iterator[Led]:
    """Run *client* while the block lasts."""
    led = Led(client, url, connections, calls)
    try:
        yield led
    finally:
        led.process.kill()
        led.process.communicate()


def measure_once(client: Client, url: str, connections: int, calls: int) -> Measured:
    """Lead *client* through all its phases."""
    with lead(client, url, connections, calls) as led:
        ready = led.wait_for("ready")
        led.go_on()
        connected = led.wait_for("connected")
        led.go_on()
        warm = led.wait_for("warm")
        led.go_on()
        done = led.wait_for("done")
        led.go_on()
    return Measured(
        connect=(connected.cpu - ready.cpu) / connections,
        memory=(warm.memory - ready.memory) / connections,
        call=(done.cpu - warm.cpu) / (connections * calls),
    )


def side_by_side(names: Iterable[str], *, connections: int, calls: int, rounds: int) -> dict[str, Figures | Missing]:
    """Measure clients in turn, several *rounds*; one that cannot run here says why."""
    found: dict[str, Figures | Missing] = {name: Figures() for name in names}
    with start("sink", "--lifetime", "900", "--core", str(SINK_CORE)) as sink:
        for _ in range(rounds):
            for name, figures in found.items():
                if isinstance(figures, Missing):
                    continue
                try:
                    figures.rounds.append(measure_once(CLIENTS[name], sink.url, connections, calls))
                except NodeMissing as missing:
                    found[name] = Missing(str(missing))
    return found


def rows(found: dict[str, Figures | Missing]) -> Iterator[Sequence[str]]:
    """Write a row for each client: who, a call, a connection's memory, a connect."""
    for name, figures in found.items():
        if isinstance(figures, Missing):
            yield CLIENTS[name].label, f"not measured: {figures.why}", "", ""
        else:
            yield (
                CLIENTS[name].label,
                figures.text("call", 1e6, "us"),
                figures.text("memory", 1e-3, "kB"),
                figures.text("connect", 1e6, "us"),
            )
