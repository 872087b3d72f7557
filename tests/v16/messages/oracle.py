"""The OCA's JSON schemas as PyPI `ocpp` ships them, and a validator of them that shares no code with loadsim."""

import functools
import ipaddress
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import jsonschema
import ocpp
from jsonschema.protocols import Validator
from rfc3339_validator import validate_rfc3339
from rfc3987_syntax import is_valid_syntax  # type: ignore[import-untyped]

Json = Any

_DIRECTORY: Final = Path(ocpp.__file__).parent / "v16" / "schemas"


def _without_references(schema: Json, definitions: Json) -> Json:
    if isinstance(schema, list):
        return [_without_references(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _without_references(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _without_references(value, definitions) for key, value in schema.items() if key != "definitions"}


def _read(path: Path) -> Json:
    schema = json.loads(path.read_text(encoding="utf-8-sig"))
    return _without_references(schema, schema.get("definitions", {}))


SCHEMAS: Final[dict[str, Json]] = {path.stem: _read(path) for path in sorted(_DIRECTORY.glob("*.json"))}
"""Schemas without references by name: ``Authorize`` is the request's, ``AuthorizeResponse`` the answer's."""

_formats: Final = jsonschema.FormatChecker(formats=())


@_formats.checks("date-time")
def is_date_time(text: object) -> bool:
    """Judge as RFC 3339 does (validate_rfc3339 knows no small letters, and lets a final newline pass)."""
    if not isinstance(text, str):
        return True
    return text.isascii() and not text.endswith("\n") and bool(validate_rfc3339(text.upper()))


@_formats.checks("uri")
def is_uri(text: object) -> bool:
    """Judge as RFC 3986 does: an IRI in ASCII, its IP literal judged apart (rfc3987_syntax refuses ``::1``)."""
    return not isinstance(text, str) or _is_uri(text)


@functools.cache
def _is_uri(text: str) -> bool:
    literal = re.match(r"([^/?#]*://(?:[^/?#@\[\]]*@)?)\[([^\[\]]*)\]((?::[0-9]*)?(?:[/?#].*)?)\Z", text, re.DOTALL)
    if literal is None:
        return text.isascii() and bool(is_valid_syntax("iri", text))
    return _is_ip_literal(literal[2]) and _is_uri(f"{literal[1]}host{literal[3]}")


def _is_ip_literal(text: str) -> bool:
    if re.fullmatch(r"[vV][0-9a-fA-F]+\.[\w.~!$&'()*+,;=:-]+", text, re.ASCII):
        return True
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text  # a zone is not of RFC 3986


def _multiple_of(validator: Validator, divisor: Json, number: Json, schema: Json) -> Iterator[Exception]:
    """Divide in decimal: 21.4 is a multiple of 0.1."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return
    if (Fraction(repr(number)) / Fraction(repr(divisor))).denominator != 1:
        yield jsonschema.ValidationError(f"{number} is not a multiple of {divisor}")


# An integer is one of draft 4 in all schemas; that of draft 6, where 1.0 is one, is the exception we document.
_integers: Final = jsonschema.Draft4Validator.TYPE_CHECKER
_drafts: Final = {
    "http://json-schema.org/draft-04/schema#": jsonschema.Draft4Validator,
    "http://json-schema.org/draft-06/schema#": jsonschema.Draft6Validator,
}


@functools.cache
def validator(name: str) -> Validator:
    schema = SCHEMAS[name]
    extended = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
        _drafts[schema["$schema"]], {"multipleOf": _multiple_of}, type_checker=_integers
    )
    made: Validator = extended(schema, format_checker=_formats)
    return made
