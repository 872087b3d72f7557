"""The figures a run reports, beside those of a server that injects a known latency and keeps its own record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.running import Ran, run
from tests.network.truths import at_rank, beginning, came_back, first_end, planned_dues, visits_of, with_due

PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
BY_STAGE: Final = ("p50", "p95", "p99")
STAGES: Final = {"first": (4.0, 12.0), "second": (12.0, 24.0)}
LOGNORMAL: Final = ("--latency", "lognormal:40,0.6", "--refuse-first", "BLK:370", "--refuse-first", "DRV:101")
STALL: Final = ("--latency", "fixed:20", "--stall-at", "6", "--stall-after", "2", "--stall-for", "5")
BOOKS: Final = ("--samples", "--visits")
SHARES: Final = {"p50": 0.5, "p95": 0.95, "p100": 1.0}


def measure() -> Iterator[str]:
    """Compare percentiles, counts and refusals; let the server stall for 5 s; drop connections."""
    usual = run("truth.yaml", peer="truth_server", server=(*LOGNORMAL, *BOOKS))
    yield from _percentiles(usual)
    yield from _counts(usual)
    yield from _workers(usual)
    yield from _stall(usual)
    yield from _recovery()


def _percentiles(ran: Ran) -> Iterator[str]:
    service = _authorize(ran)["service_s"]
    for percentile in PERCENTILES:
        ours, truth = service[percentile] * 1e3, ran.record["authorize"][f"{percentile}_ms"]
        yield f"| service {percentile}, ours and the server's | {ours:.2f} and {truth:.2f} ms | 1 % or 2 ms |"
    calls = with_due(ran.record, _dues(ran.summary))
    for stage, (begin, end) in STAGES.items():
        took = sorted(seconds for due, seconds in calls if begin <= due < end)
        service = ran.summary["stages"][stage]["actions"]["Authorize"]["service_s"]
        pairs = (f"{service[name] * 1e3:.2f} and {at_rank(took, PERCENTILES[name]) * 1e3:.2f}" for name in BY_STAGE)
        yield f"| {stage} stage: service p50, p95, p99, ours and the server's | {', '.join(pairs)} ms | 1 % or 2 ms |"


def _counts(ran: Ran) -> Iterator[str]:
    ours, theirs = _authorize(ran), ran.record["actions"]["Authorize"]
    yield f"| Authorize sent, and received by the server | {ours['sent']:,} and {theirs['received']:,} | equal |"
    yield f"| Authorize rejected, and refused by the server | {ours['rejected']} and {theirs['refused']} | equal |"
    for name, refused in (("stolen", 370), ("drivers", 101)):
        rejected = ours["classes"][name]["rejected"]
        yield f"| of the class {name}: rejected, and to be refused | {rejected} and {refused} | equal |"


def _workers(one: Ran) -> Iterator[str]:
    four = run("truth.yaml", "--workers", "4", peer="truth_server", server=(*LOGNORMAL, *BOOKS))
    planned = f"{_authorize(one)['planned']:,} and {_authorize(four)['planned']:,}"
    yield f"| Authorize planned with one worker, and with four | {planned} | equal |"


def _stall(usual: Ran) -> Iterator[str]:
    stalled = run("truth.yaml", peer="truth_server", server=(*STALL, *BOOKS))
    (told,) = stalled.record["stalls"]
    begin, over = (told[name] - beginning(stalled.record) for name in ("from", "to"))
    dues = [due for of in _dues(stalled.summary).values() for due in of]
    longest = max(over - due for due in dues if begin <= due < over)
    pair = f"{_authorize(stalled)['response_s']['max']:.2f} and {longest:.2f}"
    yield f"| longest response with a stall of 5 s, and from due to its end | {pair} s | the 5 s |"
    planned = f"{_authorize(stalled)['planned']:,} and {_authorize(usual)['planned']:,}"
    yield f"| Authorize planned with the stall, and without | {planned} | equal |"


def _recovery() -> Iterator[str]:
    ran = run("truth-recovery.yaml", "--workers", "2", peer="truth_server", server=("--visits",))
    assert not ran.summary["books"], ran.summary["books"]
    visits = visits_of(ran.record)
    took = sorted(came_back(visits, first_end(visits)).values())
    told = ran.summary["faults"]["outage"]
    yield f"| charge points dropped, and that came again to the server | {told['hit']} and {len(took)} | equal |"
    for name, share in SHARES.items():
        pair = f"{told['recovery_s'][name]:.2f} and {at_rank(took, share):.2f}"
        yield f"| recovery {name}, ours and by the server's record | {pair} s | 0.1 s |"


def _dues(summary: Any) -> dict[str, list[float]]:
    """Return when each charge point's Authorizes fall due, a little beyond the end."""
    return planned_dues("many", 400, seed=summary["seed"], rate=1.0, until=24.2)


def _authorize(ran: Ran) -> dict[str, Any]:
    assert not ran.summary["books"], ran.summary["books"]
    numbers: dict[str, Any] = ran.summary["actions"]["Authorize"]
    return numbers
