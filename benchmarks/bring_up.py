"""How many charge points a second come up on one core, over TCP and over TLS, and what TLS costs in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import table
from benchmarks.certificate import make_certificate
from benchmarks.clients import CLIENT_CORE, SINK_CORE
from benchmarks.running import Ran, run

ROUNDS: Final = 3
_LULL: Final = 0.5
"""Seconds without a connect that tell those who come back from those who came first."""
_SINK: Final = ("--core", str(SINK_CORE))


class Burst(NamedTuple):
    """Things that happened one soon after the other: how many, and the first and the last, since 1970."""

    events: int
    begin: float
    end: float

    def rate(self, ran: Ran) -> tuple[float, float]:
        """Return how many there were a second, and the CPU seconds that the worker took for each."""
        return self.events / (self.end - self.begin), ran.watch.workers_between(self.begin, self.end) / self.events


def measure() -> Iterator[str]:
    """Have conductor and worker share one core, and the sink have the other."""
    plain = [_plain() for _ in range(ROUNDS)]
    yield table.figure("bring-up", _text(plain))
    with tempfile.TemporaryDirectory() as folder:
        rounds = [_over_tls(Path(folder)) for _ in range(ROUNDS)]
    yield table.figure("tls-full", _text([full for full, _, _ in rounds]))
    yield table.figure("tls-resumed", _text([resumed for _, resumed, _ in rounds]))
    yield table.figure("tls-memory", f"{min(memory for _, _, memory in rounds) / 1e3:.1f} kB")


def bursts(happened: dict[str, int], lull: float = _LULL) -> list[Burst]:
    """Divide what happened, by hundredths of a second since 1970, where nothing did for *lull* seconds."""
    found: list[Burst] = []
    for at, count in sorted((int(at) / 100, count) for at, count in happened.items()):
        if found and at - found[-1].end < lull:
            found[-1] = found[-1]._replace(events=found[-1].events + count, end=at)
        else:
            found.append(Burst(count, at, at))
    return found


def _plain() -> tuple[float, float]:
    ran = run("bring-up.yaml", "--workers", "1", core=CLIENT_CORE, server=_SINK)
    ran.check()
    (booted,) = _large(ran.record["booted_at"], ran.summary["charge_points"]["planned"])
    return booted.rate(ran)


def _over_tls(folder: Path) -> tuple[tuple[float, float], tuple[float, float], float]:
    certificate = make_certificate(folder)
    server = (*_SINK, "--certificate", str(certificate.certificate), "--key", str(certificate.key))
    environment = {"CSMS_CA": str(certificate.certificate)}
    ran = run("tls.yaml", "--workers", "1", core=CLIENT_CORE, server=server, environment=environment)
    ran.check()
    planned = ran.summary["charge_points"]["planned"]
    (booted,) = _large(ran.record["booted_at"], planned)
    _, back = _large(ran.record["opened_at"], planned)
    return booted.rate(ran), back.rate(ran), ran.memory_each("up")


def _large(happened: dict[str, int], planned: int) -> list[Burst]:
    """Leave out the first charge points, which come alone, before the run begins."""
    return [burst for burst in bursts(happened) if burst.events > planned / 2]


def _text(rounds: list[tuple[float, float]]) -> str:
    rates = sorted(rate for rate, _ in rounds)
    cpu = sorted(each for _, each in rounds)
    middle = len(rounds) // 2
    return f"{rates[middle]:,.0f} ({rates[0]:,.0f} to {rates[-1]:,.0f}), {cpu[middle] * 1e6:.0f} us of CPU each"
