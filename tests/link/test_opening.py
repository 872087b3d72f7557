"""The opening handshake of a client (RFC 6455, section 4.1), and what is no answer to it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request

from loadsim.link.opening import MOST_HEAD, HandshakeRefused, Opened, Opening, request_target
from tests.link.reading import chopped, cut

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
OFFERED = "ocpp1.6"


def opening(*subprotocols: str) -> Opening:
    return Opening("csms:8080", b"/ocpp/CP1", subprotocols or (OFFERED,))


def key(request: bytes) -> bytes:
    (line,) = [line for line in request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: ")]
    return line.partition(b": ")[2]


def accept(request: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key(request) + GUID).digest())  # noqa: S324 - section 4.2.2


def answer(begun: Opening, changes: dict[bytes, bytes | None] | None = None, status: bytes = b"101 Yes") -> bytes:
    """Make the answer of a good server, but for *changes*: None leaves a field out."""
    fields: dict[bytes, bytes | None] = {
        b"Upgrade": b"websocket",
        b"Connection": b"Upgrade",
        b"Sec-WebSocket-Accept": accept(begun.request),
        b"Sec-WebSocket-Protocol": OFFERED.encode(),
        **(changes or {}),
    }
    lines = [
        b"HTTP/1.1 " + status,
        *(b"%b: %b" % (name, value) for name, value in fields.items() if value is not None),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def fed(begun: Opening, pieces: Iterable[bytes]) -> Opened | str:
    """Return what *pieces* open, with what comes after it, or the outcome."""
    opened: Opened | None = None
    rest = b""
    for piece in pieces:
        if not piece:
            continue
        if opened is not None:
            rest += piece
            continue
        try:
            opened = begun.feed(piece)
        except HandshakeRefused as refused:
            return refused.outcome
    assert opened is not None, "not enough"
    return Opened(opened.subprotocol, opened.rest + rest)


def outcome(changes: dict[bytes, bytes | None] | None = None, status: bytes = b"101 Yes") -> str | None:
    """Return the outcome of a changed answer, which comes as one piece and byte by byte; None: it opens."""
    outcomes = []
    for size in (10_000, 1):
        begun = opening()
        result = fed(begun, chopped(answer(begun, changes, status), size))
        outcomes.append(result if isinstance(result, str) else None)
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


def test_the_request_is_one_that_a_server_of_wsproto_accepts() -> None:
    begun = Opening("csms:8080", b"/ocpp/CP1?a=b", ("ocpp1.6", "ocpp2.0.1"), [(b"Authorization", b"Basic eA==")])
    server = WSConnection(ConnectionType.SERVER)
    server.receive_data(begun.request)
    (request,) = server.events()

    assert isinstance(request, Request)
    assert (request.host, request.target) == ("csms:8080", "/ocpp/CP1?a=b")
    assert request.subprotocols == ["ocpp1.6", "ocpp2.0.1"]
    assert request.extensions == []
    assert (b"authorization", b"Basic eA==") in request.extra_headers
    response = server.send(AcceptConnection(subprotocol="ocpp2.0.1"))
    assert begun.feed(response) == Opened("ocpp2.0.1", b"")


def test_the_request_is_http_1_1_and_its_key_16_bytes_that_are_new_each_time() -> None:
    requests = [opening().request for _ in range(100)]
    keys = {key(request) for request in requests}

    assert all(request.startswith(b"GET /ocpp/CP1 HTTP/1.1\r\nHost: csms:8080\r\n") for request in requests)
    assert len(keys) == 100
    assert {len(base64.b64decode(each, validate=True)) for each in keys} == {16}


@pytest.mark.parametrize(
    ("resource", "target"),
    [
        ("", "/"),
        ("?station=CP1", "/?station=CP1"),
        ("/a b/CP%201", "/a%20b/CP%201"),
        ("/Säule", "/S%C3%A4ule"),
        ("/x\r\nEvil: y", "/x%0D%0AEvil:%20y"),
    ],
)
def test_the_target_holds_nothing_that_is_not_allowed_in_one(resource: str, target: str) -> None:
    request = Opening("csms", request_target(resource)).request
    server = h11.Connection(h11.SERVER)
    server.receive_data(request)
    event = server.next_event()

    assert isinstance(event, h11.Request)
    assert event.target == target.encode()
    assert b"sec-websocket-protocol" not in dict(event.headers)


def test_a_host_outside_ascii_goes_out_in_its_ascii_form() -> None:
    assert b"\r\nHost: xn--sule-loa.example:80\r\n" in Opening("säule.example:80", b"/").request


places = st.lists(st.integers(0, 1_000), max_size=6)


@settings(deadline=None)
@given(places, st.binary(max_size=40))
def test_an_answer_is_read_however_it_is_cut_and_what_follows_it_is_kept(places: list[int], rest: bytes) -> None:
    for pieces in (lambda data: cut(data, places), lambda data: chopped(data, 1), lambda data: [data]):
        begun = opening()

        assert fed(begun, pieces(answer(begun) + rest)) == Opened(OFFERED, rest)


@pytest.mark.parametrize(
    "changes",
    [
        {b"Upgrade": b"WebSocket"},
        {b"Connection": b"keep-alive, UPGRADE"},
        {b"Connection": b"upgrade"},
        {b"Upgrade": None, b"uPGRADE": b"websocket"},
        {b"Upgrade": b"  websocket\t "},
        {b"X-Folded": b"a\r\n  b"},
        {b"Sec-WebSocket-Protocol": None},
        {b"X-Empty": b""},
    ],
)
def test_an_answer_opens_in_all_its_spellings(changes: dict[bytes, bytes | None]) -> None:
    assert outcome(changes) is None


def test_a_line_may_end_with_a_line_feed_alone() -> None:
    begun = opening()

    assert fed(begun, [answer(begun).replace(b"\r\n", b"\n") + b"rest"]) == Opened(OFFERED, b"rest")


@pytest.mark.parametrize("status", [100, 103, 199, 200, 204, 301, 302, 400, 401, 404, 426, 429, 500, 503, 599])
def test_another_status_than_101_is_the_outcome(status: int) -> None:
    assert outcome(status=b"%d Reason" % status) == f"http_{status}"
    assert outcome(status=b"%d" % status) == f"http_{status}"


def test_a_status_is_enough_whatever_is_wrong_with_the_fields_and_of_the_body_nothing_has_to_come() -> None:
    assert fed(opening(), [b"HTTP/1.0 503 No\r\nnonsense\r\nContent-Length: 1000\r\n\r\n"]) == "http_503"


@pytest.mark.parametrize(
    "changes",
    [
        {b"Upgrade": None},
        {b"Upgrade": b"h2c"},
        {b"Upgrade": b"websocket, h2c"},
        {b"Connection": None},
        {b"Connection": b"close"},
        {b"Connection": b"Upgraded"},
        {b"Sec-WebSocket-Accept": None},
        {b"Sec-WebSocket-Accept": b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {b"Sec-WebSocket-Extensions": b"permessage-deflate"},
        {b"Sec-WebSocket-Extensions": b""},
        {b"Sec-WebSocket-Protocol": b"ocpp2.0.1"},
        {b"Sec-WebSocket-Protocol": b"OCPP1.6"},
        {b"Sec-WebSocket-Protocol": b""},
        {b"Sec-WebSocket-Protocol": b"ocpp1.6", b"sec-websocket-protocol": b"ocpp1.6"},
        {b"Sec-WebSocket-Protocol": b"ocpp\xff"},
        {b"No name": b"x"},
        {b"": b"x"},
        {b"X": b"a\x00b"},
        {b"X": b"a\rb"},
    ],
)
def test_4_1_a_wrong_answer_is_a_bad_handshake(changes: dict[bytes, bytes | None]) -> None:
    assert outcome(changes) == "bad_handshake"


@pytest.mark.parametrize("status", [b"", b"99 x", b"099 x", b"1010 x", b"abc", b"101x", b" 101 x"])
def test_a_wrong_status_line_is_a_bad_handshake(status: bytes) -> None:
    assert outcome(status=status) == "bad_handshake"


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-nonsense\r\n", b"\x15\x03\x01\x00\x02", b"\r\n", b"http/1.1 101", b"HTTX"]
)
def test_what_is_no_http_is_a_bad_handshake_at_once(garbage: bytes) -> None:
    assert fed(opening(), [garbage]) == "bad_handshake"
    assert fed(opening(), chopped(garbage, 1)) == "bad_handshake"


@pytest.mark.parametrize("before", [b"", b"HTT", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs"])
def test_a_csms_that_hangs_up_before_its_answer_has_closed(before: bytes) -> None:
    begun = opening()
    if before:
        assert begun.feed(before) is None
    with pytest.raises(HandshakeRefused) as refused:
        begun.feed(b"")

    assert refused.value.outcome == "closed"


def test_an_endless_head_is_a_bad_handshake_once_it_is_too_long() -> None:
    begun = opening()
    line = b"X-Filler: " + b"x" * 88 + b"\r\n"
    assert begun.feed(b"HTTP/1.1 101 Yes\r\n") is None
    for _ in range(MOST_HEAD // len(line)):
        assert begun.feed(line) is None
    with pytest.raises(HandshakeRefused) as refused:
        begun.feed(line)

    assert refused.value.outcome == "bad_handshake"


def test_a_head_of_too_many_fields_is_a_bad_handshake() -> None:
    few: dict[bytes, bytes | None] = {b"X-%d" % n: b"" for n in range(96)}
    many: dict[bytes, bytes | None] = {b"X-%d" % n: b"" for n in range(97)}

    assert outcome(few) is None
    assert outcome(many) == "bad_handshake"


def test_what_comes_after_the_head_counts_for_no_limit() -> None:
    begun = opening()
    rest = bytes(2 * MOST_HEAD)

    assert begun.feed(answer(begun) + rest) == Opened(OFFERED, rest)
