"""What the embedded CSMS asks of its charge points, and what that makes them do, in expectation (pure)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from typing import Final

from loadsim.scenario.demand.flow import FleetDemand, Flow
from loadsim.scenario.plan import ON_BOOT, FleetPlan, Plan, PlannedCall

_UPDATES: Final = ("UpdateFirmware", "SignedUpdateFirmware")
_FIRMWARE_STATUSES: Final = 4  # downloading, downloaded, installing, installed
_TIMES_HEARD: Final = 5
"""Times at which an update is heard of: asked for, downloading, downloaded, installing, booted."""


class CsmsDemand:
    """The planned calls of the embedded CSMS."""

    def __init__(self, plan: Plan, fleets: Mapping[str, FleetDemand]) -> None:
        self._fleets = fleets
        self._end = plan.duration
        self._calls: list[tuple[PlannedCall, dict[str, float]]] = []
        if plan.embedded is not None:
            self._calls = [(call, _suited(call, plan.fleets)) for call in plan.embedded.calls]

    def between(self, begin: float, end: float, flows: Mapping[str, Flow]) -> Flow:
        """Return what is expected from *begin* to *end* besides *flows*, what the fleets do then, by name."""
        result = Flow(end - begin)
        heard = dict.fromkeys(flows, 0.0)
        for call, suited in self._calls:
            online = {name: share * flows[name].online_seconds for name, share in suited.items()}
            everyone = sum(online.values())
            in_all = self._in_all(call, suited, begin, end)
            for name, share in suited.items():
                if in_all is not None:
                    asked = in_all * (online[name] / everyone) if everyone else 0.0
                elif call.on is not None:
                    asked = _following(call, flows[name]) * share
                else:
                    asked = (call.each or 0.0) * online[name] * self._overlap(call, begin, end) / (end - begin)
                result.commands[call.send] += asked
                _obey(result, call, self._fleets[name], asked)
                if call.on is None:  # what follows something comes with it: the silence was over already
                    heard[name] += asked * (_TIMES_HEARD if call.send in _UPDATES else 1)
        for name, times in heard.items():
            if times:
                beats = self._fleets[name].heartbeats(flows[name], begin, end, times)
                result.calls["Heartbeat"] += beats - flows[name].calls["Heartbeat"]
        return result

    def _in_all(self, call: PlannedCall, suited: Mapping[str, float], begin: float, end: float) -> float | None:
        """Return how many calls there are over all charge points; None where each has its own."""
        if call.at is not None:
            known = sum(share * self._fleets[name].online_before(call.at) for name, share in suited.items())
            if not call.over:
                return known * call.share if begin <= call.at < end else 0.0
            during = min(end, call.at + call.over) - max(begin, call.at)
            return known * call.share * max(0.0, during) / call.over
        return None if call.rate is None else call.rate * self._overlap(call, begin, end)

    def _overlap(self, call: PlannedCall, begin: float, end: float) -> float:
        last = self._end if call.end is None else min(self._end, call.end)
        return max(0.0, min(end, last) - max(begin, call.begin))


def _suited(call: PlannedCall, fleets: tuple[FleetPlan, ...]) -> dict[str, float]:
    """Return the share of each fleet that *call* is for."""
    if call.to == "*":
        return dict.fromkeys((fleet.name for fleet in fleets), 1.0)
    match = re.compile(fnmatch.translate(call.to)).match
    return {
        fleet.name: sum(match(fleet.identity(n).id) is not None for n in range(fleet.count)) / max(fleet.count, 1)
        for fleet in fleets
    }


def _following(call: PlannedCall, flow: Flow) -> float:
    """Return how often what *call* follows happens, and still holds after its wait."""
    drivers = flow.drivers
    if call.send == "RemoteStartTransaction":
        return drivers.arrived - drivers.by_card  # who has shown a card is charging by then
    happens = {
        ON_BOOT: flow.calls["BootNotification"],
        "Preparing": drivers.arrived,
        "Charging": drivers.begun,
        "Finishing": drivers.ended,
        "Available": drivers.arrived - drivers.begun + drivers.ended,
    }
    return happens.get(call.on or "", 0.0)


def _obey(flow: Flow, call: PlannedCall, demand: FleetDemand, count: float) -> None:
    """Add what charge points send because they are asked *count* times."""
    connectors = demand.fleet.settings.connectors
    match call.send:
        case "Reset":
            flow.connect(demand.fleet, count, count * demand.boots)
        case "GetDiagnostics":
            flow.calls["DiagnosticsStatusNotification"] += 2 * count
        case "GetLog":
            flow.calls["LogStatusNotification"] += 2 * count
        case "TriggerMessage" | "ExtendedTriggerMessage":
            kind = str(call.payload.get("requestedMessage", ""))
            every = {"StatusNotification": connectors + 1, "MeterValues": connectors}.get(kind, 1)
            if kind != "BootNotification":
                flow.calls[kind] += count * (1 if "connectorId" in call.payload else every)
        case update if update in _UPDATES:
            signed = "Signed" if update.startswith("Signed") else ""
            flow.calls[f"{signed}FirmwareStatusNotification"] += _FIRMWARE_STATUSES * count
            flow.calls["StatusNotification"] += connectors * count  # Unavailable, until it is installed
            flow.connect(demand.fleet, count, count * demand.boots)
        case _:
            pass
