"""Which driver comes next: id tags in classes, drawn by share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from loadsim.charge_point.draws import Draws


class DrawnTag(NamedTuple):
    """An id tag, its class, and the status the CSMS is expected to give it."""

    id_tag: str
    tag_class: str
    expect: str


@dataclass(frozen=True, slots=True)
class TagClassPool:
    """The tags of one class; *tag* gives tag n of *count*, from 0; *share* is relative to the other classes."""

    name: str
    expect: str
    share: float
    count: int
    tag: Callable[[int], str]


class TagPool:
    """The tags that a fleet's drivers carry."""

    def __init__(self, classes: Sequence[TagClassPool]) -> None:
        self._classes = tuple(classes)
        self._cumulative = tuple(accumulate(pool.share for pool in classes))

    def draw(self, draws: Draws) -> DrawnTag:
        """Draw a class by its share, then one of its tags; always two draws."""
        pool = self._classes[draws.choice(self._cumulative)]
        return DrawnTag(pool.tag(draws.below(pool.count)), pool.name, pool.expect)

    def draw_from(self, tag_class: str, draws: Draws) -> str:
        """Draw one of the tags of *tag_class*; one draw."""
        pool = next(pool for pool in self._classes if pool.name == tag_class)
        return pool.tag(draws.below(pool.count))
