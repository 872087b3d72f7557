"""A client's opening handshake, without a socket (RFC 6455, section 4.1; the response as RFC 9112 says)."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import string
import urllib.parse
from collections.abc import Sequence
from typing import Final, NamedTuple

SWITCHING: Final = 101
MOST_HEAD: Final = 16_384
"""Bytes of a response's head; more is taken for no answer."""
_MOST_FIELDS: Final = 100

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HTTP: Final = b"HTTP/"
_END: Final = re.compile(rb"\n\r?\n")  # a single LF ends a line, too (RFC 9112, section 2.2)
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")  # RFC 9112, section 5.2
_STATUS_LINE: Final = re.compile(rb"HTTP/[0-9]\.[0-9] ([1-9][0-9]{2})(?: [^\x00\n\r\f\v]*)?")
_FIELD: Final = re.compile(rb"([-!#$%&'*+.^_`|~0-9a-zA-Z]+):[ \t]*([^\x00\n\r\f\v]*)")


class HandshakeRefused(Exception):
    """No WebSocket: *outcome* is short and countable, *detail* for people."""

    def __init__(self, outcome: str, detail: str) -> None:
        super().__init__(f"{outcome}: {detail}")
        self.outcome = outcome
        self.detail = detail


class Opened(NamedTuple):
    """The WebSocket is open: what the CSMS agreed to, and the first bytes of frames, where some came with it."""

    subprotocol: str | None
    rest: bytes


class Opening:
    """One opening handshake: `request` goes out, and what comes back is fed until it is whole."""

    __slots__ = ("_accept", "_received", "_subprotocols", "request")

    def __init__(
        self,
        host_header: str,
        target: bytes,
        subprotocols: Sequence[str] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Make the request for *target* (see `request_target`)."""
        key = base64.b64encode(os.urandom(16))
        self._accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        self._subprotocols = tuple(subprotocols)
        self._received = bytearray()
        offered = [(b"Sec-WebSocket-Protocol", ", ".join(subprotocols).encode())] if subprotocols else []
        fields = [
            (b"Host", host_header.encode("ascii" if host_header.isascii() else "idna")),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Key", key),
            (b"Sec-WebSocket-Version", b"13"),
            *offered,
            *headers,
        ]
        lines = [b"GET %b HTTP/1.1" % target, *(b"%b: %b" % field for field in fields), b"", b""]
        self.request = b"\r\n".join(lines)

    def feed(self, data: bytes) -> Opened | None:
        """Take *data*, nothing at the connection's end, and return what it opened; None when more must come.

        Raises:
            HandshakeRefused: ``http_<status>`` for another status than 101, ``bad_handshake`` for what is none
                (section 4.1), ``closed`` when the CSMS hung up before.
        """
        if not data:
            raise HandshakeRefused("closed", "the CSMS closed the connection during the WebSocket handshake")
        received = self._received
        begin = max(0, len(received) - 2)
        received += data
        if not received.startswith(_HTTP[: len(received)]):
            raise _bad(f"no HTTP: {bytes(received[:40])!r}")
        end = _END.search(received, begin)
        if (end.end() if end else len(received)) > MOST_HEAD:
            raise _bad(f"a head of more than {MOST_HEAD} bytes")
        if end is None:
            return None
        subprotocol = self._read(bytes(received[: end.start()]))
        return Opened(subprotocol, bytes(received[end.end() :]))

    def _read(self, head: bytes) -> str | None:
        line, _, rest = head.partition(b"\n")
        status = _STATUS_LINE.fullmatch(line.removesuffix(b"\r"))
        if status is None:
            raise _bad(f"no status line: {line[:80]!r}")
        if int(status[1]) != SWITCHING:
            outcome = f"http_{int(status[1])}"
            raise HandshakeRefused(outcome, f"the CSMS answered the handshake with {int(status[1])}")
        return self._agreed(_fields(rest))

    def _agreed(self, fields: dict[bytes, bytes]) -> str | None:
        """Return the subprotocol that was agreed to, after the checks of section 4.1."""
        if fields.get(b"upgrade", b"").lower() != b"websocket":
            raise _bad("no upgrade to websocket")
        if b"upgrade" not in [token.strip() for token in fields.get(b"connection", b"").lower().split(b",")]:
            raise _bad("no Connection: Upgrade")
        if fields.get(b"sec-websocket-accept") != self._accept:
            raise _bad("Sec-WebSocket-Accept does not fit the key")
        if b"sec-websocket-extensions" in fields:
            raise _bad(f"an extension nobody asked for: {fields[b'sec-websocket-extensions']!r}")
        if b"sec-websocket-protocol" not in fields:
            return None
        subprotocol = fields[b"sec-websocket-protocol"].decode("latin-1")
        if subprotocol not in self._subprotocols:
            raise _bad(f"a subprotocol nobody offered: {subprotocol!r}")
        return subprotocol


def _fields(lines: bytes) -> dict[bytes, bytes]:
    """Read header fields: names in lower case, what came several times joined by commas (RFC 9110, section 5.3)."""
    if not lines:
        return {}
    fields: dict[bytes, bytes] = {}
    split = _FOLD.sub(b" ", lines).split(b"\n")
    if len(split) > _MOST_FIELDS:
        raise _bad(f"more than {_MOST_FIELDS} header fields")
    for line in split:
        field = _FIELD.fullmatch(line.removesuffix(b"\r"))
        if field is None:
            raise _bad(f"no header field: {line[:80]!r}")
        name, value = field[1].lower(), field[2].rstrip(b" \t")
        fields[name] = b"%b, %b" % (fields[name], value) if name in fields else value
    return fields


def request_target(resource: str) -> bytes:
    """Return the target for *resource*, a path and a query (section 3).

    Its path is never empty, and what HTTP cannot hold of it is percent-encoded.
    """
    path = resource if resource.startswith("/") else f"/{resource}"
    return urllib.parse.quote(path, safe=string.punctuation).encode()


def _bad(detail: str) -> HandshakeRefused:
    return HandshakeRefused("bad_handshake", f"the CSMS's handshake is not one: {detail}")
