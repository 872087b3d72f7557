"""What the embedded CSMS saw: connections, frames, and the central system's own counts; and how it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from loadsim.units import format_duration
from loadsim.v16.central import ChargePointSession

CONNECTION_EVENTS: Final = (
    "opened",
    "open_max",
    "replaced",
    "broken",
    "no_request",
    "no_subprotocol",
    "http_401",
    "http_404",
    "accepts_failed",
)
FRAME_KINDS: Final = ("calls", "legacy_calls", "answers", "malformed", "unknown_types", "binary")

CALL_ENDS: Final = ("malformed", "timeouts", "lost", "open", "not_sent", "not_connected")
"""How a call to a charge point ends, or does not, apart from answers and errors."""


class ServerCounts:
    """Counts of connections (by event, and by the close code they ended with) and of frames (by kind).

    *broken* connections ended in an error of the peer or of the WebSocket library; close code 1006 is one that
    was lost without a close frame. *no_request*: no handshake came that could be answered. *answers* are
    CALLRESULT and CALLERROR, whether or not they answer a call. *lost_processes*, by number from 1, are those of
    the *processes* that hold the connections which have ended before their time, and how.
    """

    __slots__ = ("closed", "connections", "frames", "lost_processes", "processes")

    def __init__(self, processes: int = 1) -> None:
        self.processes = processes
        self.lost_processes: dict[int, str] = {}
        self.connections: Counter[str] = Counter()
        self.closed: Counter[int] = Counter()
        self.frames: Counter[str] = Counter()

    def record(self) -> dict[str, Any]:
        """Return plain numbers by name, for JSON."""
        lost = {str(number): why for number, why in sorted(self.lost_processes.items())}
        return {
            "processes": {"count": self.processes, "lost": lost},
            "connections": {event: self.connections[event] for event in CONNECTION_EVENTS},
            "closed": {str(code): count for code, count in sorted(self.closed.items())},
            "frames": {kind: self.frames[kind] for kind in FRAME_KINDS},
        }


def charge_point(session: ChargePointSession, *, connected: bool) -> dict[str, Any]:
    """Return what is known of a charge point: plain values by name, for JSON."""
    return {
        "identity": session.identity,
        "connected": connected,
        "accepted": session.accepted,
        "firmware_version": session.firmware_version,
        "statuses": {str(number): status for number, status in session.connector_status.items()},
        "open_transactions": [
            {"transaction_id": number, "connector_id": each.connector, "id_tag": each.id_tag}
            for number, each in session.open_transactions.items()
        ],
    }


def describe(record: Mapping[str, Any]) -> Iterator[str]:
    """Tell a server's record in lines for a terminal; what never happened is left out, but for the basics."""
    connections, known = record["connections"], record["charge_points"]
    yield (
        f"charge points  {known['known']:,} known, {known['accepted']:,} accepted;"
        f" {connections['opened']:,} connections, {connections['open_max']:,} at a time"
    )
    yield from _connections(record)
    if frames := _listed({name: record["frames"][name] for name in FRAME_KINDS[3:]}):
        yield f"frames         {frames}"
    if strays := _listed(record.get("strays", {})):
        yield f"stray answers  {strays}"
    yield from _transactions(record["transactions"])
    if statuses := _listed(record["statuses"]):
        yield f"connectors     {statuses}"
    if versions := _listed(record["firmware"]["versions"]):
        yield f"firmware       {versions}"
    if updates := _listed(record["firmware"]["statuses"]):
        yield f"updates        {updates}"
    if uploads := _listed({**_named("diagnostics", record["diagnostics"]), **_named("log", record["logs"])}):
        yield f"uploads        {uploads}"
    if events := record["security_events"]:
        yield f"security       {events:,} events"
    if certificates := _certificates(record.get("certificates", {})):
        yield f"certificates   {certificates}"
    if failures := _listed(record["store_failures"]):
        yield f"database       {failures}"
    yield from _planned(record.get("planned_calls", {}))
    yield from _actions(record["actions"])
    yield from _calls(record.get("calls", {}))


def _connections(record: Mapping[str, Any]) -> Iterator[str]:
    processes = record["processes"]
    for number, why in processes["lost"].items():
        yield f"processes      process {number} of {processes['count']} {why}"
    if trouble := _listed({name: record["connections"][name] for name in CONNECTION_EVENTS[2:]}):
        yield f"connections    {trouble}"
    if codes := _listed({name: count for name, count in record["closed"].items() if name != "1000"}):
        yield f"close codes    {codes}"


def _actions(actions: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'action':32} {'received':>9} {'answered':>9}" if actions else "no call was received"
    for name, counts in actions.items():
        notes = _listed({**counts["refused"], **counts["errors"]})
        yield f"{name:32} {counts['received']:9,} {counts['answered']:9,}  {notes}".rstrip()


def _planned(calls: Mapping[str, Any]) -> Iterator[str]:
    for name, counts in calls.items():
        outcomes = _listed({key: counts[key] for key in ("called", "no_target", "moot", "invalid")})
        yield f"planned call   {name}: due {counts['due']:,}" + (f", {outcomes}" if outcomes else "")


def _calls(calls: Mapping[str, Any]) -> Iterator[str]:
    if calls:
        yield f"{'call to charge points':32} {'sent':>9} {'answered':>9} {'p95':>7}"
    for name, counts in calls.items():
        p95 = counts["answer_s"]["p95"]
        ends = {key: counts[key] for key in CALL_ENDS}
        notes = _listed({**counts["refused"], **counts["errors"], **ends})
        shown = "-" if p95 is None else format_duration(p95)
        yield f"{name:32} {counts['sent']:9,} {counts['answered']:9,} {shown:>7}  {notes}".rstrip()


def _transactions(counts: Mapping[str, Any]) -> Iterator[str]:
    numbers = {name: count for name, count in counts.items() if isinstance(count, int) and name != "energy_wh"}
    if listed := _listed(numbers):
        energy: int = counts["energy_wh"]  # an integer of any length
        kilowatt_hours = f"; {energy // 1000:,}.{energy % 1000:03} kWh" if energy else ""
        yield f"transactions   {listed}{kilowatt_hours}"


def _certificates(counts: Mapping[str, Any]) -> str:
    numbers = {name: count for name, count in counts.items() if name != "refused"}
    return _listed({**numbers, **_named("refused:", counts.get("refused", {}))})


def _named(what: str, counts: Mapping[str, int]) -> dict[str, int]:
    return {f"{what} {name}": count for name, count in counts.items()}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items() if count)
