"""Where files are transferred to and from: which locations are supported, and which are really reached (pure).

Only hosts that are allowed are reached: loopback, and what the scenario lists. A load simulator must not be what a
CSMS sends against somebody else.
"""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Collection
from typing import Final

PROTOCOLS: Final = ("FTP", "HTTP", "HTTPS")
"""The protocols that locations may name, as SupportedFileTransferProtocols lists them."""


def is_supported(location: str) -> bool:
    """Tell whether *location* is a URL of one of the `PROTOCOLS` that names a host."""
    return _host(location) is not None


def is_real(location: str, hosts: Collection[str]) -> bool:
    """Tell whether *location* is really transferred: its host is loopback, or one of *hosts*."""
    host = _host(location)
    return host is not None and (_is_loopback(host) or host in {allowed.lower().strip("[]") for allowed in hosts})


def file_name_of(location: str) -> str:
    """Return the last part of a location's path, decoded; "" where it ends in a slash."""
    try:
        return urllib.parse.unquote(urllib.parse.urlsplit(location).path.rpartition("/")[2])
    except ValueError:
        return ""


def _host(location: str) -> str | None:
    """Return the host of a location over a protocol that is supported; None where there is none."""
    try:
        parts = urllib.parse.urlsplit(location)
        if parts.scheme.upper() not in PROTOCOLS or parts.port == 0:
            return None
        return parts.hostname or None
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def credentials(parts: urllib.parse.SplitResult) -> tuple[str, str]:
    """Return user and password of a location, decoded; "" for what it does not name."""
    return urllib.parse.unquote(parts.username or ""), urllib.parse.unquote(parts.password or "")
