"""loadsim's own charge points, with all that a run has: timed, counted, checked, folded twice a second.

`python -m benchmarks.peers.own heartbeat|meter_values URL N CALLS`. Where meter values are sent each charge point has
a session that charges, and its next sample falls due as soon as the last one is delivered.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import trio

from benchmarks.peers.phases import IN_FLIGHT, WARM_UP, Work, pause, read_work
from loadsim.charge_point.arrival import Arrival
from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.context import Clock, Context, Throttle
from loadsim.charge_point.outbox import Message
from loadsim.charge_point.settings import ChargePointSettings, SessionSettings
from loadsim.charge_point.tags import DrawnTag
from loadsim.garbage import GarbagePolicy
from loadsim.limits import raise_descriptor_limit
from loadsim.link.websocket import Endpoint, WebSocketConnector
from loadsim.metrics.recorder import Recorder
from loadsim.v16.boot import boot
from loadsim.v16.connectors import Transaction
from loadsim.v16.dialect import V16
from loadsim.v16.heartbeat import send_heartbeat
from loadsim.v16.memory import connector_of
from loadsim.v16.session import Session
from loadsim.v16.transactions import SampleMessage
from loadsim.workers.shard_worker import TICK

_DAY: Final = 86_400.0
_POLL: Final = 0.01
_DRIVER: Final = Arrival(0.0, DrawnTag("DRV00001", "", ""), False, _DAY, 1e9, False, None, 0.0)
_CHARGING: Final = ChargePointSettings(
    session=SessionSettings(), configuration={"MeterValueSampleInterval": f"{_DAY:.0f}"}
)
_asleep: dict[Transaction, trio.lowlevel.Task] = {}
"""Who waits for the sample of a transaction to be delivered."""


@dataclass(slots=True)
class Round:
    """Some *calls* of each of *left* charge points, all begun at one moment."""

    calls: int
    left: int
    coming: int
    all_there: trio.Event = field(default_factory=trio.Event)
    begin: trio.Event = field(default_factory=trio.Event)
    over: trio.Event = field(default_factory=trio.Event)

    async def go(self, turn: Callable[[ChargePoint], Awaitable[None]], charge_point: ChargePoint) -> None:
        """Be there, and then call *turn* by *turn*."""
        self.coming -= 1
        if not self.coming:
            self.all_there.set()
        await self.begin.wait()
        for _ in range(self.calls):
            await turn(charge_point)
        self.left -= 1
        if not self.left:
            self.over.set()


async def beat(charge_point: ChargePoint) -> None:
    """Send a Heartbeat that is due now."""
    await send_heartbeat(charge_point, charge_point.context.clock.elapsed)


async def sample(charge_point: ChargePoint) -> None:
    """Have the session take a sample now, as when its interval has passed, and wait until it is delivered."""
    session = _session(charge_point)
    assert session.transaction is not None
    session._next_sample = charge_point.context.clock.elapsed  # noqa: SLF001 - nobody else moves the time of a sample
    session.alarm.ring()
    _asleep[session.transaction] = trio.lowlevel.current_task()
    await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.SUCCEEDED)


def _delivered(self: Message, response: Any) -> None:
    assert isinstance(self, SampleMessage)
    trio.lowlevel.reschedule(_asleep.pop(self._transaction))


async def begin_session(charge_point: ChargePoint) -> None:
    """Have a driver come, and wait until the transaction has its number."""
    assert V16.arrive(charge_point, _DRIVER)
    # No part of what is measured.
    while (transaction := _session(charge_point).transaction) is None or transaction.id is None:  # noqa: ASYNC110
        await trio.sleep(_POLL)


def _session(charge_point: ChargePoint) -> Session:
    session = connector_of(charge_point, 1).session
    assert session is not None
    return session


async def run(work: Work, kind: str) -> None:
    """Go through the phases."""
    recorder = Recorder()
    clock = Clock(datetime.now(UTC))
    rounds = [Round(calls, work.connections, work.connections) for calls in (WARM_UP, work.calls)]

    async def connected(charge_point: ChargePoint) -> None:
        await boot(charge_point)
        charge_point.online()
        if kind == "meter_values":
            await begin_session(charge_point)
        for each in rounds:
            await each.go(sample if kind == "meter_values" else beat, charge_point)
        await trio.sleep_forever()

    async def living(_: ChargePoint) -> None:
        return

    context = Context(
        recorder=recorder,
        clock=clock,
        connector=WebSocketConnector(Endpoint(f"{work.url}/{{id}}")),
        throttle=Throttle(None, IN_FLIGHT),
        stage_at=lambda _: 0,
        seed=1,
        run_id="bench-",
    )
    dialect = replace(V16, connected=connected, living=living)
    settings = _CHARGING if kind == "meter_values" else ChargePointSettings()

    async def fold() -> None:
        while True:
            await trio.sleep(TICK)
            recorder.fold(clock.elapsed, gauges={})

    pause("ready")
    with GarbagePolicy(recorder.gc_pause) as garbage:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fold)
            nursery.start_soon(garbage.run)
            for number in range(work.connections):
                charge_point = ChargePoint(context, dialect, settings, identity=f"L{number}", number=number)
                nursery.start_soon(charge_point.live)
            for word, each in zip(("connected", "warm"), rounds, strict=True):
                await each.all_there.wait()
                pause(word)
                each.begin.set()
                await each.over.wait()
            pause("done")
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    raise_descriptor_limit()
    SampleMessage.delivered = _delivered  # type: ignore[method-assign]
    trio.run(run, read_work(), sys.argv[1])
