"""Charge points to draw one from: those that a planned call is for, by what they have right now (no I/O)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator

from loadsim.charge_point.draws import Draws
from loadsim.v16.orders import Need


class Roster:
    """Identities: to add one, to take one out and to draw one cost the same, however many there are."""

    __slots__ = ("_listed", "_places")

    def __init__(self) -> None:
        self._listed: list[str] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._listed)

    def __contains__(self, identity: str) -> bool:
        return identity in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def set(self, identity: str, *, present: bool) -> None:
        """Have *identity* among them, or not."""
        if present:
            if identity not in self._places:
                self._places[identity] = len(self._listed)
                self._listed.append(identity)
            return
        place = self._places.pop(identity, None)
        if place is not None:
            last = self._listed.pop()
            if last != identity:
                self._listed[place] = last
                self._places[last] = place

    def draw(self, draws: Draws) -> str | None:
        """Draw one; None if there is none."""
        return self._listed[draws.below(len(self._listed))] if self._listed else None


class Field:
    """The charge points whose identities match a glob.

    *known* were accepted at some time, *online* are connected and accepted. Of these somebody waits at those
    *waiting*, those *free* have an Available connector, those *charging* a transaction that can be stopped, those
    *reserved* a reservation.
    """

    def __init__(self, glob: str) -> None:
        self._match = re.compile(fnmatch.translate(glob)).match
        self.known: dict[str, None] = {}
        self.online = Roster()
        self.waiting = Roster()
        self.free = Roster()
        self.charging = Roster()
        self.reserved = Roster()

    def __contains__(self, identity: str) -> bool:
        return self._match(identity) is not None

    def leave(self, identity: str) -> None:
        """Take *identity* out of all but the known ones: its connection has ended, or its boot was not accepted."""
        for roster in (self.online, self.waiting, self.free, self.charging, self.reserved):
            roster.set(identity, present=False)

    def draw(self, need: Need, draws: Draws) -> str | None:
        """Draw a charge point that has what is needed; to start, one at which somebody waits comes first."""
        if need is Need.START:
            return self.waiting.draw(draws) or self.free.draw(draws)
        return {
            Need.NOTHING: self.online,
            Need.FREE: self.free,
            Need.TRANSACTION: self.charging,
            Need.RESERVATION: self.reserved,
        }[need].draw(draws)
