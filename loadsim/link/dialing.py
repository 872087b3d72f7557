"""TCP connections to one host: its addresses, where they come from, and what came instead of one."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Any, Final

import trio

from loadsim.link.transport import ConnectFailed, Slowness

_RESOLVE_AGAIN_AFTER: Final = 30.0
# Linux: let connect() choose the port, so that one port can serve several destinations.
_IP_BIND_ADDRESS_NO_PORT: Final = 24
_NOT_BLOCKING: Final = getattr(socket, "SOCK_NONBLOCK", 0)
"""Linux: a socket that does not block from its beginning takes one system call less."""
_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)})

_BY_ERRNO: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EMFILE: "EMFILE",
    getattr(errno, "WSAEMFILE", errno.EMFILE): "EMFILE",
    errno.ENOBUFS: "EADDRNOTAVAIL",
    errno.ENFILE: "EMFILE",
    errno.EADDRNOTAVAIL: "EADDRNOTAVAIL",
    errno.EADDRINUSE: "EADDRNOTAVAIL",
    errno.ETIMEDOUT: "timeout",
}
EXHAUSTED: Final = frozenset({"EMFILE", "EADDRNOTAVAIL"})
"""Outcomes that are this machine's own doing: descriptors or ports ran out."""


class Dialer:
    """Opens TCP connections to *host* and *port*, from the addresses *sources* in turn, where there are any."""

    __slots__ = ("_addresses", "_host", "_port", "_resolved_at", "_resolving", "_sources")

    def __init__(self, host: str, port: int, sources: tuple[str, ...] = ()) -> None:
        self._host = host
        self._port = port
        self._sources = sources
        self._addresses: list[tuple[int, Any]] = []
        self._resolved_at = 0.0
        self._resolving = trio.Lock()

    async def dial(self, number: int, slowness: Slowness | None) -> socket.socket:
        """Return a connected, non-blocking socket; *number* chooses where it comes from.

        Raises:
            ConnectFailed: by outcome.
        """
        failure: OSError | None = None
        for family, address in await self._resolve():
            try:
                return await self._open(family, address, number, slowness)
            except OSError as error:
                failure = error
        assert failure is not None
        failed = connect_failed(failure)
        if failed.outcome not in EXHAUSTED:
            self._addresses = []  # ask again: the name may have moved
        raise failed from failure

    async def _resolve(self) -> list[tuple[int, Any]]:
        if self._addresses and trio.current_time() - self._resolved_at <= _RESOLVE_AGAIN_AFTER:
            return self._addresses
        async with self._resolving:  # one asks, and thousands use the answer
            now = trio.current_time()
            if not self._addresses or now - self._resolved_at > _RESOLVE_AGAIN_AFTER:
                try:
                    found = await trio.socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                except OSError as error:
                    raise (_exhausted() or ConnectFailed("dns", f"{self._host}: {error}")) from error
                self._addresses = [(family, address) for family, _, _, _, address in found]
                self._resolved_at = now
            return self._addresses

    async def _open(self, family: int, address: Any, number: int, slowness: Slowness | None) -> socket.socket:
        opened = socket.socket(family, socket.SOCK_STREAM | _NOT_BLOCKING)
        try:
            if not _NOT_BLOCKING:
                opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._sources:
                with contextlib.suppress(OSError):  # no such option outside Linux: bind picks the port itself
                    opened.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                opened.bind((self._sources[number % len(self._sources)], 0))
            if slowness is None:
                await _connect(opened, address)
            else:  # there and back: SYN, and SYN-ACK
                await trio.sleep(slowness.latency())
                await _connect(opened, address)
                await trio.sleep(slowness.latency())
        except BaseException:
            opened.close()
            raise
        return opened


def connect_failed(error: OSError) -> ConnectFailed:
    """Name what the system has against a connection."""
    return ConnectFailed(_BY_ERRNO.get(error.errno or 0, "unreachable"), str(error))


def _exhausted() -> ConnectFailed | None:
    """Tell whether no socket can be opened, of which a look-up that fails says nothing."""
    try:
        socket.socket().close()
    except OSError as error:
        return connect_failed(error)
    return None


async def _connect(opening: socket.socket, address: Any) -> None:
    await trio.lowlevel.checkpoint_if_cancelled()
    failed = opening.connect_ex(address)
    if failed in _UNDER_WAY:
        await trio.lowlevel.wait_writable(opening)
        failed = opening.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failed:
        raise OSError(failed, f"Error connecting to {address!r}: {os.strerror(failed)}")
