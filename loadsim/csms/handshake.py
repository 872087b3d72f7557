"""What an opening handshake asks for, and whether it is granted (OCPP-J 1.6, sections 3.1, 3.2 and 6.2)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

import msgspec

from loadsim.csms.options import ServerOptions

SUBPROTOCOL: Final = "ocpp1.6"

Headers = Sequence[tuple[bytes, bytes]]


class Admitted(msgspec.Struct, frozen=True, tag=True):
    """The handshake is accepted; *serve* is False where the connection closes right after (section 3.2)."""

    identity: str
    subprotocol: str | None
    serve: bool = True


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The handshake is answered with an HTTP status other than 101."""

    status: int
    reason: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def judge(target: str, headers: Headers, offered: Sequence[str], options: ServerOptions) -> Admitted | Refused:
    """Decide on the handshake for *target* (path and query) that offers the subprotocols *offered*."""
    identity = identity_of(target)
    if not identity:
        return Refused(404, "the last segment of the path must be the charge point's identity")
    if options.password is not None and not _authorized(headers, identity, options.password):
        challenge = (b"WWW-Authenticate", b'Basic realm="OCPP", charset="UTF-8"')
        return Refused(401, "the user must be the identity, the password its own", (challenge,))
    agreed = SUBPROTOCOL if SUBPROTOCOL in offered and options.subprotocol != "none" else None
    return Admitted(identity, agreed, serve=agreed is not None or options.subprotocol != "ocpp1.6")


def identity_of(target: str) -> str | None:
    """Return the last segment of *target*'s path, percent-decoded; None if it is no UTF-8."""
    path = target.partition("?")[0].partition("#")[0]
    try:
        return unquote(path.rpartition("/")[2], errors="strict")
    except UnicodeDecodeError:
        return None


def _authorized(headers: Headers, identity: str, password: str) -> bool:
    """Check HTTP basic authentication (RFC 7617)."""
    for name, value in headers:
        scheme, _, credentials = value.strip().partition(b" ")
        if name.lower() == b"authorization" and scheme.lower() == b"basic":
            try:
                given = base64.b64decode(credentials.strip(), validate=True)
            except binascii.Error:
                return False
            return hmac.compare_digest(given, f"{identity}:{password}".encode())
    return False
