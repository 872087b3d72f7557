"""What the truth server's own record says of a run: its beginning, its stages, and who came back when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

Visits = dict[str, list[dict[str, Any]]]


def visits_of(record: Mapping[str, Any]) -> Visits:
    """Return the connections that opened, by identity, in their order."""
    visits: Visits = {}
    for visit in record["visits"]:
        if visit["opened"] is not None:
            visits.setdefault(visit["identity"], []).append(visit)
    return visits


def beginning(record: Mapping[str, Any], *, tried: int = 1) -> float:
    """Return when a run began at which everybody came at once, in seconds since 1970, some milliseconds late.

    The first *tried* connections are those of the preflight.
    """
    return float(record["visits"][tried]["accepted"])


def stage_figures(
    authorized: Iterable[Mapping[str, Any]], begin: float, end: float, percentiles: Sequence[str]
) -> dict[str, float]:
    """Return percentiles of the Authorizes received from *begin* on and before *end*, and their count; seconds."""
    took = sorted(each["ms"] / 1e3 for each in authorized if begin <= each["received"] < end)
    shares = {name: float(name.removeprefix("p")) / 100 for name in percentiles}
    return {"count": len(took), **{name: at_rank(took, share) for name, share in shares.items()}}


def at_rank(ordered: Sequence[float], share: float) -> float:
    """Return the value of rank ceil(share * n)."""
    return ordered[max(1, math.ceil(share * len(ordered) - 1e-9)) - 1]


def came_back(visits: Visits, moment: float, *, booted: bool = False) -> dict[str, float]:
    """Return, of whoever's connection ended at *moment* or within half a second of it, how long the way back took.

    It ends when the next connection has opened, or when a boot was answered on it.
    """
    took = {}
    for identity, of in visits.items():
        for ended, back in pairwise(of):
            if ended["ended"] is not None and -0.01 <= ended["ended"] - moment < 0.5:
                took[identity] = back["booted" if booted else "opened"] - moment
    return took


def first_end(visits: Visits) -> float:
    """Return when the first of the connections ended that another one followed."""
    return min(float(of[0]["ended"]) for of in visits.values() if len(of) > 1)
