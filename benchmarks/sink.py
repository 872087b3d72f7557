"""A CSMS at C speed, for loads: picows does the framing, and nothing is parsed that need not be.

`python -m benchmarks.sink --port 0 --interval 300 --blocked-prefix BLK` prints {"url": ...}, serves until its
stdin ends (or a line comes), and prints its record. It checks nothing: see tests/peers for peers that do.

With `--processes N` it is N processes on one port, whose records are one (benchmarks/sink_processes.py); with
`--certificate` and `--key` it is reached over TLS, and a ticket of one process is good with all.
"""

import argparse
import asyncio
import gc
import itertools
import json
import os
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import MutableSequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
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

from benchmarks.sink_processes import Record, Say, can_share_a_port, merged, run_processes

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

try:
    from uvloop import run as run_loop  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    from asyncio import run as run_loop

HOST = "127.0.0.1"
BACKLOG = 8192
TICK = 0.1
BUSY_WINDOW = 10  # ticks, in which the share of a core is taken
ACCEPTED = b'{"idTagInfo":{"status":"Accepted"}}'
BLOCKED = b'{"idTagInfo":{"status":"Blocked"}}'


class Sink:
    """The answers, kept ready, and the record.

    *open_now* holds the connections that are open with each process, of which this one is number *index*.
    """

    def __init__(self, chosen: argparse.Namespace, index: int, open_now: MutableSequence[int]) -> None:
        self.index = index
        self.processes = len(open_now)
        self.interval: int = chosen.interval
        self.blocked = b'"' + chosen.blocked_prefix.encode() if chosen.blocked_prefix else b""
        self.opened = 0
        self.open_now = open_now
        self.open_here_at_most = 0
        self.open_at_most = 0
        self.resumed = 0  # TLS sessions, by a ticket
        self.opened_at: Counter[int] = Counter()  # by hundredths of a second since 1970
        self.booted_at: Counter[int] = Counter()
        self.received: Counter[bytes] = Counter()
        self.refused = 0
        self.strays = 0  # what is no CALL
        self.identities: set[str] = set()
        self.transactions = 0
        self.last_boot_at = 0.0  # seconds since 1970
        self.cpu_max = 0.0  # share of a core
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
        at, cpu = time.perf_counter(), time.process_time()
        for tick in itertools.count(1):
            self.set_clock()
            await asyncio.sleep(TICK)
            if tick % BUSY_WINDOW == 0:
                now, used = time.perf_counter(), time.process_time()
                self.cpu_max = max(self.cpu_max, (used - cpu) / (now - at))
                at, cpu = now, used

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
            self.last_boot_at = now = time.time()
            self.booted_at[int(now * 100)] += 1
            return self.boot
        if action == b"StartTransaction":
            self.transactions += 1
            number = (self.transactions - 1) * self.processes + self.index + 1  # distinct over all processes
            return b'{"transactionId":%d,"idTagInfo":{"status":"Accepted"}}' % number
        if action == b"DataTransfer":
            return b'{"status":"UnknownVendorId"}'
        return b"{}"

    def record(self) -> Record:
        return {
            "opened": self.opened,
            "open_at_end": self.open_now[self.index],
            "open_at_most": self.open_at_most,
            "open_here_at_most": self.open_here_at_most,
            "resumed": self.resumed,
            "identities": sorted(self.identities),
            "last_boot_at": self.last_boot_at,
            "opened_at": dict(self.opened_at),
            "booted_at": dict(self.booted_at),
            "received": {action.decode(errors="replace"): count for action, count in self.received.items()},
            "refused": {"Authorize": self.refused},
            "strays": self.strays,
            "remote_starts_sent": self.remote_starts_sent,
            "remote_starts": dict(self.remote_starts),
            "cpu_s": time.process_time(),
            "cpu_max": self.cpu_max,
        }


class Listener(WSListener):  # type: ignore[misc, unused-ignore]
    """One connection."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def on_ws_connected(self, transport: WSTransport) -> None:
        sink = self.sink
        sink.transports[transport] = None
        sink.opened += 1
        sink.opened_at[int(time.time() * 100)] += 1
        sink.open_now[sink.index] += 1
        sink.open_here_at_most = max(sink.open_here_at_most, sink.open_now[sink.index])
        sink.open_at_most = max(sink.open_at_most, sum(sink.open_now))
        secured = transport.underlying_transport.get_extra_info("ssl_object")
        if secured is not None and secured.session_reused:
            sink.resumed += 1

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.sink.open_now[self.sink.index] -= 1
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


async def serve(
    chosen: argparse.Namespace,
    secured: ssl.SSLContext | None,
    index: int,
    open_now: MutableSequence[int],
    until: int,
    say: Say,
) -> None:
    """Serve until the descriptor *until* ends or can be read from; *say* the port, and at the end the record."""
    sink = Sink(chosen, index, open_now)
    sink.set_clock()
    options: dict[str, Any] = {"reuse_port": True} if len(open_now) > 1 else {}
    if secured is not None:
        options["ssl_handshake_timeout"] = 60.0
    server = await ws_create_server(
        lambda request: accept(sink, request),
        HOST,
        chosen.port,
        websocket_handshake_timeout=60,
        read_buffer_init_size=2048,
        backlog=BACKLOG,
        ssl=secured,
        **options,
    )
    say(server.sockets[0].getsockname()[1])
    tasks = [asyncio.create_task(sink.keep_time())]
    if chosen.remote_starts:
        rate = chosen.remote_starts / len(open_now)
        tasks.append(asyncio.create_task(sink.start_remotely(rate, chosen.remote_starts_after)))
    await until_the_parent_ends_it(chosen.lifetime, until)
    for task in tasks:
        task.cancel()
    server.close()
    say(sink.record())


async def until_the_parent_ends_it(lifetime: float, until: int) -> None:
    """Wait for the end of *until*, or for anything to be read from it, for *lifetime* seconds at most."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def watch() -> None:
        with suppress(OSError):
            os.read(until, 1)
        with suppress(RuntimeError):  # the loop is closed: the lifetime was over first
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=watch, daemon=True).start()
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), lifetime)


def announce(chosen: argparse.Namespace, port: int) -> None:
    print(json.dumps({"url": f"{'wss' if chosen.certificate else 'ws'}://{HOST}:{port}/ocpp"}), flush=True)


def run_alone(chosen: argparse.Namespace, secured: ssl.SSLContext | None) -> Record:
    """Serve with this process; return its record."""
    said: list[Record] = []

    def say(word: object) -> None:
        if isinstance(word, int):
            announce(chosen, word)
        else:
            assert isinstance(word, dict)
            said.append(word)

    run_loop(serve(chosen, secured, 0, [0], 0, say))
    return said[0]


def tls(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secured.load_cert_chain(certificate, key)
    return secured


def main() -> None:
    parser = argparse.ArgumentParser(description="A CSMS at C speed.", allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--interval", type=int, default=300, help="seconds, of the boot's answer")
    parser.add_argument("--blocked-prefix", default="BLK", help="of the tags that are Blocked")
    parser.add_argument("--remote-starts", type=float, default=0.0, help="RemoteStartTransactions a second")
    parser.add_argument("--remote-starts-after", type=float, default=0.0, help="seconds before the first")
    parser.add_argument("--lifetime", type=float, default=300.0, help="seconds, at most")
    parser.add_argument("--processes", type=int, default=1, help="on one port; where the system cannot, there is one")
    parser.add_argument("--certificate", help="PEM file: serve over TLS")
    parser.add_argument("--key", help="PEM file, of the certificate")
    parser.add_argument("--core", type=int, help="stay on this core, where the system can pin")
    chosen = parser.parse_args()
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # some systems cap it below what they call the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if chosen.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {chosen.core % (os.cpu_count() or 1)})
    gc.disable()
    secured = tls(chosen.certificate, chosen.key)  # before any fork: its tickets are good with every process
    if chosen.processes > 1 and can_share_a_port():

        def one(index: int, open_now: MutableSequence[int], port: int, until: int, say: Say) -> None:
            chosen.port = port
            run_loop(serve(chosen, secured, index, open_now, until, say))

        records = run_processes(one, chosen.processes, chosen.port, partial(announce, chosen), chosen.lifetime)
    else:
        records = [run_alone(chosen, secured)]
    print(json.dumps(merged(records)), flush=True)


if __name__ == "__main__":
    main()
