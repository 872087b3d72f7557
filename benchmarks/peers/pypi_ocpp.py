"""PyPI's `ocpp` on `websockets`, as its documentation shows a charge point, schema validation and all."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import websockets
from ocpp.v16 import ChargePoint, call

from benchmarks.peers.phases import IN_FLIGHT, WARM_UP, Work, pause, read_work


async def run(work: Work) -> None:
    """Go through the phases."""
    charge_points: list[Any] = []
    readers: list[asyncio.Task[None]] = []
    door = asyncio.Semaphore(IN_FLIGHT)
    boot: Any = call.BootNotification(charge_point_model="virtual", charge_point_vendor="loadsim")

    async def connect(number: int) -> None:
        async with door:
            socket = await websockets.connect(f"{work.url}/P{number}", subprotocols=["ocpp1.6"])  # type: ignore[list-item]
            charge_point = ChargePoint(f"P{number}", socket, response_timeout=60)
            readers.append(asyncio.create_task(charge_point.start()))
            await charge_point.call(boot)
            charge_points.append(charge_point)

    async def beat(charge_point: Any, calls: int) -> None:
        heartbeat: Any = call.Heartbeat()
        for _ in range(calls):
            await charge_point.call(heartbeat)

    await asyncio.gather(*map(connect, range(work.connections)))
    for phase, calls in (("connected", WARM_UP), ("warm", work.calls)):
        pause(phase)
        await asyncio.gather(*(beat(charge_point, calls) for charge_point in charge_points))
    pause("done")


if __name__ == "__main__":
    logging.disable()
    pause("ready")
    asyncio.run(run(read_work()))
