"""TLS without a stream of its own: the handshake on the socket itself, and sessions for who connects again."""

from __future__ import annotations

import socket
import ssl
from typing import Final

import trio

from loadsim.link.transport import Slowness

_CLIENT_SPEAKS: Final = 600
"""Bytes, about: what a client says in a handshake, for the time that they take over a slow link."""
_MOST_WAITING: Final = 65_536


class Sessions:
    """A session of each charge point that has had a connection, to go on with (RFC 8446, sections 2.2 and 4.6.1).

    One is kept until the CSMS refuses it, and not replaced each time: to read it takes 160 microseconds, and before
    Python 3.12.8 loses 5.6 kB for good (issue 116810 of CPython).
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[str, ssl.SSLSession | None] = {}

    def of(self, identity: str) -> ssl.SSLSession | None:
        """Return the session that *identity* may go on with."""
        return self._kept.get(identity)

    def keep(self, identity: str, connection: ssl.SSLSocket) -> None:
        """Keep what *identity* may go on with after *connection*, which is about to be closed."""
        if connection.session_reused or self._kept.get(identity, connection) is None:
            return  # the old one is still good; or the CSMS gives none
        session = connection.session
        good = session is not None and (session.has_ticket or session.id)
        self._kept[identity] = session if good else None

    def drop(self, identity: str) -> None:
        """Forget a session with which no connection came about."""
        self._kept.pop(identity, None)


def make_context(ca: str | None) -> ssl.SSLContext:
    """Return the settings of a client that checks certificates and host names.

    Raises:
        OSError: the file *ca* cannot be read.
    """
    context = ssl.create_default_context(cafile=ca)
    context.options |= ssl.OP_NO_RENEGOTIATION  # with one, a receive might have to wait until it can send
    return context


async def shake_hands(
    connected: socket.socket,
    context: ssl.SSLContext,
    host: str,
    session: ssl.SSLSession | None,
    slowness: Slowness | None,
) -> ssl.SSLSocket:
    """Put TLS on a non-blocking socket, which is given away, and closed when that fails or is cancelled.

    *slowness* is slept: a round trip, and one more with TLS 1.2 unless it goes on with a *session*.

    Raises:
        OSError: what OpenSSL or the network have against it.
    """
    try:
        secure = context.wrap_socket(connected, do_handshake_on_connect=False, server_hostname=host, session=session)
    except BaseException:
        connected.close()
        raise
    try:
        waited = False
        while True:
            try:
                secure.do_handshake()
                break
            except ssl.SSLWantReadError:
                if slowness is not None and not waited:
                    await _sleep(slowness, _CLIENT_SPEAKS)
                await trio.lowlevel.wait_readable(secure)
                if slowness is not None and not waited:
                    await _sleep(slowness, len(socket.socket.recv(secure, _MOST_WAITING, socket.MSG_PEEK)))
                waited = True
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(secure)
        if slowness is not None and secure.version() != "TLSv1.3" and not secure.session_reused:
            await _sleep(slowness, 0)
            await _sleep(slowness, 0)
    except BaseException:
        secure.close()
        raise
    return secure


async def _sleep(slowness: Slowness, size: int) -> None:
    """Sleep for as long as *size* bytes take, one way."""
    await trio.sleep(slowness.latency() + (0.0 if slowness.bandwidth is None else size / slowness.bandwidth))
