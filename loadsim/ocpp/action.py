"""One row per OCPP action: its messages, who sends it, and how an answer refuses."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Literal

import msgspec

Sender = Literal["charge_point", "csms", "both"]


class Verdict(enum.Enum):
    """What a valid answer says to the request."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PENDING = "pending"


class InvalidPayload(ValueError):
    """A payload that the action's schema refuses.

    *code* is the CALLERROR code of OCPP-J 1.6 section 4.2.3, in the 1.6 spelling.
    """

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


def always_accepts(response: Any) -> Verdict:
    """Judge an answer that has no way to refuse (Heartbeat, StatusNotification)."""
    return Verdict.ACCEPTED


class Action:
    """An action's name, its two messages, its sender, and how its answers are judged."""

    __slots__ = (
        "_decode_answer",
        "_decode_request",
        "_decode_response",
        "name",
        "request",
        "response",
        "sender",
        "verdict",
    )

    def __init__(
        self,
        name: str,
        request: type[msgspec.Struct],
        response: type[msgspec.Struct],
        sender: Sender,
        verdict: Callable[[Any], Verdict] = always_accepts,
    ) -> None:
        self.name = name
        self.request = request
        self.response = response
        self.sender = sender
        self.verdict = verdict
        self._decode_request = msgspec.json.Decoder(request).decode
        self._decode_response = msgspec.json.Decoder(response).decode
        self._decode_answer = msgspec.json.Decoder(tuple[Literal[3], str, response]).decode  # type: ignore[valid-type]

    def __repr__(self) -> str:
        return f"Action({self.name!r})"

    def decode_request(self, payload: msgspec.Raw | bytes) -> Any:
        """Read a request's payload.

        Raises:
            InvalidPayload: the schema refuses it.
        """
        try:
            return self._decode_request(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidPayload(violation(error), str(error)) from error

    def decode_response(self, payload: msgspec.Raw | bytes) -> Any:
        """Read an answer's payload.

        Raises:
            InvalidPayload: the schema refuses it.
        """
        try:
            return self._decode_response(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidPayload(violation(error), str(error)) from error

    def read_answer(self, text: str, message_id: str) -> Any:
        """Read a whole CALLRESULT to the call *message_id* in one go (OCPP-J 1.6, section 4.2.2).

        Returns:
            The answer's Struct. None when *text* is anything else, of which `frame.decode` says what it is.
        """
        try:
            _, answered_id, response = self._decode_answer(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        return response if answered_id == message_id else None


_encoder = msgspec.json.Encoder()
encode_payload = _encoder.encode


def violation(error: Exception) -> str:
    """Name the CALLERROR code (OCPP-J 1.6, section 4.2.3) for what a payload's decoder complains of."""
    if not isinstance(error, msgspec.ValidationError):
        return "FormationViolation"
    text = str(error)
    if text.startswith("Object missing"):
        return "OccurenceConstraintViolation"
    if text.startswith("Object contains unknown field"):
        return "FormationViolation"
    if text.startswith("Expected `array` of length"):
        return "OccurenceConstraintViolation"
    if text.startswith("Expected") and ", got " in text:
        return "TypeConstraintViolation"
    return "PropertyConstraintViolation"
