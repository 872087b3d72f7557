"""A whole run in virtual time, several workers and all outputs, beside a CSMS that writes down what it sees."""

from __future__ import annotations

import csv
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio

from loadsim.fleet import Fleet
from loadsim.link.transport import ConnectRequest
from loadsim.metrics.recorder import Recorder
from loadsim.output.checkpoint import summary_so_far
from loadsim.output.progress import Progress
from loadsim.output.run_folder import RunFolder
from loadsim.output.summary import build_summary
from loadsim.scenario.load_profile import stage_at, stage_ends
from loadsim.scenario.plan import Plan
from tests.support import BlockingTransport, FakeConnection, Received, make_context
from tests.tough import ToughCsms

TICK = 0.5
SKEW = 0.003
"""Seconds by which each worker tells later than the one before it."""


class SeeingCsms(ToughCsms):
    """A ToughCsms that notes when it has answered what, and after how long."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__(nursery)
        self.said: list[tuple[float, str, float]] = []
        """When each answer was sent, to which action, and how long after its call."""
        self.booted: dict[int, float] = {}
        """When a boot was accepted, by the connection's number."""
        self._calls: dict[tuple[int, str], Received] = {}
        self._indexed = 0

    async def connect(self, nursery: trio.Nursery, request: ConnectRequest) -> BlockingTransport:
        client = await super().connect(nursery, request)
        connection = next(each for each in reversed(self.connections) if each.client is client)
        send = connection.send

        async def noted(text: str | bytes) -> bool:
            sent = await send(text)
            if sent:
                self._note(connection, str(text))
            return sent

        connection.send = noted  # type: ignore[method-assign]
        return client

    def _note(self, connection: FakeConnection, text: str) -> None:
        for call in self.received[self._indexed :]:
            self._calls[call.connection, call.id] = call
        self._indexed = len(self.received)
        kind, message_id, *content = json.loads(text)
        call_or_none = self._calls.get((connection.number, message_id))
        if kind == 3 and call_or_none is not None:
            now = trio.current_time()
            self.said.append((now, call_or_none.action, now - call_or_none.at))
            if call_or_none.action == "BootNotification" and content[0]["status"] == "Accepted":
                self.booted.setdefault(connection.number, now)


@dataclass(frozen=True, slots=True)
class Visit:
    """A connection as the CSMS saw it: from when its charge point was online, and until when; seconds of the run."""

    identity: str
    opened: float
    online: float
    ended: float


@dataclass(frozen=True, slots=True)
class Observed:
    """A run that has ended, from both sides; times are seconds of the run."""

    summary: dict[str, Any]
    so_far: list[tuple[float, dict[str, Any]]]
    """What a checkpoint would have said, and up to when."""
    visits: list[Visit]
    answers: list[tuple[float, str, float]]
    calls: list[tuple[float, str]]
    connects: list[float]
    folder: Path

    def rows(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a CSV file."""
        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


async def observe(
    plan: Plan,
    results: Path,
    *,
    workers: int,
    prepare: Callable[[SeeingCsms], None],
    meanwhile: Callable[[SeeingCsms], Awaitable[None]],
    end_at: float | None = None,
) -> Observed:
    """Run *plan*, to its end or until *end_at*, as a conductor and so many workers would."""
    zero = trio.current_time()
    progress = Progress(plan, workers=workers)
    folder = RunFolder(results, plan, now=datetime(2026, 11, 24, 9, tzinfo=UTC), workers=workers)
    so_far: list[tuple[float, dict[str, Any]]] = []
    fleets: list[tuple[Fleet, Recorder]] = []

    def tell(fleet: Fleet, recorder: Recorder, *, final: bool = False) -> None:
        snapshot = recorder.fold(fleet.elapsed, gauges=fleet.gauges, final=final)
        progress.elapsed = trio.current_time() - zero
        progress.take(snapshot)
        folder.take(snapshot)

    async def report(fleet: Fleet, recorder: Recorder) -> None:
        due = zero + SKEW * recorder.shard
        while True:
            due += TICK
            await trio.sleep_until(due)
            tell(fleet, recorder)

    async def live(fleet: Fleet, recorder: Recorder) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(report, fleet, recorder)
            await fleet.run(graceful_stop=30.0)
            nursery.cancel_scope.cancel()
        tell(fleet, recorder, final=True)

    async def conduct() -> None:
        while True:
            await trio.sleep(TICK / 2)
            progress.elapsed = trio.current_time() - zero
            if progress.ended_at is None and progress.elapsed >= plan.duration:
                progress.ended_at = plan.duration
            folder.flush(progress.elapsed)
            so_far.append((progress.measured_at, summary_so_far(progress)))
            if progress.ended_at is None and end_at is not None and progress.elapsed >= end_at:
                progress.ended_at = progress.elapsed
                for fleet, _ in fleets:
                    fleet.end()

    async with trio.open_nursery() as outer:
        csms = SeeingCsms(outer)
        prepare(csms)
        for shard in range(workers):
            recorder = Recorder(shard, stage_ends=stage_ends(plan.stages))
            context = make_context(
                csms,
                recorder=recorder,
                stage_at=lambda elapsed: stage_at(plan.stages, elapsed),
                seed=plan.seed,
                in_flight=100_000,
            )
            fleets.append((Fleet(plan, context, shard=shard, workers=workers), recorder))
        async with trio.open_nursery() as around:
            around.start_soon(conduct)
            around.start_soon(meanwhile, csms)
            async with trio.open_nursery() as nursery:
                for fleet, recorder in fleets:
                    nursery.start_soon(live, fleet, recorder)
            around.cancel_scope.cancel()
        outer.cancel_scope.cancel()
    so_far.append((progress.measured_at, summary_so_far(progress)))
    ended_at = plan.duration if progress.ended_at is None else progress.ended_at  # it may end between two looks
    summary = build_summary(progress, duration=ended_at)
    folder.write_summary(summary)
    folder.close()
    return Observed(
        summary=summary,
        so_far=so_far,
        visits=_visits(csms, zero),
        answers=[(at - zero, action, took) for at, action, took in csms.said],
        calls=[(call.at - zero, call.action) for call in csms.received],
        connects=[at - zero for at, _ in csms.connects],
        folder=folder.path,
    )


def _visits(csms: SeeingCsms, zero: float) -> list[Visit]:
    """Put together when charge points were online: from the first boot's answer on, later from the handshake on."""
    visits, known = [], set()
    for connection in csms.connections:
        booted = csms.booted.get(connection.number)
        online = connection.opened_at if connection.identity in known else booted
        if booted is not None:
            known.add(connection.identity)
        if online is not None:
            ended = float("inf") if connection.ended_at is None else connection.ended_at - zero
            visits.append(Visit(connection.identity, connection.opened_at - zero, online - zero, ended))
    return visits
