"""What the values of configuration keys may be (OCPP 1.6, section 9.1 and chapter 9; pure).

A kind turns a text into the one that is kept, or says what it expected. Names are taken in any case, as OCPP's
CiStrings are, and kept in the specification's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

Kind = Callable[[str], str]
"""Returns a value as it is kept.

Raises:
    ValueError: it is none; the text says what was expected.
"""

LONGEST: Final = 2**31 - 1
"""The largest integer value: what a charge point keeps in 32 bits."""

MEASURANDS: Final = (
    "Energy.Active.Import.Register",
    "Energy.Active.Import.Interval",
    "Power.Active.Import",
    "Power.Offered",
    "Current.Import",
    "Current.Offered",
    "Voltage",
    "Frequency",
    "Temperature",
    "SoC",
)
"""What the meter of a simulated charge point measures: no other measurand can be configured."""

_PHASE_ROTATIONS: Final = ("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR")
_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


def boolean(value: str) -> str:
    """Read "true" or "false"."""
    if value.lower() not in ("true", "false"):
        raise ValueError("expected true or false")
    return value.lower()


def whole(least: int = 0, most: int = LONGEST) -> Kind:
    """Make the kind of the whole numbers from *least* to *most*, in decimal."""

    def read(value: str) -> str:
        if value.isascii() and value.isdigit() and len(value.lstrip("0")) <= len(str(most)):
            number = int(value)
            if least <= number <= most:
                return str(number)
        raise ValueError(f"expected a whole number from {least} to {most}")

    return read


def plain_text(most: int) -> Kind:
    """Make the kind of texts of at most *most* characters."""

    def read(value: str) -> str:
        if len(value) > most or not value.isprintable():
            raise ValueError(f"expected a line of at most {most} characters")
        return value

    return read


def hexadecimal(least: int, most: int) -> Kind:
    """Make the kind of *least* to *most* bytes, each written as two hexadecimal digits."""

    def read(value: str) -> str:
        if len(value) % 2 or not least <= len(value) // 2 <= most or not _HEX_DIGITS.issuperset(value):
            raise ValueError(f"expected {2 * least} to {2 * most} hexadecimal digits, two for each byte")
        return value

    return read


def list_of(names: Sequence[str], what: str) -> Kind:
    """Make the kind of comma separated lists of *names*, each at most once; none is a list, too."""
    by_lower = {name.lower(): name for name in names}

    def read(value: str) -> str:
        found = []
        for item in split(value):
            name = by_lower.get(item.lower())
            if name is None or name in found:
                raise ValueError(f"expected a comma separated list of {what}, each once: {', '.join(names)}")
            found.append(name)
        return ",".join(found)

    return read


def phase_rotation(value: str) -> str:
    """Read ConnectorPhaseRotation, such as ``0.RST,1.RTS`` (section 9.1.7)."""
    by_lower = {name.lower(): name for name in _PHASE_ROTATIONS}
    found: dict[int, str] = {}
    for item in split(value) or [""]:
        number, _, rotation = item.partition(".")
        name = by_lower.get(rotation.lower())
        if not number.isascii() or not number.isdigit() or len(number) > 3 or name is None or int(number) in found:
            raise ValueError(
                "expected a comma separated list of a connector's number, a dot and its rotation, such as "
                f"0.RST,1.RST; the rotations are {', '.join(_PHASE_ROTATIONS)}"
            )
        found[int(number)] = name
    return ",".join(f"{number}.{name}" for number, name in found.items())


def split(value: str) -> list[str]:
    """Return the items of a comma separated list, without the spaces around them."""
    return [item.strip() for item in value.split(",")] if value.strip() else []
