"""Frames of OCPP-J 1.6 (section 4.2): Call, CallResult and CallError to and from text."""

from __future__ import annotations

from typing import Final

import msgspec

MAX_ID_LENGTH: Final = 36
"""Section 4.1.4: a message id has at most 36 characters."""

EMPTY_PAYLOAD: Final = msgspec.Raw(b"{}")

# Section 4.2.3. "Occurence" is how 1.6 spells it.
ERROR_CODES: Final = frozenset(
    {
        "NotImplemented",
        "NotSupported",
        "InternalError",
        "ProtocolError",
        "SecurityError",
        "FormationViolation",
        "PropertyConstraintViolation",
        "OccurenceConstraintViolation",
        "TypeConstraintViolation",
        "GenericError",
    }
)
# JE5: servers send the 2.0.1 spellings; they are read as what they mean.
LATER_SPELLINGS: Final = {
    "FormatViolation": "FormationViolation",
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
    "MessageTypeNotSupported": "ProtocolError",
    "RpcFrameworkError": "GenericError",
}


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request: [2, id, action, payload]."""

    id: str
    action: str
    payload: msgspec.Raw


class CallResult(msgspec.Struct, frozen=True, gc=False):
    """An answer: [3, id, payload]."""

    id: str
    payload: msgspec.Raw


class CallError(msgspec.Struct, frozen=True, gc=False):
    """A refusal to handle a request: [4, id, code, description, details]."""

    id: str
    code: str
    description: str = ""
    details: msgspec.Raw = EMPTY_PAYLOAD


Frame = Call | CallResult | CallError


class MalformedFrame(ValueError):
    """Text that is no frame of OCPP-J.

    *id* is the message id when it could be read, *kind* the message type when it could be read.
    """

    def __init__(self, reason: str, *, id: str | None = None, kind: int | None = None) -> None:  # noqa: A002 - the protocol's word
        super().__init__(reason)
        self.reason = reason
        self.id = id
        self.kind = kind


_OPENING_BRACE: Final = ord("{")
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_string = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def encode_call(message_id: str, action: str, payload: bytes) -> str:
    """Write a CALL; *payload* is the request's JSON object."""
    return f'[2,"{message_id}","{action}",{payload.decode()}]'


def encode_result(message_id: str, payload: bytes) -> str:
    """Write a CALLRESULT to a CALL whose *id* came from the other side."""
    return f"[3,{_encode(message_id).decode()},{payload.decode()}]"


def encode_error(message_id: str, code: str, description: str) -> str:
    """Write a CALLERROR; errorDetails is {}, never null, errorDescription at most 255 characters."""
    return _encode([4, message_id, code, description[:255], {}]).decode()


def decode(text: str | bytes) -> Frame:
    """Read one frame (OCPP-J 1.6, section 4.2).

    Raises:
        MalformedFrame: *text* is not JSON, or is no frame of OCPP-J.
    """
    try:
        parts = _decode_array(text)
    except msgspec.ValidationError as error:
        raise MalformedFrame("not a JSON array") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedFrame(f"not JSON: {error}") from error
    kind = bytes(parts[0]) if parts else b""
    if kind == b"3" and len(parts) == 3:
        return CallResult(_id(parts, 3), _object(parts, 2, 3))
    if kind == b"2" and len(parts) == 4:
        return Call(_id(parts, 2), _string(parts, 2, 2), _object(parts, 3, 2))
    if kind == b"4" and len(parts) in (3, 4, 5):  # description and details are left out in the field
        code = _string(parts, 2, 4)
        description = _string(parts, 3, 4) if len(parts) > 3 else ""
        return CallError(_id(parts, 4), LATER_SPELLINGS.get(code, code), description, *parts[4:])
    raise _malformed(parts, kind)


def _malformed(parts: list[msgspec.Raw], kind: bytes) -> MalformedFrame:
    if not parts:
        return MalformedFrame("an empty array")
    if kind not in (b"2", b"3", b"4"):
        return MalformedFrame(f"unknown message type {kind[:20].decode(errors='replace')}", id=_id_or_none(parts))
    number = int(kind)
    return MalformedFrame(
        f"a message of type {number} with {len(parts)} elements", id=_id_or_none(parts), kind=number
    )


def _id(parts: list[msgspec.Raw], kind: int) -> str:
    try:
        return _decode_string(parts[1])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedFrame("the message id is not a string", kind=kind) from error


def _id_or_none(parts: list[msgspec.Raw]) -> str | None:
    try:
        return _decode_string(parts[1])
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError):
        return None


def _string(parts: list[msgspec.Raw], index: int, kind: int) -> str:
    try:
        return _decode_string(parts[index])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = f"element {index} is not a string"
        raise MalformedFrame(reason, id=_id_or_none(parts), kind=kind) from error


def _object(parts: list[msgspec.Raw], index: int, kind: int) -> msgspec.Raw:
    payload = parts[index]
    if memoryview(payload)[0] != _OPENING_BRACE:
        raise MalformedFrame("the payload is not an object", id=_id_or_none(parts), kind=kind)
    return payload
