"""A small HTTP/1.1 server on h11 (RFC 9112): whole requests, whole responses, everything bounded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import h11
import msgspec
import trio

MOST_CLIENTS: Final = 64
"""Connections at a time; others wait to be accepted."""
LARGEST_HEAD: Final = 16 * 1024
"""Bytes of a request's line and headers."""
LARGEST_BODY: Final = 256 * 1024
READ_TIMEOUT: Final = 10.0
"""Seconds that a request is awaited, from the end of the one before to its last byte."""
WRITE_TIMEOUT: Final = 10.0
"""Seconds that a client may take to read a response."""
LINGER: Final = 1.0
"""Seconds a client has to hang up after our last response, before it is cut off."""

_ENDED: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class Request(msgspec.Struct, frozen=True):
    """A request; names of headers are in lower case, of several with one name the last counts."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Response(msgspec.Struct, frozen=True):
    """A response; *content* is sent as JSON, or as it is where it is bytes, which are of *media_type*."""

    status: int
    content: Any
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str = "application/json"


Handler = Callable[[Request], Awaitable[Response]]


class HttpError(Exception):
    """A request that gets a status other than 200."""

    def __init__(self, status: int, code: str, description: str, *headers: tuple[str, str]) -> None:
        super().__init__(description)
        self.response = Response(status, {"error": {"code": code, "description": description}}, headers)


async def serve_http(listener: trio.SocketListener, handle: Handler) -> None:
    """Serve what connects to *listener*, until cancelled."""
    slots = trio.Semaphore(MOST_CLIENTS)
    async with trio.open_nursery() as clients:
        while True:
            await slots.acquire()
            try:
                stream = await listener.accept()
            except OSError:  # no descriptor is left; those of the charge points go first
                slots.release()
                await trio.sleep(0.1)
            else:
                clients.start_soon(_client, stream, handle, slots)


async def _client(stream: trio.SocketStream, handle: Handler, slots: trio.Semaphore) -> None:
    try:
        async with stream:
            # Where h11 cannot make out what a client means, its connection ends.
            with suppress(*_ENDED, h11.ProtocolError):
                await _Conversation(stream, handle).hold()
                # To close with unread data could destroy our last words.
                with trio.move_on_after(LINGER):
                    await stream.send_eof()
                    while await stream.receive_some(1 << 16):
                        pass
    finally:
        slots.release()


class _Conversation:
    """The requests of one client, one after the other."""

    def __init__(self, stream: trio.SocketStream, handle: Handler) -> None:
        self._stream = stream
        self._handle = handle
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)
        self._asks_for_body = True

    async def hold(self) -> None:
        while True:
            request = None
            try:
                with trio.move_on_after(READ_TIMEOUT):
                    request = await self._read()
                if request is None:
                    return
                response = await self._handle(request)
            except HttpError as error:
                response = error.response
            except h11.RemoteProtocolError as error:
                status = error.error_status_hint
                response = HttpError(status, HTTPStatus(status).phrase.replace(" ", ""), str(error)).response
            with trio.move_on_after(WRITE_TIMEOUT) as writing:
                await self._write(response)
            if writing.cancelled_caught or self._http.our_state is not h11.DONE:
                return
            if self._http.their_state is not h11.DONE:
                return  # the rest of the request is not worth reading
            self._http.start_next_cycle()

    async def _read(self) -> Request | None:
        """Read one request; None when the client has hung up."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
                    await self._send(go_on)
                self._http.receive_data(await self._stream.receive_some(1 << 16))
            elif isinstance(event, h11.Request):
                head = event
                self._asks_for_body = event.method != b"HEAD"
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > LARGEST_BODY:
                    raise HttpError(413, "TooLarge", f"a body has at most {LARGEST_BODY:,} bytes")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
                return Request(head.method.decode("ascii"), head.target.decode("latin-1"), headers, bytes(body))
            else:
                return None

    async def _write(self, response: Response) -> None:
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        as_it_is = isinstance(response.content, bytes)
        content = response.content if as_it_is else msgspec.json.encode(response.content) + b"\n"
        headers = [
            ("Content-Type", response.media_type),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            *response.headers,
        ]
        if self._http.their_state is not h11.DONE:
            headers.append(("Connection", "close"))
        status = HTTPStatus(response.status)
        await self._send(h11.Response(status_code=status.value, headers=headers, reason=status.phrase))
        if self._asks_for_body:
            await self._send(h11.Data(data=content))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: Any) -> None:
        data = self._http.send(event)
        if data:
            await self._stream.send_all(data)
