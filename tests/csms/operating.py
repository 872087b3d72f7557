"""An operator of the tests: a client of the embedded CSMS's HTTP endpoint."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import h11
import trio

from loadsim.csms.control import serve_control
from loadsim.csms.server import Server

RESET = {"action": "Reset", "payload": {"type": "Soft"}}
CALLS = "/charge-points/CP1/calls"


class Operator:
    """A client of the endpoint."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)

    async def ask(
        self, method: str, target: str, body: Any = None, *, raw: bytes | None = None, **headers: str | None
    ) -> tuple[int, Any]:
        """Send a request; return its status and the content of its response. A header of None is left out."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        sent: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Length": str(len(content)),
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = [
            f"{method} {target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in sent.items() if value),
            "",
            "",
        ]
        return self.read(method, await self.say("\r\n".join(lines).encode() + content))

    async def dial(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(self.host, self.port)

    async def say(self, data: bytes) -> bytes:
        """Send bytes, hang up, and return all that comes."""
        async with await self.dial() as stream:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(data)
                await stream.send_eof()
            received = b""
            with suppress(trio.BrokenResourceError):
                async for part in stream:
                    received += part
            return received

    def read(self, method: str, data: bytes) -> tuple[int, Any]:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        client.receive_data(b"")
        response, body = client.next_event(), b""
        assert isinstance(response, h11.Response), data
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        return response.status_code, json.loads(body) if body else None


@asynccontextmanager
async def operating(server: Server, place: str = "127.0.0.1:0", token: str | None = None) -> AsyncIterator[Operator]:
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_control, place, token, server)
        yield Operator(url)
        nursery.cancel_scope.cancel()
