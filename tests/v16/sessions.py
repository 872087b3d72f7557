"""What the tests of charging sessions share: the specification's status table, and the book that a CSMS keeps."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

import trio

from tests.support import Answer, FakeCsms, Received, World, punctual_beat, punctual_boot, started

STATUSES: Final = (
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEV",
    "SuspendedEVSE",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
)
_TRANSITIONS: Final = """
    A2 A3 A4 A5 A7 A8 A9
    B1 B3 B4 B5 B6 B9
    C1 C4 C5 C6 C8 C9
    D1 D3 D5 D6 D8 D9
    E1 E3 E4 E6 E8 E9
    F1 F2 F8 F9
    G1 G2 G8 G9
    H1 H2 H3 H4 H5 H9
    I1 I2 I3 I4 I5 I6 I7 I8
"""
TRANSITIONS: Final = frozenset(
    (STATUSES["ABCDEFGHI".index(each[0])], STATUSES[int(each[1]) - 1]) for each in _TRANSITIONS.split()
)
"""The status changes of OCPP 1.6, section 4.9, by their names there (B6: errata 3.19)."""

PUNCTUAL: Final[dict[str, Any]] = {"BootNotification": punctual_boot, "Heartbeat": punctual_beat}
"""Scripts of a CSMS whose clock is right, and that does not ask for beats."""


TRANSACTION_MESSAGES: Final = ("StartTransaction", "MeterValues", "StopTransaction")


async def go_offline(w: World, seconds: float) -> None:
    """Break the connection; for *seconds* none can be made."""
    until = trio.current_time() + seconds
    w.csms.refuse = lambda identity: "refused" if trio.current_time() < until else None
    await w.csms.latest.drop()
    await trio.testing.wait_all_tasks_blocked()


def happened_at(call: Received) -> str:
    """Return the time of the event that a message about a transaction, or a meter value, is about."""
    stamped = call.payload if "timestamp" in call.payload else call.payload["meterValue"][0]
    return str(stamped["timestamp"])


def statuses_of(csms: FakeCsms, connector_id: int) -> list[str]:
    """Return the statuses that were said of a connector, in order."""
    said = csms.calls("StatusNotification")
    return [call.payload["status"] for call in said if call.payload["connectorId"] == connector_id]


def bad_statuses(csms: FakeCsms) -> list[str]:
    """Name what was said of connectors' statuses and cannot be, connection by connection (section 4.9)."""
    problems = []
    said: dict[tuple[str, int, int], list[Any]] = defaultdict(list)
    for call in csms.calls("StatusNotification"):
        status, error = call.payload["status"], call.payload["errorCode"]
        if (status == "Faulted") == (error == "NoError"):
            problems.append(f"{call.at}: {status} with {error}")
        if call.payload["connectorId"] == 0 and status not in ("Available", "Unavailable", "Faulted"):
            problems.append(f"{call.at}: connector 0 is {status}")
        said[call.identity, call.connection, call.payload["connectorId"]].append(call)
    for (_, _, connector_id), calls in said.items():
        for before, after in pairwise(calls):
            change = before.payload["status"], after.payload["status"]
            if change not in TRANSITIONS:
                problems.append(f"{after.at}: connector {connector_id} went from {change[0]} to {change[1]}")
            if before.payload["timestamp"] > after.payload["timestamp"]:
                problems.append(f"{after.at}: connector {connector_id} says what is older than what it said")
    return problems


class TransactionData(NamedTuple):
    """A meter value of a StopTransaction's transactionData: when, in which context, which measurands."""

    timestamp: str
    context: str
    measurands: list[str]


def transaction_data(csms: FakeCsms) -> list[list[TransactionData]]:
    """Return the transactionData of every StopTransaction, in short."""
    return [
        [
            TransactionData(
                value["timestamp"],
                value["sampledValue"][0]["context"],
                [sampled["measurand"] for sampled in value["sampledValue"]],
            )
            for value in call.payload.get("transactionData", ())
        ]
        for call in csms.calls("StopTransaction")
    ]


@dataclass
class Entry:
    """One transaction as a CSMS knows it."""

    id: int
    start: dict[str, Any]
    samples: list[dict[str, Any]] = field(default_factory=list)
    stop: dict[str, Any] | None = None


class Book:
    """The transactions of a CSMS: each message is known again by its content, and what cannot be is a problem."""

    def __init__(self, *, first: int = 1) -> None:
        self.entries: dict[int, Entry] = {}
        self.problems: list[str] = []
        self.unnumbered: list[dict[str, Any]] = []
        """Stops of transactions whose Start never came through."""
        self._first = first
        self._by_content: dict[str, Entry] = {}
        self._taken: set[str] = set()
        self._newest: dict[str, datetime] = {}
        self._register: dict[tuple[str, int], int] = {}

    @property
    def scripts(self) -> dict[str, Any]:
        """What this CSMS answers; its clock is right."""
        return {
            **PUNCTUAL,
            "StartTransaction": self.start,
            "StopTransaction": self.stop,
            "MeterValues": self.meter_values,
        }

    @property
    def open(self) -> list[int]:
        """Ids of the transactions that were not stopped."""
        return [entry.id for entry in self.entries.values() if entry.stop is None]

    @property
    def energy(self) -> int:
        """Watt-hours of the transactions that were stopped."""
        stopped = [(entry.start, entry.stop) for entry in self.entries.values() if entry.stop is not None]
        return sum(stop["meterStop"] - start["meterStart"] for start, stop in stopped)

    def start(self, received: Received) -> Answer:
        content = f"{received.identity} {received.payload}"
        if content not in self._by_content:
            entry = Entry(self._first + len(self.entries), received.payload)
            self._by_content[content] = self.entries[entry.id] = entry
            self._meter(received, received.payload["connectorId"], received.payload["meterStart"])
            self._at(received, received.payload["timestamp"])
        return started(self._by_content[content].id)

    def meter_values(self, received: Received) -> Answer:
        """Take meter values; those of no transaction may overtake what is tried again (section 3.7)."""
        if self._is_new(received) and "transactionId" in received.payload:
            for value in received.payload["meterValue"]:
                self._at(received, value["timestamp"])
                self._sample(received, value)
        return Answer(payload={})

    def stop(self, received: Received) -> Answer:
        if not self._is_new(received):
            return Answer(payload={})
        self._at(received, received.payload["timestamp"])
        if received.payload["transactionId"] == -1:
            self.unnumbered.append(received.payload)
            return Answer(payload={})
        entry = self.entries.get(received.payload["transactionId"])
        if entry is None:
            self.problems.append(f"{received.at}: stop of an unknown transaction: {received.payload}")
        elif entry.stop is not None:
            self.problems.append(f"{received.at}: stopped twice: {received.payload}, {entry.stop}")
        else:
            entry.stop = received.payload
            self._meter(received, entry.start["connectorId"], received.payload["meterStop"])
            if received.payload["timestamp"] < entry.start["timestamp"]:
                self.problems.append(f"{received.at}: stopped before it began: {entry}")
        return Answer(payload={})

    def _is_new(self, received: Received) -> bool:
        content = f"{received.identity} {received.action} {received.payload}"
        new = content not in self._taken
        self._taken.add(content)
        return new

    def _sample(self, received: Received, value: dict[str, Any]) -> None:
        entry = self.entries.get(received.payload.get("transactionId"))
        if entry is not None:
            entry.samples.append(value)
            if entry.stop is not None:
                self.problems.append(f"{received.at}: a sample after the stop: {received.payload}")
            elif entry.start["connectorId"] != received.payload["connectorId"]:
                self.problems.append(f"{received.at}: a sample of another connector: {received.payload}")
        for each in value["sampledValue"]:
            if each["measurand"] == "Energy.Active.Import.Register":
                self._meter(received, received.payload["connectorId"], int(each["value"]))

    def _meter(self, received: Received, connector_id: int, reading: int) -> None:
        key = received.identity, connector_id
        if reading < self._register.get(key, 0):
            self.problems.append(f"{received.at}: connector {connector_id} went back: {received.payload}")
        self._register[key] = reading

    def _at(self, received: Received, timestamp: str) -> None:
        moment = datetime.fromisoformat(timestamp)
        if moment < self._newest.get(received.identity, moment):
            self.problems.append(f"{received.at}: out of order: {received.action} {received.payload}")
        self._newest[received.identity] = moment
