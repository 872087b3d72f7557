"""The figures a run reports, beside those of a server that injects a known latency and keeps its own record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.running import Ran, run

PERCENTILES: Final = ("p50", "p95", "p99", "p99.9")


def measure() -> Iterator[str]:
    """Compare percentiles, counts and refusals; then let the server stall for 8 s."""
    usual = run("truth.yaml", peer="truth_server", server=("--latency", "lognormal:40,0.6", "--refuse-every", "7"))
    authorize = _authorize(usual)
    for percentile in PERCENTILES:
        ours, truth = authorize["service_s"][percentile] * 1e3, usual.record["authorize"][f"{percentile}_ms"]
        yield f"| service {percentile}, ours and the server's | {ours:.2f} and {truth:.2f} ms | 1 % or 2 ms |"
    theirs = usual.record["actions"]["Authorize"]
    yield f"| Authorize sent, and received by the server | {authorize['sent']} and {theirs['received']} | equal |"
    yield f"| Authorize rejected, and by the server | {authorize['rejected']} and {theirs['refused']} | equal |"
    stalled = run(
        "truth.yaml", peer="truth_server", server=("--latency", "fixed:20", "--stall-at", "8", "--stall-for", "8")
    )
    shown = _authorize(stalled)["response_s"]
    yield f"| response p99 and max with a stall of 8 s | {shown['p99']:.2f} and {shown['max']:.2f} s | the 8 s |"
    planned = f"{_authorize(stalled)['planned']} and {authorize['planned']}"
    yield f"| Authorize planned with the stall, and without | {planned} | equal |"


def _authorize(ran: Ran) -> dict[str, Any]:
    assert not ran.summary["books"], ran.summary["books"]
    numbers: dict[str, Any] = ran.summary["actions"]["Authorize"]
    return numbers
