"""``${VAR}``, ``${VAR:-default}`` and ``$$`` in a parsed scalar (pure): a value can never become YAML structure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# A default may hold braces in pairs: ${CSMS_URL:-ws://localhost/{id}}.
_REFERENCE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^{}]|\{[^{}]*\})*))?\}|\$\{")


class FromVariable(str):
    """Text that came, wholly or in part, from the environment; the key it is for decides its type."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Substituted:
    """A scalar's text with its variables filled in; *literal* is what stood in the file itself."""

    text: str
    literal: str
    used: bool
    problems: tuple[str, ...]


def substitute(text: str, environ: Mapping[str, str]) -> Substituted:
    """Fill in the variables of *text*; as in a shell, a default also takes the place of an empty value."""
    problems: list[str] = []
    literal: list[str] = []
    used = False

    def fill(match: re.Match[str]) -> str:
        nonlocal used
        if match[0] == "$$":
            return "$"
        used = True
        name, default = match[1], match[2]
        if name is None:
            problems.append("expected ${NAME} or ${NAME:-default} after '${' (write '$$' for a plain '$')")
            return ""
        if default is not None and "${" in default:
            problems.append(f"the default of ${{{name}}} cannot hold a variable itself")
            return ""
        literal.append(default or "")
        value = environ.get(name)
        if value is None and default is None:
            problems.append(f"the environment variable {name} is not set")
            return ""
        return value or default or ""

    filled = _REFERENCE.sub(fill, text)
    return Substituted(filled, _REFERENCE.sub("", text) + "".join(literal), used, tuple(problems))
