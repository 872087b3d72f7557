"""The embedded CSMS until something ends it, and alone for ``loadsim csms``: until Ctrl-C."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import trio

from loadsim.csms.control import serve_control
from loadsim.csms.options import ServerOptions
from loadsim.csms.record import describe
from loadsim.csms.server import Server, serve
from loadsim.csms.store import open_store, unreadable
from loadsim.errors import UsageError
from loadsim.garbage import GarbagePolicy
from loadsim.limits import raise_descriptor_limit, reserve_descriptors
from loadsim.v16.central import Central, StoreFailed

T = TypeVar("T")


async def run_standalone(options: ServerOptions, report: Callable[[str], None]) -> int:
    """Serve until SIGINT or SIGTERM, *report* the URL at once and the counts at the end; return the signal.

    Raises:
        UsageError: the options make no sense, or it cannot listen there.
    """

    def started(server: Server) -> None:
        server.on_loss = report
        report(f"listening on {server.url} (the charge point's identity follows, after any path)")
        if server.control_url is not None:
            report(f"control endpoint on {server.control_url}")

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        received = aiter(signals)
        record, number = await serve_until(options, started, lambda: anext(received))
    for line in describe(record):
        report(line)
    return number


async def serve_until(
    options: ServerOptions, started: Callable[[Server], None], ended: Callable[[], Awaitable[T]]
) -> tuple[dict[str, Any], T]:
    """Serve until *ended* returns; call *started* when listening; return the record and what *ended* returned.

    Raises:
        UsageError: the options make no sense, the file cannot be used, or it cannot listen there.
    """
    reserve_descriptors(raise_descriptor_limit())
    with open_store(options.db) if options.db is not None else nullcontext() as store:
        try:
            central = Central(options.behaviour, store)
        except StoreFailed as error:
            raise UsageError(unreadable(str(options.db), error)) from error
        # Around all of it: while thousands of connections are closed there is nothing to collect.
        with GarbagePolicy(deque(maxlen=1)) as garbage:
            server, result = await _serve_until(options, central, started, ended, garbage)
        return server.record(), result  # it needs the store


async def _serve_until(
    options: ServerOptions,
    central: Central,
    started: Callable[[Server], None],
    ended: Callable[[], Awaitable[T]],
    garbage: GarbagePolicy,
) -> tuple[Server, T]:
    mistake: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve, options, central)
            if options.control is not None:
                server.control_url = await nursery.start(
                    serve_control, options.control, options.control_token, server
                )
            nursery.start_soon(garbage.run)
            started(server)
            result = await ended()
            nursery.cancel_scope.cancel()
    except* UsageError as group:
        mistake = group.exceptions[0]
    if mistake is not None:  # raised within except* it would stay in a group
        raise mistake
    return server, result
