"""The final report's account of charging: sessions, transactions, what broke; loud where load was not carried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from loadsim.output.layout import BAD, NONE, STRONG, WARNING, duration, energy, labelled, wrapped
from loadsim.units import format_count

Numbers = Mapping[str, Any]

_LABEL: Final = 17
_NOT_BEGUN: Final = {
    "refused": "refused by the CSMS",
    "refused_offline": "refused while the CSMS did not answer",
    "not_authorized": "whose Authorize ended in an error",
    "no_show": "authorized and never plugged in",
    "no_remote_start": "plugged in without a remote start",
    "interrupted": "cut off by a reset or a fault",
    "preparing": "on their way at the end",
    "behind": "not begun in time by the generator",
}
"""What became of drivers who found a connector and came to no transaction."""
_FAULTS: Final = ("lost", "doubled", "orphaned")
_BROKEN: Final = {
    "faults": ("fault", "faults"),
    "power_losses": ("power loss", "power losses"),
    "ev_disconnects": ("cable pulled", "cables pulled"),
}
"""What can break: one of it, and several."""


def sessions(summary: Numbers, width: int) -> list[Text]:
    """Show what has become of the drivers who came; nothing when none came or was to come."""
    numbers = summary.get("sessions") or {}
    due, by_csms = numbers.get("due", 0), numbers.get("from_csms", 0)
    if not (due or by_csms or numbers.get("planned")):
        return []
    came = f"{_number(due, 'driver')}, {_count(round(numbers['planned']))} planned"
    if by_csms:
        came += f"; {_count(by_csms)} more by the CSMS itself"
    lines = [
        Text("sessions", style=STRONG),
        *_told("  came", came, width),
        *_told("  started", f"{_count(numbers['started'])} came to a transaction", width),
    ]
    turned_away = numbers.get("no_free_connector", 0)
    if turned_away:
        told = f"NOT CARRIED: {_number(turned_away, 'driver')} found every connector taken"
        lines += _told("  no connector", told, width, style=BAD)
    others = _listed({what: numbers.get(outcome, 0) for outcome, what in _NOT_BEGUN.items()})
    if others:
        lines += _told("  not started", others, width)
    if numbers.get("remote_starts"):
        lines.append(
            _times("  remote start", numbers["remote_start_s"], f"{_count(numbers['remote_starts'])} in all", width)
        )
    return lines


def transactions(summary: Numbers, width: int) -> list[Text]:
    """Show what has become of the transactions; nothing when none was begun."""
    numbers = summary.get("transactions") or {}
    if not numbers.get("begun"):
        return []
    ends = [f"{_count(numbers['begun'])} begun", f"{_count(numbers['stopped'])} stopped"]
    ends.append(f"{_count(numbers['open'])} open at the end")
    if numbers.get("undelivered"):
        ends.append(f"{_count(numbers['undelivered'])} over, the stop not confirmed")
    faults = [_fault(numbers.get(fault), fault) for fault in _FAULTS]
    lines = [
        Text("transactions", style=STRONG),
        *_told("  count", ", ".join(ends), width),
        labelled("  gone wrong", [Text(", ").join(faults)], width, label_width=_LABEL),
    ]
    amounts = summary.get("energy_wh") or {}
    if amounts:
        told = f"{energy(amounts['delivered'])} delivered by the transactions that ended"
        if amounts["stopped"] != amounts["delivered"]:
            told += f", {energy(amounts['stopped'])} of it in confirmed stops"
        lines += _told("  energy", told, width)
    return [*lines, *_outbox(summary.get("outbox") or {}, width)]


def _outbox(numbers: Numbers, width: int) -> list[Text]:
    lines: list[Text] = []
    if numbers.get("waited"):
        told = _number(numbers["waited"], "message")
        lines.append(_times("  offline", numbers["wait_s"], told, width))
    given_up = _listed(numbers.get("given_up") or {})
    if given_up:
        lines += _told("  given up", f"{given_up} after all tries", width, style=BAD)
    if numbers.get("overflowed"):
        told = f"{_number(numbers['overflowed'], 'meter value')}, for want of room while offline"
        lines += _told("  dropped", told, width, style=WARNING)
    return lines


def hardware(summary: Numbers, width: int) -> list[Text]:
    """Show reboots, what broke, and what was loaded; nothing when nothing of it happened."""
    counted = summary.get("hardware") or {}
    broken = {
        (one if counted.get(name) == 1 else more): counted.get(name, 0) for name, (one, more) in _BROKEN.items()
    }
    transfers = summary.get("transfers") or {}
    rows = {
        "  reboots": _listed(summary.get("reboots") or {}),
        "  broken": _listed(broken),
        "  transfers": _listed({"done": transfers.get("ok", 0), "failed": transfers.get("failed", 0)}),
    }
    lines = [line for label, told in rows.items() if told for line in _told(label, told, width)]
    return [Text("hardware", style=STRONG), *lines] if lines else []


def _fault(count: int | None, fault: str) -> Text:
    """Show a fault that should not be: loud unless it is 0, "-" where it cannot be known."""
    return Text(f"{fault} {NONE if count is None else _count(count)}", style=BAD if count else "")


def _times(label: str, times: Mapping[str, float | None], count: str, width: int) -> Text:
    shown = "   ".join(f"{each} {duration(times[each])}" for each in ("p50", "p95", "p99", "max"))
    return labelled(label, [shown, count], width, label_width=_LABEL)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{_count(count)} {what}" for what, count in counts.items() if count)


def _told(label: str, text: str, width: int, *, style: str = "") -> list[Text]:
    """Put *text* behind a label, in as many lines as it needs."""
    first, *more = wrapped(text, width, indent=_LABEL, style=style)
    return [labelled(label, [Text(first.plain.lstrip(), style=style)], width, label_width=_LABEL), *more]


def _number(count: int, what: str) -> str:
    return f"{_count(count)} {what}{'' if count == 1 else 's'}"


def _count(number: int) -> str:
    return format_count(number)
