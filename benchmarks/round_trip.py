"""CPU a round trip: Heartbeats in a closed loop, all of loadsim in, against a bare trio-websocket loop.

``python -m benchmarks.round_trip loadsim|bare URL`` is one measurement, in a process of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final

import trio
from trio_websocket import wrap_client_stream

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.context import Clock, Context, Throttle
from loadsim.charge_point.dialect import Dialect
from loadsim.charge_point.settings import ChargePointSettings
from loadsim.link.websocket import Endpoint, WebSocketConnector
from loadsim.metrics.recorder import Recorder
from loadsim.v16.boot import boot
from loadsim.v16.dialect import V16
from loadsim.v16.heartbeat import send_heartbeat
from loadsim.workers.garbage import GarbagePolicy
from tests.peers import start

CHARGE_POINTS: Final = 500
CALLS: Final = 60
ROUNDS: Final = 5


def measure() -> Iterator[str]:
    """Measure both in turn; the ratio is that of the medians of this one run."""
    cpu: dict[str, list[float]] = {"loadsim": [], "bare": []}
    with start("sink") as peer:
        for _ in range(ROUNDS):
            for name, figures in cpu.items():
                command = [sys.executable, "-m", "benchmarks.round_trip", name, peer.url]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                figures.append(json.loads(done.stdout)["us"])
    medians = {name: statistics.median(figures) for name, figures in cpu.items()}
    ratio = medians["loadsim"] / medians["bare"]
    for name, figures in cpu.items():
        label = f"CPU a Heartbeat round trip, {CHARGE_POINTS} charge points, {name}"
        yield f"| {label} | {medians[name]:.0f} us ({min(figures):.0f} to {max(figures):.0f}) | |"
    yield f"| the ratio of the two | {ratio:.2f} | 1.5 |"


async def run_bare(url: str) -> float:
    """Send and receive with trio-websocket alone; return CPU seconds."""
    host, port = url.split("/")[2].split(":")
    ready, begin = [0], trio.Event()

    async def one(number: int) -> None:
        stream = await trio.open_tcp_stream(host, int(port))
        async with trio.open_nursery() as nursery:
            socket = await wrap_client_stream(
                nursery, stream, f"{host}:{port}", f"/ocpp/B{number}", subprotocols=["ocpp1.6"]
            )
            ready[0] += 1
            await begin.wait()
            for call in range(CALLS):
                await socket.send_message(f'[2,"{number}-{call}","Heartbeat",{{}}]')
                await socket.get_message()
            ready[0] -= 1
            await trio.sleep_forever()

    return await _timed(one, ready, begin)


async def run_loadsim(url: str) -> float:
    """Do the same with charge points, timed, counted, checked and folded; return CPU seconds."""
    ready, begin = [0], trio.Event()
    recorder = Recorder()

    async def closed_loop(charge_point: ChargePoint) -> None:
        await boot(charge_point)
        ready[0] += 1
        await begin.wait()
        for _ in range(CALLS):
            await send_heartbeat(charge_point, charge_point.context.clock.elapsed)
        ready[0] -= 1
        await trio.sleep_forever()

    async def nothing(_: ChargePoint) -> None:
        return

    dialect = Dialect(
        version="1.6",
        actions=V16.actions,
        connected=closed_loop,
        living=nothing,
        memory=V16.memory,
        answers=V16.answers,
        commands=V16.commands,
    )
    context = Context(
        recorder=recorder,
        clock=Clock(datetime.now(UTC)),
        connector=WebSocketConnector(Endpoint(f"{url}/{{id}}")),
        throttle=Throttle(None, 100),
        stage_at=lambda _: 0,
        seed=1,
        run_id="bench-",
    )

    async def one(number: int) -> None:
        await ChargePoint(context, dialect, ChargePointSettings(), identity=f"L{number}", number=number).live()

    async def fold() -> None:
        while True:
            await trio.sleep(0.5)
            recorder.fold(context.clock.elapsed, gauges={})

    with GarbagePolicy(recorder.gc_pause) as garbage:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fold)
            nursery.start_soon(garbage.run)
            seconds = await _timed(one, ready, begin)
            nursery.cancel_scope.cancel()
    return seconds


async def _timed(one: partial[None] | object, ready: list[int], begin: trio.Event) -> float:
    async with trio.open_nursery() as nursery:
        for number in range(CHARGE_POINTS):
            nursery.start_soon(one, number)  # type: ignore[arg-type]
        while ready[0] < CHARGE_POINTS:  # noqa: ASYNC110 - no part of what is measured
            await trio.sleep(0.01)
        cpu = time.process_time()
        begin.set()
        while ready[0]:  # noqa: ASYNC110 - adds a wake-up each 10 ms to both
            await trio.sleep(0.01)
        cpu = time.process_time() - cpu
        nursery.cancel_scope.cancel()
    return cpu


def main() -> None:
    """Measure one of the two and print it."""
    name, url = sys.argv[1:]
    seconds = trio.run({"bare": run_bare, "loadsim": run_loadsim}[name], url)
    print(json.dumps({"us": seconds / CHARGE_POINTS / CALLS * 1e6}))


if __name__ == "__main__":
    main()
