"""Frames of a whole run, judged by what OCPP-J 1.6 and the OCA's schemas say; no code of loadsim is in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.v16.messages.oracle import SCHEMAS, validator

BY_CHARGE_POINT = frozenset(
    {
        "Authorize",
        "BootNotification",
        "DataTransfer",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignCertificate",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    }
)
ACTIONS = frozenset(name for name in SCHEMAS if not name.endswith("Response"))
BY_CSMS = ACTIONS - BY_CHARGE_POINT | {"DataTransfer"}
ERROR_CODES = frozenset(
    {
        "NotImplemented",
        "NotSupported",
        "InternalError",
        "ProtocolError",
        "SecurityError",
        "FormationViolation",
        "PropertyConstraintViolation",
        "OccurenceConstraintViolation",
        "TypeConstraintViolation",
        "GenericError",
    }
)
"""Section 4.2.3 of OCPP-J 1.6, in its spelling."""


class Frame(NamedTuple):
    """A text that was sent; *at* in seconds."""

    at: float
    identity: str
    connection: int
    by_csms: bool
    text: str


@dataclass
class Exchange:
    """A CALL, and the answer that it got, if it got one: *kind* 3 with a payload, 4 with a code."""

    at: float
    identity: str
    connection: int
    by_csms: bool
    id: str
    action: str
    payload: Any
    kind: int = 0
    answer: Any = None
    answered_at: float = 0.0

    def __str__(self) -> str:
        return f"{self.at:.3f} {self.identity} #{self.connection} {self.action} {json.dumps(self.payload)[:400]}"


@dataclass
class Reading:
    """What all frames say; *problems* is what cannot be."""

    exchanges: list[Exchange] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def of(self, action: str) -> list[Exchange]:
        return [each for each in self.exchanges if each.action == action]

    @property
    def actions(self) -> set[tuple[str, str]]:
        """Who has sent which actions."""
        return {("csms" if each.by_csms else "charge point", each.action) for each in self.exchanges}


def read(frames: Iterable[Frame]) -> Reading:
    """Read *frames*, in the order of their sending, and hold each against its schema (OCPP-J 1.6, 4.1 and 4.2)."""
    reader = _Reader()
    for frame in frames:
        reader.take(frame)
    return reader.reading


class _Reader:
    def __init__(self) -> None:
        self.reading = Reading()
        self._used: set[tuple[str, bool, str]] = set()
        self._open: dict[tuple[int, bool], Exchange] = {}

    def take(self, frame: Frame) -> None:
        for problem in self._problems(frame):
            who = "csms" if frame.by_csms else "charge point"
            where = f"{frame.at:.3f} {frame.identity} #{frame.connection} {who}"
            self.reading.problems.append(f"{where}: {problem}: {frame.text[:600]}")

    def _problems(self, frame: Frame) -> Iterable[str]:
        try:
            parts = json.loads(frame.text)
        except ValueError:
            return ["no JSON"]
        kind = parts[0] if isinstance(parts, list) and parts else None
        if kind == 2 and len(parts) == 4:
            return self._take_call(frame, *parts[1:])
        if (kind == 3 and len(parts) == 3) or (kind == 4 and len(parts) == 5):
            return self._take_answer(frame, kind, *parts[1:])
        return ["no frame"]

    def _take_call(self, frame: Frame, message_id: Any, action: Any, payload: Any) -> Iterable[str]:
        if not (isinstance(message_id, str) and 0 < len(message_id) <= 36):
            yield "a bad id"
        if (frame.identity, frame.by_csms, message_id) in self._used:
            yield "an id that was used before"
        self._used.add((frame.identity, frame.by_csms, message_id))
        key = frame.connection, frame.by_csms
        if key in self._open:
            yield f"another call is open: {self._open[key]}"
        if action not in (BY_CSMS if frame.by_csms else BY_CHARGE_POINT):
            yield "not an action of this side"
            return
        for error in validator(action).iter_errors(payload):
            yield error.message
        exchange = Exchange(frame.at, frame.identity, frame.connection, frame.by_csms, message_id, action, payload)
        self._open[key] = exchange
        self.reading.exchanges.append(exchange)

    def _take_answer(self, frame: Frame, kind: int, message_id: Any, *content: Any) -> Iterable[str]:
        key = frame.connection, not frame.by_csms
        call = self._open.get(key)
        if call is None or call.id != message_id:
            yield "an answer to no open call"
            return
        del self._open[key]
        call.kind, call.answer, call.answered_at = kind, content[0], frame.at
        if kind == 3:
            for error in validator(f"{call.action}Response").iter_errors(content[0]):
                yield error.message
        elif content[0] not in ERROR_CODES or not isinstance(content[1], str) or not isinstance(content[2], dict):
            yield "a CALLERROR that is none"


def unanswered(reading: Reading, ends: Mapping[int, float], within: float) -> list[str]:
    """Name the calls without an answer *within* so many seconds although their connection, by *ends*, went on."""
    return [
        f"{each}, answered at {each.answered_at:.3f}"
        for each in reading.exchanges
        if (each.answered_at if each.kind else ends[each.connection]) > each.at + within
    ]
