"""What the truth server writes down: calls, transactions, and every connection with its moments.

Moments are seconds since 1970, as a monotonic clock that was set once tells them: their differences are true
whatever becomes of the time of day, and they can be held against what other processes say.
"""

import time
from dataclasses import dataclass, field

from .serving import Record

_OFFSET = time.time() - time.perf_counter()


def moment(at: float | None) -> float | None:
    """Turn a time of `time.perf_counter` into seconds since 1970."""
    return None if at is None else at + _OFFSET


@dataclass(slots=True)
class Count:
    """The calls of one action."""

    received: int = 0
    answered: int = 0
    refused: int = 0
    unanswered: int = 0  # the connection ended first, or the run did

    def record(self, unanswered: int) -> Record:
        return {
            "received": self.received,
            "answered": self.answered,
            "refused": self.refused,
            "unanswered": self.unanswered + unanswered,
        }


@dataclass(slots=True)
class Transactions:
    """What starts and stops say, against one another."""

    started: int = 0
    stopped: int = 0
    repeated_starts: int = 0  # the same event sent once more: it gets the id it got before
    unknown_stops: int = 0
    running: set[int] = field(default_factory=set)
    seen: dict[tuple[object, ...], int] = field(default_factory=dict)

    def start(self, identity: str, payload: dict[str, object]) -> int:
        event = (identity, *(payload.get(key) for key in ("connectorId", "idTag", "timestamp", "meterStart")))
        if event in self.seen:
            self.repeated_starts += 1
            return self.seen[event]
        self.started += 1
        self.seen[event] = self.started
        self.running.add(self.started)
        return self.started

    def stop(self, payload: dict[str, object]) -> None:
        number = payload.get("transactionId")
        if isinstance(number, int) and number in self.running:
            self.running.remove(number)
            self.stopped += 1
        else:
            self.unknown_stops += 1

    def record(self) -> Record:
        return {
            "started": self.started,
            "stopped": self.stopped,
            "open": len(self.running),
            "repeated_starts": self.repeated_starts,
            "unknown_stops": self.unknown_stops,
        }


@dataclass(slots=True)
class Visit:
    """One connection: when it was accepted, its handshake and its boot answered, and when it ended."""

    accepted: float
    identity: str = ""
    opened: float | None = None
    booted: float | None = None
    ended: float | None = None

    def record(self) -> Record:
        return {
            "identity": self.identity,
            "accepted": moment(self.accepted),
            "opened": moment(self.opened),
            "booted": moment(self.booted),
            "ended": moment(self.ended),
        }


@dataclass(slots=True)
class Authorized:
    """One Authorize that was answered, *seconds* after its receipt."""

    identity: str
    received: float
    seconds: float
    id_tag: str
    refused: bool

    def record(self) -> Record:
        return {
            "identity": self.identity,
            "received": moment(self.received),
            "ms": self.seconds * 1e3,
            "id_tag": self.id_tag,
            "refused": self.refused,
        }
