"""What a central system can know of transactions: the messages about them, held against one another."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .serving import Record


@dataclass(slots=True)
class Transactions:
    """Transactions by the ids that were given; energy is in watt-hours, by the meter readings of starts and stops."""

    energy: int = 0
    repeated_starts: int = 0  # the same event sent once more: it gets the id it got before
    repeated_stops: int = 0
    unknown_stops: int = 0
    unknown_values: int = 0  # MeterValues of a transaction that never was
    backwards: int = 0  # meterStop below meterStart
    with_data: int = 0  # stops with transactionData
    reserved: int = 0  # starts with a reservationId
    reasons: Counter[str] = field(default_factory=Counter)
    meter_starts: dict[int, int] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)
    _seen: dict[tuple[object, ...], int] = field(default_factory=dict)

    def start(self, identity: str, payload: dict[str, Any]) -> int:
        """Give a StartTransaction its id, from 1 ascending."""
        event = (identity, *(payload[key] for key in ("connectorId", "idTag", "timestamp", "meterStart")))
        if event in self._seen:
            self.repeated_starts += 1
            return self._seen[event]
        number = self._seen[event] = len(self._seen) + 1
        self.meter_starts[number] = payload["meterStart"]
        self.running.add(number)
        self.reserved += "reservationId" in payload
        return number

    def stop(self, payload: dict[str, Any]) -> None:
        number = payload["transactionId"]
        if number not in self.meter_starts:
            self.unknown_stops += 1
            return
        if number not in self.running:
            self.repeated_stops += 1
            return
        self.running.discard(number)
        energy = payload["meterStop"] - self.meter_starts[number]
        self.energy += energy
        self.backwards += energy < 0
        self.with_data += "transactionData" in payload
        self.reasons[payload.get("reason", "none")] += 1

    def note_values(self, payload: dict[str, Any]) -> None:
        self.unknown_values += "transactionId" in payload and payload["transactionId"] not in self.meter_starts

    def record(self) -> Record:
        return {
            "started": len(self.meter_starts),
            "stopped": self.reasons.total(),
            "open": len(self.running),
            "energy_wh": self.energy,
            "repeated_starts": self.repeated_starts,
            "repeated_stops": self.repeated_stops,
            "unknown_stops": self.unknown_stops,
            "unknown_values": self.unknown_values,
            "backwards": self.backwards,
            "with_data": self.with_data,
            "reserved": self.reserved,
            "reasons": dict(self.reasons),
        }
