"""Quantities with a unit: "1h30m", "10%", "1500/h", "8kWh", "11kW", "2kB", "64kbit/s" <-> SI units and bytes.

Inside they are seconds, shares, per second, watt-hours, watts, bytes, and bytes a second. Units are mandatory.
``parse_*`` read what a person wrote, ``*_text`` write what ``parse_*`` reads back to the same float, ``format_*``
round for a person.
"""

from __future__ import annotations

import re
from fractions import Fraction

_SECONDS = {"d": Fraction(86400), "h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}
_PER_SECOND = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Bounded: no text can blow up into a giant integer. More digits before the point are beyond a float anyway; those
# after it take in what `*_text` write of the smallest rates.
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,40})?"
DURATION_PATTERN = rf"(?=.)(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?"
SHARE_PATTERN = rf"{_NUMBER}%"
RATE_PATTERN = rf"{_NUMBER}/[smhd]"
ENERGY_PATTERN = rf"{_NUMBER}k?Wh"
POWER_PATTERN = rf"{_NUMBER}k?W"
SIZE_PATTERN = rf"{_NUMBER}k?B"
BANDWIDTH_PATTERN = rf"{_NUMBER}[kM]?(?:bit|B)/s"

_DURATION = re.compile(DURATION_PATTERN)
_PART = re.compile(rf"({_NUMBER})(ms|[dhms])")
_SHARE = re.compile(SHARE_PATTERN)
_RATE = re.compile(RATE_PATTERN)
_ENERGY = re.compile(ENERGY_PATTERN)
_POWER = re.compile(POWER_PATTERN)
_SIZE = re.compile(SIZE_PATTERN)
_BANDWIDTH = re.compile(rf"({_NUMBER})([kM]?)(bit|B)/s")
_PREFIXES = {"": 1, "k": 1000, "M": 1_000_000}
_BITS_A_BYTE = 8
_BARE = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?")


def parse_duration(text: str) -> float:
    """Read a duration in seconds from days down to milliseconds: "2d", "1h30m", "250ms".

    Raises:
        ValueError: *text* is no duration; the message says what was expected.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(_expected("a duration such as '30s', '5m' or '1h30m'", text))
    return float(sum(Fraction(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))


def parse_share(text: str) -> float:
    """Read a share between 0 and 1: "10%", "0.1%".

    Raises:
        ValueError: *text* is no share, or above 100%.
    """
    if not _SHARE.fullmatch(text):
        raise ValueError(_expected("a share such as '10%' or '0.1%'", text))
    share = Fraction(text[:-1]) / 100
    if share > 1:
        raise ValueError(f"expected a share of at most 100%, got {shown(text)}")
    return float(share)


def parse_rate(text: str) -> float:
    """Read a rate per second: "200/s", "60/m", "0.5/h", "10/d".

    Raises:
        ValueError: *text* is no rate.
    """
    if not _RATE.fullmatch(text):
        raise ValueError(_expected("a rate such as '200/s' or '0.5/h'", text))
    number, unit = text.split("/")
    return float(Fraction(number) / _PER_SECOND[unit])


def parse_energy(text: str) -> float:
    """Read an energy in watt-hours: "8kWh", "500Wh".

    Raises:
        ValueError: *text* is no energy.
    """
    if not _ENERGY.fullmatch(text):
        hint = f"; that is a power, an energy is {shown(f'{text}h')}" if _POWER.fullmatch(text) else ""
        raise ValueError(_expected("an energy such as '8kWh' or '500Wh'", text) + hint)
    return _in_thousands(text.removesuffix("Wh"))


def parse_power(text: str) -> float:
    """Read a power in watts: "11kW", "3680W".

    Raises:
        ValueError: *text* is no power.
    """
    if not _POWER.fullmatch(text):
        hint = f"; that is an energy, a power is {shown(text[:-1])}" if _ENERGY.fullmatch(text) else ""
        raise ValueError(_expected("a power such as '11kW' or '3680W'", text) + hint)
    return _in_thousands(text.removesuffix("W"))


def parse_size(text: str) -> int:
    """Read a size in bytes: "200B", "1.5kB" (of 1000 bytes).

    Raises:
        ValueError: *text* is no size, or no whole number of bytes.
    """
    if not _SIZE.fullmatch(text):
        raise ValueError(_expected("a size such as '200B' or '16kB'", text))
    number = text.removesuffix("B")
    size = Fraction(number[:-1]) * 1000 if number.endswith("k") else Fraction(number)
    if size.denominator != 1:
        raise ValueError(f"expected a whole number of bytes, got {shown(text)}")
    return int(size)


def parse_bandwidth(text: str) -> float:
    """Read a bandwidth in bytes a second: "64kbit/s", "1.5Mbit/s", "8kB/s" (a k is 1000, an M 1000 of these).

    Raises:
        ValueError: *text* is no bandwidth.
    """
    match = _BANDWIDTH.fullmatch(text)
    if match is None:
        hint = f"; a second of it is {shown(f'{text}/s')}" if _BANDWIDTH.fullmatch(f"{text}/s") else ""
        raise ValueError(_expected("a bandwidth such as '64kbit/s' or '8kB/s'", text) + hint)
    number = Fraction(match[1]) * _PREFIXES[match[2]]
    return float(number / _BITS_A_BYTE if match[3] == "bit" else number)


def duration_text(seconds: float) -> str:
    """Write *seconds* so that `parse_duration` reads the same float."""
    whole = round(seconds * 1000)
    text = ""
    for unit, size in _SECONDS.items():
        number, whole = divmod(whole, int(size * 1000))
        text += f"{number}{unit}" if number else ""
    text = text or "0s"
    return text if parse_duration(text) == seconds else f"{_plain(seconds)}s"


def share_text(share: float) -> str:
    """Write *share* so that `parse_share` reads the same float."""
    rounded = f"{share * 100:.10g}"
    if "e" not in rounded and parse_share(f"{rounded}%") == share:
        return f"{rounded}%"
    return f"{_plain(Fraction(repr(share)) * 100)}%"


def rate_text(per_second: float) -> str:
    """Write *per_second* so that `parse_rate` reads the same float, in the unit that reads shortest.

    Days are for what no other unit writes in short.
    """
    candidates: list[str] = []
    for unit, size in _PER_SECOND.items():
        number = f"{per_second * size:.10g}"
        if "e" not in number and parse_rate(f"{number}/{unit}") == per_second and not (unit == "d" and candidates):
            candidates.append(f"{number}/{unit}")
    return min(candidates or [f"{_plain(per_second)}/s"], key=len)


def energy_text(watt_hours: float) -> str:
    """Write *watt_hours* so that `parse_energy` reads the same float."""
    return f"{_thousands(watt_hours)}Wh"


def power_text(watts: float) -> str:
    """Write *watts* so that `parse_power` reads the same float."""
    return f"{_thousands(watts)}W"


def size_text(size: int) -> str:
    """Write *size* in bytes so that `parse_size` reads the same number."""
    return f"{_thousands(size)}B"


def bandwidth_text(bytes_per_second: float) -> str:
    """Write *bytes_per_second* so that `parse_bandwidth` reads the same float, in bits, as links are sold."""
    bits = Fraction(repr(bytes_per_second)) * _BITS_A_BYTE
    prefix = next(prefix for prefix in ("M", "k", "") if bits >= _PREFIXES[prefix] or not prefix)
    return f"{_plain(bits / _PREFIXES[prefix])}{prefix}bit/s"


def format_duration(seconds: float) -> str:
    """Round *seconds* for a person: "0.4ms", "41ms", "1.2s", "1m30s", "2h05m"."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds < 0.00095:
        return f"{seconds * 1000:.1f}ms" if seconds else "0ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    return f"{minutes // 60}h{minutes % 60:02}m"


def format_share(share: float) -> str:
    """Round *share* for a person: "2.01%"."""
    return f"{share * 100:.2f}%"


def format_count(number: int) -> str:
    """Group the digits of *number*: "4,987"."""
    return f"{number:,}"


def format_things(number: int, thing: str) -> str:
    """Write how many of a *thing* there are: "1 driver", "4,987 drivers"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def format_bytes(number: float) -> str:
    """Round *number* bytes for a person, in powers of 1000: "512 B", "5.1 kB", "210 MB"."""
    size, units = float(number), ["TB", "GB", "MB", "kB", "B"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop()
    unit = units[-1]
    return f"{size:.0f} {unit}" if unit == "B" or size >= 9.95 else f"{size:.1f} {unit}"


def format_bandwidth(bytes_per_second: float) -> str:
    """Round *bytes_per_second* for a person, in bits and powers of 1000: "64 kbit/s", "1.5 Mbit/s"."""
    bits, units = bytes_per_second * _BITS_A_BYTE, ["Gbit/s", "Mbit/s", "kbit/s", "bit/s"]
    while bits >= 999.5 and len(units) > 1:
        bits /= 1000
        units.pop()
    return f"{bits:.0f} {units[-1]}" if len(units) == 4 or bits >= 9.95 else f"{bits:.1f} {units[-1]}"


def shown(text: str, longest: int = 60) -> str:
    """Quote *text* for a message, cut where it is long, control characters escaped."""
    return repr(text if len(text) <= longest else f"{text[:longest]}...")


def _expected(what: str, text: str) -> str:
    missing = "; the unit is missing" if _BARE.fullmatch(text) else ""
    return f"expected {what}, got {shown(text)}{missing}"


def _in_thousands(text: str) -> float:
    return float(Fraction(text[:-1]) * 1000) if text.endswith("k") else float(Fraction(text))


def _thousands(number: float) -> str:
    """Write a number with a 'k' from 1000 on; its decimal point moves, so nothing is rounded."""
    return f"{_plain(Fraction(repr(number)) / 1000)}k" if number >= 1000 else _plain(number)


def _plain(number: float | Fraction) -> str:
    """Write a number without an exponent; a float gets the shortest digits that read back to it."""
    value = Fraction(repr(number)) if isinstance(number, float) else number
    digits = 0
    while value * 10**digits % 1:
        digits += 1
    scaled = int(value * 10**digits)
    return f"{scaled // 10**digits}.{scaled % 10**digits:0{digits}}" if digits else str(scaled)
