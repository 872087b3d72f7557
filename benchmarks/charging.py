"""Charging: 10,000 charge points of which half charge, on one core; and what a charging one costs in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.running import Ran, run

IN_PROGRESS: Final = 5_000
REMOTE_STARTS: Final = 20


def measure() -> Iterator[str]:
    """Run both scenarios, hold what the sink counted beside what loadsim counted, and read off the figures."""
    server = ("--remote-starts", str(REMOTE_STARTS), "--remote-starts-after", "45")
    busy = run("charging-10000.yaml", "--workers", "1", core=0, server=server)
    _check(busy)
    summary, generator = busy.summary, busy.summary["generator"]
    commands = summary["commands"]["RemoteStartTransaction"]
    assert busy.record["remote_starts"]["sent"] >= commands["received"] >= busy.record["remote_starts"]["sent"] - 50
    meter_values = summary["stages"]["hold"]["actions"]["MeterValues"]["sent"]
    label = f"charging at the end, of {summary['charge_points']['online_end']:,} in one worker on one core"
    yield f"| {label} | {summary['transactions']['open']:,} ({summary['verdict']}) | {IN_PROGRESS:,} |"
    yield f"| remote starts a second from the CSMS, answered | {commands['received'] / 115:.1f} | {REMOTE_STARTS} |"
    yield f"| MeterValues a second while it holds | {meter_values / 60:.0f} | 250 |"
    sent = summary["actions"]["StartTransaction"]["sent"]
    yield f"| StartTransactions sent, and received by the sink | {sent:,} and {_starts(busy):,} | equal |"
    yield f"| p99 lateness over the whole run | {generator['lateness_p99_s'] * 1e3:.1f} ms | 20 ms |"
    yield f"| longest garbage collection | {generator['gc_pause_max_s'] * 1e3:.1f} ms | |"
    yield f"| busiest second | {generator['cpu_max']:.0%} of a core | |"
    service = summary["actions"]["MeterValues"]["service_s"]["p99"] * 1e3
    yield f"| MeterValues service p99 | {service:.1f} ms | |"
    remote = summary["sessions"]["remote_start_s"]["p50"] * 1e3
    yield f"| remote start to StartTransaction, without the driver's walk to the cable, p50 | {remote:.1f} ms | |"
    full = run("charging-all.yaml", "--workers", "1")
    _check(full)
    generator, live = full.summary["generator"], full.summary["charge_points"]["online_end"]
    each = (generator["rss_max_bytes"] - generator["rss_empty_bytes"]) / live
    share = full.summary["transactions"]["open"] / live
    yield f"| memory each, {share:.0%} of {live:,} charging | {each / 1000:.1f} kB | 30 kB |"


def _starts(ran: Ran) -> int:
    count: int = ran.record["received"]["StartTransaction"]
    return count


def _check(ran: Ran) -> None:
    """Hold every action's count beside the sink's, and the books."""
    actions: dict[str, Any] = ran.summary["actions"]
    counts = {name: action["sent"] for name, action in actions.items()}
    assert counts == {name: ran.record["received"][name] for name in counts}, "the sink counted something else"
    assert not ran.summary["books"], ran.summary["books"]
