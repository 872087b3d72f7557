"""Durations and energies that differ from one session to the next: drawn by one uniform number each (pure)."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

import msgspec

Kind = Literal["fixed", "uniform", "normal", "lognormal"]

_SMALLEST = 2.0**-53


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """How a quantity is spread, in SI units.

    ``fixed``: *a* always. ``uniform``: from *a* to *b*. ``normal``: mean *a*, standard deviation *b*, cut off
    (not piled up) below *least* and above *most*. ``lognormal``: median *a*, and *b* the standard deviation of
    the natural logarithm.
    """

    kind: Kind = "fixed"
    a: float
    b: float = 0.0
    least: float = 0.0
    most: float = math.inf

    def draw(self, uniform: float) -> float:
        """Turn *uniform*, from [0, 1), into a value, by the inverse of the distribution function."""
        if self.kind == "fixed" or (self.kind != "uniform" and self.b == 0):
            return self.a
        if self.kind == "uniform":
            return self.a + (self.b - self.a) * uniform
        uniform = min(max(uniform, _SMALLEST), 1 - _SMALLEST)
        if self.kind == "lognormal":
            return self.a * math.exp(self.b * NormalDist().inv_cdf(uniform))
        bell = NormalDist(self.a, self.b)
        low = bell.cdf(self.least)
        high = bell.cdf(self.most) if self.most < math.inf else 1.0
        if high - low < 1e-12:  # all of it lies outside: the nearer end
            return min(max(self.a, self.least), self.most)
        share = min(max(low + (high - low) * uniform, _SMALLEST), 1 - _SMALLEST)
        return min(max(bell.inv_cdf(share), self.least), self.most)


def fixed(value: float) -> Distribution:
    """Return the distribution of a quantity that is always *value*."""
    return Distribution(a=value)


def uniform(low: float, high: float) -> Distribution:
    """Return the distribution of a quantity that is as likely anywhere from *low* to *high*."""
    return Distribution(kind="uniform", a=low, b=high)
