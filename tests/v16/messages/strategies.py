"""Payloads made from a schema, ways to spoil them, and structs made from their types."""

import copy
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from loadsim.v16.messages.formats import DATE_TIME_PATTERN, URI_PATTERN
from tests.v16.messages.oracle import Json

Path = tuple[str | int, ...]

DATE_TIMES: Final = (
    "2025-02-17T12:00:00Z",
    "2024-02-29t23:59:59.999z",
    "2000-02-29T00:00:00-00:00",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.1234567890123456789-23:59",
)
NO_DATE_TIMES: Final = (
    "",
    "2025-02-17",
    "12:00:00Z",
    "1739793600",
    "2025-02-17T12:00:00",
    "2025-02-17 12:00:00Z",
    "2025-02-17T12:00Z",
    "2025-02-17T12:00:00+0100",
    "2025-02-17T12:00:00+01",
    "2025-02-17T12:00:00+24:00",
    "2025-02-17T12:00:00+01:60",
    "2025-02-17T12:00:00.Z",
    "2025-02-17T12:00:00,5Z",
    "2025-02-17T24:00:00Z",
    "2025-02-17T12:60:00Z",
    "2016-12-31T23:59:60Z",
    "2025-02-29T12:00:00Z",
    "1900-02-29T12:00:00Z",
    "2025-04-31T12:00:00Z",
    "2025-13-01T12:00:00Z",
    "2025-00-01T12:00:00Z",
    "2025-01-00T12:00:00Z",
    "0000-01-01T12:00:00Z",
    "+2025-02-17T12:00:00Z",
    "12025-02-17T12:00:00Z",
    "2025-02-17T12:00:00Z\n",
    " 2025-02-17T12:00:00Z",
    "2025-02-17T12:00:00Z ",
    "2025-02-17T12:00:0\u0663Z",
)
URIS: Final = (
    "ftp://user:secret@example.com:21/logs/",
    "https://example.com/firmware%20v2.bin?a=b/?c#d",
    "http://[2001:db8::7]:8080",
    "http://[::ffff:192.0.2.1]/",
    "http://[v1.a:b]/",
    "file:///etc/hosts",
    "urn:OCPP:Cp:1.6:2020:3:GetLog.req",
    "mailto:a@b",
    "a:",
    "a+b-c.d:/x//y",
    "http://",
    "http://a:/",
)
NO_URIS: Final = (
    "",
    "example.com",
    "/logs",
    "//example.com/logs",
    "1http://a",
    ":a",
    "http://a b",
    "http://a/b c",
    "http://a/%2",
    "http://a/%zz",
    "http://a:b/",
    "http://a@b@c/",
    "http://[::1/",
    "http://[1:2]/",
    "http://[::1%25eth0]/",
    "http://[:::]/",
    "http://a/[b]",
    "http://a/#b#c",
    "http://a/{b}",
    "http://a/b\\c",
    'http://a/"',
    "http://ex\u00e4mple.com/",
    "http://a/\n",
)
TENTHS: Final = (0, -7, 16, 10**400, 21.4, -21.4, 2.14e1, 0.1, 0.3, -0.0, 5e-1, 1e22, 6.0, 1234567890.1)
NO_TENTHS: Final = (21.45, -21.45, 0.05, 1e-2, 1e-300, 0.30000000000000004, 1234567890.12)
INTEGERS: Final = (0, 1, -1, 2**31, 2**63, -(2**63) - 1, 2**64, 10**400)
_OTHER_TYPES: Final[tuple[Json, ...]] = (
    None,
    True,
    False,
    1,
    -1,
    1.5,
    1.0,
    1e2,
    "",
    "x",
    "1",
    "true",
    [],
    [None],
    [1],
    {},
    {"a": 1},
)
_LETTERS: Final = ("a", "\u00e4", "\U0001f600", "\0", '"')  # the schema counts code points

_json: Final[st.SearchStrategy[Json]] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=3,
)


def _texts(longest: int | None) -> st.SearchStrategy[str]:
    if longest is None:
        return st.text(max_size=20)
    exactly = st.sampled_from(_LETTERS).map(lambda letter: letter * longest)
    return st.text(max_size=min(longest, 20)) | exactly


_tenths: Final[st.SearchStrategy[float]] = st.sampled_from(TENTHS) | st.integers(-(10**9), 10**9).map(
    lambda tenths: tenths / 10
)
_integers: Final = st.sampled_from(INTEGERS) | st.integers()


def payloads(schema: Json) -> st.SearchStrategy[Json]:
    """Draw what *schema* accepts."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object":
            fields = {key: payloads(inner) for key, inner in schema.get("properties", {}).items()}
            required = set(schema.get("required", ()))
            return st.fixed_dictionaries(
                {key: field for key, field in fields.items() if key in required},
                optional={key: field for key, field in fields.items() if key not in required},
            )
        case "array":
            return st.lists(payloads(schema["items"]), min_size=schema.get("minItems", 0), max_size=2)
        case "string" if "format" in schema:
            return st.sampled_from(DATE_TIMES if schema["format"] == "date-time" else URIS)
        case "string":
            return _texts(schema.get("maxLength"))
        case "integer":
            return _integers
        case "number":
            return _tenths
        case "boolean":
            return st.booleans()
    raise AssertionError(schema)


def fullest(schema: Json) -> Json:
    """Make a payload in which every field of *schema* is there once."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "object":
            return {key: fullest(inner) for key, inner in schema.get("properties", {}).items()}
        case "array":
            return [fullest(schema["items"])]
        case "string" if "format" in schema:
            return (DATE_TIMES if schema["format"] == "date-time" else URIS)[0]
        case simple:
            return {"string": "x", "integer": 1, "number": 21.4, "boolean": True}[simple]


def places(schema: Json, payload: Json, path: Path = ()) -> Iterator[tuple[Path, Json, Json]]:
    """Walk through *payload*: the path, the schema and the value of each of its parts."""
    yield path, schema, payload
    if isinstance(payload, dict):
        for key, value in payload.items():
            yield from places(schema["properties"][key], value, (*path, key))
    elif isinstance(payload, list):
        for index, value in enumerate(payload):
            yield from places(schema["items"], value, (*path, index))


def replaced(payload: Json, path: Path, value: Json) -> Json:
    """Copy *payload*, with *value* at *path*."""
    if not path:
        return value
    copied = copy.deepcopy(payload)
    parent = copied
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return copied


def spoilt(schema: Json, value: Json) -> Iterator[Json]:
    """Change a *value* that *schema* accepts in every way that it might refuse; some of them it accepts."""
    yield from _OTHER_TYPES
    if isinstance(value, dict):
        yield from ({k: v for k, v in value.items() if k != key} for key in value)
        yield from ({**value, key: 1} for key in ("unknown", "", "id_tag"))
        yield from ({(key.upper() if k == key else k): v for k, v in value.items()} for key in value)
    elif isinstance(value, list):
        yield from (value * 2, [*value, None], [value], [*value, "x" * 51])
    elif "enum" in schema:
        yield from schema["enum"]
        yield from (value.lower(), value.upper(), value + " ", value[:-1], " " + value)
    elif "maxLength" in schema:
        yield from (letter * (schema["maxLength"] + more) for letter in _LETTERS for more in (0, 1))
    elif "format" in schema:
        yield from (*DATE_TIMES, *NO_DATE_TIMES, *URIS, *NO_URIS)
    elif schema["type"] in ("integer", "number"):
        yield from (*INTEGERS, *TENTHS, *NO_TENTHS)


@st.composite
def nearly(draw: st.DrawFn, schema: Json) -> Json:
    """Draw a payload that *schema* accepts, with up to two parts replaced."""
    payload = draw(payloads(schema))
    chosen = draw(st.lists(st.sampled_from(list(places(schema, payload))), min_size=1, max_size=2))
    for path, inner, value in sorted(chosen, key=lambda place: -len(place[0])):  # what lies within goes first
        payload = replaced(payload, path, draw(st.sampled_from(list(spoilt(inner, value))) | _json))
    return payload


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Draw structs of *kind* as a program makes them: from the types of its fields, and not by decoding."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    required = {field.name: _values(field.type) for field in info.fields if field.required}
    optional = {field.name: _values(field.type) for field in info.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: kind(**fields))


def _values(kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case msgspec.inspect.Metadata():
            return _values(kind.type)
        case msgspec.inspect.StructType():
            return structs(kind.cls)
        case msgspec.inspect.VarTupleType():
            return st.lists(_values(kind.item_type), min_size=kind.min_length or 0, max_size=2).map(tuple)
        case msgspec.inspect.LiteralType():
            return st.sampled_from(kind.values)
        case msgspec.inspect.StrType(pattern=None):
            return _texts(kind.max_length)
        case msgspec.inspect.StrType():
            return st.sampled_from({DATE_TIME_PATTERN: DATE_TIMES, URI_PATTERN: URIS}[kind.pattern or ""])
        case msgspec.inspect.IntType():
            return _integers
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.UnionType():
            return _tenths
    raise AssertionError(kind)
