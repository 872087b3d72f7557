"""Placeholders in ids, id tags and URLs (pure): ``{n}``, ``{n:05}``, ``{fleet}``, ``{id}``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from string import Formatter
from urllib.parse import SplitResult, urlsplit

from loadsim.units import shown

LONGEST_ID = 48
LONGEST_TAG = 20
_WIDTH = re.compile(r"0[1-9][0-9]?")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}?|\}")


def placeholders(pattern: str, allowed: Collection[str]) -> set[str]:
    """Return the names that *pattern* has filled in, of *allowed*; ``n`` may be padded: ``{n:05}``.

    Raises:
        ValueError: a placeholder is malformed or not of *allowed*.
    """
    names = set()
    try:
        fields = list(Formatter().parse(pattern))
    except ValueError:
        raise ValueError(f"a brace is not closed or not opened in {shown(pattern)}") from None
    for _, name, width, conversion in fields:
        if name is None:
            continue
        written = "{" + name + (f"!{conversion}" if conversion else "") + (f":{width}" if width else "") + "}"
        if name not in allowed:
            raise ValueError(f"unknown placeholder {shown(written)}; expected {listed(allowed)}")
        if conversion or (width and (name != "n" or not _WIDTH.fullmatch(width))):
            expected = "{n}, or padded with zeros {n:05}" if name == "n" else f"{{{name}}}"
            raise ValueError(f"malformed placeholder {shown(written)}; expected {expected}")
        names.add(name)
    return names


def only_id(text: str) -> bool:
    """Tell whether *text* has ``{id}`` in it.

    Raises:
        ValueError: it has other braces.
    """
    found = _PLACEHOLDER.findall(text)
    for written in found:
        if written != "{id}":
            raise ValueError(f"unknown placeholder {shown(written)}; expected {{id}}")
    return bool(found)


class Filled:
    """The values that a good *pattern* has for the numbers from 1 to *count*, and the name of the *fleet*."""

    def __init__(self, pattern: str, count: int, fleet: str) -> None:
        self._pattern = pattern
        self._count = count
        self._fleet = fleet

    def __iter__(self) -> Iterator[str]:
        return (self._pattern.format(n=n, fleet=self._fleet) for n in range(1, self._count + 1))

    @property
    def prefix(self) -> str:
        """What all of them begin with."""
        parts = []
        for literal, name, _, _ in Formatter().parse(self._pattern):
            parts.append(literal)
            if name == "n":
                break
            parts.append(self._fleet if name else "")
        return "".join(parts)


def listed(names: Collection[str]) -> str:
    """Write *names* as placeholders: "{n} or {fleet}"."""
    return " or ".join(f"{{{name}}}" for name in names)


def id_problem(identity: str) -> str | None:
    """Say why *identity* cannot be a charge point's, or return None.

    OCPP-J 1.6 sets no limit; 2.0.1 (part 4, section 3.1.1) says 48, and a CSMS often serves both.
    """
    if len(identity) > LONGEST_ID:
        return (
            f"the identity {shown(identity)} has {len(identity)} characters; at most {LONGEST_ID} "
            "(OCPP 1.6J sets no limit, this is that of OCPP 2.0.1)"
        )
    if identity in {".", ".."}:
        return f"the identity {shown(identity)} would vanish from the URL's path"
    return _characters("identity", identity)


def tag_problem(tag: str) -> str | None:
    """Say why *tag* cannot be an id tag (idToken: CiString20Type, OCPP 1.6 section 7.28), or return None."""
    if len(tag) > LONGEST_TAG:
        return f"the id tag {shown(tag)} has {len(tag)} characters; OCPP 1.6 allows {LONGEST_TAG}"
    return _characters("id tag", tag)


def parse_url(text: str) -> str:
    """Check the URL of a CSMS; messages never repeat it, as it may hold a token.

    Raises:
        ValueError: it is no URL that charge points can connect to.
    """
    if not text or any(not 0x20 < ord(character) < 0x7F for character in text):
        raise ValueError("expected a URL such as 'wss://csms.example/ocpp', of printable ASCII without spaces")
    only_id(text)
    parts = _split(text)
    if parts.scheme not in {"ws", "wss"}:
        found = shown(parts.scheme) if parts.scheme else "none"
        raise ValueError(f"expected a URL that begins with ws:// or wss://, got the scheme {found}")
    if "@" in parts.netloc:
        raise ValueError("a URL cannot hold a user or password here; put them into csms.auth")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    if "{" in parts.netloc:
        raise ValueError("{id} can stand in the URL's path or query, not in its host")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ValueError("the URL's host is malformed: each part between dots has 1 to 63 characters") from None
    if "#" in text:
        raise ValueError("a WebSocket URL has no fragment ('#...')")
    return text


def with_id(url: str) -> str:
    """Return *url* with ``{id}`` in it: where it stands already, else as the last segment of the path."""
    if "{id}" in url:
        return url
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{{id}}").geturl()


def parse_address(text: str) -> str:
    """Check an IP address to connect from.

    Raises:
        ValueError: it is none.
    """
    try:
        ip_address(text)
    except ValueError:
        raise ValueError(f"expected an IP address such as '127.0.0.2', got {shown(text)}") from None
    return text


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the URL's host or port is malformed; a port is a number from 1 to 65535") from None
    if port == 0:
        raise ValueError("the URL's host or port is malformed; a port is a number from 1 to 65535")
    return parts


def _characters(kind: str, text: str) -> str | None:
    if not text.strip():
        return f"an {kind} cannot be empty"
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        return f"the {kind} {shown(text)} holds a control character"
    if text != text.strip():
        return f"the {kind} {shown(text)} begins or ends with a space"
    return None
