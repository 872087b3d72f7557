"""How a car charges: a power that falls towards the end of what it wants, under a limit that may change (pure).

The curve is a staircase over the energy delivered, so that every step is exact: full power for the first 80 % of
the energy that the car wants, then less and less. Watts, watt-hours and seconds.
"""

from __future__ import annotations

import math
from typing import Final

# Share of the wanted energy up to which the car takes this share of the connector's power.
_CURVE: Final = ((0.80, 1.0), (0.85, 0.85), (0.90, 0.65), (0.95, 0.45), (1.0, 0.25))
_SECONDS_AN_HOUR: Final = 3600.0
_HARDLY_ANYTHING: Final = 1e-9


class Charge:
    """One car at one connector: *wanted* watt-hours, of which *delivered* are there, at up to *power* watts."""

    __slots__ = ("_end", "_watts", "delivered", "power", "wanted")

    def __init__(self, power: float, wanted: float) -> None:
        self.power = power
        self.wanted = wanted
        self.delivered = 0.0
        self._end = 0.0  # of the step of the curve that was looked up last, in watt-hours
        self._watts = 0.0

    @property
    def full(self) -> bool:
        """Whether the car has what it wants."""
        return self.wanted - self.delivered <= _HARDLY_ANYTHING

    def draws(self, limit: float) -> float:
        """Return the watts that the car takes now, where it may take *limit*."""
        return 0.0 if self.full else min(self._step()[1], limit)

    def advance(self, seconds: float, limit: float) -> float:
        """Charge for *seconds* under *limit*; return the watt-hours that were delivered."""
        before = self.delivered
        while seconds > 0 and not self.full:
            end, watts = self._step()
            watts = min(watts, limit)
            if watts <= 0:
                break
            needed = (end - self.delivered) / watts * _SECONDS_AN_HOUR
            if needed > seconds:
                self.delivered += watts * seconds / _SECONDS_AN_HOUR
                break
            self.delivered = end
            seconds -= needed
        return self.delivered - before

    def seconds_to(self, energy: float, limit: float) -> float:
        """Return how long it takes under *limit* until *energy* is delivered; infinity when it never is."""
        if energy > self.wanted + _HARDLY_ANYTHING or limit <= 0:
            return math.inf if energy > self.delivered else 0.0
        delivered, seconds = self.delivered, 0.0
        for share, part in _CURVE:
            end = min(share * self.wanted, energy)
            if end - delivered > _HARDLY_ANYTHING:
                seconds += (end - delivered) / min(part * self.power, limit) * _SECONDS_AN_HOUR
                delivered = end
        return seconds

    def _step(self) -> tuple[float, float]:
        """Return where the step of the curve ends, in watt-hours, and its watts."""
        if self._end - self.delivered <= _HARDLY_ANYTHING:
            self._end, self._watts = self._next_step()
        return self._end, self._watts

    def _next_step(self) -> tuple[float, float]:
        for share, part in _CURVE:
            end = share * self.wanted
            if end - self.delivered > _HARDLY_ANYTHING:
                return end, part * self.power
        return self.wanted, _CURVE[-1][1] * self.power
