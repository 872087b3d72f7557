"""How long charge points were online, summed and split by stage: an integral fed by every change of their number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_PLACES: Final = 9


def share_online(seconds: float, planned: float) -> float | None:
    """Return which share of the *planned* seconds charge points were online; None when none were planned.

    Sums of floats are off by their rounding: who was online all the time was so for 100 %, and no less.
    """
    return round(seconds / planned, _PLACES) if planned else None


class OnlineTime:
    """Seconds that charge points spent online since the last time they were asked for, by the index of the stage.

    What is before the run's start or after its end belongs to no stage.
    """

    def __init__(self, stage_ends: Sequence[float] = ()) -> None:
        """Make it with nobody online.

        Args:
            stage_ends: when each stage ends, in seconds of the run; without any, everything is in stage 0.
        """
        self._ends = tuple(stage_ends) or (math.inf,)
        self._online = 0
        self._at = 0.0
        self._stage = 0
        self._ended_at = self._ends[-1]
        self._seconds: dict[int, float] = {}

    def change(self, at: float, by: int) -> None:
        """Note that from *at* on, in seconds of the run, *by* more charge points are online; negative for fewer."""
        self._advance(at)
        self._online += by

    def end(self, at: float) -> None:
        """Note that the run ends *at* its so many seconds, before its plan does."""
        self._ended_at = min(at, self._ended_at)

    def drain(self, at: float) -> dict[int, float]:
        """Return the seconds up to *at*, by stage, and begin anew; stages without any are left out."""
        self._advance(at)
        seconds, self._seconds = self._seconds, {}
        return seconds

    def _advance(self, to: float) -> None:
        to = min(to, self._ended_at)
        while self._at < to:
            until = min(to, self._ends[self._stage])
            if self._online and until > self._at:
                spent = self._online * (until - self._at)
                self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + spent
            self._at = until
            if until < to:
                self._stage += 1
