"""What summary.json says of each stage: the calls that fell due in it, and planned load against what came."""

from __future__ import annotations

from typing import Any

from loadsim.metrics.judge import MeasuredStage
from loadsim.output.progress import Progress
from loadsim.output.session_rates import sessions_planned
from loadsim.output.summary_numbers import call_numbers, rounded
from loadsim.scenario.load_profile import stage_times
from loadsim.scenario.plan import Plan


def stages(progress: Progress) -> dict[str, Any]:
    """Put together the numbers of each stage: calls, and drivers, belong to the stage in which they fell due."""
    result: dict[str, Any] = {}
    plan, totals = progress.plan, progress.totals
    times, ends = stage_times(plan.stages), _planned_ends(plan)
    for index, stage in enumerate(progress.stages):
        actions = totals.group(lambda key, index=index: key.action if key.stage == index else None)  # type: ignore[misc]
        begin = times[index][0]
        result[stage.name] = {
            "seconds": round(stage.seconds, 3),
            "measure": stage.measure,
            "online": _online(progress, index, stage, ends[index]),
            "sessions": _sessions(progress, index, begin, begin + stage.seconds),
            "actions": {name: call_numbers(numbers) for name, numbers in actions.items()},
        }
    return result


def _online(progress: Progress, index: int, stage: MeasuredStage, planned_end: int) -> dict[str, Any]:
    planned = stage.planned_online
    seconds = progress.totals.online_seconds.get(index, 0.0)
    return {
        "planned_end": planned_end,
        "planned_seconds": round(planned, 3),
        "seconds": round(seconds, 3),
        "share": rounded(seconds / planned) if planned else None,
    }


def _sessions(progress: Progress, index: int, begin: float, end: float) -> dict[str, Any]:
    planned = sessions_planned(progress.plan, end) - sessions_planned(progress.plan, begin)
    counters = progress.totals.counters
    return {
        "planned": round(planned, 3),
        **{what: counters[f"sessions.{what}.{index}"] for what in ("due", "started", "no_free_connector")},
    }


def _planned_ends(plan: Plan) -> list[int]:
    """Return how many charge points each stage wants online at its end, over all fleets."""
    online: dict[str, int] = {}
    result = []
    for stage in plan.stages:
        online |= stage.online
        result.append(sum(online.values()))
    return result
