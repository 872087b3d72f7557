"""The HTTP endpoint of the embedded CSMS: one call to one charge point, as an operator would send it.

``GET /charge-points``, ``POST /charge-points/{id}/calls``, ``GET /record``, ``GET /authority.pem``. On loopback
it is open to whoever is on the machine, but not to the pages in a browser; elsewhere it asks for a token (RFC 6750).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from functools import partial
from ipaddress import ip_address
from typing import Annotated, Any, Final, Protocol
from urllib.parse import unquote

import msgspec
import trio

from loadsim.csms.calling import CALL_TIMEOUT, Answered, Outcome
from loadsim.csms.http_server import HttpError, Request, Response, serve_http
from loadsim.csms.sockets import MAX_PORT, listen, url_of
from loadsim.errors import UsageError
from loadsim.ocpp.action import InvalidPayload

LONGEST_TIMEOUT: Final = 600.0
"""Seconds."""

_STATUS: Final = {"timeout": 504, "not_sent": 504, "lost": 502, "malformed": 502, "not_connected": 404}
_CODE: Final = {
    "timeout": "Timeout",
    "not_sent": "NotSent",
    "lost": "ConnectionLost",
    "malformed": "MalformedAnswer",
    "not_connected": "NotConnected",
}


class Controlled(Protocol):
    """The CSMS: ``Server``."""

    def charge_points(self) -> Iterable[dict[str, Any]]:
        """Yield what is known of each charge point."""

    def record(self) -> dict[str, Any]:
        """Return what was seen and answered so far."""

    def authority(self) -> str:
        """Return the certificate of its own authority in PEM.

        Raises:
            ValueError: there is none; the text says why.
        """

    async def call(self, identity: str, action: str, payload: Mapping[str, Any], *, timeout: float) -> Outcome:
        """Call a charge point.

        Raises:
            InvalidPayload: the request's schema refuses it.
        """


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a call: an action, its payload, and how many seconds its answer is awaited."""

    action: str
    payload: dict[str, Any] = {}
    timeout: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_TIMEOUT)] = CALL_TIMEOUT


_decode_order = msgspec.json.Decoder(_Order).decode


async def serve_control(
    place: str,
    token: str | None,
    csms: Controlled,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve at *place*, HOST:PORT, until cancelled; say the URL when it listens.

    Raises:
        UsageError: *place* is none, is not loopback and there is no *token*, or it cannot listen there.
    """
    host, port = parse_place(place)
    check_token(place, host, token)
    try:
        listeners = await listen(host, port)
    except UsageError as error:
        raise UsageError(f"--control {place}: {error}") from error
    try:
        async with trio.open_nursery() as nursery:
            for listener in listeners:
                nursery.start_soon(serve_http, listener, partial(handle, csms, token))
            task_status.started(url_of(listeners[0]).replace("ws://", "http://", 1))
    finally:
        for listener in listeners:
            listener.socket.close()


def parse_place(place: str) -> tuple[str, int]:
    """Read HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        UsageError: it is none, or no port has this number.
    """
    host, colon, port = place.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or (":" in host and not bracketed):
        raise UsageError(f"--control: expected HOST:PORT such as 127.0.0.1:8080, got {place!r}")
    if len(port) > len(str(MAX_PORT)) or int(port) > MAX_PORT:
        raise UsageError(f"--control: expected a port from 0 (any free one) to {MAX_PORT}, got {place!r}")
    return host.strip("[]"), int(port)


def check_token(place: str, host: str, token: str | None) -> None:
    """See that whoever can reach *place*, which is at *host*, needs a *token* unless that is loopback.

    Raises:
        UsageError: there is none and there must be one, or no header could carry it.
    """
    if token is None and not is_loopback(host):
        raise UsageError(f"--control {place}: only loopback goes without a token; give --control-token as well")
    if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token != ""):
        raise UsageError("--control-token: expected printable ASCII without spaces around it")


def is_loopback(host: str) -> bool:
    """Tell whether *host* is this machine and no other can reach it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


async def handle(csms: Controlled, token: str | None, request: Request) -> Response:
    """Answer one request.

    Raises:
        HttpError: the status and what is wrong.
    """
    _admit(token, request.headers)
    parts = request.target.partition("?")[0].split("/")[1:]
    if parts == ["record"]:
        _only("GET", request)
        return Response(200, csms.record())
    if parts == ["authority.pem"]:
        _only("GET", request)
        return _authority(csms)
    if parts == ["charge-points"]:
        _only("GET", request)
        return Response(200, list(csms.charge_points()))
    if len(parts) == 3 and parts[0] == "charge-points" and parts[2] == "calls":
        _only("POST", request)
        return await _call(csms, parts[1], request)
    expected = "GET /charge-points, POST /charge-points/{id}/calls, the id encoded, GET /record or GET /authority.pem"
    raise HttpError(404, "NotFound", f"expected {expected}")


def _admit(token: str | None, headers: Mapping[str, str]) -> None:
    """Refuse whoever has no token; where none is asked for, refuse what a page in a browser sends."""
    if token is not None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            raise HttpError(401, "Unauthorized", "expected the token: Authorization: Bearer ...",
                            ("WWW-Authenticate", "Bearer"))  # fmt: skip
        return
    if "origin" in headers:
        raise HttpError(403, "Forbidden", "without a token no web page may ask")
    host = headers.get("host", "")
    name = host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    if not is_loopback(name):  # a name that a page had point here
        raise HttpError(403, "Forbidden", f"without a token the host must be loopback, got {host[:60]!r}")


def _only(method: str, request: Request) -> None:
    if request.method != method:
        raise HttpError(405, "MethodNotAllowed", f"expected {method}", ("Allow", method))


def _authority(csms: Controlled) -> Response:
    try:
        pem = csms.authority()
    except ValueError as error:
        raise HttpError(503, "NoAuthority", str(error)) from None
    return Response(200, pem.encode(), media_type="application/x-pem-file")


async def _call(csms: Controlled, segment: str, request: Request) -> Response:
    try:
        identity = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise HttpError(400, "BadRequest", "the charge point's id is no percent-encoded UTF-8") from None
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HttpError(415, "UnsupportedMediaType", "expected Content-Type: application/json")
    try:
        order = _decode_order(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        expected = '{"action": "Reset", "payload": {"type": "Soft"}}'
        raise HttpError(400, "BadRequest", f"expected {expected}: {error}") from None
    try:
        outcome = await csms.call(identity, order.action, order.payload, timeout=order.timeout)
    except InvalidPayload as error:
        raise HttpError(400, error.code, str(error)) from None
    if isinstance(outcome, Answered):
        return Response(200, {"result": outcome.payload})
    if outcome.cause == "error":
        return Response(200, {"error": {"code": outcome.code, "description": outcome.description}})
    raise HttpError(_STATUS[outcome.cause], _CODE[outcome.cause], outcome.description)
