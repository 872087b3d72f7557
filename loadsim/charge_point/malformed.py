"""Messages that a CSMS must survive, one builder for each of `MALFORMED_KINDS` (OCPP-J 1.6, section 4.2; pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

HUGE: Final = 2 * 2**20
"""Characters of a ``huge`` message: more than servers take by default."""
DEEP: Final = 50_000
"""Arrays within each other in a ``deep`` message: more than a recursive parser has stack for."""


class Malformed(NamedTuple):
    """A message and in how many WebSocket frames it goes out.

    *message_id* is the id under which an answer may come; *nameless*: the CSMS may not be able to read one.
    """

    message: str | bytes
    message_id: str
    nameless: bool = True
    frames: int = 1


def _one_of(variants: tuple[str, ...], uniform: float) -> str:
    return variants[int(uniform * len(variants))]


def _no_json(message_id: str, uniform: float) -> Malformed:
    return Malformed(_one_of(("{not json", "not json", '[2,"{id}","Heartbeat",{}', "[2,"), uniform), message_id)


def _no_array(message_id: str, uniform: float) -> Malformed:
    return Malformed(_one_of(('{"hello":"world"}', '"Heartbeat"', "2", "null"), uniform), message_id)


def _short(message_id: str, uniform: float) -> Malformed:
    variants = ("[]", "[2]", f'[2,"{message_id}"]', f'[2,"{message_id}","Heartbeat"]')
    return Malformed(_one_of(variants, uniform), message_id)


def _empty(message_id: str, uniform: float) -> Malformed:
    return Malformed("", message_id)


def _unknown_type(message_id: str, uniform: float) -> Malformed:
    return Malformed(f'[9,"{message_id}",{{}}]', message_id)


def _unknown_action(message_id: str, uniform: float) -> Malformed:
    return Malformed(f'[2,"{message_id}","MakeCoffee",{{}}]', message_id, nameless=False)


def _schema(message_id: str, uniform: float) -> Malformed:
    variants = (
        '"BootNotification",{"chargePointVendor":7}',  # of the wrong type, and the model is missing
        '"Authorize",{}',
        '"StatusNotification",{"connectorId":"one","errorCode":"Tired","status":"Asleep"}',
        '"Heartbeat",{"unknown":true}',  # no additional properties (errata 2.3)
        '"Authorize",[]',
        '"MeterValues",{"connectorId":1,"meterValue":[]}',
    )
    return Malformed(f'[2,"{message_id}",{_one_of(variants, uniform)}]', message_id, nameless=False)


def _duplicate_id(message_id: str, uniform: float) -> Malformed:
    return Malformed(f'[2,"{message_id}","Heartbeat",{{}}]', message_id, nameless=False)


def _binary(message_id: str, uniform: float) -> Malformed:
    variants = (b"\x00\xff\xfe\x80", f'[2,"{message_id}","Heartbeat",{{}}]'.encode())
    return Malformed(variants[int(uniform * len(variants))], message_id)


@lru_cache(maxsize=1)
def _filling() -> str:
    return "x" * HUGE


def _huge(message_id: str, uniform: float) -> Malformed:
    text = f'[2,"{message_id}","DataTransfer",{{"vendorId":"com.example.huge","data":"{_filling()}"}}]'
    return Malformed(text, message_id)


@lru_cache(maxsize=1)
def _deep_text() -> str:
    return "[" * DEEP + "]" * DEEP


def _deep(message_id: str, uniform: float) -> Malformed:
    return Malformed(_deep_text(), message_id)


def _fragmented(message_id: str, uniform: float) -> Malformed:
    text = f'[2,"{message_id}","Heartbeat",{{}}]'
    return Malformed(text, message_id, nameless=False, frames=len(text))


DUPLICATE: Final = "duplicate_id"
"""The kind whose message has the id of the charge point's last call."""
LARGE: Final = frozenset({"huge", "deep"})
"""The kinds whose messages take much memory until they are sent."""

_BUILDERS: Final[Mapping[str, Callable[[str, float], Malformed]]] = {
    "no_json": _no_json,
    "no_array": _no_array,
    "short": _short,
    "empty": _empty,
    "unknown_type": _unknown_type,
    "unknown_action": _unknown_action,
    "schema": _schema,
    DUPLICATE: _duplicate_id,
    "binary": _binary,
    "huge": _huge,
    "deep": _deep,
    "fragmented": _fragmented,
}

KINDS: Final = tuple(_BUILDERS)
"""What a charge point can send that a CSMS must survive."""


def malformed(kind: str, message_id: str, uniform: float) -> Malformed:
    """Build a message of *kind*; *uniform*, from [0, 1), chooses among its variants.

    *message_id* is an id of its own, but for ``duplicate_id`` that of the last call.
    """
    return _BUILDERS[kind](message_id, uniform)
