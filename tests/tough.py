"""A CSMS of the tests that survives what is malformed, and fleets with planned faults, in virtual time."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import msgspec
import trio

from loadsim.charge_point.settings import Backoff
from loadsim.fleet import Fleet
from loadsim.link.transport import ConnectFailed, ConnectRequest
from loadsim.metrics.recorder import Recorder
from loadsim.ocpp.action import InvalidPayload
from loadsim.scenario.load_profile import stage_at
from loadsim.scenario.plan import FaultPlan, Plan
from loadsim.v16.messages import BY_NAME
from tests.fleet.test_fleet import Run, by_tag, make_plan
from tests.support import (
    BlockingTransport,
    FakeConnection,
    FakeCsms,
    Ledger,
    Script,
    World,
    make_context,
    open_books,
    open_session_books,
)

STEADY = Backoff(first=5.0, factor=2.0, max=60.0, jitter=0.0)


def id_of(text: str | bytes) -> str | None:
    """Return the message id of a frame; None where none can be read."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    readable = isinstance(content, list) and len(content) > 1 and isinstance(content[1], str)
    return content[1] if readable else None


def is_sound(text: str | bytes) -> bool:
    """Tell whether a message is a frame of OCPP-J, not too long, whose request, if it is one, fits its schema."""
    if isinstance(text, bytes) or len(text) > 2**20:
        return False
    try:
        content = json.loads(text)
        if not isinstance(content, list) or content[:1] != [2]:
            return isinstance(content, list) and content[:1] in ([3], [4])
        _, _, action, payload = content
        BY_NAME[action].decode_request(msgspec.Raw(json.dumps(payload).encode()))
    except (ValueError, KeyError, RecursionError, InvalidPayload):
        return False
    return True


class ToughConnection(FakeConnection):
    """Keeps what is malformed apart; everything else is answered as usual."""

    csms: ToughCsms

    async def _take(self, text: str | bytes) -> None:
        if is_sound(text):
            await super()._take(text)
        else:
            self.csms.malformed.append((trio.current_time(), self.identity, text))
            if self.csms.suffer is not None:
                await self.csms.suffer(self, text)


class ToughCsms(FakeCsms):
    """A FakeCsms that survives; *suffer* is what it does with a malformed message, nothing by default."""

    def __init__(self, nursery: trio.Nursery, **scripts: Script) -> None:
        super().__init__(nursery, **scripts)
        self.malformed: list[tuple[float, str, str | bytes]] = []
        self.suffer: Callable[[FakeConnection, str | bytes], Awaitable[None]] | None = None

    async def connect(self, nursery: trio.Nursery, request: ConnectRequest) -> BlockingTransport:
        self.connects.append((trio.current_time(), request.identity))
        await trio.sleep(self.connect_delay)
        outcome = self.refuse(request.identity)
        if outcome is not None:
            raise ConnectFailed(outcome, "as the test wants")
        connection = ToughConnection(self, len(self.connections), request.identity)
        connection.client.slow_down(request.slowness)
        self.connections.append(connection)
        self.nursery.start_soon(connection.serve)
        return connection.client

    async def ends_everything(self, code: int = 1006) -> None:
        """End all connections, as a server that goes down."""
        for connection in self.connections:
            if connection.ended_at is None:
                await connection.drop(code)

    def gaps(self) -> dict[str, list[tuple[float, float | None]]]:
        """Return by identity when a connection ended and when the next one was there; None: there was none."""
        connections: defaultdict[str, list[FakeConnection]] = defaultdict(list)
        for connection in self.connections:
            connections[connection.identity].append(connection)
        return {
            identity: [
                (before.ended_at, None if after is None else after.opened_at)
                for before, after in pairwise([*each, None])
                if before is not None and before.ended_at is not None
            ]
            for identity, each in connections.items()
        }


async def refuse_with_error(connection: FakeConnection, text: str | bytes) -> None:
    """Answer with a CALLERROR, under -1 where no id can be read."""
    await connection.send(json.dumps([4, id_of(text) or "-1", "FormationViolation", "", {}]))


async def close_in_horror(connection: FakeConnection, text: str | bytes) -> None:
    await connection.drop(1002)


@asynccontextmanager
async def tough_world(**scripts: Script) -> AsyncIterator[World]:
    """As `tests.support.world`, with a ToughCsms."""
    async with trio.open_nursery() as outer:
        csms = ToughCsms(outer, **scripts)
        async with trio.open_nursery() as nursery:
            made = World(nursery, csms, make_context(csms))
            yield made
            await made.end()
        made.settle()
        made.check_books()
        outer.cancel_scope.cancel()


def fault_plan(*faults: FaultPlan, stages: Any, **changed: Any) -> Plan:
    """Make a plan of fleets a and b with *faults*, quiet but for what is *changed*."""
    plan = make_plan(stages, **{"authorize": None, "reconnect": STEADY, **changed})
    return msgspec.structs.replace(plan, faults=faults)


async def run_faults(
    plan: Plan,
    *,
    shard: int = 0,
    workers: int = 1,
    end_at: float | None = None,
    graceful_stop: float = 30.0,
    scripts: dict[str, Sequence[Script]] | None = None,
    prepare: Callable[[ToughCsms], None] | None = None,
    meanwhile: Callable[[ToughCsms, Fleet], Awaitable[None]] | None = None,
) -> Run:
    """Run one shard to its end on a ToughCsms, and see that all books close and nothing broke."""
    async with trio.open_nursery() as outer:
        csms = ToughCsms(outer, Authorize=by_tag)
        for action, chosen in (scripts or {}).items():
            csms.answers(action, *chosen)
        if prepare is not None:
            prepare(csms)
        context = make_context(
            csms,
            recorder=Recorder(shard),
            stage_at=lambda elapsed: stage_at(plan.stages, elapsed),
            seed=plan.seed,
            in_flight=100_000,
        )
        fleet = Fleet(plan, context, shard=shard, workers=workers)
        async with trio.open_nursery() as nursery:
            if meanwhile is not None:
                nursery.start_soon(meanwhile, csms, fleet)
            if end_at is not None:
                nursery.start_soon(_end_early, fleet, end_at)
            await fleet.run(graceful_stop=graceful_stop)
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        run = Run(csms, fleet, Ledger(context.recorder), context.clock.trio_time(0.0), fleet.elapsed)
        outer.cancel_scope.cancel()
    check_books(run, plan)
    assert not any(context.states.values())
    assert (context.open_calls, context.connections) == (0, 0)
    return run


async def _end_early(fleet: Fleet, at: float) -> None:
    await trio.sleep(at)
    fleet.end()


def check_books(run: Run, plan: Plan) -> None:
    """See that the books of calls, sessions and faults close."""
    totals = run.totals
    assert open_books(totals) == []
    assert open_session_books(totals) == []
    assert run.counted("generator.broken") == 0
    for fault in plan.faults:
        told = of_fault(run, fault.name)
        assert told["hit"] >= told["offline"] >= told["back"] + told["gone"], (fault.name, told)
        assert sum(totals.recoveries.get(fault.name, {}).values()) == told["back"]
        for kind, sent in totals.with_prefix(f"faults.{fault.name}.sent.").items():
            survived = run.counted(f"faults.{fault.name}.survived.{kind}")
            assert sent >= survived + run.counted(f"faults.{fault.name}.closed.{kind}"), kind


def of_fault(run: Run, name: str) -> dict[str, int]:
    """Return the counts of one fault."""
    wanted = ("hit", "offline", "back", "gone", "messages_lost")
    return {each: run.counted(f"faults.{name}.{each}") for each in wanted}


def recoveries(run: Run, name: str) -> list[float]:
    """Return the times of a fault's recoveries, in seconds, in order."""
    return sorted(hundredths / 100 for hundredths in run.totals.recoveries[name].elements())
