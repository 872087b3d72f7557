"""``loadsim doctor``: the limits of this machine, what each allows, and what to type to raise it."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from loadsim.doctor_command.checks import Check, checks_of
from loadsim.doctor_command.facts import Facts, gather
from loadsim.output.layout import BAD, GOOD, QUIET, STRONG, WARNING, encodable, wrapped
from loadsim.streams import print_json

__all__ = ["doctor", "show_checks"]

_SCHEMA = 1
_WIDEST = 100
_NAME = 13
_BROKEN = 3
_SHOWN = {"ok": ("ok", GOOD), "note": ("look", WARNING), "broken": ("BROKEN", BAD)}


def doctor(*, as_json: bool) -> int:
    """Look at this machine and print what was found; return the exit code: 3 where loadsim cannot run on it."""
    facts = gather()
    checks = checks_of(facts)
    if as_json:
        content = {
            "schema": _SCHEMA,
            "system": facts.system_text,
            "checks": [
                {
                    "name": check.name,
                    "state": check.state,
                    "found": check.found,
                    "allows": check.allows,
                    "numbers": check.numbers,
                    "raise": list(check.raise_by),
                }
                for check in checks
            ],
        }
        print_json(content, sys.stdout)
    else:
        show_checks(facts, checks, Console())
    return _BROKEN if any(check.state == "broken" for check in checks) else 0


def show_checks(facts: Facts, checks: list[Check], console: Console) -> None:
    """Print what was found, then what to type where more is wanted."""
    width = min(console.width, _WIDEST)
    lines = [Text.assemble(("this machine", STRONG), f"  {facts.system_text}")]
    for check in checks:
        word, style = _SHOWN[check.state]
        text = check.found + (f": {check.allows}" if check.allows else "")
        first, *more = wrapped(text, width, indent=_NAME + 9)
        head = Text.assemble(f"  {check.name.ljust(_NAME)}", (word.ljust(7), style))
        lines += [head.append_text(Text(first.plain.lstrip())), *more]
    if any(check.raise_by for check in checks):
        lines += [Text(), Text("to raise a limit", style=STRONG)]
    for check in checks:
        for number, command in enumerate(check.raise_by):
            name = check.name if number == 0 else ""
            lines.append(Text.assemble((f"  {name.ljust(_NAME)}", QUIET), command))
    for line in lines:
        line.rstrip()
        # What is to be typed must not be broken, or it could not be copied.
        console.print(encodable(line, console.encoding), soft_wrap=True)
