"""The legacy framing: a CALL as an object with snake_case properties, its answer as the ordinary array.

It is no part of OCPP-J: the small programs that loadsim grew out of speak it. Only requests have this form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import msgspec

from loadsim.ocpp.frame import Call, MalformedFrame

_CALL: Final = 2
_CAPITAL: Final = re.compile(r"(?<=.)[A-Z]")
_UNDERSCORED: Final = re.compile(r"(?<=.)_([a-z])")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Envelope(msgspec.Struct):
    call_type: int
    id: str
    type: str
    properties: dict[str, Any] = {}  # msgspec copies it; a Heartbeat may come without any


# The cache is bounded because the names come from the other side.
@lru_cache(maxsize=1024)
def snake_case(name: str) -> str:
    """Turn a camelCase property of OCPP into snake_case."""
    return _CAPITAL.sub(lambda capital: "_" + capital[0].lower(), name)


@lru_cache(maxsize=1024)
def camel_case(name: str) -> str:
    """Turn a snake_case property into OCPP's camelCase."""
    return _UNDERSCORED.sub(lambda letter: letter[1].upper(), name)


def is_object(text: str) -> bool:
    """Tell whether *text* looks like the legacy framing, by its first character."""
    return text.lstrip()[:1] == "{"


def encode_call(message_id: str, action: str, payload: bytes) -> str:
    """Write a CALL in the object form; *payload* is the request's camelCase JSON object."""
    properties = _rename(_decode(payload), snake_case)
    return _encode(
        {"call_type": _CALL, "id": message_id, "type": action, "properties": properties},
    ).decode()


def decode_call(text: str) -> Call:
    """Read a CALL in the object form; its payload comes out in camelCase.

    Raises:
        MalformedFrame: *text* is not JSON, or is no CALL of this framing.
    """
    try:
        content = _decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedFrame(f"not JSON: {error}") from error
    try:
        envelope = msgspec.convert(content, _Envelope)
    except msgspec.ValidationError as error:
        raise _malformed(content, str(error)) from error
    if envelope.call_type != _CALL:
        raise MalformedFrame(f"unknown message type {envelope.call_type}", id=envelope.id)
    try:
        payload = _encode(_rename(envelope.properties, camel_case))
    except RecursionError as error:
        raise MalformedFrame("nested too deeply", id=envelope.id, kind=_CALL) from error
    return Call(envelope.id, envelope.type, msgspec.Raw(payload))


def _malformed(content: object, reason: str) -> MalformedFrame:
    """Say what is wrong with a frame, under its id where that can be read."""
    if not isinstance(content, dict):
        return MalformedFrame("not an object")
    message_id = content.get("id")
    kind = _CALL if content.get("call_type") == _CALL else None
    return MalformedFrame(reason, id=message_id if isinstance(message_id, str) else None, kind=kind)


def _rename(content: Any, name: Callable[[str], str]) -> Any:
    if isinstance(content, dict):
        return {name(key): _rename(value, name) for key, value in content.items()}
    if isinstance(content, list):
        return [_rename(value, name) for value in content]
    return content
