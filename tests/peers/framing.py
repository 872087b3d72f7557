"""The server's end of a WebSocket (RFC 6455) on plain asyncio: light, and able to misbehave at every step."""

import asyncio
import base64
import hashlib
import struct
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
SUBPROTOCOL = "ocpp1.6"
MAX_HEAD = 16_384  # bytes
MAX_MESSAGE = 16_777_216  # bytes
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(slots=True, kw_only=True)
class Tally:
    """What all connections of a peer count in common."""

    opened: int = 0  # WebSockets, the handshake done
    turned_away: int = 0  # TCP connections that never became a WebSocket
    open_now: int = 0
    open_at_most: int = 0
    messages_in: int = 0
    messages_out: int = 0
    pings: int = 0
    identities: set[str] = field(default_factory=set)
    closes: Counter[str] = field(default_factory=Counter)  # by the code the charge point gave, "none" without
    violations: Counter[str] = field(default_factory=Counter)  # of the protocol, by the charge points

    def record(self) -> dict[str, object]:
        return {
            "connections": {
                "opened": self.opened,
                "turned_away": self.turned_away,
                "open_at_end": self.open_now,
                "open_at_most": self.open_at_most,
            },
            "identities": len(self.identities),
            "messages": {"in": self.messages_in, "out": self.messages_out},
            "pings": self.pings,
            "closes": dict(self.closes),
            "violations": dict(self.violations),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The opening request."""

    target: str
    headers: dict[str, str]  # names in lower case; repeated ones joined by a comma

    @property
    def identity(self) -> str:
        """The last segment of the path, percent-decoded (OCPP-J 1.6, section 3.1.1)."""
        return unquote(self.target.partition("?")[0].rstrip("/").rpartition("/")[2])

    @property
    def subprotocols(self) -> list[str]:
        offered = self.headers.get("sec-websocket-protocol", "")
        return [name.strip() for name in offered.split(",") if name.strip()]

    @property
    def is_upgrade(self) -> bool:
        return (
            self.headers.get("upgrade", "").lower() == "websocket"
            and "upgrade" in self.headers.get("connection", "").lower()
            and self.headers.get("sec-websocket-version") == "13"
            and "sec-websocket-key" in self.headers
        )


def parse_request(head: bytes) -> Request | None:
    """Read the head of a GET request; None when it is no such thing."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[0] != "GET":
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return Request(target=words[1], headers=headers)


def http_answer(status: int) -> bytes:
    body = b"no\n"
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: text/plain",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if status == HTTPStatus.UNAUTHORIZED:
        lines.append('WWW-Authenticate: Basic realm="ocpp"')
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def switch_answer(request: Request, subprotocol: str | None) -> bytes:
    key = request.headers["sec-websocket-key"].encode()
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def frame(opcode: int, payload: bytes) -> bytes:
    """Wrap *payload* into one final, unmasked frame (section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


def unmask(mask: bytes | bytearray, payload: bytes) -> bytes:
    """Apply the mask of section 5.3: as one long number, the fastest way without C."""
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(payload, "little") ^ key).to_bytes(size, "little")


class Connection(asyncio.Protocol):
    """One connection: hands whole texts on, answers pings and closes, notes what breaks the protocol."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.identity = ""
        self.is_open = False  # the handshake is done, and nothing has ended it
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._handshaken = False
        self._parts: list[bytes] = []
        self._parts_opcode = TEXT

    # What the peers override

    def answer_request(self, request: Request) -> None:
        """Answer the opening request; here: as a well-behaved server does."""
        if request.is_upgrade and SUBPROTOCOL in request.subprotocols:
            self.accept(request, SUBPROTOCOL)
            return
        self.tally.violations["no subprotocol" if request.is_upgrade else "no upgrade"] += 1
        self.turn_away(http_answer(400))

    def on_text(self, payload: bytes, at: float) -> None:
        """Take one whole text message, received *at*."""

    def on_end(self) -> None:
        """Take leave: nothing can be sent any more."""

    def clock(self) -> float:
        return asyncio.get_running_loop().time()

    # What they call

    def accept(self, request: Request, subprotocol: str | None) -> None:
        self.identity = request.identity
        self.raw(switch_answer(request, subprotocol))
        self._handshaken = self.is_open = True
        self.tally.opened += 1
        self.tally.open_now += 1
        self.tally.open_at_most = max(self.tally.open_at_most, self.tally.open_now)
        self.tally.identities.add(self.identity)

    def turn_away(self, answer: bytes = b"") -> None:
        self.raw(answer)
        self.hang_up()

    def raw(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)

    def send_text(self, payload: bytes) -> bool:
        """Send one text; False when the connection has ended."""
        if not self.is_open or self._transport is None:
            return False
        self._transport.write(frame(TEXT, payload))
        self.tally.messages_out += 1
        return True

    def send_close(self, code: int) -> None:
        if self.is_open:
            self.raw(frame(CLOSE, code.to_bytes(2, "big")))
        self.hang_up()

    def hang_up(self) -> None:
        """Close the TCP connection once everything is written."""
        self._leave()
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.feed(data, self.clock())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._handshaken:
            self.tally.turned_away += 1
        if self.is_open:
            self.tally.closes["none"] += 1
        self._leave()
        self._transport = None

    # The machine

    def feed(self, data: bytes, at: float) -> None:
        """Take bytes that were received *at*."""
        self._buffer += data
        if not self._handshaken:
            self._read_head()
        if self._handshaken:
            while self._read_frame(at):
                pass

    def _read_head(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                self.turn_away()
            return
        request = parse_request(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        if request is None:
            self.tally.violations["no request"] += 1
            self.turn_away(http_answer(400))
        else:
            self.answer_request(request)

    def _read_frame(self, at: float) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, start = buffer[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        masked = buffer[1] & 0x80
        if not masked or buffer[0] & 0x70 or size > MAX_MESSAGE:
            self._break_off("unmasked frame" if not masked else "reserved bit or too long", 1002)
            return False
        if len(buffer) < start + 4 + size:
            return False
        payload = unmask(buffer[start : start + 4], bytes(buffer[start + 4 : start + 4 + size]))
        first = buffer[0]
        del buffer[: start + 4 + size]
        if self.is_open:
            self._take(first & 0x0F, bool(first & 0x80), payload, at)
        return True

    def _take(self, opcode: int, final: bool, payload: bytes, at: float) -> None:
        if opcode == TEXT and final and not self._parts:
            self._whole(payload, at)
        elif opcode == PING:
            self.tally.pings += 1
            self.raw(frame(PONG, payload))
        elif opcode == CLOSE:
            self.tally.closes[str(int.from_bytes(payload[:2], "big")) if payload else "empty"] += 1
            self.raw(frame(CLOSE, payload[:2]))
            self.hang_up()
        elif opcode in (TEXT, BINARY, CONTINUATION):
            self._take_part(opcode, final, payload, at)
        elif opcode != PONG:
            self._break_off("unknown opcode", 1002)

    def _take_part(self, opcode: int, final: bool, payload: bytes, at: float) -> None:
        if (opcode == CONTINUATION) != bool(self._parts):
            self._break_off("fragments out of order", 1002)
            return
        if opcode != CONTINUATION:
            self._parts_opcode = opcode
        self._parts.append(payload)
        if final:
            whole = b"".join(self._parts)
            self._parts = []
            if self._parts_opcode == TEXT:
                self._whole(whole, at)
            else:
                self._break_off("binary message", 1003)

    def _whole(self, payload: bytes, at: float) -> None:
        self.tally.messages_in += 1
        self.on_text(payload, at)

    def _break_off(self, what: str, code: int) -> None:
        self.tally.violations[what] += 1
        self._buffer.clear()
        self.send_close(code)

    def _leave(self) -> None:
        if self.is_open:
            self.is_open = False
            self.tally.open_now -= 1
            self.on_end()
