"""One planned call while it is carried out: its draws, its moments, and the count of what became of it (no I/O)."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Any

from loadsim.charge_point.draws import Draws
from loadsim.charge_point.tags import TagClassPool, TagPool
from loadsim.csms.roster import Field
from loadsim.errors import UsageError
from loadsim.ocpp.action import InvalidPayload
from loadsim.scenario.plan import DEFAULT_TAGS, PlannedCall
from loadsim.v16.orders import SAMPLE, fill, make_request, need_of


class Planned:
    """A planned call, the charge points it is for, and the count of what became of it.

    *due* is the sum of *called*, of *no_target* (no charge point that it suits was connected), of *moot* (what it
    was to follow did not hold any more) and of *invalid* (no request could be made). *lateness* in seconds.
    """

    def __init__(self, plan: PlannedCall, field: Field, *, seed: int, number: int) -> None:
        """Take the plan.

        Raises:
            UsageError: no request can be made of it.
        """
        try:
            make_request(plan.send, fill(plan.send, plan.payload, SAMPLE))
        except (InvalidPayload, ValueError) as error:
            raise UsageError(f"the planned call {plan.name!r}, {plan.send}: {error}") from error
        self.plan = plan
        self.field = field
        self.need = need_of(plan.send, plan.payload)
        self.draws = Draws(seed, "csms", number, plan.name)
        self.called = 0
        self.no_target = 0
        self.moot = 0
        self.invalid = 0
        self.lateness = 0.0
        self.streams: dict[str, Draws] = {}
        self._seed = seed
        self._number = number
        classes = [
            TagClassPool(each.name, each.expect, each.count, each.count, each.tag)
            for each in plan.tags or (DEFAULT_TAGS,)
        ]
        self._tags = TagPool(classes)

    def draw_tag(self) -> str:
        """Draw an id tag, each as likely as any other."""
        return self._tags.draw(self.draws).id_tag

    def within(self, moment: float) -> bool:
        """Tell whether a call may fall due at *moment*, in seconds from the beginning."""
        return self.plan.begin <= moment < (math.inf if self.plan.end is None else self.plan.end)

    def first_gap(self, rate: float, draws: Draws) -> float:
        """Draw the seconds to the first call; at equal distances they are not in phase."""
        return draws.uniform() / rate if self.plan.spacing == "even" else draws.exponential(rate)

    def gap(self, rate: float, draws: Draws) -> float:
        """Draw the seconds from one call to the next."""
        return 1 / rate if self.plan.spacing == "even" else draws.exponential(rate)

    def stream(self, identity: str) -> Draws:
        """Return the draws for *identity* alone, which do not depend on who else is there."""
        draws = self.streams.get(identity)
        if draws is None:
            draws = self.streams[identity] = Draws(self._seed, identity, self._number, self.plan.name)
        return draws

    def chosen(self) -> list[str]:
        """Return the exact share of the known charge points that the seed chooses, in the order of their calls."""
        ranked = sorted(self.field.known, key=self._rank)
        return ranked[: int(len(ranked) * self.plan.share + 0.5)]

    def _rank(self, identity: str) -> bytes:
        return blake2b(f"{self._seed}\0{self.plan.name}\0{identity}".encode(), digest_size=8).digest()

    def record(self) -> dict[str, Any]:
        """Return plain numbers by name, for JSON."""
        return {
            "action": self.plan.send,
            "due": self.called + self.no_target + self.moot + self.invalid,
            "called": self.called,
            "no_target": self.no_target,
            "moot": self.moot,
            "invalid": self.invalid,
            "lateness_max_s": self.lateness,
        }
