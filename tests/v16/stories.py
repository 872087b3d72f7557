"""What frames tell of connectors and transactions, and what of that cannot be (OCPP 1.6, chapters 3 and 4)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.v16.frames import Exchange, Reading
from tests.v16.sessions import TRANSITIONS

_OF_ITSELF = ("Available", "Unavailable", "Faulted")
_REGISTER = "Energy.Active.Import.Register"
_ALL = -1


def bad_statuses(reading: Reading) -> list[str]:
    """Name what was said of connectors' statuses and cannot be, connection by connection.

    A status is said twice only where it was asked for. What reports a LocalListConflict is no status.
    """
    problems: list[str] = []
    said: dict[tuple[int, int], list[Exchange]] = defaultdict(list)
    asked: Counter[tuple[int, int]] = Counter()
    for each in reading.exchanges:
        if _asks_for_status(each):
            asked[each.connection, each.payload.get("connectorId", _ALL)] += 1
        elif each.action == "StatusNotification" and each.payload["errorCode"] != "LocalListConflict":
            said[each.connection, each.payload["connectorId"]].append(each)
            if (each.payload["status"] == "Faulted") == (each.payload["errorCode"] == "NoError"):
                problems.append(f"{each}: a fault and its code belong together")
            if each.payload["connectorId"] == 0 and each.payload["status"] not in _OF_ITSELF:
                problems.append(f"{each}: connector 0 cannot be so")
    for (connection, number), calls in said.items():
        changes = [(before.payload, after.payload, after) for before, after in pairwise(calls)]
        repeats = [after for one, other, after in changes if one["status"] == other["status"]]
        if len(repeats) > asked[connection, number] + asked[connection, _ALL]:
            problems.append(f"{repeats[0]}: said again, and nobody has asked")
        for one, other, after in changes:
            if one["status"] != other["status"] and (one["status"], other["status"]) not in TRANSITIONS:
                problems.append(f"{after}: it was {one['status']}")
            if _moment(one["timestamp"]) > _moment(other["timestamp"]):
                problems.append(f"{after}: older than what was said before, of {one['timestamp']}")
    return problems


def _asks_for_status(each: Exchange) -> bool:
    return (
        each.action in ("TriggerMessage", "ExtendedTriggerMessage")
        and each.payload["requestedMessage"] == "StatusNotification"
        and each.answer == {"status": "Accepted"}
    )


@dataclass
class Told:
    """One transaction: its Start, the ids that it was given, its different messages with their times, its Stops."""

    identity: str
    start: dict[str, Any]
    ids: set[int] = field(default_factory=set)
    said: dict[str, datetime] = field(default_factory=dict)
    stops: list[dict[str, Any]] = field(default_factory=list)
    confirmed: bool = False

    @property
    def newest(self) -> datetime | None:
        return next(reversed(self.said.values()), None)


@dataclass
class Transactions:
    """All transactions that the frames tell of; *problems* is what cannot be."""

    told: list[Told] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def confirmed(self) -> list[Told]:
        """Those of which a Stop was answered."""
        return [each for each in self.told if each.confirmed]

    @property
    def energy(self) -> int:
        """Watt-hours of the transactions whose stops were confirmed."""
        return sum(each.stops[0]["meterStop"] - each.start["meterStart"] for each in self.confirmed)


def transactions(reading: Reading) -> Transactions:
    """Follow every transaction through the frames: each has one id and one end; times and meters do not fall."""
    teller = _Teller()
    for each in reading.exchanges:
        if each.action in teller.takes:
            teller.takes[each.action](each)
    teller.hold_together()
    return teller.found


class _Teller:
    def __init__(self) -> None:
        self.found = Transactions()
        self.takes = {
            "StartTransaction": self._take_start,
            "MeterValues": self._take_values,
            "StopTransaction": self._take_stop,
        }
        self._by_content: dict[str, Told] = {}
        self._by_id: dict[int, Told] = {}
        self._registers: dict[tuple[str, int], int] = {}

    def _problem(self, each: Exchange, what: str) -> None:
        self.found.problems.append(f"{each}: {what}")

    def _take_start(self, each: Exchange) -> None:
        content = f"{each.identity} {_text(each)}"
        if content not in self._by_content:
            self._by_content[content] = Told(each.identity, each.payload)
            self.found.told.append(self._by_content[content])
        told = self._by_content[content]
        self._note(told, each, each.payload["timestamp"])
        self._read(each, each.payload["connectorId"], each.payload["meterStart"])
        if each.kind == 3:
            told.ids.add(each.answer["transactionId"])
            self._by_id[each.answer["transactionId"]] = told

    def _take_values(self, each: Exchange) -> None:
        number = each.payload.get("transactionId")
        if number is not None:
            told = self._of(each, number)
            if told is None:
                return
            if told.start["connectorId"] != each.payload["connectorId"]:
                self._problem(each, "a sample of another connector")
            if told.stops:
                self._problem(each, "a sample after the stop")
            for value in each.payload["meterValue"]:
                self._note(told, each, value["timestamp"])
        for value in each.payload["meterValue"]:
            for sample in value["sampledValue"]:
                if sample.get("measurand", _REGISTER) == _REGISTER and each.payload["connectorId"]:
                    self._read(each, each.payload["connectorId"], int(sample["value"]))

    def _take_stop(self, each: Exchange) -> None:
        told = self._of(each, each.payload["transactionId"])
        if told is None:
            return
        if each.payload not in told.stops:
            told.stops.append(each.payload)
        inside = [value["timestamp"] for value in each.payload.get("transactionData", ())]
        times = [_moment(text) for text in (told.start["timestamp"], *inside, each.payload["timestamp"])]
        if times != sorted(times):
            self._problem(each, "data out of order")
        self._note(told, each, each.payload["timestamp"])
        self._read(each, told.start["connectorId"], each.payload["meterStop"])
        told.confirmed = told.confirmed or each.kind == 3

    def _of(self, each: Exchange, number: int) -> Told | None:
        told = self._by_id.get(number)
        if told is None or told.identity != each.identity:
            self._problem(each, "of a transaction that never began")
            return None
        return told

    def _note(self, told: Told, each: Exchange, timestamp: str) -> None:
        """Take the time of a message; one that is sent again is known by its content."""
        if told.newest is not None and _moment(timestamp) < told.newest and _text(each) not in told.said:
            self._problem(each, f"older than what was said before, of {told.newest}")
        told.said.setdefault(_text(each), _moment(timestamp))

    def _read(self, each: Exchange, connector: int, watt_hours: int) -> None:
        if watt_hours < self._registers.get((each.identity, connector), 0):
            self._problem(each, f"connector {connector} has shown more before")
        self._registers[each.identity, connector] = watt_hours

    def hold_together(self) -> None:
        holders = Counter(number for told in self.found.told for number in told.ids)
        self.found.problems.extend(
            f"{told.identity}: {problem}: {told.start}"
            for told in self.found.told
            for problem in _contradictions(told, holders)
        )


def _contradictions(told: Told, holders: Counter[int]) -> Iterator[str]:
    if len(told.ids) > 1:
        yield f"it has the ids {sorted(told.ids)}"
    if any(holders[number] > 1 for number in told.ids):
        yield f"another one has its id, {sorted(told.ids)}"
    if len(told.stops) > 1:
        yield f"it was stopped {len(told.stops)} times: {told.stops}"


def _text(each: Exchange) -> str:
    return f"{each.action} {json.dumps(each.payload, sort_keys=True)}"


def _moment(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp)
