"""trio-websocket alone: what a charge point in trio costs before it does anything."""

from __future__ import annotations

import trio
from trio_websocket import WebSocketConnection, wrap_client_stream

from benchmarks.peers.phases import BOOT, IN_FLIGHT, WARM_UP, Work, pause, read_work


async def run(work: Work) -> None:
    """Go through the phases."""
    sockets: list[WebSocketConnection] = []
    door = trio.CapacityLimiter(IN_FLIGHT)
    host, port = work.address

    async def connect(number: int) -> None:
        async with door:
            stream = await trio.open_tcp_stream(host, port)
            socket = await wrap_client_stream(
                lasting, stream, f"{host}:{port}", f"/ocpp/B{number}", subprotocols=["ocpp1.6"]
            )
            await socket.send_message(f'[2,"{number}","BootNotification",{BOOT}]')
            await socket.get_message()
            sockets.append(socket)

    async def beat(socket: WebSocketConnection, number: int, calls: int) -> None:
        for call in range(calls):
            await socket.send_message(f'[2,"{number}-{call}","Heartbeat",{{}}]')
            await socket.get_message()

    async with trio.open_nursery() as lasting:
        async with trio.open_nursery() as nursery:
            for number in range(work.connections):
                nursery.start_soon(connect, number)
        for phase, calls in (("connected", WARM_UP), ("warm", work.calls)):
            pause(phase)
            async with trio.open_nursery() as nursery:
                for number, socket in enumerate(sockets):
                    nursery.start_soon(beat, socket, number, calls)
        pause("done")
        lasting.cancel_scope.cancel()


if __name__ == "__main__":
    pause("ready")
    trio.run(run, read_work())
