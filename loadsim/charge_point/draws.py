"""Random draws of a charge point, keyed by what they are for: the same whatever the number of workers.

SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): a counter
in steps of the golden ratio, mixed. 76 bytes a stream, where a `random.Random` takes 2.5 KB.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b

_GAMMA = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF
_UNIT = 2.0**-53


class Draws:
    """A stream of draws that depends on (*seed*, *fleet*, *n*, *purpose*) alone."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, fleet: str, n: int, purpose: str) -> None:
        key = f"{seed}\0{fleet}\0{n}\0{purpose}".encode()
        self._state = int.from_bytes(blake2b(key, digest_size=8).digest(), "big")

    def uniform(self) -> float:
        """Draw from [0, 1), each of 2**53 values as likely."""
        self._state = z = (self._state + _GAMMA) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) >> 11) * _UNIT

    def between(self, low: float, high: float) -> float:
        """Draw from [low, high)."""
        return low + (high - low) * self.uniform()

    def below(self, count: int) -> int:
        """Draw one of 0 .. *count* - 1; *count* is far below 2**53, so the bias is nil."""
        return int(self.uniform() * count)

    def exponential(self, rate: float) -> float:
        """Draw the wait for the next arrival of a Poisson process of *rate* per second; never, at rate 0."""
        return -math.log1p(-self.uniform()) / rate if rate > 0 else math.inf

    def choice(self, cumulative: Sequence[float]) -> int:
        """Draw an index by weight; *cumulative* are the running sums of the weights, the last above 0."""
        return bisect_right(cumulative, self.uniform() * cumulative[-1], 0, len(cumulative) - 1)
