"""What a server may send and what not (RFC 6455, sections 5 to 8), rule by rule."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadsim.link.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from loadsim.link.framing import Close, Incoming, Message, Ping, Pong, ProtocolError
from tests.link.reading import Read, chopped, fed, frame

MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_of_every_form_of_length_is_handed_over(opcode: int, size: int) -> None:
    payload = b"x" * size
    expected: Message = payload.decode() if opcode == TEXT else payload

    assert fed([frame(opcode, payload)]) == Read([expected])
    assert fed(chopped(frame(opcode, payload), 1_000)) == Read([expected])


def test_as_many_bytes_as_the_second_byte_says_are_a_whole_text_only_where_it_is_the_length() -> None:
    for second in range(256):
        data = bytes((0x80 | TEXT, second)) + b"x" * (second & 0x7F)
        expected = Read(["x" * second]) if second < 126 else Read(code=1002 if second & 0x80 else None)

        assert fed([data[:2] + b"\0\x7e" + data[4:]] if second == 126 else [data]) == expected


def test_several_messages_in_one_piece_are_handed_over_in_order() -> None:
    data = frame(TEXT, b"1") + frame(PING, b"2") + frame(BINARY, b"3") + frame(PONG) + frame(TEXT, "é".encode())

    assert fed([data]) == Read(["1", Ping(b"2"), b"3", Pong(b""), "é"])


def test_5_4_a_control_frame_within_a_message_comes_before_it() -> None:
    parts = frame(TEXT, b"a", final=False), frame(PING, b"?"), frame(CONTINUATION, b"b")

    assert fed(parts) == fed([b"".join(parts)]) == Read([Ping(b"?"), "ab"])


def test_5_5_1_what_comes_after_a_close_frame_is_ignored() -> None:
    data = frame(CLOSE, b"\x03\xe8bye") + frame(TEXT, b"more") + b"\xff\xff"

    assert fed([data, frame(TEXT, b"more"), b"\xff\xff"]) == Read([Close(1000, "bye")])
    assert fed(chopped(data, 1)) == Read([Close(1000, "bye")])


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        *((f"5.2: RSV{4 - bit}", frame(TEXT, b"x", reserved=1 << (bit - 1))) for bit in (1, 2, 3)),
        *((f"5.2: opcode {opcode}", frame(opcode)) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        ("5.1: masked", frame(TEXT, masked=True)),
        ("5.2: two bytes where one is enough", b"\x82\x7e\x00\x7d"),
        ("5.2: eight bytes where two are enough", b"\x82\x7f" + (65_535).to_bytes(8)),
        ("5.2: a length with its highest bit set", b"\x82\x7f" + (1 << 63).to_bytes(8)),
        *((f"5.4: fragments of {opcode}", frame(opcode, final=False)) for opcode in (CLOSE, PING, PONG)),
        *((f"5.5: 126 bytes of {opcode}", frame(opcode, b"x" * 126)) for opcode in (CLOSE, PING, PONG)),
        ("5.4: a continuation of nothing", frame(CONTINUATION)),
        ("5.4: a continuation of nothing, in fragments", frame(CONTINUATION, final=False)),
        ("5.4: a message within another", frame(TEXT, final=False) + frame(TEXT)),
        ("5.4: a message within another, before its end", frame(BINARY, final=False) + frame(BINARY, final=False)),
        ("5.5.1: one byte is no close code", frame(CLOSE, b"\x03")),
    ],
)
def test_a_violation_ends_the_connection_with_1002_after_what_was_whole(rule: str, data: bytes) -> None:
    stream = frame(TEXT, b"whole") + data + frame(TEXT, b"after")

    assert fed([stream]) == Read(["whole"], 1002), rule
    assert fed(chopped(stream, 1)) == Read(["whole"], 1002), rule


def test_7_4_only_codes_that_may_be_on_the_wire_are_taken() -> None:
    taken = [code for code in range(1 << 16) if fed([frame(CLOSE, code.to_bytes(2))]) == Read([Close(code, "")])]
    refused = [code for code in range(1 << 16) if fed([frame(CLOSE, code.to_bytes(2))]) == Read(code=1002)]

    assert taken == [*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)]
    assert len(taken) + len(refused) == 1 << 16


def test_7_1_5_a_close_without_a_code_counts_as_1005() -> None:
    assert fed([frame(CLOSE)]) == Read([Close(1005, "")])


def test_5_5_1_the_reason_of_a_close_is_utf_8() -> None:
    assert fed([frame(CLOSE, b"\x03\xe8\xff")]) == Read(code=1007)


@pytest.mark.parametrize("payload", [b"\xff", b"a\xed\xa0\x80", b"\xc3", b"\xf4\x90\x80\x80", b"\xc0\xaf"])
def test_8_1_a_text_that_is_no_utf_8_ends_the_connection_with_1007(payload: bytes) -> None:
    assert fed([frame(TEXT, payload)]) == Read(code=1007)
    assert fed([frame(TEXT, payload, final=False), frame(CONTINUATION)]) == Read(code=1007)


def may_become_a_text(begun: bytes) -> bool:
    """Try every way in which the last character of *begun* may go on."""
    for rest in (b"", b"\x80", b"\xa0\x80", b"\x80\x80", b"\x90\x80\x80", b"\x80\x80\x80"):
        try:
            (begun + rest).decode()
        except UnicodeDecodeError:
            continue
        return True
    return False


BYTES = st.sampled_from(b"a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc2\xdf\xe0\xe1\xed\xee\xef\xf0\xf1\xf4\xf5\xff")


@settings(deadline=None)
@example(b"\xed\xa0\x80", False)
@given(st.lists(BYTES, min_size=1, max_size=8).map(bytes), st.booleans())
def test_8_1_a_text_ends_the_connection_at_the_very_byte_that_can_be_none(payload: bytes, in_one_frame: bool) -> None:
    incoming = Incoming(MIB)
    incoming.feed(b"\x01" + bytes((len(payload) if in_one_frame else 0,)))
    for at in range(len(payload)):
        begun = payload[: at + 1]
        piece = begun[-1:] if in_one_frame else frame(CONTINUATION, begun[-1:], final=False)
        if may_become_a_text(begun):
            assert incoming.feed(piece) == []
        else:
            with pytest.raises(ProtocolError) as violation:
                incoming.feed(piece)
            assert violation.value.code == 1007
            break


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_above_the_limit_ends_the_connection_with_1009_before_it_has_come(opcode: int) -> None:
    largest = b"x" * 1_000
    begun = frame(opcode, largest, final=False)

    assert fed([frame(opcode, largest)], 1_000).code is None
    assert fed([frame(opcode, b"x" * 1_001)[:4]], 1_000) == Read(code=1009)
    assert fed([begun, frame(CONTINUATION)], 1_000).code is None
    assert fed([begun, frame(CONTINUATION, b"x")[:2]], 1_000) == Read(code=1009)


def test_the_limit_is_that_of_a_message_and_not_of_what_follows_it() -> None:
    assert fed([frame(BINARY, b"x" * 10) * 3, frame(PING, b"y" * 100)], 10).code is None


def test_what_is_kept_of_an_unfinished_message_is_bounded_by_the_limit() -> None:
    piece = (
        frame(CONTINUATION, b"x" * 1_000, final=False) + frame(PING, b"y" * 125) + frame(CONTINUATION, final=False)
    )
    incoming = Incoming(MIB)
    incoming.feed(frame(TEXT, final=False))
    tracemalloc.start()
    for _ in range(MIB // 1_000):
        incoming.feed(piece)
    with pytest.raises(ProtocolError) as violation:
        incoming.feed(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert violation.value.code == 1009
    assert MIB < peak < 1.5 * MIB


def test_nothing_is_kept_once_a_message_is_whole() -> None:
    parts = frame(TEXT, b"x" * 1_000, final=False), frame(PING), frame(CONTINUATION, b"y" * 1_000)
    tracemalloc.start()
    incomings = [Incoming(MIB) for _ in range(1_000)]
    before = tracemalloc.get_traced_memory()[0]
    for incoming in incomings:
        for part in parts:
            incoming.feed(part)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert before < 1_000 * 100
    assert kept < 1_000 * 10


def time_to_read(size: int) -> float:
    incoming = Incoming(2 * MIB)
    pieces = chopped(frame(BINARY, bytes(size)), 32)
    begin = time.process_time()
    for piece in pieces:
        incoming.feed(piece)
    return time.process_time() - begin


def test_a_huge_message_in_small_pieces_takes_time_in_proportion_to_its_size() -> None:
    small = min(time_to_read(MIB // 8) for _ in range(5))
    large = min(time_to_read(MIB) for _ in range(3))

    assert large / small < 24  # 8 in proportion, 64 if each piece cost what is already there
