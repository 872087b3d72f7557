"""Runs as the outputs see them, made from snapshots with known numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from rich.console import Console

from loadsim.charge_point.settings import Arrivals, ChargePointSettings, SessionSettings
from loadsim.metrics.calls import CallDelta
from loadsim.metrics.catalogue import COUNTS
from loadsim.metrics.histogram import Histogram
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.snapshot import Example, Health, Snapshot
from loadsim.output.progress import Progress
from loadsim.scenario.plan import FaultPlan, FleetPlan, Plan, Stage, Target, Threshold


def plan(
    *,
    name: str = "smoke",
    count: int = 500,
    stages: tuple[Stage, ...] | None = None,
    authorize: float | None = None,
    session: bool = False,
    checks: tuple[str, ...] = (),
    faults: tuple[FaultPlan, ...] = (),
) -> Plan:
    """Make a plan of one fleet that is online at once, unless *stages* say otherwise."""
    arrivals = None if authorize is None else Arrivals(rate=authorize)
    return Plan(
        name=name,
        seed=1,
        target=Target(),
        tag_classes=(),
        fleets=(
            FleetPlan(
                name="demo",
                count=count,
                pattern="{fleet}-{n:05}",
                settings=ChargePointSettings(authorize=arrivals, session=SessionSettings() if session else None),
                tags={},
            ),
        ),
        stages=stages or (stage("main", 60.0, count),),
        faults=faults,
        thresholds=tuple(Threshold(check=check) for check in checks),
    )


def stage(name: str, seconds: float, online: int, *, measure: bool = True, sessions: float = 0.0) -> Stage:
    """Make a stage that begins with *online* charge points and, from its first moment on, *sessions* a second."""
    return Stage(
        name=name,
        duration=seconds,
        online={"demo": online},
        jump=True,
        measure=measure,
        sessions={"demo": sessions},
    )


def progress(the_plan: Plan | None = None, *, workers: int = 1, elapsed: float = 0.0) -> Progress:
    the_plan = the_plan or plan()
    result = Progress(the_plan, workers=workers)
    result.elapsed = elapsed
    return result


def calls(
    action: str,
    response: Sequence[float] = (),
    *,
    stage: int = 0,
    tag_class: str = "",
    service: Sequence[float] | None = None,
    **counts: int,
) -> CallDelta:
    """Make an interval's calls: all accepted, unless *counts* say otherwise."""
    numbers = dict.fromkeys(COUNTS, 0) | {"planned": len(response), "sent": len(response), "accepted": len(response)}
    numbers |= counts
    answered = response if service is None else service
    return CallDelta(
        stage,
        action,
        tag_class,
        tuple(numbers[name] for name in COUNTS),
        Histogram.of(response).sparse(),
        Histogram.of(answered).sparse(),
    )


def healthy(**other: float) -> Health:
    numbers = {
        "cpu": 0.11,
        "cpu_window": 1.0,
        "rss": 210_000_000,
        "rss_empty": 80_000_000,
        "descriptors": 5031,
        "descriptor_limit": 19900,
    } | other
    return Health(
        cpu=numbers["cpu"],
        cpu_window=numbers["cpu_window"],
        rss=int(numbers["rss"]),
        rss_empty=int(numbers["rss_empty"]),
        descriptors=int(numbers["descriptors"]),
        descriptor_limit=int(numbers["descriptor_limit"]),
    )


def take(
    run: Progress,
    *deltas: CallDelta,
    at: float | None = None,
    counters: Mapping[str, int] | None = None,
    gauges: Mapping[str, int] | None = None,
    charging: int = 0,
    times: Mapping[str, Sequence[float]] | None = None,
    open_transactions: Sequence[int] = (),
    recoveries: Mapping[str, Sequence[float]] | None = None,
    online_seconds: Mapping[int, float] | None = None,
    lateness: Sequence[float] = (0.003,),
    health: Health | None = None,
    examples: Sequence[Example] = (),
    shard: int = 0,
    final: bool = False,
) -> None:
    """Give *run* one interval of a worker, and let the run's time be that of its end.

    *recoveries* are seconds that charge points took to come back, by fault.
    """
    recorder = Recorder(shard)
    for fault, seconds in (recoveries or {}).items():
        for each in seconds:
            recorder.recovered(fault, each)
    run.elapsed = run.elapsed if at is None else at
    run.take(
        Snapshot(
            shard=shard,
            elapsed=run.elapsed,
            calls=deltas,
            counters={**(counters or {}), **recorder.counters},
            times={
                name: Histogram.of(samples).sparse()
                for name, samples in {"lateness": lateness, **(times or {})}.items()
                if samples
            },
            gauges={
                **{f"charge_points.{name}": number for name, number in (gauges or {}).items()},
                "transactions.running": charging,
            },
            health=health,
            examples=tuple(examples),
            final=final,
            open_transactions=tuple(map(str, open_transactions)),
            recoveries={fault: dict(times) for fault, times in recorder.recoveries.items()},
            online_seconds=dict(online_seconds or {}),
        )
    )


class Terminal(io.StringIO):
    """A file that says it is a terminal, of an encoding."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True


def paper(width: int = 80, *, encoding: str = "utf-8") -> tuple[Console, Terminal]:
    """Make a console without colour or control sequences, and what it writes to."""
    file = Terminal(encoding)
    return Console(file=file, width=width, force_terminal=False, color_system=None, _environ={}), file
