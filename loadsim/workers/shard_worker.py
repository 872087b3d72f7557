"""A worker process: one shard of the fleet, its numbers to stdout, orders from stdin.

Reading and writing the pipes is done by threads, so that a slow conductor never holds up the fleet's loop.
"""

from __future__ import annotations

import queue
import signal
import sys
import threading
from datetime import UTC, datetime
from io import RawIOBase
from typing import BinaryIO, Final

import trio

from loadsim.charge_point.context import Clock, Context, Throttle
from loadsim.charge_point.preflight import Preflight
from loadsim.fleet import Fleet
from loadsim.garbage import GarbagePolicy
from loadsim.limits import raise_descriptor_limit, raise_timer_resolution, reserve_descriptors
from loadsim.link.websocket import Endpoint, WebSocketConnector
from loadsim.metrics.recorder import Recorder
from loadsim.scenario.load_profile import stage_ends, stage_finder
from loadsim.scenario.plan import Plan
from loadsim.workers.health import HealthProbe
from loadsim.workers.protocol import End, Go, Order, Prepare, Ready, Report, Tried, Try, Word, pack, read_order

_LEAST_CONNECT_TIMEOUT: Final = 10.0
TICK: Final = 0.5
"""Seconds between two snapshots."""


class Worker:
    """One shard, from Prepare to its final snapshot."""

    def __init__(self, orders: RawIOBase, words: BinaryIO) -> None:
        self._orders = orders
        self._words = words
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._fleet: Fleet | None = None
        self._begin = trio.Event()
        self._ended_early = False

    async def run(self) -> None:
        """Take orders until the shard has ended."""
        prepare = read_order(self._orders)
        if not isinstance(prepare, Prepare):
            return  # the conductor went away before it had said what to do
        writer = threading.Thread(target=self._write, name="words", daemon=True)
        writer.start()
        try:
            connector = WebSocketConnector(endpoint_of(prepare.plan))
        except OSError as error:
            self._say(Ready(shard=prepare.shard, problem=f"csms.auth.ca: {error}"))
        else:
            await self._simulate(prepare, connector)
        self._outbox.put(None)
        writer.join()

    async def _simulate(self, prepare: Prepare, connector: WebSocketConnector) -> None:
        probe = HealthProbe()
        threading.Thread(
            target=self._read, args=(trio.lowlevel.current_trio_token(),), name="orders", daemon=True
        ).start()
        recorder = Recorder(prepare.shard, stage_ends=stage_ends(prepare.plan.stages))
        self._say(Ready(shard=prepare.shard))
        await self._begin.wait()
        with GarbagePolicy(recorder.gc_pause) as garbage:
            preflight = Preflight()
            fleet = self._fleet = make_fleet(prepare, connector, recorder, preflight)
            if self._ended_early:
                fleet.end()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_until_the_end, garbage, recorder, fleet, probe)
                nursery.start_soon(self._report, recorder, fleet, probe, preflight)
                await fleet.run(graceful_stop=prepare.graceful_stop)
                nursery.cancel_scope.cancel()
            last = recorder.fold(
                fleet.elapsed, gauges=fleet.gauges, final=True, open_transactions=fleet.open_transactions
            )
            self._say(Report(last))

    async def _watch_until_the_end(
        self, garbage: GarbagePolicy, recorder: Recorder, fleet: Fleet, probe: HealthProbe
    ) -> None:
        """Collect garbage and read the health until nothing is measured any more.

        Closing thousands of connections is work too, but no load; what it leaves behind goes with the process.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(garbage.run)
            await fleet.ended.wait()
            nursery.cancel_scope.cancel()
        health = probe.read(fleet.connections, at_once=True)
        self._say(Report(recorder.fold(fleet.elapsed, gauges=fleet.gauges, health=health)))
        recorder.rest()

    async def _report(self, recorder: Recorder, fleet: Fleet, probe: HealthProbe, preflight: Preflight) -> None:
        """Say how the first charge points fare; from the run's beginning on, say the numbers of each interval."""
        await preflight.over.wait()
        problems, notes = tuple(preflight.problems), tuple(preflight.notes)
        self._say(Tried(shard=recorder.shard, problems=problems, notes=notes))
        await preflight.begun.wait()
        probe.begin()
        due = trio.current_time()
        while True:
            due += TICK
            await trio.sleep_until(due)
            health = None if fleet.ended.is_set() else probe.read(fleet.connections)
            self._say(Report(recorder.fold(fleet.elapsed, gauges=fleet.gauges, health=health)))

    def _say(self, word: Word) -> None:
        self._outbox.put(pack(word))

    def _write(self) -> None:
        while (data := self._outbox.get()) is not None:
            try:
                self._words.write(data)
                self._words.flush()
            except OSError:
                return  # the conductor is gone; `_read` ends the run

    def _read(self, token: trio.lowlevel.TrioToken) -> None:
        while True:
            order = read_order(self._orders)
            try:
                token.run_sync_soon(self._obey, order)
            except trio.RunFinishedError:
                return
            if order is None:
                return

    def _obey(self, order: Order | None) -> None:
        if isinstance(order, Try):
            self._begin.set()
        elif isinstance(order, Go):
            assert self._fleet is not None  # it comes after the answer to Try
            self._fleet.begin(datetime.fromtimestamp(order.wall, UTC))
        elif order is None or isinstance(order, End):  # without a conductor nobody counts: end too
            self._ended_early = True
            self._begin.set()
            if self._fleet is not None:
                self._fleet.end()


def make_fleet(prepare: Prepare, connector: WebSocketConnector, recorder: Recorder, preflight: Preflight) -> Fleet:
    """Put a shard together; its time stands until the run begins (`Fleet.begin`)."""
    plan = prepare.plan
    rate = plan.target.connect_rate
    context = Context(
        recorder=recorder,
        clock=Clock(None),
        connector=connector,
        throttle=Throttle(rate / prepare.workers if rate else None, plan.target.connect_in_flight),
        stage_at=stage_finder(plan.stages),
        seed=plan.seed,
        run_id=prepare.run_id,
        preflight=preflight,
    )
    return Fleet(plan, context, shard=prepare.shard, workers=prepare.workers)


def endpoint_of(plan: Plan) -> Endpoint:
    """Return where the plan's CSMS is."""
    target = plan.target
    assert target.url is not None  # the conductor filled in the embedded CSMS's
    return Endpoint(
        url=target.url,
        user=target.user,
        password=target.password,
        ca=target.ca,
        source_addresses=target.source_addresses,
        timeout=max(_LEAST_CONNECT_TIMEOUT, *(fleet.settings.call_timeout for fleet in plan.fleets)),
    )


def main() -> None:
    """Run a worker on this process's stdin and stdout."""
    raise_timer_resolution()
    reserve_descriptors(raise_descriptor_limit())
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # they reach the whole group; the conductor decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # Unbuffered: the interpreter's end needs the lock of a buffer in which a daemon thread still waits.
    orders = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 - a descriptor; see above
    worker = Worker(orders, sys.stdout.buffer)
    trio.run(worker.run)


if __name__ == "__main__":
    main()
