"""What happens in a stretch of a run, in expectation: a sum of what each fleet, the CSMS and the faults do (pure)."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Final

from loadsim.scenario.demand.drivers import UNPLUGS_AFTER, Drivers, SessionDemand, has_sessions
from loadsim.scenario.load_profile import planned_online, planned_online_seconds
from loadsim.scenario.plan import FleetPlan, Plan

UNKNOWN_INTERVAL: Final = 300.0
"""Seconds between Heartbeats where only the CSMS knows: what most of them set."""
_JUST: Final = 1e-9


class Flow:
    """Numbers of a stretch of *seconds*: *calls* of charge points by action, *commands* of the CSMS by action."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.calls: defaultdict[str, float] = defaultdict(float)
        self.commands: defaultdict[str, float] = defaultdict(float)
        self.connects = 0.0
        self.online_seconds = 0.0
        self.drivers = Drivers()

    @property
    def all_calls(self) -> float:
        """Calls of charge points and of the CSMS; each is two messages."""
        return sum(self.calls.values()) + sum(self.commands.values())

    def add(self, other: Flow) -> None:
        """Add what happens besides, in the same stretch or in another one."""
        for action, count in other.calls.items():
            self.calls[action] += count
        for action, count in other.commands.items():
            self.commands[action] += count
        self.connects += other.connects
        self.online_seconds += other.online_seconds
        self.drivers = Drivers(
            **{name: getattr(self.drivers, name) + getattr(other.drivers, name) for name in Drivers.__struct_fields__}
        )

    def connect(self, fleet: FleetPlan, count: float, boots: float) -> None:
        """Add *count* connects, *boots* of which begin with a boot; after each all statuses are told."""
        self.connects += count
        self.calls["BootNotification"] += boots
        self.calls["StatusNotification"] += count * (fleet.settings.connectors + 1)


class FleetDemand:
    """What the charge points of one fleet do by themselves."""

    def __init__(self, plan: Plan, fleet: FleetPlan) -> None:
        self.fleet = fleet
        self._plan = plan
        self._interval = assumed_interval(plan, fleet)
        self._telemetry = None if fleet.settings.data_transfer is None else fleet.settings.data_transfer.arrivals
        self._sessions = SessionDemand(plan, fleet) if has_sessions(plan.stages, fleet) else None
        statuses = plan.embedded.boot_status if plan.embedded is not None else ("Accepted",)
        self.boots = statuses.index("Accepted") + 1.0 if "Accepted" in statuses else float(len(statuses))
        """BootNotifications until one is accepted."""

    def between(self, begin: float, end: float, most_before: int) -> Flow:
        """Return what is expected from *begin* to *end*, which are in one stage.

        Args:
            begin: in seconds of the run.
            end: in seconds of the run.
            most_before: charge points that were online at a time before: they have booted.
        """
        settings = self.fleet.settings
        flow = Flow(end - begin)
        flow.online_seconds = planned_online_seconds(self._plan.stages, self.fleet.name, begin, end)
        before, after = self.online_before(begin), self.online_before(end)
        connects = max(0, after - before)
        new = max(0, after - max(most_before, before))
        flow.connect(self.fleet, connects, (connects if settings.boot_on_reconnect else new) * self.boots)
        if settings.authorize is not None:
            flow.calls["Authorize"] += settings.authorize.rate * flow.online_seconds
        if self._telemetry is not None:
            flow.calls["DataTransfer"] += self._telemetry.rate * flow.online_seconds
        self._add_drivers(flow, begin, end)
        aligned = float(settings.configuration.get("ClockAlignedDataInterval", "0"))
        if aligned and settings.configuration.get("MeterValuesAlignedData", "Energy"):
            flow.calls["MeterValues"] += settings.connectors * flow.online_seconds / aligned
        faults = settings.hardware.faults * settings.connectors * flow.online_seconds
        flow.calls["StatusNotification"] += 2 * faults
        losses = settings.hardware.power_losses * flow.online_seconds
        flow.connect(self.fleet, losses, losses * self.boots)
        flow.calls["Heartbeat"] += self.heartbeats(flow, begin, end)
        return flow

    def online_before(self, elapsed: float) -> int:
        """Return how many are planned to be online just before a moment of the run."""
        return planned_online(self._plan.stages, self.fleet.name, elapsed - _JUST) if elapsed > 0 else 0

    def _add_drivers(self, flow: Flow, begin: float, end: float) -> None:
        session = self.fleet.settings.session
        if self._sessions is None or session is None:
            return
        flow.drivers = drivers = self._sessions.between(begin, end)
        asks = self.fleet.settings.configuration.get("AuthorizeRemoteTxRequests", "true") == "true"
        by_app = drivers.arrived - drivers.by_card
        flow.calls["Authorize"] += drivers.by_card + (by_app if asks else 0.0) + session.other_tag * drivers.ended
        flow.calls["StartTransaction"] += drivers.begun
        flow.calls["StopTransaction"] += drivers.ended
        flow.calls["MeterValues"] += drivers.samples
        turned_away = max(0.0, drivers.arrived - drivers.begun)
        # Preparing; Charging, perhaps SuspendedEV, Finishing and Available; or Available again.
        flow.calls["StatusNotification"] += drivers.arrived + drivers.begun + turned_away
        flow.calls["StatusNotification"] += (2 + self._sessions.suspends) * drivers.ended

    def heartbeats(self, flow: Flow, begin: float, end: float, besides: float = 0.0) -> float:
        """Return the beats of charge points that are silent for an interval.

        *besides* is how often, in all, they are heard of for other reasons than those that *flow* tells of.

        In the first interval online each beats once, whatever else it says. From then on calls other than the samples
        of a transaction are taken to come at random: where they come at a rate, the gaps between them hold
        rate / (exp(rate * interval) - 1) beats a second.
        """
        settings, interval, online = self.fleet.settings, self._interval, flow.online_seconds
        if not online:
            return 0.0
        if settings.heartbeat.regardless_of_traffic:
            return online / interval
        drivers = flow.drivers
        charging = min(1.0, drivers.charging / (online * settings.connectors))
        idle = (1 - charging) ** settings.connectors
        own = sum(each.rate for each in (settings.authorize, self._telemetry) if each is not None)
        # An end is what silence begins with; the cable some seconds later takes these seconds from it.
        unplugged = min(1.0, 2 * UNPLUGS_AFTER / interval) * drivers.ended
        rate = own + (drivers.arrived + unplugged + besides) / online
        beats = 1 / interval if rate * interval < _JUST else rate / math.expm1(min(rate * interval, 500.0))
        every = self._sessions.interval if self._sessions is not None else 0.0
        between = (math.ceil(every / interval) - 1) / every if every else beats
        longer = planned_online_seconds(self._plan.stages, self.fleet.name, begin - interval, end - interval)
        new = max(0.0, online - longer)
        return new / interval + (online - new) * (idle * beats + (1 - idle) * between)


def assumed_interval(plan: Plan, fleet: FleetPlan) -> float:
    """Return the seconds between the Heartbeats of *fleet*: its own, the embedded CSMS's, or what is usual."""
    own = fleet.settings.heartbeat.every
    if own is not None:
        return own
    return float(plan.embedded.interval) if plan.embedded is not None else UNKNOWN_INTERVAL
