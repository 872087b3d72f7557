"""summary.json: the whole run in numbers; what every other report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.catalogue import STRAYS
from loadsim.metrics.judge import Result, verdict
from loadsim.output.progress import Progress
from loadsim.output.summary_faults import fault_numbers, open_fault_books
from loadsim.output.summary_numbers import call_numbers, distribution, rounded
from loadsim.output.summary_sessions import (
    commands,
    energy,
    faults,
    open_session_books,
    outbox,
    sessions,
    transactions,
)
from loadsim.output.summary_stages import stages
from loadsim.scenario.load_profile import planned_online_in_all

SCHEMA: Final = 1
HARDWARE: Final = ("faults", "power_losses", "ev_disconnects")

EXIT_OK: Final = 0
EXIT_INTERNAL: Final = 1
EXIT_PREFLIGHT: Final = 3
EXIT_INVALID: Final = 4
EXIT_FAILED: Final = 99
EXIT_SIGNALS: Final = {"SIGINT": 130, "SIGTERM": 143}


def build_summary(progress: Progress, *, duration: float, csms: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Judge the run and put its numbers together; durations in seconds, rates as shares, null without samples.

    Args:
        progress: the run, ended.
        duration: seconds from the run's beginning to its end, planned or early; the graceful stop is not in it.
        csms: the embedded CSMS's own record, where there was one.
    """
    totals, counters = progress.totals, progress.totals.counters
    harm = faults(progress, csms)
    results = progress.judge(harm)
    health = progress.health
    invalid = progress.invalid_because(results)
    # A run that was given up before anything was measured has nothing to pass.
    judged = "failed" if progress.aborted_because else verdict(results, invalid)
    return {
        "schema": SCHEMA,
        "name": progress.plan.name,
        "verdict": judged,
        "invalid_because": invalid,
        "complete": not (
            progress.lost_workers
            or progress.troubles
            or progress.interrupted_by
            or progress.aborted_because
            or progress.aborted
        ),
        "troubles": list(progress.troubles),
        "interrupted_by": progress.interrupted_by,
        "aborted_because": progress.aborted_because,
        "aborted_by": progress.aborted.text if progress.aborted is not None else None,
        "preflight": list(progress.preflight),
        "exit_code": exit_code(progress, judged),
        "seed": progress.plan.seed,
        "duration_s": round(duration, 3),
        "planned_duration_s": round(progress.plan.duration, 3),
        "charge_points": {
            "planned": progress.plan.charge_points,
            "started": totals.gauge("charge_points.started"),
            "booted": counters["boots.accepted"],
            "online_max": progress.online_max,
            "online_end": totals.gauge("charge_points.online_end"),
            "planned_end": planned_online_in_all(progress.plan, duration),
        },
        "connections": {
            "attempted": counters["connections.attempted"],
            "retried": counters["connections.retried"],
            "opened": counters["connections.opened"],
            "closed": counters["connections.closed"],
            "lost": sum(totals.with_prefix("connections.lost.").values()),
            "lost_by_code": totals.with_prefix("connections.lost."),
            "refused": totals.with_prefix("connections.refused."),
            "abandoned": counters["connections.abandoned"],
            "connect_s": distribution(totals.time("connect")),
            "handshake_s": distribution(totals.time("handshake")),
        },
        "messages": {"sent": counters["messages.sent"], "received": counters["messages.received"]},
        "bytes": {"sent": counters["bytes.sent"], "received": counters["bytes.received"]},
        "all": call_numbers(totals.select()),
        "actions": {name: action_numbers(progress, name, numbers) for name, numbers in progress.actions().items()},
        "strays": {kind: counters[f"strays.{kind}"] for kind in STRAYS},
        "commands": commands(totals),
        "stages": stages(progress),
        "sessions": sessions(progress),
        "transactions": transactions(totals, harm),
        "energy_wh": energy(totals),
        "outbox": outbox(totals),
        "reboots": totals.with_prefix("reboots."),
        "hardware": {what: counters[f"hardware.{what}"] for what in HARDWARE},
        "transfers": {what: counters[f"transfers.{what}"] for what in ("ok", "failed")},
        "faults": fault_numbers(progress.plan, totals),
        "thresholds": [threshold(result) for result in results],
        "books": open_books(progress),
        "lost_workers": [f"worker {shard}: {why}" for shard, why in sorted(progress.lost_workers.items())],
        "generator": {
            "workers": health.workers,
            "lateness_p99_s": rounded(health.lateness_p99),
            "lateness_max_s": rounded(health.lateness_max),
            "gc_pause_max_s": rounded(health.gc_pause_max),
            "cpu_max": round(health.cpu_max, 4),
            "rss_max_bytes": health.rss_max,
            "rss_empty_bytes": health.rss_empty,
            "descriptors_max": health.descriptors_max,
            "descriptor_limit": health.descriptor_limit,
        },
    }


def exit_code(progress: Progress, judged: str) -> int:
    """Return the exit code, by the precedence 1 > 130/143 > 3 > 4 > 99 > 0."""
    if progress.totals.counters["generator.broken"]:
        return EXIT_INTERNAL
    if progress.interrupted_by is not None:
        return EXIT_SIGNALS[progress.interrupted_by]
    if progress.lost_workers or progress.troubles or progress.aborted_because:
        return EXIT_PREFLIGHT
    return {"invalid": EXIT_INVALID, "failed": EXIT_FAILED, "passed": EXIT_OK}[judged]


def action_numbers(progress: Progress, name: str, numbers: CallNumbers) -> dict[str, Any]:
    """Put together what summary.json says of an action."""
    by_class = progress.totals.group(lambda key: key.tag_class if key.action == name and key.tag_class else None)
    classes = {
        tag_class: {
            "sent": of_class.sent,
            "answered": of_class.answered,
            "accepted": of_class.accepted,
            "rejected": of_class.rejected,
            "unexpected": of_class.unexpected,
            "rejection_rate": of_class.rejection_rate,
        }
        for tag_class, of_class in by_class.items()
    }
    return {**call_numbers(numbers), **({"classes": classes} if classes else {})}


def threshold(result: Result) -> dict[str, Any]:
    """Put together one threshold and what came of it."""
    return {
        "check": result.check.text,
        "actual": rounded(result.actual),
        "ok": result.ok,
        "over_s": result.over,
        "worst_window_s": None if result.window is None else [round(at, 3) for at in result.window],
        "aborted_at_s": rounded(result.aborted_at),
    }


def open_books(progress: Progress) -> list[str]:
    """Name every book that does not close; with all workers' last words in, none is right.

    A worker that was lost took its last numbers with it, so the books of such a run cannot close.
    """
    if progress.lost_workers:
        return [
            f"worker {shard} was lost: its calls since its last snapshot are unknown"
            for shard in progress.lost_workers
        ]
    counters, totals = progress.totals.counters, progress.totals
    problems = [
        f"{name}: {problem}" for name, numbers in progress.actions().items() for problem in numbers.open_books()
    ]
    problems += open_session_books(totals)
    problems += open_fault_books(progress.plan, totals)
    refused = sum(totals.with_prefix("connections.refused.").values())
    ended = counters["connections.opened"] + refused + counters["connections.abandoned"]
    if counters["connections.attempted"] != ended:
        problems.append(f"connections: {counters['connections.attempted']} attempted, {ended} came to an end")
    lost = sum(totals.with_prefix("connections.lost.").values())
    if counters["connections.opened"] != counters["connections.closed"] + lost:
        problems.append(
            f"connections: {counters['connections.opened']} opened, "
            f"{counters['connections.closed']} closed and {lost} lost"
        )
    return problems
