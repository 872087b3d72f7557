"""When charging sessions arrive at a fleet: its stages' rates, turned into times (pure).

Over a stage the rate of a fleet goes linearly from the stage before's value to its own; with ``jump`` it is
there at once. The cumulated rate is the number of sessions planned so far. ``poisson``: the planned number
grows by a draw from the unit exponential between two arrivals, which is a Poisson process of that rate (time
rescaling: Lewis and Shedler, "Simulation of nonhomogeneous Poisson processes by thinning", 1979, section 1).
``even``: it grows by exactly 1, and is k + 1/2 at arrival k, so that over any time the number that came is the
planned one, rounded.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import msgspec

from loadsim.charge_point.draws import Draws
from loadsim.scenario.plan import Stage


def session_arrivals(stages: Sequence[Stage], fleet: str, draws: Draws) -> Iterator[float]:
    """Yield when each session of the whole *fleet* arrives, in seconds since the start, in order.

    Nothing arrives after the last stage's end. The same *draws* give the same times, so every worker can draw all
    of them and keep its part.
    """
    due: float | None = None  # the planned number at which the next one comes, while draws say when
    for ramp in _ramps(stages, fleet):
        planned = ramp.before
        if ramp.even:
            due = math.ceil(planned - 0.5) + 0.5
        elif due is None:
            due = planned + draws.exponential(1.0)
        while due < ramp.after:
            yield ramp.begin + ramp.elapsed(due - planned)
            due += 1.0 if ramp.even else draws.exponential(1.0)
        if ramp.even:
            due = None  # a Poisson process has no memory: what follows draws afresh


def planned_sessions(stages: Sequence[Stage], fleet: str, elapsed: float) -> float:
    """Return how many sessions of *fleet* are to have arrived after *elapsed* seconds, on average."""
    return PlannedSessions(stages, fleet).after(elapsed)


class PlannedSessions:
    """How many sessions of one fleet are to have arrived by when: `planned_sessions`, prepared for many questions."""

    def __init__(self, stages: Sequence[Stage], fleet: str) -> None:
        self._ramps = tuple(_ramps(stages, fleet))
        self._begins = [ramp.begin for ramp in self._ramps]

    def after(self, elapsed: float) -> float:
        """Return how many are to have arrived after *elapsed* seconds of the run, on average."""
        begun = bisect_left(self._begins, elapsed)
        if not begun:
            return 0.0
        ramp = self._ramps[begun - 1]
        return ramp.before + ramp.sessions(min(elapsed - ramp.begin, ramp.duration))


class _Ramp(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of one fleet: its time in seconds, rates per second, and the number planned before and after."""

    begin: float
    duration: float
    first: float
    last: float
    before: float
    even: bool

    @property
    def after(self) -> float:
        return self.before + self.sessions(self.duration)

    def sessions(self, elapsed: float) -> float:
        """Return how many are planned in the first *elapsed* seconds."""
        if elapsed <= 0:
            return 0.0
        return elapsed * (self.first + (self.last - self.first) * (elapsed / self.duration) / 2)

    def elapsed(self, sessions: float) -> float:
        """Return the seconds in which so many *sessions* are planned: `sessions`, inverted.

        Of the two forms of a quadratic equation's root it is the one that subtracts no equals.
        """
        steepness = (self.last - self.first) / self.duration
        rate = math.sqrt(max(self.first * self.first + 2 * steepness * sessions, 0.0))
        if self.first + rate == 0:
            return 0.0
        return min(2 * sessions / (self.first + rate), self.duration)


def _ramps(stages: Sequence[Stage], fleet: str) -> Iterator[_Ramp]:
    begin, rate, planned = 0.0, 0.0, 0.0
    for stage in stages:
        last = stage.sessions.get(fleet, rate)
        ramp = _Ramp(
            begin=begin,
            duration=stage.duration,
            first=last if stage.jump else rate,
            last=last,
            before=planned,
            even=stage.arrivals == "even",
        )
        yield ramp
        begin, rate, planned = begin + stage.duration, last, ramp.after
