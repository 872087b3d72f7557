"""An open TCP or TLS socket that acts at once or says that it would have to wait."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from loadsim.link.poller import Poller
from loadsim.link.tls import Sessions

RECEIVE: Final = 16_384
"""Bytes taken at once: what a TLS record holds at most (RFC 8446, section 5.1), so that nothing of one stays behind
in OpenSSL, where no poller sees it."""
_WOULD_WAIT: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_RESET: Final = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER for 0 seconds: closing drops what was not sent and resets the connection (RFC 9293, section 3.10.5)."""


class Wire:
    """A connected, non-blocking socket, read when its poller says so."""

    __slots__ = ("_poller", "_socket", "_waiting", "_watched")

    def __init__(self, connected: socket.socket, poller: Poller) -> None:
        self._socket = connected
        self._poller = poller
        self._watched = False
        self._waiting = False

    @property
    def closed(self) -> bool:
        """Whether this side has closed it."""
        return self._socket.fileno() < 0

    @property
    def resumed(self) -> bool:
        """Whether a TLS session went on where another connection had begun it (RFC 8446, section 2.2)."""
        return False

    def recv(self) -> bytes | None:
        """Return what has come, nothing at the end, None when nothing has come.

        Raises:
            OSError: the connection is gone.
        """
        try:
            return self._socket.recv(RECEIVE)
        except _WOULD_WAIT:
            return None

    def send(self, data: bytes | memoryview) -> int:
        """Send *data* and return how many bytes went out; after fewer than all, the rest must go next.

        Raises:
            OSError: the connection is gone.
        """
        try:
            return self._socket.send(data)
        except _WOULD_WAIT:
            return 0

    async def writable(self) -> None:
        """Wait until more can be sent.

        Raises:
            ClosedResourceError: this side has closed it.
        """
        if self.closed:
            raise trio.ClosedResourceError
        self._waiting = True
        try:
            await trio.lowlevel.wait_writable(self._socket)
        finally:
            self._waiting = False

    def watch(self, on_readable: Callable[[], None]) -> None:
        """Have *on_readable* called while there is something to receive; see Poller.watch."""
        if not self._watched and not self.closed:
            self._watched = True
            self._poller.watch(self._socket, on_readable)

    def unwatch(self) -> None:
        """Let what comes wait in the socket."""
        if self._watched:
            self._watched = False
            self._poller.unwatch(self._socket)

    def reset_on_close(self) -> None:
        """Let `close` drop what was not sent yet and reset the connection, of which the other side is told."""
        if not self.closed:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def say_goodbye(self) -> None:
        """Tell the other side that nothing more comes, where that is not what `close` does."""

    def close(self) -> None:
        """Close the socket; who waits for it is told so."""
        if not self.closed:
            self.unwatch()
            if self._waiting:  # else it would be a system call for nothing
                trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


class SecureWire(Wire):
    """A wire with TLS."""

    __slots__ = ("_identity", "_secure", "_sessions")

    def __init__(self, connected: ssl.SSLSocket, poller: Poller) -> None:
        super().__init__(connected, poller)
        self._secure = connected
        self._sessions: Sessions | None = None
        self._identity = ""

    @property
    def resumed(self) -> bool:
        """See Wire.resumed."""
        return bool(self._secure.session_reused)

    def keep_session(self, sessions: Sessions, identity: str) -> None:
        """At the end, keep in *sessions* what the next connection of *identity* can go on with."""
        self._sessions = sessions
        self._identity = identity

    def say_goodbye(self) -> None:
        """Send a close_notify (RFC 8446, section 6.1), if there is room for it."""
        if not self.closed:
            self._keep()
            with suppress(OSError, ValueError):  # it wants to read, too: the other side's, which nobody waits for
                self._secure.unwrap()

    def close(self) -> None:
        """See Wire.close."""
        if not self.closed:
            self._keep()
            super().close()

    def _keep(self) -> None:
        if self._sessions is not None:
            self._sessions.keep(self._identity, self._secure)
            self._sessions = None
