"""A central system: its settings, its charge points by identity, and the count of what it answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from loadsim.ocpp.action import Action
from loadsim.v16.central.session import ChargePointSession
from loadsim.v16.central.settings import CentralSettings, check_settings
from loadsim.v16.central.store import KnownChargePoint, Store, StoreFailed
from loadsim.v16.central.tags import Tags
from loadsim.v16.central.transactions import Transactions

UNKNOWN_ACTION: Final = "(unknown)"
"""All names that are no action of OCPP 1.6 count as one, for they come from the other side."""
OTHER_VERSIONS: Final = "(others)"
MOST_VERSIONS: Final = 20
"""Firmware versions that a record names; the rarer ones count as one."""


class ActionCounts:
    """What became of the calls of one action; what was received and is no more was not answered in time."""

    __slots__ = ("answered", "errors", "received", "refused")

    def __init__(self) -> None:
        self.received = 0
        self.answered = 0
        self.refused: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers; *refused* are among *answered*, by status, *errors* by code."""
        return {
            "received": self.received,
            "answered": self.answered,
            "refused": dict(self.refused),
            "errors": dict(self.errors),
        }


class Central:
    """A central system. What is not in its *store*, or all where there is none, ends with the process.

    *on_csr* takes a SignCertificate's charge point and PEM text, and says whether a certificate will follow.
    """

    def __init__(self, settings: CentralSettings, store: Store | None = None) -> None:
        """Take the settings, and from the store what is known already.

        Raises:
            UsageError: a status is none of OCPP's, a share is none, a tag too long or an expiry no date-time.
            StoreFailed: the store cannot be read.
        """
        check_settings(settings)
        self.interval = settings.interval
        self.boot_status = settings.boot_status
        self.concurrent_tx = settings.concurrent_tx
        self.tags = Tags(settings)
        self.transactions = Transactions(store)
        self.boots: Counter[str] = Counter()
        self.security_events = 0
        self.on_csr: Callable[[ChargePointSession, str], bool] | None = None
        self._store = store
        self._store_failures: Counter[str] = Counter()
        self._charge_points: dict[str, ChargePointSession] = {}
        self._counts: dict[str, ActionCounts] = {}
        for known in () if store is None else store.charge_points():
            session = self.charge_point(known.identity)
            session.boots, session.accepted = known.boots, known.accepted
            session.firmware_version = known.firmware_version

    @property
    def charge_points(self) -> Iterable[ChargePointSession]:
        """All that are known, connected or not."""
        return self._charge_points.values()

    def charge_point(self, identity: str) -> ChargePointSession:
        """Return what is known of *identity*; it outlives the charge point's connections."""
        session = self._charge_points.get(identity)
        if session is None:
            session = self._charge_points[identity] = ChargePointSession(self, identity)
        return session

    def register(self, session: ChargePointSession, *, accepted: bool, firmware_version: str | None) -> None:
        """Take note of a boot, in the store first.

        Raises:
            StoreFailed: it cannot be stored; nothing has changed.
        """
        boots = session.boots + 1
        if self._store is not None:
            self._store.save_charge_point(
                KnownChargePoint(
                    identity=session.identity, boots=boots, accepted=accepted, firmware_version=firmware_version
                )
            )
        session.boots, session.accepted, session.firmware_version = boots, accepted, firmware_version

    def count(self, name: str) -> ActionCounts:
        """Return the counts of the action *name*."""
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = ActionCounts()
        return counts

    def count_of(self, action: Action | None) -> ActionCounts:
        """Return the counts of *action*, None being any that OCPP does not know."""
        return self.count(UNKNOWN_ACTION if action is None else action.name)

    def store_failed(self, error: StoreFailed) -> None:
        """Count a failure of the store."""
        self._store_failures[str(error)] += 1

    def record(self) -> dict[str, Any]:
        """Return what was received and answered so far: plain numbers by name, for JSON."""
        sessions = self._charge_points.values()
        connectors = (each.connector_status.items() for each in sessions)
        return {
            "charge_points": {"known": len(sessions), "accepted": sum(session.accepted for session in sessions)},
            "boots": dict(self.boots),
            "actions": {name: counts.as_dict() for name, counts in sorted(self._counts.items())},
            "transactions": self.transactions.record(),
            "statuses": _counted(status for items in connectors for connector, status in items if connector),
            "firmware": {
                "statuses": _counted(each.firmware_status for each in sessions),
                "versions": _most_common(Counter(_known(each.firmware_version for each in sessions))),
            },
            "diagnostics": _counted(each.diagnostics_status for each in sessions),
            "logs": _counted(each.log_status for each in sessions),
            "security_events": self.security_events,
            "store_failures": dict(self._store_failures),
        }


def _known(values: Iterable[str | None]) -> Iterable[str]:
    return (value for value in values if value is not None)


def _counted(values: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(_known(values)).items()))


def _most_common(versions: Counter[str]) -> dict[str, int]:
    named = dict(versions.most_common(MOST_VERSIONS))
    others = versions.total() - sum(named.values())
    return named if not others else {**named, OTHER_VERSIONS: others}
