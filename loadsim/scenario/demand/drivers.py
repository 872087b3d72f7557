"""How many of a fleet's charging sessions come, begin, run and end in a stretch of the run, in expectation (pure).

The planned number of arrivals is known exactly. A session's length is a distribution: it is taken at as many
equally likely values as `_VALUES`, so that what ends at a moment is what began those times before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from loadsim.charge_point.charging import Charge
from loadsim.charge_point.distribution import Distribution
from loadsim.scenario.load_profile import planned_online_seconds
from loadsim.scenario.plan import EmbeddedCsms, FleetPlan, Plan, Stage, TagClass
from loadsim.scenario.session_arrivals import PlannedSessions

_VALUES: Final = 24
_GRID: Final = 8
_REMOTE_AFTER: Final = 2.0
"""Seconds until a driver who waits for it is started by the CSMS."""
UNPLUGS_AFTER: Final = 6.0
"""Seconds for which a connector is still taken when its transaction is over."""
_SUMMED: Final = 60
_STEPS: Final = 4


class Drivers(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of a stretch, and *charging*: seconds, summed over the transactions that run."""

    arrived: float = 0.0
    by_card: float = 0.0
    begun: float = 0.0
    ended: float = 0.0
    samples: float = 0.0
    charging: float = 0.0


class SessionDemand:
    """The sessions of one fleet."""

    def __init__(self, plan: Plan, fleet: FleetPlan) -> None:
        session = fleet.settings.session
        assert session is not None
        self._stages, self._fleet = plan.stages, fleet
        self._planned = PlannedSessions(plan.stages, fleet.name)
        self._lengths = values_of(session.plugged_in, _VALUES)
        self._mean = sum(self._lengths) / len(self._lengths)
        self.rfid = session.rfid
        begins = accepted(plan.tag_classes, session.tags or fleet.tags, plan.embedded)
        self._begins = (1 - session.no_show) * (session.rfid * begins + 1 - session.rfid)
        self.suspends = _full(fleet)
        """The share of transactions in which the car is full before it leaves."""
        text = fleet.settings.configuration.get("MeterValueSampleInterval", "60")
        measured = fleet.settings.configuration.get("MeterValuesSampledData", "Energy") != ""
        self.interval = float(text) if measured else 0.0
        """Seconds between the samples of a transaction; 0: there are none."""

    def between(self, begin: float, end: float) -> Drivers:
        """Return what is expected from *begin* to *end*, in seconds of the run.

        Where more would charge than there are connectors, the rest finds none.
        """
        arrived = self._arrived(end) - self._arrived(begin)
        running = self._running_seconds(begin, end)
        ended = sum(self._begun(end - each) - self._begun(begin - each) for each in self._lengths) / len(
            self._lengths
        )
        taken = running + UNPLUGS_AFTER * ended
        there = planned_online_seconds(self._stages, self._fleet.name, begin, end) * self._fleet.settings.connectors
        room = 1.0 if taken <= there else there / taken
        return Drivers(
            arrived=arrived * room,
            by_card=arrived * room * self.rfid,
            begun=(self._begun(end) - self._begun(begin)) * room,
            ended=ended * room,
            samples=self._samples(begin, end, running, ended) * room,
            charging=running * room,
        )

    def _arrived(self, elapsed: float) -> float:
        return self._planned.after(elapsed)

    def _begun(self, elapsed: float) -> float:
        """Return how many transactions have begun by then."""
        by_card, by_app = self._arrived(elapsed), self._arrived(elapsed - _REMOTE_AFTER)
        return self._begins * (self.rfid * by_card + (1 - self.rfid) * by_app)

    def _running(self, elapsed: float) -> float:
        ended = sum(self._begun(elapsed - each) for each in self._lengths) / len(self._lengths)
        return self._begun(elapsed) - ended

    def _running_seconds(self, begin: float, end: float) -> float:
        step = (end - begin) / _STEPS
        middles = (begin + step * (number + 0.5) for number in range(_STEPS))
        return sum(self._running(middle) for middle in middles) * step

    def _samples(self, begin: float, end: float, running: float, ended: float) -> float:
        every = self.interval
        if not every:
            return 0.0
        if self._mean / every > _SUMMED:
            return max(0.0, running / every - ended / 2)  # the last interval is cut short, by half of it
        samples, number = 0.0, 1
        while lasting := sum(each > number * every for each in self._lengths):
            ago = number * every
            samples += (self._begun(end - ago) - self._begun(begin - ago)) * lasting / len(self._lengths)
            number += 1
        return samples


def values_of(distribution: Distribution, count: int) -> list[float]:
    """Return *count* equally likely values of *distribution*."""
    return [distribution.draw((number + 0.5) / count) for number in range(count)]


def accepted(classes: Sequence[TagClass], shares: dict[str, float], embedded: EmbeddedCsms | None) -> float:
    """Return the share of cards that the CSMS is expected to accept."""
    good = {each.name for each in classes if each.expect == "Accepted"}
    refused = 0.0 if embedded is None else embedded.reject
    return sum(share for name, share in shares.items() if name in good) * (1 - refused)


def _full(fleet: FleetPlan) -> float:
    session = fleet.settings.session
    assert session is not None
    stays, wanted = values_of(session.plugged_in, _GRID), values_of(session.energy, _GRID)
    power = fleet.settings.power
    full = sum(Charge(power, energy).seconds_to(energy, power) < stay for energy in wanted for stay in stays)
    return full / _GRID**2


def has_sessions(stages: Sequence[Stage], fleet: FleetPlan) -> bool:
    """Tell whether any stage brings drivers to *fleet*."""
    return fleet.settings.session is not None and any(stage.sessions.get(fleet.name) for stage in stages)
