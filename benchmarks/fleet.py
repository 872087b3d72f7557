"""10,000 charge points live in one worker: memory, lateness, CPU."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.running import run


def measure() -> Iterator[str]:
    """Run the fleet for two minutes and read the generator's own health off its summary."""
    ran = run("fleet-10000.yaml", "--workers", "1")
    summary, generator = ran.summary, ran.summary["generator"]
    live = summary["charge_points"]["online_end"]
    each = (generator["rss_max_bytes"] - generator["rss_empty_bytes"]) / live / 1000
    counts = {name: action["sent"] for name, action in summary["actions"].items()}
    assert counts == {name: ran.record["received"][name] for name in counts}, "the sink counted something else"
    assert not summary["books"], summary["books"]
    yield f"| charge points live in one worker, ramped at 250/s | {live:,} ({summary['verdict']}) | 10,000 |"
    yield f"| memory each, above the empty worker | {each:.1f} kB | 15 kB |"
    yield f"| p99 lateness over the whole run | {generator['lateness_p99_s'] * 1e3:.1f} ms | 20 ms |"
    yield f"| longest garbage collection | {generator['gc_pause_max_s'] * 1e3:.1f} ms | |"
    yield f"| busiest second | {generator['cpu_max']:.0%} of a core | |"
    yield f"| messages, as the sink counted them | {sum(counts.values()):,} | |"
