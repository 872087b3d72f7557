"""Every metric, in one table: its name, kind, unit, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

CAUSES: Final = ("timeout", "callerror", "malformed", "connection_lost")
"""Why a sent call ended without a valid answer."""

COUNTS: Final = (
    "planned",
    "sent",
    "accepted",
    "rejected",
    "pending",
    "unexpected",
    *CAUSES,
    "open_at_end",
    "waiting_at_end",
    "skipped_offline",
)
"""What is counted of the calls of one action, stage and tag class; the order in which counts travel."""

STRAYS: Final = ("late", "unknown_id", "duplicate", "malformed")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; a ``*`` in *name* stands for an outcome, an action or a cause."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    help: str


METRICS: Final = (
    Metric("calls.planned", "counter", "calls", "calls that fell due"),
    Metric("calls.sent", "counter", "calls", "calls whose text was handed to the transport"),
    Metric("calls.accepted", "counter", "calls", "valid answers that do not refuse"),
    Metric("calls.rejected", "counter", "calls", "valid answers that refuse: idTagInfo or status not Accepted"),
    Metric("calls.pending", "counter", "calls", "BootNotification answered Pending"),
    Metric("calls.unexpected", "counter", "calls", "answers that differ from the tag class's `expect`"),
    Metric("calls.timeout", "counter", "calls", "sent, and not answered within call_timeout"),
    Metric("calls.callerror", "counter", "calls", "answered with a CALLERROR"),
    Metric("calls.malformed", "counter", "calls", "answered with what the action's schema refuses"),
    Metric("calls.connection_lost", "counter", "calls", "open when the connection broke"),
    Metric("calls.open_at_end", "counter", "calls", "sent, and still open when the graceful stop ran out"),
    Metric("calls.waiting_at_end", "counter", "calls", "due, and not yet sent at the planned end"),
    Metric("calls.skipped_offline", "counter", "calls", "due while the charge point was not online, never sent"),
    Metric("calls.response", "histogram", "seconds", "due to end, errors and what is open or waiting included"),
    Metric("calls.service", "histogram", "seconds", "sent to answered, of answered calls"),
    Metric("connections.attempted", "counter", "connections", "connects begun"),
    Metric("connections.opened", "counter", "connections", "connects that ended in an open WebSocket"),
    Metric("connections.refused.*", "counter", "connections", "connects that failed, by outcome"),
    Metric(
        "connections.abandoned",
        "counter",
        "connections",
        "connects given up because their time online was over",
    ),
    Metric("connections.retried", "counter", "connections", "of those attempted: after one that failed or broke"),
    Metric("connections.lost.*", "counter", "connections", "open connections that broke, by close code"),
    Metric(
        "connections.closed",
        "counter",
        "connections",
        "closed by the charge point: by the plan, to reboot, or by a fault",
    ),
    Metric("connect", "histogram", "seconds", "TCP (and TLS) connect of opened connections"),
    Metric("handshake", "histogram", "seconds", "WebSocket handshake of opened connections"),
    Metric("boots.accepted", "counter", "charge points", "charge points whose first boot was accepted"),
    Metric("messages.sent", "counter", "messages", "text messages sent"),
    Metric("messages.received", "counter", "messages", "messages received"),
    Metric("bytes.sent", "counter", "bytes", "payload bytes of messages sent"),
    Metric("bytes.received", "counter", "bytes", "payload bytes of messages received"),
    Metric("strays.late", "counter", "messages", "answers to a call that had timed out"),
    Metric("strays.unknown_id", "counter", "messages", "answers under an id that was never sent"),
    Metric("strays.duplicate", "counter", "messages", "second answers to a call"),
    Metric("strays.malformed", "counter", "messages", "messages that are no frame of OCPP-J"),
    Metric("commands.*.received", "counter", "calls", "calls from the CSMS, by action"),
    Metric("commands.*.refused", "counter", "calls", "of these, answered with a CALLERROR or a refusing status"),
    Metric("commands.*.ignored", "counter", "calls", "of these, not answered: boot Rejected, or a flood"),
    Metric("commands.*", "histogram", "seconds", "calls from the CSMS, by action: read until the answer was sent"),
    Metric("sessions.due", "counter", "sessions", "drivers who came, by the stages' `sessions`"),
    Metric("sessions.from_csms", "counter", "sessions", "remote starts at a free connector: drivers with an app"),
    Metric("sessions.started", "counter", "sessions", "of both, those that came to a transaction"),
    Metric("sessions.no_free_connector", "counter", "sessions", "drivers who found every connector taken"),
    Metric("sessions.due.*", "counter", "sessions", "drivers who came, by the index of the stage in which they did"),
    Metric("sessions.started.*", "counter", "sessions", "the same of those that came to a transaction"),
    Metric("sessions.no_free_connector.*", "counter", "sessions", "the same: every connector was taken"),
    Metric("sessions.refused", "counter", "sessions", "drivers whose tag the CSMS refused"),
    Metric("sessions.refused_offline", "counter", "sessions", "refused by the charge point: no answer of the CSMS"),
    Metric("sessions.not_authorized", "counter", "sessions", "Authorize ended in a CALLERROR or a malformed answer"),
    Metric("sessions.no_show", "counter", "sessions", "authorized, and not plugged in within ConnectionTimeOut"),
    Metric("sessions.no_remote_start", "counter", "sessions", "plugged in, and no RemoteStartTransaction came"),
    Metric("sessions.interrupted", "counter", "sessions", "ended by a reset or a fault before a transaction began"),
    Metric("sessions.behind", "counter", "sessions", "due, and not begun: the generator had no time for them"),
    Metric("sessions.preparing", "counter", "sessions", "not yet come to a transaction at the charge point's end"),
    Metric("transactions.begun", "counter", "transactions", "transactions that charge points began"),
    Metric("transactions.started", "counter", "transactions", "StartTransactions that were answered with an id"),
    Metric("transactions.ended", "counter", "transactions", "transactions that charge points ended"),
    Metric("transactions.stopped", "counter", "transactions", "of those begun: the StopTransaction was confirmed"),
    Metric("transactions.lost", "counter", "transactions", "of those begun: the Start or the Stop was given up"),
    Metric("transactions.open", "counter", "transactions", "of those begun: still charging at the end"),
    Metric("transactions.undelivered", "counter", "transactions", "of those begun: over, the Stop not confirmed"),
    Metric(
        "transactions.unnumbered",
        "counter",
        "transactions",
        "of those open or undelivered: the Start was sent, and its answer had not come",
    ),
    Metric("transactions.doubled", "counter", "transactions", "one StartTransaction answered with two ids"),
    Metric("transactions.running", "gauge", "transactions", "transactions in progress"),
    Metric("energy.delivered", "counter", "watt-hours", "meterStop minus meterStart of the transactions that ended"),
    Metric("energy.stopped", "counter", "watt-hours", "the same of those whose StopTransaction was confirmed"),
    Metric(
        "remote_start", "histogram", "seconds", "RemoteStart read until StartTransaction is sent, without the walk"
    ),
    Metric("outbox_wait", "histogram", "seconds", "how long transaction messages waited for a connection or a retry"),
    Metric("outbox.given_up.*", "counter", "messages", "transaction messages given up after all tries, by action"),
    Metric("outbox.overflowed", "counter", "messages", "meter values dropped for want of room: 1,000 wait at most"),
    Metric("transaction_data.thinned", "counter", "samples", "left out of StopTransactions: they carry 500 at most"),
    Metric("reboots.*", "counter", "reboots", "reboots of charge points, by the reason they give their transactions"),
    Metric("hardware.faults", "counter", "faults", "connectors that became Faulted"),
    Metric("hardware.power_losses", "counter", "losses", "charge points that lost their power"),
    Metric("hardware.ev_disconnects", "counter", "cables", "cables pulled at the car while it charged"),
    Metric("transfers.ok", "counter", "transfers", "downloads and uploads that came to their end"),
    Metric("transfers.failed", "counter", "transfers", "downloads and uploads that did not"),
    Metric("faults.*.hit", "counter", "charge points", "charge points at which a planned fault happened, by fault"),
    Metric("faults.*.offline", "counter", "charge points", "of these, those that it took offline"),
    Metric("faults.*.back", "counter", "charge points", "of those offline, online again"),
    Metric("faults.*.gone", "counter", "charge points", "of those offline, taken offline by the plan meanwhile"),
    Metric("faults.*.messages_lost", "counter", "calls", "calls it ended, or that fell due meanwhile"),
    Metric("faults.*.sent.*", "counter", "messages", "malformed messages sent, by kind"),
    Metric("faults.*.survived.*", "counter", "messages", "of these: a later call on the connection was answered"),
    Metric(
        "faults.*.closed.*",
        "counter",
        "messages",
        "of these: the connection ended before that, and before another malformed message",
    ),
    Metric("outbox.waiting", "gauge", "messages", "transaction messages not yet delivered, those under way too"),
    Metric("charge_points.started", "gauge", "charge points", "planned to be online by now"),
    Metric("charge_points.online", "gauge", "charge points", "socket open and boot accepted"),
    Metric(
        "charge_points.online_peak", "gauge", "charge points", "the most online at a time since the last snapshot"
    ),
    Metric("charge_points.booting", "gauge", "charge points", "connecting, or connected and not yet accepted"),
    Metric("charge_points.backing_off", "gauge", "charge points", "waiting to connect again"),
    Metric("lateness", "histogram", "seconds", "actual minus due time of the simulator's own wake-ups"),
    Metric("gc_pause", "histogram", "seconds", "pauses of the garbage collector"),
    Metric("generator.cpu", "gauge", "share of a core", "CPU of the worker over the last second"),
    Metric("generator.rss", "gauge", "bytes", "resident memory of the worker"),
    Metric("generator.descriptors", "gauge", "descriptors", "open file descriptors of the worker"),
    Metric("generator.due", "counter", "charge points", "charge points that were to come online by the end"),
    Metric(
        "generator.broken", "counter", "charge points", "charge points that ended in an internal error of loadsim"
    ),
    Metric("generator.behind", "counter", "charge points", "of these, not begun at the end"),
    Metric(
        "generator.exhausted.*",
        "counter",
        "connects",
        "connects refused by this machine: EMFILE, EADDRNOTAVAIL",
    ),
)
