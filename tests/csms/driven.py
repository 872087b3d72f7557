"""A plan of calls on a stage, in virtual time: charge points that come, go, say things and are called."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import trio
from trio.testing import wait_all_tasks_blocked

from loadsim.csms.calling import Answered, Failed, Outcome
from loadsim.csms.drive import Drive
from loadsim.csms.points import Runs
from loadsim.ocpp.frame import Call
from loadsim.scenario.plan import PlannedCall
from loadsim.v16.orders import make_request

WALL = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)


@dataclass(frozen=True)
class Transaction:
    connector: int


@dataclass
class Known:
    """What the central system knows of a charge point."""

    accepted: bool = False
    connector_status: dict[int, str] = field(default_factory=dict)
    open_transactions: dict[int, Runs] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    at: float
    identity: str
    action: str
    payload: Any


class Stage:
    """A drive, and charge points that come, go, say things and are called."""

    def __init__(self, *plan: PlannedCall, seed: int = 1) -> None:
        self.points: dict[str, Known] = {}
        self.sent: list[Sent] = []
        self.status = "Accepted"
        self.delay = 0.0
        self.drive = Drive(plan, seed=seed, known=self.known, call=self.call, now=self.now)

    def known(self, identity: str) -> Known:
        return self.points.setdefault(identity, Known())

    def now(self) -> datetime:
        return WALL + timedelta(seconds=trio.current_time())

    async def call(self, identity: str, action: str, payload: Mapping[str, Any], *, timeout: float) -> Outcome:
        make_request(action, payload)
        self.sent.append(Sent(round(trio.current_time(), 6), identity, action, dict(payload)))
        await trio.sleep(self.delay)
        if not self.status:
            return Failed("timeout")
        return Answered(msgspec.defstruct("Response", ["status"])(self.status), msgspec.Raw(b"{}"), self.delay)

    def boots(self, identity: str, status: str = "Accepted") -> None:
        self.known(identity).accepted = status == "Accepted"
        self.drive.entered(identity)
        self._says(identity, "BootNotification", {})

    def reports(self, identity: str, connector: int, status: str) -> None:
        self.known(identity).connector_status[connector] = status
        self._says(identity, "StatusNotification", {"connectorId": connector, "status": status})

    def starts(self, identity: str, connector: int, transaction: int) -> None:
        self.known(identity).open_transactions[transaction] = Transaction(connector)
        self._says(identity, "StartTransaction", {"connectorId": connector})

    def stops(self, identity: str, transaction: int) -> None:
        del self.known(identity).open_transactions[transaction]
        self._says(identity, "StopTransaction", {})

    def leaves(self, identity: str) -> None:
        self.drive.left(identity)

    def _says(self, identity: str, action: str, payload: Mapping[str, Any]) -> None:
        self.drive.heard(identity, Call("1", action, msgspec.Raw(json.dumps(payload).encode())))

    @property
    def times(self) -> list[float]:
        return [each.at for each in self.sent]

    @property
    def payloads(self) -> list[Any]:
        return [each.payload for each in self.sent]

    def numbers(self, name: str = "it") -> dict[str, int]:
        """Return the counts that are not 0."""
        record = self.drive.record()["planned_calls"][name]
        assert record["due"] == record["called"] + record["no_target"] + record["moot"] + record["invalid"]
        return {key: record[key] for key in ("due", "called", "no_target", "moot", "invalid") if record[key]}


def planned(send: str = "ClearCache", **options: Any) -> PlannedCall:
    return PlannedCall(**{"name": "it", "send": send, **options})


@asynccontextmanager
async def playing(stage: Stage, seconds: float = 0.0) -> AsyncIterator[Stage]:
    """Carry the plan out: first what the test does at the beginning, then *seconds* of it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.drive.run)
        stage.drive.begin()
        await wait_all_tasks_blocked()
        yield stage
        await trio.sleep(seconds)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
