"""The embedded CSMS as a process: ``python -m loadsim.csms``.

It reads one line of JSON, ``ServerOptions``, from stdin; writes one line, ``{"url": "ws://127.0.0.1:PORT"}``,
when it listens; serves until stdin ends (as it does when the parent dies) or gives another line; and writes
one line, its record. Meanwhile the byte ``b`` begins the planned calls and faults, where they are held, and ``e``
lets no more calls fall due and ends the faults. Each of its processes that ends before its time is a line between,
``{"lost": "..."}``. A mistake is one line instead of all, ``{"error": "..."}``, and the error's exit code.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from typing import Any, Final

import msgspec
import trio

from loadsim.csms.options import BEGIN_CALLS, END_CALLS, ServerOptions
from loadsim.csms.server import Server
from loadsim.csms.standalone import serve_until
from loadsim.errors import LoadsimError, UsageError

_STDIN: Final = 0
_STDOUT: Final = 1


def main() -> int:
    """Run the process; return its exit code."""
    # These go to the whole group of processes: the parent decides when this one ends.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    logging.getLogger().addHandler(logging.NullHandler())  # stderr is the parent's terminal
    try:
        trio.run(_serve, _read_options())
    except LoadsimError as error:
        _write({"error": str(error)})
        return error.exit_code
    return 0


async def _serve(options: ServerOptions) -> None:
    servers: list[Server] = []

    def started(server: Server) -> None:
        servers.append(server)
        server.on_loss = lambda what: _write({"lost": what})
        _write({"url": server.url})

    async def obey() -> None:
        while True:
            # trio has no asynchronous stdin on every system; a thread that waits for it can be abandoned.
            byte = await trio.to_thread.run_sync(_read_byte, abandon_on_cancel=True)
            if byte == BEGIN_CALLS:
                servers[0].begin()
            elif byte == END_CALLS:
                servers[0].rest()
            else:
                return

    record, _ = await serve_until(options, started, obey)
    _write(record)


def _read_options() -> ServerOptions:
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(_STDIN, 1 << 16)
        if not part:
            break
        line += part
    try:
        return msgspec.json.decode(line, type=ServerOptions)
    except msgspec.DecodeError as error:
        raise UsageError(f"the options on stdin: {error}") from error


def _read_byte() -> bytes:
    # A line ends the process, too, because a sibling that was forked may hold our stdin open. And not sys.stdin:
    # a thread abandoned within it would hold a lock that the end of the interpreter needs.
    return os.read(_STDIN, 1)


def _write(content: dict[str, Any]) -> None:
    with suppress(OSError):  # the parent may be gone
        os.write(_STDOUT, msgspec.json.encode(content) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
