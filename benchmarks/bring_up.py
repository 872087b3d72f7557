"""How many charge points a second come up on one core, over TCP and over TLS, and what TLS costs in memory."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import table
from benchmarks.certificate import make_certificate
from benchmarks.clients import CLIENT_CORE, SINK_CORE
from benchmarks.running import Ran, run

ROUNDS: Final = 3
_SINK: Final = ("--core", str(SINK_CORE))


class Pace(NamedTuple):
    """How many came a second, the worker's CPU seconds for each, and how busy the sink was in its worst second."""

    rate: float
    each: float
    sink: float


class Burst(NamedTuple):
    """Things that happened one soon after the other: how many, and the first and the last, since 1970."""

    events: int
    begin: float
    end: float

    def pace(self, ran: Ran) -> Pace:
        """Return how fast they came in a run."""
        cpu = ran.watch.workers_between(self.begin, self.end)
        return Pace(self.events / (self.end - self.begin), cpu / self.events, ran.sink_busy)


def measure() -> Iterator[str]:
    """Have conductor and worker share one core, and the sink have the other."""
    plain = [_plain() for _ in range(ROUNDS)]
    yield table.figure("bring-up", _text(plain))
    with tempfile.TemporaryDirectory() as folder:
        rounds = [_over_tls(Path(folder)) for _ in range(ROUNDS)]
    yield table.figure("tls-full", _text([each.first for each in rounds]))
    back, resumed = sum(each.came_back for each in rounds), sum(each.resumed for each in rounds)
    yield table.figure(
        "tls-resumed", f"{_text([each.back for each in rounds])}; {resumed:,} of {back:,} had a ticket"
    )
    yield table.figure("tls-memory", f"{statistics.median(each.memory for each in rounds) / 1e3:.1f} kB")


def burst(happened: dict[str, int], begin: int, end: int) -> Burst:
    """Return what happened from number *begin* up to *end*, of what is told by hundredths of a second since 1970."""
    moments = sorted(int(at) for at, count in happened.items() for _ in range(count))[begin:end]
    return Burst(len(moments), moments[0] / 100, moments[-1] / 100)


def _plain() -> Pace:
    ran = run("bring-up.yaml", "--workers", "1", core=CLIENT_CORE, server=_SINK)
    ran.check()
    return _booted(ran).pace(ran)


def _booted(ran: Ran) -> Burst:
    """Return the boots, but for the first charge point's, which comes alone, before the run begins."""
    planned = ran.summary["charge_points"]["planned"]
    assert ran.record["received"]["BootNotification"] == planned, "the machine is too busy: they did not all boot"
    return burst(ran.record["booted_at"], 1, planned)


class OverTls(NamedTuple):
    """A run over TLS: how fast they came first and again, how many *came_back*, and with a ticket; bytes each."""

    first: Pace
    back: Pace
    came_back: int
    resumed: int
    memory: float


def _over_tls(folder: Path) -> OverTls:
    certificate = make_certificate(folder)
    server = (*_SINK, "--certificate", str(certificate.certificate), "--key", str(certificate.key))
    environment = {"CSMS_CA": str(certificate.certificate)}
    ran = run("tls.yaml", "--workers", "1", core=CLIENT_CORE, server=server, environment=environment)
    ran.check(dropped=True)
    booted, planned = _booted(ran), ran.summary["charge_points"]["planned"]
    back = burst(ran.record["opened_at"], planned, 2 * planned)
    assert booted.end < back.begin, "the machine is too busy: not all were there when they were dropped"
    assert back.events > planned / 2, "the machine is too busy: less than half of them came back"
    resumed = ran.record["connections"]["resumed"]
    return OverTls(booted.pace(ran), back.pace(ran), back.events, resumed, ran.memory_each("up"))


def _text(rounds: list[Pace]) -> str:
    rates = [pace.rate for pace in rounds]
    each, sink = statistics.median(pace.each for pace in rounds), max(pace.sink for pace in rounds)
    told = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
    return f"{told}, {each * 1e6:.0f} us of the worker's CPU each, the sink's at {sink:.0%}"
