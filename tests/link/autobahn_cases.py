"""The cases of the Autobahn suite (autobahntestsuite 25.10.1) that can be told of frames alone, as a table.

Groups 12 and 13 are about compression, which nobody offers here. Of group 9 (limits) what takes long is left to the
suite itself, see `autobahn_client.py`: messages of 4 MiB and more in one frame, and those in fragments of less than
4 KiB. In an echo's place stands the message handed over, in a pong's the ping.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loadsim.link.framing import Close, Message, Ping, Pong
from tests.link.reading import chopped, frame

KIB, MIB = 1 << 10, 1 << 20
HELLO = b"Hello, world!"
PROTOCOL_ERROR, INVALID_PAYLOAD = 1002, 1007
BYE = frame(8, (1000).to_bytes(2))
CLOSED = Close(1000, "")
GREEK = bytes.fromhex("ceba e1bdb9 cf83 cebc ceb5")
UMLAUTS = "Hello-µ@ßöäüàá-UTF-8!!"


@dataclass(frozen=True, slots=True)
class Case:
    """*pieces* as they are sent, and what has to come of them: messages, and perhaps the code of a violation."""

    name: str
    pieces: tuple[bytes, ...]
    messages: tuple[Message, ...] = ()
    code: int | None = None
    early: int | None = None
    """The number of the piece, from 0, at which the violation shows (6.4: fail fast)."""


def one_frame(name: str, data: bytes, *messages: Message, code: int | None = None, chop: int | None = None) -> Case:
    return Case(name, tuple(chopped(data, chop)) if chop else (data,), messages, code)


def in_fragments(opcode: int, payload: bytes, size: int) -> bytes:
    """Cut a message into frames of *size* bytes."""
    parts = chopped(payload, size)
    last = len(parts) - 1
    return b"".join(frame(opcode if n == 0 else 0, part, final=n == last) for n, part in enumerate(parts))


def repeated(pattern: bytes, size: int) -> bytes:
    return (pattern * (size // len(pattern) + 1))[:size]


def group_1() -> Iterator[Case]:
    for n, (size, chop) in enumerate(
        [
            (0, None),
            (125, None),
            (126, None),
            (127, None),
            (128, None),
            (65_535, None),
            (65_536, None),
            (65_536, 997),
        ],
        1,
    ):
        yield one_frame(f"1.1.{n}", frame(1, b"*" * size), "*" * size, chop=chop)
        yield one_frame(f"1.2.{n}", frame(2, b"\xfe" * size), b"\xfe" * size, chop=chop)


def group_2() -> Iterator[Case]:
    for n, payload in enumerate([b"", HELLO, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125], 1):
        yield one_frame(f"2.{n}", frame(9, payload), Ping(payload))
    yield one_frame("2.5", frame(9, b"\xfe" * 126), code=PROTOCOL_ERROR)
    yield one_frame("2.6", frame(9, b"\xfe" * 125), Ping(b"\xfe" * 125), chop=1)
    unasked = b"unsolicited pong payload"
    yield one_frame("2.7", frame(10) + BYE, Pong(b""), CLOSED)
    yield one_frame("2.8", frame(10, unasked) + BYE, Pong(unasked), CLOSED)
    yield one_frame("2.9", frame(10, unasked) + frame(9, b"ping payload"), Pong(unasked), Ping(b"ping payload"))
    pings = [b"payload-%d" % n for n in range(10)]
    for n, chop in ((10, None), (11, 1)):
        yield one_frame(f"2.{n}", b"".join(frame(9, ping) for ping in pings), *map(Ping, pings), chop=chop)


def group_3() -> Iterator[Case]:
    hello = HELLO.decode()
    yield one_frame("3.1", frame(1, HELLO, reserved=1), code=PROTOCOL_ERROR)
    whole = frame(1, HELLO), frame(9)
    yield one_frame("3.2", frame(1, HELLO, reserved=2).join(whole), hello, code=PROTOCOL_ERROR)
    yield Case("3.3", (whole[0], frame(1, HELLO, reserved=3), whole[1]), (hello,), PROTOCOL_ERROR)
    yield one_frame("3.4", frame(1, HELLO, reserved=4).join(whole), hello, code=PROTOCOL_ERROR, chop=1)
    yield one_frame("3.5", frame(2, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", reserved=5), code=PROTOCOL_ERROR)
    yield one_frame("3.6", frame(2, HELLO, reserved=6), code=PROTOCOL_ERROR)
    yield one_frame("3.7", frame(8, reserved=7), code=PROTOCOL_ERROR)


def group_4() -> Iterator[Case]:
    for kind, first in ((1, 3), (2, 11)):
        yield one_frame(f"4.{kind}.1", frame(first), code=PROTOCOL_ERROR)
        yield one_frame(f"4.{kind}.2", frame(first + 1, b"reserved opcode payload"), code=PROTOCOL_ERROR)
        for n, payload, chop in ((3, b"", None), (4, HELLO, None), (5, HELLO, 1)):
            data = frame(1, HELLO) + frame(first + n - 1, payload) + frame(9)
            yield one_frame(f"4.{kind}.{n}", data, HELLO.decode(), code=PROTOCOL_ERROR, chop=chop)


def group_5() -> Iterator[Case]:
    f1, f2, f3, f4, f5 = (b"fragment%d" % n for n in range(1, 6))
    for n, opcode in ((1, 9), (2, 10)):
        yield one_frame(f"5.{n}", frame(opcode, f1, final=False) + frame(0, f2), code=PROTOCOL_ERROR)
    two = frame(1, f1, final=False), frame(0, f2)
    both = (f1 + f2).decode()
    ping = frame(9, b"ping payload")
    yield one_frame("5.3", b"".join(two), both)
    yield Case("5.4", two, (both,))
    yield one_frame("5.5", b"".join(two), both, chop=1)
    yield one_frame("5.6", ping.join(two), Ping(b"ping payload"), both)
    yield Case("5.7", (two[0], ping, two[1]), (Ping(b"ping payload"), both))
    yield one_frame("5.8", ping.join(two), Ping(b"ping payload"), both, chop=1)
    for n, final in ((9, True), (12, False)):
        nothing = frame(0, b"non-continuation payload", final=final), frame(1, HELLO)
        yield one_frame(f"5.{n}", b"".join(nothing), code=PROTOCOL_ERROR)
        yield Case(f"5.{n + 1}", nothing, code=PROTOCOL_ERROR)
        yield one_frame(f"5.{n + 2}", b"".join(nothing), code=PROTOCOL_ERROR, chop=1)
    yield one_frame("5.15", b"".join(two) + frame(0, f3, final=False) + frame(1, f4), both, code=PROTOCOL_ERROR)
    for n, final in ((16, False), (17, True)):
        data = frame(0, f1, final=final) + frame(1, f2, final=False) + frame(0, f3)
        yield one_frame(f"5.{n}", data * 2, code=PROTOCOL_ERROR)
    yield one_frame("5.18", frame(1, f1, final=False) + frame(1, f2), code=PROTOCOL_ERROR)
    begun = frame(1, f1, final=False), frame(0, f2, final=False), frame(9, b"pongme 1!")
    rest = frame(0, f3, final=False), frame(0, f4, final=False), frame(9, b"pongme 2!"), frame(0, f5)
    all_five = (f1 + f2 + f3 + f4 + f5).decode()
    pings = Ping(b"pongme 1!"), Ping(b"pongme 2!")
    yield Case("5.19", (b"".join(begun), b"".join(rest)), (*pings, all_five))
    yield Case("5.20", begun + rest, (*pings, all_five))


def group_6() -> Iterator[Case]:
    empty = frame(1, final=False)
    yield one_frame("6.1.1", frame(1), "")
    yield one_frame("6.1.2", empty + frame(0, final=False) + frame(0), "")
    yield one_frame(
        "6.1.3", empty + frame(0, b"middle frame payload", final=False) + frame(0), "middle frame payload"
    )
    umlauts = UMLAUTS.encode()
    half = len(UMLAUTS[:11].encode())
    yield one_frame("6.2.1", frame(1, umlauts), UMLAUTS)
    yield one_frame("6.2.2", frame(1, umlauts[:half], final=False) + frame(0, umlauts[half:]), UMLAUTS)
    yield one_frame("6.2.3", in_fragments(1, umlauts, 1), UMLAUTS)
    yield one_frame("6.2.4", in_fragments(1, GREEK, 1), GREEK.decode())
    surrogate = GREEK + b"\xed\xa0\x80edited"
    yield one_frame("6.3.1", frame(1, surrogate), code=INVALID_PAYLOAD)
    yield one_frame("6.3.2", in_fragments(1, surrogate, 1), code=INVALID_PAYLOAD)
    beyond = GREEK + b"\xf4\x90\x80\x80edited"
    for n, places in ((1, (len(GREEK), len(GREEK) + 4)), (2, (12, 13))):
        a, b, c = beyond[: places[0]], beyond[places[0] : places[1]], beyond[places[1] :]
        three = frame(1, a, final=False), frame(0, b, final=False), frame(0, c)
        yield Case(f"6.4.{n}", three, code=INVALID_PAYLOAD, early=1)
        yield Case(f"6.4.{n + 2}", (frame(1, beyond)[:2] + a, b, c), code=INVALID_PAYLOAD, early=1)
    for group, payloads in enumerate(UTF_8, 5):
        for n, (valid, payload) in enumerate(payloads, 1):
            yield Case(
                f"6.{group}.{n}",
                (frame(1, payload),),
                (payload.decode(),) if valid else (),
                None if valid else INVALID_PAYLOAD,
            )


def utf_8(valid: str = "", invalid: str = "") -> list[tuple[bool, bytes]]:
    """Read payloads in hexadecimal, those that are UTF-8 first."""
    good = [(True, bytes.fromhex(each)) for each in valid.split()]
    return good + [(False, bytes.fromhex(each)) for each in invalid.split()]


def lonely(first: int, end: int) -> str:
    return "".join(f"{each:02x}20" for each in range(first, end))


LEADING = ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD))
CUT_OFF = "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf"
WHOLE_PREFIXES = (2, 5, 7, 9, 11)  # bytes of the Greek word that end with a character
NON_CHARACTERS = "efbfbe efbfbf f09fbfbe f09fbfbf f0afbfbe f0afbfbf f0bfbfbe f0bfbfbf " + " ".join(
    f"{first}{second}bf{last}"
    for first, seconds in (("f1", "8f9fafbf"), ("f2", "8f9fafbf"), ("f3", "8f9fafbf"), ("f4", "8f"))
    for second in (seconds[at : at + 2] for at in range(0, len(seconds), 2))
    for last in ("be", "bf")
)
UTF_8 = (
    utf_8("68656c6c6f24776f726c64 68656c6c6fc2a2776f726c64 68656c6c6fe282ac776f726c64")
    + utf_8("68656c6c6ff0a4ada2776f726c64 cebae1bdb9cf83cebcceb5"),
    [(size in WHOLE_PREFIXES, GREEK[:size]) for size in range(1, len(GREEK) + 1)],
    utf_8("00 c280 e0a080 f0908080"),
    utf_8(invalid="f888808080 fc8480808080"),
    utf_8("7f dfbf efbfbf f48fbfbf"),
    utf_8(invalid="f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf"),
    utf_8("ed9fbf ee8080 efbfbd f48fbfbf", "f4908080"),
    utf_8(invalid="80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf " + bytes(range(0x80, 0xBF)).hex()),
    utf_8(invalid=" ".join(lonely(*ends) for ends in LEADING)),
    utf_8(invalid=CUT_OFF),
    utf_8(invalid=CUT_OFF.replace(" ", "")),
    utf_8(invalid="fe ff fefeffff"),
    utf_8(invalid="c0af e080af f08080af f8808080af fc80808080af"),
    utf_8(invalid="c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf"),
    utf_8(invalid="c080 e08080 f0808080 f880808080 fc8080808080"),
    utf_8(invalid="eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf"),
    utf_8(invalid="eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf")
    + utf_8(invalid="edae80edb080 edae80edbfbf edafbfedb080 edafbfedbfbf"),
    utf_8(NON_CHARACTERS),
    utf_8("efbfb9 efbfba efbfbb efbfbc efbfbd efbfbe efbfbf"),
)


def group_7() -> Iterator[Case]:
    yield one_frame("7.1.1", frame(1, b"Hello World!"), "Hello World!")
    yield one_frame("7.1.2", BYE + frame(8), CLOSED)
    yield one_frame("7.1.3", BYE + frame(9), CLOSED)
    yield one_frame("7.1.4", BYE + frame(1, b"Hello World!"), CLOSED)
    yield one_frame("7.1.5", frame(1, b"fragment1", final=False) + BYE + frame(0, b"fragment2"), CLOSED)
    large = repeated(b"BAsd7&jh23", 256 * KIB)
    data = frame(1, large) + frame(1, b"Hello World!") + BYE + frame(9)
    yield one_frame("7.1.6", data, large.decode(), "Hello World!", CLOSED)
    yield one_frame("7.3.1", frame(8), Close(1005, ""))
    yield one_frame("7.3.2", frame(8, b"a"), code=PROTOCOL_ERROR)
    yield one_frame("7.3.3", BYE, CLOSED)
    code = (1000).to_bytes(2)
    yield one_frame("7.3.4", frame(8, code + b"Hello World!"), Close(1000, "Hello World!"))
    yield one_frame("7.3.5", frame(8, code + b"*" * 123), Close(1000, "*" * 123))
    yield one_frame("7.3.6", frame(8, code + b"*" * 124), code=PROTOCOL_ERROR)
    yield one_frame("7.5.1", frame(8, code + GREEK + b"\xed\xa0\x80edited"), code=INVALID_PAYLOAD)
    valid = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for n, each in enumerate(valid, 1):
        yield one_frame(f"7.7.{n}", frame(8, each.to_bytes(2)), Close(each, ""))
    for n, each in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        yield one_frame(f"7.9.{n}", frame(8, each.to_bytes(2)), code=PROTOCOL_ERROR)
    for n, each in enumerate((5000, 65_535), 1):  # whatever comes of it is right
        yield one_frame(f"7.13.{n}", frame(8, each.to_bytes(2)), code=PROTOCOL_ERROR)


def group_9() -> Iterator[Case]:
    text, binary = b"BAsd7&jh23", b"\x00\xfe\x23\xfa\xf0"
    for n, size in enumerate((64 * KIB, 256 * KIB, MIB), 1):
        yield one_frame(f"9.1.{n}", frame(1, repeated(text, size)), repeated(text, size).decode())
        yield one_frame(f"9.2.{n}", frame(2, repeated(binary, size)), repeated(binary, size))
    stars = b"*" * (4 * MIB)
    for n, size in enumerate((4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB), 4):
        yield one_frame(f"9.3.{n}", in_fragments(1, stars, size), stars.decode())
        yield one_frame(f"9.4.{n}", in_fragments(2, stars, size), stars)
    for n, chop in enumerate((64, 128, 256, 512, 1024, 2048), 1):
        yield one_frame(f"9.5.{n}", frame(1, repeated(text, MIB)), repeated(text, MIB).decode(), chop=chop)
        yield one_frame(f"9.6.{n}", frame(2, repeated(binary, MIB)), repeated(binary, MIB), chop=chop)
    for n, size in enumerate((0, 16, 64, 256, 1024, 4096), 1):
        yield Case(f"9.7.{n}", (frame(1, b"*" * size),) * 1_000, ("*" * size,) * 1_000)
        yield Case(f"9.8.{n}", (frame(2, b"\xfe" * size),) * 1_000, (b"\xfe" * size,) * 1_000)


def group_10() -> Iterator[Case]:
    yield one_frame("10.1.1", in_fragments(1, b"*" * 65_536, 1_300), "*" * 65_536)


GROUPS = (group_1, group_2, group_3, group_4, group_5, group_6, group_7, group_9, group_10)
