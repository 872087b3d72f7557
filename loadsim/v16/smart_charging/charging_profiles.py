"""The charging profiles that a charge point holds, and which prevails (OCPP 1.6, sections 3.13, 5.5 and 5.16)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec import UNSET

from loadsim.v16.connectors import Transaction
from loadsim.v16.messages.smart_charging import ClearChargingProfileRequest
from loadsim.v16.messages.types import ChargingProfile
from loadsim.v16.smart_charging.prepared_profile import FOREVER, PreparedProfile, Stretch, makes_sense, prepare

MAX_INSTALLED: Final = 20
"""MaxChargingProfilesInstalled."""


class ChargingProfiles:
    """The charging profiles of one charge point with so many *connectors*, each with so many *phases*."""

    __slots__ = ("_installed", "connectors", "phases")

    def __init__(self, connectors: int, phases: int) -> None:
        self.connectors = connectors
        self.phases = phases
        self._installed: list[PreparedProfile] = []  # the highest stack level first

    def __len__(self) -> int:
        return len(self._installed)

    # What the CSMS changes.

    def install(
        self, connector_id: int, profile: ChargingProfile, now: datetime, transaction: Transaction | None
    ) -> bool:
        """Add a profile or replace one (section 5.16); False if it makes no sense, or there is no room.

        One with the same id is replaced, wherever it is, and so is one with the same stack level and purpose on
        the same connector. *transaction* is the one that runs on the connector.
        """
        if not self._fits(connector_id, profile, transaction):
            return False
        made = prepare(connector_id, profile, now, self.phases)
        kept = [other for other in self._installed if not _replaces(made, other)]
        if len(kept) >= MAX_INSTALLED:
            return False
        self._put(kept, made)
        return True

    def install_with_transaction(self, connector_id: int, profile: ChargingProfile, now: datetime) -> None:
        """Install the profile that a remote start brought, as its transaction begins (section 5.16.2).

        The remote start was accepted with it, so that it comes in even where all places are taken: at most one
        more for each connector.
        """
        made = prepare(connector_id, profile, now, self.phases)
        self._put([other for other in self._installed if not _replaces(made, other)], made)

    def clear(self, request: ClearChargingProfileRequest) -> bool:
        """Remove one profile by its id, or all that match everything else that is given (section 5.5).

        Connector 0 means those of the charge point as a whole. Returns whether any matched.
        """
        kept = [profile for profile in self._installed if not _matches(profile, request)]
        matched = len(kept) < len(self._installed)
        self._installed = kept
        return matched

    def end_transaction(self, connector_id: int) -> None:
        """Forget the profiles that were for the transaction alone (section 3.13.1)."""
        self._installed = [p for p in self._installed if p.purpose != "TxProfile" or p.connector_id != connector_id]

    def _fits(self, connector_id: int, profile: ChargingProfile, transaction: Transaction | None) -> bool:
        if not 0 <= connector_id <= self.connectors or not makes_sense(profile):
            return False
        purpose = profile.charging_profile_purpose
        if purpose == "ChargePointMaxProfile":
            return connector_id == 0
        if purpose == "TxDefaultProfile":
            return True
        if connector_id == 0 or transaction is None:
            return False
        return profile.transaction_id is UNSET or profile.transaction_id == transaction.id

    def _put(self, kept: list[PreparedProfile], made: PreparedProfile) -> None:
        # Of one level, a connector's own comes before that of connector 0.
        self._installed = sorted([*kept, made], key=lambda p: (p.stack_level, p.connector_id), reverse=True)

    # What the profiles say.

    @property
    def limits_the_whole(self) -> bool:
        """Whether there is a limit that the connectors share."""
        return any(profile.purpose == "ChargePointMaxProfile" for profile in self._installed)

    def of_charge_point(self, moment: int) -> Stretch:
        """Return what all connectors together may draw at *moment*: ChargePointMaxProfile."""
        return _prevailing((p for p in self._installed if p.purpose == "ChargePointMaxProfile"), moment, moment)

    def of_connector(self, connector_id: int, moment: int, started: int) -> Stretch:
        """Return what a connector may draw at *moment* but for the limit that all share.

        That is its TxProfile where one has something to say then, else the TxDefaultProfile. *started* is when
        the transaction began; one that is not running yet begins at the moment that is asked about.
        """
        own = (p for p in self._installed if p.purpose == "TxProfile" and p.connector_id == connector_id)
        cap, until = _prevailing(own, moment, started)
        if cap is not None:
            return Stretch(cap, until)
        cap, ends = _prevailing(self._defaults(connector_id), moment, started)
        return Stretch(cap, min(until, ends))

    def _defaults(self, connector_id: int) -> Iterable[PreparedProfile]:
        level = -1
        for profile in self._installed:
            if profile.purpose != "TxDefaultProfile" or profile.connector_id not in (0, connector_id):
                continue
            if profile.stack_level != level:  # the connector's own comes first, and replaces that of all
                level = profile.stack_level
                yield profile


def _prevailing(profiles: Iterable[PreparedProfile], moment: int, started: int) -> Stretch:
    """Return what the first of *profiles* says that has something to say; it may be cut short by one before it."""
    until = FOREVER
    for profile in profiles:
        cap, ends = profile.at(moment, started)
        until = min(until, ends)
        if cap is not None:
            return Stretch(cap, until)
    return Stretch(None, until)


def _replaces(made: PreparedProfile, other: PreparedProfile) -> bool:
    same_place = made.connector_id == other.connector_id and made.purpose == other.purpose
    return made.id == other.id or (same_place and made.stack_level == other.stack_level)


def _matches(profile: PreparedProfile, request: ClearChargingProfileRequest) -> bool:
    if request.id is not UNSET:
        return profile.id == request.id
    return (
        request.connector_id in (UNSET, profile.connector_id)
        and request.charging_profile_purpose in (UNSET, profile.purpose)
        and request.stack_level in (UNSET, profile.stack_level)
    )
