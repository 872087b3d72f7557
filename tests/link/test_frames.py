"""Frames that go out: what they are read as by a library that did not make them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.frame_protocol import Frame, FrameDecoder, FrameProtocol, Opcode

from loadsim.link.frames import PIECE, PING, client_frames, control_frame, next_mask, text_frame


def raw_frames(data: bytes) -> list[Frame]:
    """Split *data* into frames, as a server reads them; payloads are not put together."""
    decoder = FrameDecoder(client=False)
    decoder.receive_bytes(data)
    frames = []
    while (frame := decoder.process_buffer()) is not None:
        frames.append(frame)
    return frames


def read(data: bytes) -> str | bytes:
    """Return the one message in *data*, as a server reads it."""
    protocol = FrameProtocol(client=False, extensions=[])
    protocol.receive_bytes(data)
    frames = list(protocol.received_frames())
    assert [frame.message_finished for frame in frames] == [False] * (len(frames) - 1) + [True]
    payloads = [frame.payload for frame in frames]
    if all(isinstance(payload, str) for payload in payloads):
        return "".join(map(str, payloads))
    return b"".join(payload for payload in payloads if isinstance(payload, bytes))


@given(st.text() | st.binary(), st.integers(1, 40))
@example("", 1)
@example("é", 2)
@example(b"", 3)
def test_a_message_is_read_as_it_was_in_as_many_frames_as_asked_for(message: str | bytes, count: int) -> None:
    data = b"".join(client_frames(message, count))
    frames = raw_frames(data)

    assert len(frames) == count
    assert [frame.opcode for frame in frames[1:]] == [Opcode.CONTINUATION] * (count - 1)
    assert frames[0].opcode == (Opcode.BINARY if isinstance(message, bytes) else Opcode.TEXT)
    assert read(data) == message


@given(st.text(), st.characters(min_codepoint=0x80, codec="utf-8"), st.text(), st.integers(2, 20))
def test_a_character_of_several_bytes_is_cut_in_two(before: str, character: str, after: str, count: int) -> None:
    payloads = [frame.payload for frame in raw_frames(b"".join(client_frames(before + character + after, count)))]

    assert any(isinstance(payload, bytes) and payload[:1] and payload[0] & 0xC0 == 0x80 for payload in payloads[1:])


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 3 * PIECE + 5])
def test_every_length_of_a_frame_has_its_header(size: int) -> None:
    message = bytes(range(256)) * (size // 256 + 1)
    pieces = list(client_frames(message[:size]))

    assert read(b"".join(pieces)) == message[:size]
    assert all(len(piece) <= PIECE + 14 for piece in pieces)


def test_a_lone_surrogate_goes_out_as_it_is() -> None:
    (frame,) = raw_frames(b"".join(client_frames("\ud800")))

    assert frame.payload == b"\xed\xa0\x80"


def test_5_3_every_frame_has_a_mask_of_its_own() -> None:
    frames = [text_frame("the same") for _ in range(5_000)]
    masks = {frame[2:6] for frame in frames}
    pings = {control_frame(PING, b"the same") for _ in range(100)}

    assert len(masks) > 4_990  # of so many at random, two are the same once in 300 times
    assert len(pings) == 100
    assert all(read(frame) == "the same" for frame in frames[:10])
    assert {frame[2] for frame in frames} == set(range(256))


def test_5_3_threads_do_not_get_the_same_masks() -> None:
    with ThreadPoolExecutor(4) as pool:
        drawn = [
            mask for masks in pool.map(lambda _: [next_mask() for _ in range(5_000)], range(4)) for mask in masks
        ]

    assert len(set(drawn)) > len(drawn) - 10


def test_5_5_a_control_frame_carries_125_bytes_and_not_one_more() -> None:
    (frame,) = raw_frames(control_frame(PING, b"x" * 125))

    assert frame.payload == b"x" * 125
    with pytest.raises(ValueError, match="126"):
        control_frame(PING, b"x" * 126)
