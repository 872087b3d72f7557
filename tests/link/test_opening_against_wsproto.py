"""Our opening handshake against wsproto's: both clients get the same answer, right or wrong, each for its own key.

Known differences, each on purpose: ours says at once that something is no HTTP, and names the status however the rest
of the head looks; it refuses a head that never ends, and fields that came twice where there may be one (sections
11.3.3 and 11.3.5), of which wsproto takes the last.
"""

from __future__ import annotations

import base64
import hashlib

from hypothesis import example, given, settings
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, Request
from wsproto.utilities import RemoteProtocolError

from loadsim.link.opening import HandshakeRefused, Opening
from tests.link.reading import cut

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPT = b"{accept}"
STATUS_LINES = (
    b"HTTP/1.1 101 Switching Protocols",
    b"HTTP/1.1 101",
    b"HTTP/1.0 404 Not Found",
    b"HTTP/1.1 100 Go on",
)
CHOICES = {
    b"Upgrade": (b"websocket", b"WEBSOCKET", b"h2c"),
    b"Connection": (b"Upgrade", b"upgrade, keep-alive", b"close"),
    b"Sec-WebSocket-Accept": (ACCEPT, ACCEPT, ACCEPT, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    b"Sec-WebSocket-Protocol": (b"ocpp1.6", b"ocpp1.6", b"mqtt", b"", None),
    b"Sec-WebSocket-Extensions": (None, None, None, None, b"permessage-deflate"),
    b"Server": (b"x", b"\xff y", b"", None),
}
ODD = b"\0\t\n\r :,/aU1"


def for_key(answer: bytes, request: bytes) -> bytes:
    begin = request.index(b"Sec-WebSocket-Key: ") + 19
    key = request[begin : request.index(b"\r\n", begin)]
    return answer.replace(ACCEPT, base64.b64encode(hashlib.sha1(key + GUID).digest()))  # noqa: S324 - section 4.2.2


def ours(answer: bytes, places: list[int]) -> str | None:
    """Return the outcome; None where more has to come."""
    opening = Opening("csms", b"/CP1", ["ocpp1.6"])
    try:
        for piece in cut(for_key(answer, opening.request), places):
            if piece and (opened := opening.feed(piece)) is not None:
                return f"opened with {opened.subprotocol}"
    except HandshakeRefused as refused:
        return refused.outcome
    return None


def wsprotos(answer: bytes) -> str | None:
    client = WSConnection(ConnectionType.CLIENT)
    request = client.send(Request(host="csms", target="/CP1", subprotocols=["ocpp1.6"]))
    try:
        client.receive_data(for_key(answer, request))
    except RemoteProtocolError as error:
        rejected = next(client.events(), None)
        if isinstance(rejected, RejectConnection):  # a status, and then a body that is none
            return f"http_{rejected.status_code}"
        return "bad_handshake" if isinstance(error.event_hint, RejectConnection) else str(error)
    event = next(client.events(), None)
    if isinstance(event, AcceptConnection):
        return f"opened with {event.subprotocol}"
    return f"http_{event.status_code}" if isinstance(event, RejectConnection) else None


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    fields = [(name, draw(st.sampled_from(values))) for name, values in CHOICES.items()]
    lines = [b"%b: %b" % (name, value) for name, value in draw(st.permutations(fields)) if value is not None]
    answer = bytearray(b"\r\n".join([draw(st.sampled_from(STATUS_LINES)), *lines, b"", b""]))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        answer[draw(st.integers(0, len(answer) - 1))] = draw(st.sampled_from(ODD))
    return bytes(answer)


RIGHT = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"


@settings(deadline=None)
@given(answers(), st.lists(st.integers(0, 400), max_size=4))
@example(RIGHT + b"\r\n", [])
@example(RIGHT + b" folded\r\n\r\n", [])
@example(RIGHT + b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n", [])
@example(b"HTTP/1.1 401 Unauthorized\r\n\r\n", [])
@example(b"no HTTP", [])
def test_both_come_to_the_same_outcome(answer: bytes, places: list[int]) -> None:
    mine, theirs = ours(answer, places), wsprotos(answer)

    if mine == "bad_handshake" and theirs is None:
        theirs = wsprotos(answer + b"\r\n\r\n")
    if mine is not None and mine.startswith("http_"):
        assert theirs in (mine, "bad_handshake")
    else:
        assert mine == theirs
