"""Exact shares of a fleet: which of its charge points fail, the same whatever the number of workers (pure).

A charge point knows its own number and the fleet's size, nothing of the others. So the fleet is shuffled by a
permutation that anyone can compute at one place: a Feistel network over the next even power of two, with cycle
walking (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_ROUNDS: Final = 8  # four make a permutation look random; so few bits a half want more
_MASK: Final = 0xFFFFFFFFFFFFFFFF


def position(n: int, size: int, key: str) -> int:
    """Return where number *n* of 0 .. *size* - 1 stands in the order that *key* shuffles them into.

    Raises:
        ValueError: *n* is not one of them.
    """
    if not 0 <= n < size:
        raise ValueError(f"{n} is not within 0 .. {size - 1}")
    half = max((size - 1).bit_length() + 1, 2) // 2
    mask = (1 << half) - 1
    seed = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
    while True:
        left, right = n >> half, n & mask
        for number in range(_ROUNDS):
            left, right = right, left ^ (_mixed(seed + (number << 32) + right) & mask)
        n = left << half | right
        if n < size:  # a cycle that began within comes back there
            return n


def chosen(n: int, size: int, key: str, *shares: float) -> int | None:
    """Return of which of *shares* number *n* of *size* is, None of none of them.

    A share is exactly ``round(share * size)`` of them; no one is of two, and what does not fit any more is left
    out of the last.
    """
    if not any(shares):
        return None
    place, end = position(n, size, key), 0
    for index, share in enumerate(shares):
        end += round(share * size)
        if place < end:
            return index
    return None


def _mixed(value: int) -> int:
    """Spread every bit of *value* over 64: the finalizer of SplitMix64."""
    value = (value * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
