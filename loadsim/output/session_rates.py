"""How many charging sessions an hour are planned, and how many came to a transaction, over the last minute."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final, NamedTuple

from loadsim.scenario.plan import Plan
from loadsim.scenario.session_arrivals import planned_sessions

_SPAN: Final = 60.0
_EVERY: Final = 1.0
_LEAST: Final = 5.0
"""A shorter time says nothing: a driver takes seconds to come to a transaction."""


class SessionRates(NamedTuple):
    """Sessions a second.

    *done* are those that came to a transaction, whoever began them; *from_csms* are those that the CSMS began
    by itself, which no scenario plans.
    """

    planned: float
    done: float
    from_csms: float


class RecentSessions:
    """The last minute's sessions; its memory does not grow with the run's length."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._samples = deque([_Sample(0.0, 0, 0)])

    def take(self, at: float, counters: Counter[str]) -> None:
        """Take in what was counted up to *at*, in seconds of the run."""
        samples = self._samples
        if at < samples[-1].at + _EVERY:
            return
        samples.append(_Sample(at, counters["sessions.started"], counters["sessions.from_csms"]))
        while samples[1].at <= at - _SPAN:
            samples.popleft()

    def rates(self, ended_at: float | None = None) -> SessionRates | None:
        """Return plan and deed over the same time; None in the first seconds.

        Args:
            ended_at: the end of the run, in its seconds, when it is over: nothing is planned from then on.
        """
        first, last = self._samples[0], self._samples[-1]
        seconds = last.at - first.at
        if seconds < _LEAST:
            return None
        planned = sessions_planned(self._plan, _until(last.at, ended_at))
        planned -= sessions_planned(self._plan, _until(first.at, ended_at))
        return SessionRates(
            planned / seconds, (last.started - first.started) / seconds, (last.from_csms - first.from_csms) / seconds
        )


class _Sample(NamedTuple):
    at: float
    started: int
    from_csms: int


def sessions_planned(plan: Plan, elapsed: float) -> float:
    """Return how many sessions are to have arrived after *elapsed* seconds, on average, over all fleets."""
    return sum(
        planned_sessions(plan.stages, fleet.name, elapsed)
        for fleet in plan.fleets
        if fleet.settings.session is not None
    )


def plans_sessions(plan: Plan) -> bool:
    """Tell whether any stage brings drivers to any fleet."""
    return any(
        stage.sessions.get(fleet.name)
        for stage in plan.stages
        for fleet in plan.fleets
        if fleet.settings.session is not None
    )


def _until(at: float, ended_at: float | None) -> float:
    return at if ended_at is None else min(at, ended_at)
