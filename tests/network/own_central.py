"""A small central system in a thread of the test, for what no peer can: TLS, and to say who came from where."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol


@dataclass(slots=True)
class Seen:
    """What came: *calls* by (identity, action, id tag)."""

    url: str = ""
    addresses: Counter[str] = field(default_factory=Counter)
    identities: set[str] = field(default_factory=set)
    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @property
    def actions(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for (_, action, _), count in self.calls.items():
            total[action] += count
        return total


@contextmanager
def own_central(tls: ssl.SSLContext | None = None) -> Iterator[Seen]:
    """Serve on a free port of 127.0.0.1 while the block lasts."""
    seen = Seen()
    listening = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def handle(connection: ServerConnection) -> None:
        seen.addresses[connection.remote_address[0]] += 1
        assert connection.request is not None
        identity = connection.request.path.rpartition("/")[2]
        seen.identities.add(identity)
        try:
            async for text in connection:
                _, call, action, payload = json.loads(text)
                seen.calls[identity, action, payload.get("idTag", "")] += 1
                now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                answers: dict[str, dict[str, object]] = {
                    "BootNotification": {"status": "Accepted", "currentTime": now, "interval": 300},
                    "Heartbeat": {"currentTime": now},
                    "Authorize": {"idTagInfo": {"status": "Accepted"}},
                }
                await connection.send(json.dumps([3, call, answers.get(action, {})]))
        except ConnectionClosed:
            return  # the run's end

    async def main() -> None:
        async with serve(
            handle, "127.0.0.1", 0, ssl=tls, subprotocols=[Subprotocol("ocpp1.6")], close_timeout=1
        ) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            seen.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/ocpp"
            listening.set()
            await over.wait()

    def work() -> None:
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert listening.wait(20)
    try:
        yield seen
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
