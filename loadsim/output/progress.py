"""A run as its outputs see it: the plan, the numbers so far, and what has happened."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.judge import MOST_CPU, GeneratorHealth, MeasuredStage, Result, invalid_because, what_helps
from loadsim.metrics.snapshot import Example, Snapshot, Totals
from loadsim.metrics.thresholds import Check
from loadsim.metrics.transactions import TransactionFaults
from loadsim.output.fault_news import FaultNews
from loadsim.output.judging import Judging
from loadsim.output.session_rates import RecentSessions
from loadsim.scenario.load_profile import planned_online_seconds_in_all, stage_at, stage_times
from loadsim.scenario.plan import Plan

_EVENTS_KEPT: Final = 200
_EXAMPLES_KEPT: Final = 500
_RECENT_SECONDS: Final = 5.0
_OUTLIVING: Final = frozenset({"charge_points.started", "charge_points.online_end"})
_CPU_WINDOW: Final = 1.0
_CORES: Final = os.cpu_count() or 0


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to the run: *at* in its seconds."""

    at: float
    text: str


class Progress:
    """Takes in snapshots and keeps what the outputs ask for; its memory does not grow with the run's length."""

    def __init__(self, plan: Plan, *, workers: int) -> None:
        self.plan = plan
        self.judging = Judging(plan, workers=workers)
        self.workers = workers
        self.totals = Totals()
        self.elapsed = 0.0
        """Seconds of the run, as the conductor counts them."""
        self.measured_at = 0.0
        """Up to when the newest snapshot counts, in seconds of the run."""
        self.ended_at: float | None = None
        """When nothing more fell due; None while the run goes on."""
        self.online_max = 0
        self.happenings: deque[Happening] = deque(maxlen=_EVENTS_KEPT)
        self.lost_workers: dict[int, str] = {}
        self.preflight: list[str] = []
        """What the first charge points came upon before the run that did not forbid it."""
        self.troubles: list[str] = []
        """What else keeps the run from being complete: the embedded CSMS died, results could not be written."""
        self.interrupted_by: str | None = None
        """The signal that ended the run early."""
        self.aborted_because: str | None = None
        """Why the run was given up before it could begin."""
        self.final_shards: set[int] = set()
        self.example_counts = 0
        self._examples: deque[Example] = deque()
        self._first_examples: list[Example] = []
        self._health = _HealthSoFar()
        self.recent: deque[Recent] = deque()
        """The last seconds' deltas, for rates."""
        self.recent_sessions = RecentSessions(plan)
        self._fault_news = FaultNews(plan)

    def take(self, snapshot: Snapshot) -> None:
        """Merge one worker's interval."""
        self.totals.add(snapshot)
        self._health.take(snapshot)
        for gauge in ("charge_points.online", "charge_points.online_peak"):
            self.online_max = max(self.online_max, self.totals.gauge(gauge))
        for example in snapshot.examples:
            self.example_counts += 1
            if len(self._first_examples) < _EXAMPLES_KEPT:
                self._first_examples.append(example)
                self._examples.append(example)
        self.measured_at = max(self.measured_at, snapshot.elapsed)
        if snapshot.final:
            self.final_shards.add(snapshot.shard)
        self.judging.take(snapshot, self.ended_at)
        self._take_recent(snapshot)
        self.recent_sessions.take(snapshot.elapsed, self.totals.counters)
        for sentence in self._fault_news.take(self.totals, snapshot):
            self.happened(sentence)

    def lose(self, shard: int, why: str) -> None:
        """Note that a worker is gone, and its charge points and its memory with it."""
        self.lost_workers[shard] = why
        left = self.totals.gauges.get(shard, {})
        self.totals.gauges[shard] = {name: left[name] for name in _OUTLIVING & left.keys()}
        self.totals.health.pop(shard, None)
        self.judging.lose(shard, self.ended_at)
        self.happened(f"worker {shard} lost: {why}")

    def happened(self, text: str) -> None:
        """Note something that happened to the run."""
        self.happenings.append(Happening(self.elapsed, text))

    def judge(self, faults: TransactionFaults | None = None) -> list[Result]:
        """Hold the thresholds against the numbers so far; *faults* are the transactions', where more is known."""
        return self.judging.judge(self.totals, self.stages, ended_at=self.ended_at, faults=faults)

    def invalid_because(self, results: Sequence[Result]) -> list[str]:
        """Say why the figures show the generator, and which of the *results* may; none is right."""
        health = self.health
        reasons = invalid_because(health, self.checks)
        if not reasons:
            own = self.judging.own_doing(results, self.totals, self.stages)
            reasons = [f"{why}: {what_helps(health)}" for why in own]
        return reasons

    def aborting(self) -> str | None:
        """Return the text of the threshold that asks for the end of the run, from when it does on; None of none.

        It costs next to nothing while no new numbers have come.
        """
        if self.aborted is None and self.ended_at is None and self.aborted_because is None:
            aborted = self.judging.look_for_abort(self.totals, self.stages)
            if aborted is not None:
                self.happened(f"threshold failed, which ends the run: {aborted.text}")
        return self.aborted.text if self.aborted is not None else None

    @property
    def aborted(self) -> Result | None:
        """The threshold that ended the run early, as it was then."""
        return self.judging.aborted

    @property
    def checks(self) -> tuple[Check, ...]:
        """The plan's thresholds, read."""
        return self.judging.checks

    def new_examples(self) -> Iterator[Example]:
        """Yield the examples that came since the last time."""
        while self._examples:
            yield self._examples.popleft()

    @property
    def examples(self) -> tuple[Example, ...]:
        """The first failures of each kind."""
        return tuple(self._first_examples)

    @property
    def stage_index(self) -> int:
        """Which stage the run is in."""
        return stage_at(self.plan.stages, self.elapsed)

    @property
    def stages(self) -> list[MeasuredStage]:
        """The stages with the time that each has had, as far as the workers have told of it."""
        told = min(self.elapsed if self.ended_at is None else self.ended_at, self.judging.measured_until)
        end = told if self.ended_at is None else self.ended_at
        stages = []
        for stage, (begin, until) in zip(self.plan.stages, stage_times(self.plan.stages), strict=True):
            # Who was online is known as far as the workers have told.
            planned = planned_online_seconds_in_all(self.plan, begin, min(told, until)) if told > begin else 0.0
            stages.append(MeasuredStage(stage.name, max(0.0, min(end, until) - begin), stage.measure, planned))
        return stages

    @property
    def health(self) -> GeneratorHealth:
        """The generator so far."""
        lateness, pauses = self.totals.time("lateness"), self.totals.time("gc_pause")
        soft = self._health
        return GeneratorHealth(
            workers=self.workers,
            lateness_p99=lateness.percentile(99),
            lateness_max=lateness.max,
            gc_pause_max=pauses.max,
            cpu_max=soft.cpu_max,
            busy_seconds=soft.busy_seconds,
            rss_max=soft.rss_max,
            rss_empty=sum(soft.rss_empty.values()),
            descriptors_max=soft.descriptors_max,
            descriptor_limit=soft.descriptor_limit,
            exhausted=self.totals.with_prefix("generator.exhausted."),
            behind=self.totals.counters["generator.behind"],
            due=self.totals.counters["generator.due"],
            sessions_behind=self.totals.counters["sessions.behind"],
            sessions_due=self.totals.counters["sessions.due"],
            cores=_CORES,
            latest=tuple(self.judging.own_delay.latest(self.stages)),
        )

    def actions(self) -> dict[str, CallNumbers]:
        """The calls by action, all stages together."""
        return self.totals.group(lambda key: key.action)

    def sent_per_second(self, action: str) -> float:
        """Calls of *action* sent a second, over the last seconds."""
        return sum(recent.sent.get(action, 0) for recent in self.recent) / self._recent_span()

    def messages_per_second(self) -> tuple[float, float]:
        """Messages out and in a second, over the last seconds."""
        span = self._recent_span()
        return (
            sum(recent.counters[0] for recent in self.recent) / span,
            sum(recent.counters[1] for recent in self.recent) / span,
        )

    def _recent_span(self) -> float:
        return min(max(self.elapsed, 0.5), _RECENT_SECONDS)

    def _take_recent(self, snapshot: Snapshot) -> None:
        sent: dict[str, int] = {}
        for delta in snapshot.calls:
            sent[delta.action] = sent.get(delta.action, 0) + delta.counts[1]  # COUNTS[1] is "sent"
        messages = (snapshot.counters.get("messages.sent", 0), snapshot.counters.get("messages.received", 0))
        self.recent.append(Recent(snapshot.elapsed, sent, messages))
        while self.recent and self.recent[0].at <= snapshot.elapsed - _RECENT_SECONDS:
            self.recent.popleft()


@dataclass(frozen=True, slots=True)
class Recent:
    """What one snapshot added, for rates over the last seconds."""

    at: float
    sent: dict[str, int]
    counters: tuple[int, int]


@dataclass(slots=True)
class _HealthSoFar:
    """Maxima over the run of what the workers report."""

    cpu_max: float = 0.0
    rss_max: int = 0
    descriptors_max: int = 0
    descriptor_limit: int = 0
    busy_seconds: float = 0.0
    rss_empty: dict[int, int] = field(default_factory=dict)
    _rss: dict[int, int] = field(default_factory=dict)
    _busy: dict[int, float] = field(default_factory=dict)

    def take(self, snapshot: Snapshot) -> None:
        health, shard = snapshot.health, snapshot.shard
        if health is None:
            return
        if health.cpu_window >= _CPU_WINDOW:  # the last one is cut short
            self.cpu_max = max(self.cpu_max, health.cpu)
            busy = self._busy.get(shard, 0.0) + health.cpu_window if health.cpu > MOST_CPU else 0.0
            self._busy[shard] = busy
            self.busy_seconds = max(self.busy_seconds, busy)
        self._rss[shard] = health.rss
        self.rss_empty[shard] = health.rss_empty
        self.rss_max = max(self.rss_max, sum(self._rss.values()))
        self.descriptors_max = max(self.descriptors_max, health.descriptors)
        self.descriptor_limit = health.descriptor_limit
