"""A CSMS at C speed, for loads: picows does the framing, and nothing is parsed that need not be.

`python benchmarks/sink.py --port 0 --interval 300 --blocked-prefix BLK` prints {"url": ...}, serves until its
stdin ends (or a line comes), and prints its record. It checks nothing: see tests/peers for peers that do.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import unquote

import msgspec
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

try:
    from uvloop import run as run_loop  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    from asyncio import run as run_loop

BACKLOG = 8192
ACCEPTED = b'{"idTagInfo":{"status":"Accepted"}}'
BLOCKED = b'{"idTagInfo":{"status":"Blocked"}}'


class Sink:
    """The answers, kept ready, and the record."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.interval: int = chosen.interval
        self.blocked = b'"' + chosen.blocked_prefix.encode() if chosen.blocked_prefix else b""
        self.opened = 0
        self.open_now = 0
        self.open_at_most = 0
        self.received: Counter[bytes] = Counter()
        self.refused = 0
        self.strays = 0  # what is no CALL
        self.identities: set[str] = set()
        self.transactions = 0
        self.last_boot_at = 0.0  # seconds since 1970
        self.heartbeat = b""
        self.boot = b""
        self.transports: dict[WSTransport, None] = {}
        self.remote_starts_sent = 0
        self.remote_starts: Counter[str] = Counter()  # by status

    def set_clock(self) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
        self.heartbeat = b'{"currentTime":"%s"}' % now
        self.boot = b'{"status":"Accepted","currentTime":"%s","interval":%d}' % (now, self.interval)

    async def keep_time(self) -> None:
        while True:
            self.set_clock()
            await asyncio.sleep(0.1)

    async def start_remotely(self, rate: float, after: float) -> None:
        """Send *rate* RemoteStartTransactions a second, at absolute times, each to a charge point drawn at random."""
        draws = random.Random(1)
        due = time.monotonic() + after
        while True:
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self.transports:
                self.remote_starts_sent += 1
                transport = draws.choice(tuple(self.transports))
                number = self.remote_starts_sent
                transport.send(
                    WSMsgType.TEXT, b'[2,"s-%d","RemoteStartTransaction",{"idTag":"APP%d"}]' % (number, number)
                )

    def take_answer(self, text: bytes) -> None:
        message = msgspec.json.decode(text)
        self.remote_starts[message[2].get("status", "error") if message[0] == 3 else "error"] += 1

    def answer(self, action: bytes, rest: bytes) -> bytes:
        if action == b"Authorize":
            if self.blocked and self.blocked in rest:
                self.refused += 1
                return BLOCKED
            return ACCEPTED
        if action == b"Heartbeat":
            return self.heartbeat
        if action == b"BootNotification":
            self.last_boot_at = time.time()
            return self.boot
        if action == b"StartTransaction":
            self.transactions += 1
            return b'{"transactionId":%d,"idTagInfo":{"status":"Accepted"}}' % self.transactions
        if action == b"DataTransfer":
            return b'{"status":"UnknownVendorId"}'
        return b"{}"

    def record(self) -> dict[str, object]:
        return {
            "peer": "sink",
            "connections": {
                "opened": self.opened,
                "open_at_end": self.open_now,
                "open_at_most": self.open_at_most,
            },
            "identities": len(self.identities),
            "last_boot_at": self.last_boot_at,
            "received": {action.decode(errors="replace"): count for action, count in self.received.items()},
            "refused": {"Authorize": self.refused},
            "strays": self.strays,
            "remote_starts": {"sent": self.remote_starts_sent, "answered": dict(self.remote_starts)},
        }


class Listener(WSListener):  # type: ignore[misc, unused-ignore]
    """One connection."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def on_ws_connected(self, transport: WSTransport) -> None:
        sink = self.sink
        sink.transports[transport] = None
        sink.opened += 1
        sink.open_now += 1
        sink.open_at_most = max(sink.open_at_most, sink.open_now)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.sink.open_now -= 1
        self.sink.transports.pop(transport, None)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.TEXT:
            text = frame.get_payload_as_bytes()
            if text.startswith((b'[3,"s-', b'[4,"s-')):
                self.sink.take_answer(text)
                return
            parts = text.split(b'"', 5)  # [2,  id  ,  action  ,{...  and the rest
            if len(parts) < 5 or parts[0].strip(b" [,") != b"2":
                self.sink.strays += 1
                return
            call, action = b'"%s"' % parts[1], parts[3]
            if b"\\" in call:  # an escape in the id: rare, and the quotes may not be where they seem
                message = msgspec.json.decode(text)
                call, action = msgspec.json.encode(message[1]), message[2].encode()
            self.sink.received[action] += 1
            transport.send(WSMsgType.TEXT, b"[3,%s,%s]" % (call, self.sink.answer(action, text)))
        elif kind == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


def accept(sink: Sink, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
    path = request.path.decode()
    sink.identities.add(unquote(path.partition("?")[0].rstrip("/").rpartition("/")[2]))
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    agreed = {"Sec-WebSocket-Protocol": "ocpp1.6"} if "ocpp1.6" in offered else {}
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(agreed), Listener(sink))


async def serve(chosen: argparse.Namespace) -> None:
    sink = Sink(chosen)
    sink.set_clock()
    server = await ws_create_server(
        lambda request: accept(sink, request),
        "127.0.0.1",
        chosen.port,
        websocket_handshake_timeout=60,
        read_buffer_init_size=2048,
        backlog=BACKLOG,
    )
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"ws://127.0.0.1:{port}/ocpp"}), flush=True)
    tasks = [asyncio.create_task(sink.keep_time())]
    if chosen.remote_starts:
        tasks.append(asyncio.create_task(sink.start_remotely(chosen.remote_starts, chosen.remote_starts_after)))
    await until_the_parent_ends_it(chosen.lifetime)
    for task in tasks:
        task.cancel()
    server.close()
    print(json.dumps(sink.record()), flush=True)


async def until_the_parent_ends_it(lifetime: float) -> None:
    """Wait for the end of stdin, or for anything to be read from it, for *lifetime* seconds at most."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def watch() -> None:
        with suppress(OSError):
            os.read(0, 1)
        with suppress(RuntimeError):  # the loop is closed: the lifetime was over first
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), lifetime)


def main() -> None:
    parser = argparse.ArgumentParser(description="A CSMS at C speed.", allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--interval", type=int, default=300, help="seconds, of the boot's answer")
    parser.add_argument("--blocked-prefix", default="BLK", help="of the tags that are Blocked")
    parser.add_argument("--remote-starts", type=float, default=0.0, help="RemoteStartTransactions a second")
    parser.add_argument("--remote-starts-after", type=float, default=0.0, help="seconds before the first")
    parser.add_argument("--lifetime", type=float, default=300.0, help="seconds, at most")
    chosen = parser.parse_args()
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # some systems cap it below what they call the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()
    run_loop(serve(chosen))


if __name__ == "__main__":
    main()
