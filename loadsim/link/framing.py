"""A server's frames as they come in, without a socket (RFC 6455, sections 5 to 7; no extensions)."""

from __future__ import annotations

from codecs import utf_8_decode
from dataclasses import dataclass
from typing import Final

from loadsim.link.frames import BINARY, CLOSE, CONTINUATION, FINAL, MEDIUM, NO_CODE, PING, PONG, SHORT, TEXT

VIOLATION: Final = 1002
NO_UTF_8: Final = 1007
TOO_LARGE: Final = 1009

_NONE: Final = -1
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_FINAL_TEXT: Final = FINAL | TEXT


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping, to be answered by a pong with the same payload (section 5.5.2)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping, or one that nobody asked for (section 5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The last frame of the other side (section 5.5.1); *code* is 1005 where it gave none."""

    code: int
    reason: str


Message = str | bytes | Ping | Pong | Close


class ProtocolError(Exception):
    """What came breaks the protocol, and the connection has to end: *code* is the close code that says why.

    *before* is what was whole before it.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
        self.before: list[Message] = []


class Incoming:
    """Takes what a server sends, in pieces of any size, and hands over the messages in it.

    *most* is the bytes of the largest message. What is kept of an unfinished one is that at most, and a few bytes.
    """

    __slots__ = ("_most", "_reading")

    def __init__(self, most: int) -> None:
        self._most = most
        self._reading: _Reading | None = None

    def feed(self, data: bytes) -> list[Message]:
        """Take *data* and return what it makes whole, in order; nothing any more after a Close or an error.

        Raises:
            ProtocolError: a violation, as soon as it shows.
        """
        reading = self._reading
        if reading is None:
            size = len(data) - 2
            # One whole short text, as nearly every answer of a CSMS is: a tenth of what `_Reading` takes for it.
            if 0 <= size <= SHORT and data[0] == _FINAL_TEXT and data[1] == size:
                try:
                    return [data[2:].decode()]
                except UnicodeDecodeError:
                    pass  # said below
            reading = self._reading = _Reading(self._most)
        found: list[Message] = []
        try:
            reading.feed(data, found)
        except ProtocolError as violation:
            violation.before = found
            reading.end()
            raise
        if reading.between_messages:
            self._reading = None
        return found


class _Reading:
    """A frame, or a message of several, of which more has to come; exists only meanwhile."""

    __slots__ = (
        "_checked",
        "_control",
        "_ended",
        "_final",
        "_head",
        "_left",
        "_most",
        "_opcode",
        "_payload",
        "_whole",
    )

    def __init__(self, most: int) -> None:
        self._most = most
        self._head = b""  # of a frame whose head is not whole yet
        self._opcode = _NONE  # of the frame whose payload is being read
        self._final = False
        self._left = 0  # bytes of it that have to come
        self._control = b""
        self._whole = _NONE  # opcode of the message that is being read
        self._payload = bytearray()
        self._checked = 0  # bytes of it that are UTF-8
        self._ended = False

    @property
    def between_messages(self) -> bool:
        return not (self._head or self._ended) and self._opcode == self._whole == _NONE

    def end(self) -> None:
        """Ignore what comes from now on (section 5.5.1)."""
        self._ended = True
        self._payload = bytearray()

    def feed(self, data: bytes, found: list[Message]) -> None:
        if self._head:
            data = self._head + data
            self._head = b""
        at = 0
        while not self._ended:
            if self._opcode == _NONE:
                begin = self._open(data, at)
                if begin is None:
                    self._head = data[at:]
                    return
                at = begin
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if self._opcode >= CLOSE:
                self._control += piece
            else:
                self._payload += piece
                if self._whole == TEXT:
                    self._check()
            if self._left:
                return
            self._finish(found)

    def _open(self, data: bytes, at: int) -> int | None:
        """Read the head of a frame at *at*, and return where its payload begins; None where more of it must come."""
        if len(data) - at < 2:
            return None
        first, size = data[at], data[at + 1]
        opcode = first & 0x0F
        wrong = _violation(first, size, within=self._whole != _NONE)
        if wrong is not None:
            raise ProtocolError(VIOLATION, wrong)
        begin = at + 2
        if size > SHORT:
            begin += 2 if size == 126 else 8
            if len(data) < begin:
                return None
            least = 126 if size == 126 else MEDIUM + 1
            size = int.from_bytes(data[at + 2 : begin])
            if size < least or size >> 63:
                raise ProtocolError(VIOLATION, f"a length of {size} takes another form")
        if opcode < CLOSE:
            if len(self._payload) + size > self._most:
                raise ProtocolError(TOO_LARGE, f"a message of more than {self._most} bytes")
            if opcode != CONTINUATION:
                self._whole = opcode
        self._opcode = opcode
        self._final = first >= FINAL
        self._left = size
        return begin

    def _check(self) -> None:
        """Fail as soon as what has come cannot be the beginning of a text (section 8.1)."""
        fresh = self._payload[self._checked :]
        try:
            _, whole = utf_8_decode(fresh, "strict", False)
        except UnicodeDecodeError as error:
            raise ProtocolError(NO_UTF_8, f"no UTF-8: {error.reason}") from None
        self._checked += whole
        if fresh[whole : whole + 1] == b"\xed" and fresh[whole + 1 : whole + 2] >= b"\xa0":
            raise ProtocolError(NO_UTF_8, "no UTF-8: a surrogate")  # the decoder waits for its last byte

    def _finish(self, found: list[Message]) -> None:
        """Hand over what the end of a frame makes whole."""
        opcode, self._opcode = self._opcode, _NONE
        if opcode >= CLOSE:
            payload, self._control = self._control, b""
            if opcode == CLOSE:
                found.append(_close(payload))
                self.end()
            else:
                found.append(Ping(payload) if opcode == PING else Pong(payload))
        elif self._final:
            if self._whole == TEXT and self._checked < len(self._payload):
                raise ProtocolError(NO_UTF_8, "no UTF-8: the text ends within a character")
            found.append(self._payload.decode() if self._whole == TEXT else bytes(self._payload))
            self._payload = bytearray()
            self._checked = 0
            self._whole = _NONE


def _violation(first: int, second: int, *, within: bool) -> str | None:
    """Tell what is wrong with the first two bytes of a frame, *within* a message of which some came (section 5.2)."""
    opcode = first & 0x0F
    if first & _RESERVED:
        return "a reserved bit without an extension"
    if second & _MASKED:
        return "a masked frame from a server"  # section 5.1
    if opcode in (CLOSE, PING, PONG):
        if first < FINAL or second > SHORT:
            return "a control frame in fragments, or too long"  # section 5.5
    elif opcode > BINARY:
        return f"a reserved opcode: {opcode}"
    elif within != (opcode == CONTINUATION):
        return "a message within another" if within else "a continuation of nothing"  # section 5.4
    return None


def _close(payload: bytes) -> Close:
    """Read the payload of a close frame (sections 5.5.1 and 7.4)."""
    if not payload:
        return Close(NO_CODE, "")
    code = int.from_bytes(payload[:2])
    # One byte is no code either. 1012 to 1014 were registered after the RFC, with IANA.
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ProtocolError(VIOLATION, f"no close code: {code}")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise ProtocolError(NO_UTF_8, "the reason of a close is no UTF-8") from None
