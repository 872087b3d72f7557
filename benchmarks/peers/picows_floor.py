"""picows, which frames in C and has no tasks: the floor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.peers.phases import BOOT, IN_FLIGHT, WARM_UP, Work, pause, read_work


class Beating(WSListener):  # type: ignore[misc, unused-ignore]
    """One connection: each answer has the next call sent, while any is left."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.left = 0
        self.told: Callable[[], None] = lambda: None
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Boot."""
        self.transport = transport
        transport.send(WSMsgType.TEXT, b'[2,"%d","BootNotification",%s]' % (self.number, BOOT.encode()))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take an answer."""
        frame.get_payload_as_bytes()
        if self.left:
            self.beat()
        else:
            self.told()

    def beat(self) -> None:
        """Send the next call."""
        assert self.transport is not None
        self.left -= 1
        self.transport.send(WSMsgType.TEXT, b'[2,"%d-%d","Heartbeat",{}]' % (self.number, self.left))


async def run(work: Work) -> None:
    """Go through the phases."""
    door = asyncio.Semaphore(IN_FLIGHT)
    listeners: list[Beating] = []

    async def connect(number: int) -> None:
        async with door:
            listener, booted = Beating(number), asyncio.Event()
            listener.told = booted.set
            await ws_connect(
                lambda: listener, f"{work.url}/F{number}", extra_headers={"Sec-WebSocket-Protocol": "ocpp1.6"}
            )
            await booted.wait()
            listeners.append(listener)

    await asyncio.gather(*map(connect, range(work.connections)))
    for phase, calls in (("connected", WARM_UP), ("warm", work.calls)):
        pause(phase)
        await _beat(listeners, calls)
    pause("done")


async def _beat(listeners: list[Beating], calls: int) -> None:
    over, left = asyncio.Event(), len(listeners)

    def told() -> None:
        nonlocal left
        left -= 1
        if not left:
            over.set()

    for listener in listeners:
        listener.left, listener.told = calls, told
        listener.beat()
    await over.wait()


if __name__ == "__main__":
    pause("ready")
    asyncio.run(run(read_work()))
