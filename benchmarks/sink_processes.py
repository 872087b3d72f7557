"""A sink of several processes on one port (SO_REUSEPORT), whose records are put together.

They are forked, so that they share the keys of TLS tickets and a count of open connections; the kernel spreads the
connections over them by their addresses, evenly to about a percent. Where the system has neither fork nor a port
that is spread over those who listen (all but Linux), a sink is one process.
"""

import json
import os
import select
import signal
import socket
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, MutableSequence
from multiprocessing.sharedctypes import RawArray
from typing import Any

Record = dict[str, Any]
"""Of one process, as Sink.record makes it; of all, as `merged` does."""
Say = Callable[[object], None]
"""Takes the port, when it listens, and the record at the end."""
Serve = Callable[[int, MutableSequence[int], int, int, Say], None]
"""Serves as process *index*, with the connections that are open at each, on *port*, until a descriptor ends."""

SUMS = ("opened", "open_at_end", "resumed", "strays", "remote_starts_sent")


def can_share_a_port() -> bool:
    return sys.platform == "linux" and hasattr(socket, "SO_REUSEPORT")


def merged(records: Iterable[Record]) -> Record:
    """Put the records of a sink's processes together; identities that reconnected to another count once."""
    records = list(records)
    sums = {name: sum(record[name] for record in records) for name in SUMS}
    counters = {
        name: _added(record[name] for record in records)
        for name in ("received", "refused", "remote_starts", "opened_at", "booted_at")
    }
    return {
        "peer": "sink",
        "connections": {
            "opened": sums["opened"],
            "resumed": sums["resumed"],
            "open_at_end": sums["open_at_end"],
            "open_at_most": max(record["open_at_most"] for record in records),
        },
        "identities": len({identity for record in records for identity in record["identities"]}),
        "last_boot_at": max(record["last_boot_at"] for record in records),
        "opened_at": counters["opened_at"],
        "booted_at": counters["booted_at"],
        "received": counters["received"],
        "refused": counters["refused"],
        "strays": sums["strays"],
        "remote_starts": {"sent": sums["remote_starts_sent"], "answered": counters["remote_starts"]},
        "processes": [
            {name: record[name] for name in ("open_here_at_most", "cpu_s", "cpu_max")} for record in records
        ],
    }


def run_processes(
    serve: Serve, processes: int, port: int, announce: Callable[[int], None], lifetime: float
) -> list[Record]:
    """Serve with so many *processes* until stdin ends, for *lifetime* seconds at most; return their records."""
    if sys.platform == "win32":
        raise AssertionError("see can_share_a_port")
    with socket.socket() as holder:  # it does not listen: it keeps the port while those who do come
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", port))
        port = holder.getsockname()[1]
        open_now = RawArray("q", processes)
        children: list[_Child] = []
        try:
            for index in range(processes):
                children.append(_Child(serve, index, open_now, port, [child.orders for child in children]))
            for child in children:
                child.hear()
            announce(port)
            select.select([0], [], [], lifetime)
            for child in children:
                os.close(child.orders)
                child.orders = -1
            return [child.hear() for child in children]
        finally:
            for child in children:
                child.end()


class _Child:
    """One forked process: it ends with *orders*, and what it says comes by a pipe, a line each."""

    def __init__(
        self, serve: Serve, index: int, open_now: MutableSequence[int], port: int, others: Iterable[int]
    ) -> None:
        until, self.orders = os.pipe()
        words, said = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(until)
            os.close(said)
            self._words = os.fdopen(words)
            return
        code = 1
        try:
            for other in (*others, self.orders, words):
                os.close(other)  # or it would hold open what ends the others
            with os.fdopen(said, "w") as saying:

                def say(word: object) -> None:
                    saying.write(json.dumps(word) + "\n")
                    saying.flush()

                serve(index, open_now, port, until, say)
            code = 0
        except BaseException:  # noqa: BLE001 - nothing of this may go on in what is a copy of the parent
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def hear(self) -> Any:
        line = self._words.readline()
        if not line:
            raise RuntimeError("a process of the sink has ended without a word")
        return json.loads(line)

    def end(self) -> None:
        if self.orders >= 0:
            os.close(self.orders)
        os.kill(self.pid, signal.SIGKILL)  # it has said all; or something went wrong, and it must not stay
        os.waitpid(self.pid, 0)
        self._words.close()


def _added(counters: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update({str(key): count for key, count in counter.items()})
    return dict(total)
