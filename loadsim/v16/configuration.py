"""Configuration keys (OCPP 1.6, sections 5.3 and 5.8, chapter 9): their values, and changing them."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.units import shown
from loadsim.v16.configuration_keys import BY_NAME, DEFAULTS, KEYS, ChangeStatus, Key
from loadsim.v16.configuration_kinds import split
from loadsim.v16.memory import memory_of

__all__ = [
    "KEYS",
    "apply_pending",
    "change",
    "flag",
    "initial_problem",
    "integer",
    "items",
    "key_named",
    "readable_keys",
    "text",
    "value_of",
]


def text(charge_point: ChargePoint, name: str) -> str:
    """Return the value of key *name* now: as changed by the CSMS, else the fleet's, else the documented one."""
    changed = memory_of(charge_point).changed
    if changed is not None and name in changed:
        return changed[name]
    value = charge_point.settings.configuration.get(name)
    return DEFAULTS[name] if value is None else value


def integer(charge_point: ChargePoint, name: str) -> int:
    """Return the value of an integer key."""
    return int(text(charge_point, name))


def flag(charge_point: ChargePoint, name: str) -> bool:
    """Return the value of a boolean key."""
    return text(charge_point, name) == "true"


def items(charge_point: ChargePoint, name: str) -> tuple[str, ...]:
    """Return the value of a key that is a comma separated list."""
    return _items(text(charge_point, name))


@lru_cache(maxsize=256)
def _items(value: str) -> tuple[str, ...]:
    """Take a list apart; once, for every sample asks for two that hardly ever change (0.2 to 0.5 us each)."""
    return tuple(split(value))


def value_of(charge_point: ChargePoint, key: Key) -> str:
    """Return the value of *key* that is in force."""
    return text(charge_point, key.name) if key.read is None else key.read(charge_point)


def key_named(charge_point: ChargePoint, name: str) -> Key | None:
    """Return the key *name*, a CiString, if this charge point knows it: its profile is not switched off."""
    key = BY_NAME.get(name.lower())
    return key if key is not None and _has(charge_point, key) else None


def readable_keys(charge_point: ChargePoint) -> list[Key]:
    """Return all keys that this charge point shows."""
    return [key for key in KEYS if key.access != "W" and _has(charge_point, key)]


def change(charge_point: ChargePoint, key: Key, value: str) -> ChangeStatus:
    """Set *key* to *value* (section 5.3); what it makes of the charge point is the caller's affair.

    A value of a key that needs a reboot waits for it, unless it is the one in force.
    """
    if key.access == "R":
        return "Rejected"
    try:
        value = key.kind(value)
    except ValueError:
        return "Rejected"
    if key.write is not None:
        return key.write(charge_point, value)
    if not key.fits(charge_point, value):
        return "Rejected"
    memory = memory_of(charge_point)
    if not key.at_reboot:
        memory.changed = {**(memory.changed or {}), key.name: value}
        return "Accepted"
    memory.pending = {name: waiting for name, waiting in (memory.pending or {}).items() if name != key.name}
    if value == value_of(charge_point, key):
        return "Accepted"
    memory.pending[key.name] = value
    return "RebootRequired"


def apply_pending(charge_point: ChargePoint) -> None:
    """Put into force what was waiting for a reboot, which this is."""
    memory = memory_of(charge_point)
    if memory.pending:
        memory.changed = {**(memory.changed or {}), **memory.pending}
    memory.pending = None


def initial_problem(name: str, value: str) -> str | None:
    """Say what is wrong with *value* as what key *name* is at first in a fleet; None: nothing.

    A name is to be written as the specification does. What only a charge point may say of itself is refused;
    what depends on how its firmware was built (how many tags a local list holds) may be set.
    """
    key = next((key for key in KEYS if key.name == name), None)
    if key is None:
        near = get_close_matches(name.lower(), BY_NAME, n=1)
        hint = f"; did you mean {BY_NAME[near[0]].name!r}?" if near else ""
        return f"unknown configuration key {shown(name)}{hint}"
    if key.given_by:
        return f"cannot be set here: {key.given_by}"
    try:
        kept = key.kind(value)
    except ValueError as expected:
        return f"{expected}, got {shown(value)}"
    if kept not in (value, ",".join(split(value))):
        return f"expected {shown(kept)}, got {shown(value)}"
    return None


def _has(charge_point: ChargePoint, key: Key) -> bool:
    return key.profile == "Core" or key.profile in charge_point.settings.profiles
