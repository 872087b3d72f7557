"""What the truth server's own record says of a run: its beginning, its stages, and who came back when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any, Final

from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import Arrivals
from loadsim.v16.open_arrivals import arrival_times

_EARLY: Final = 0.1
"""Seconds: so much later than the run a connection may have come that tells when it began."""

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


def with_due(record: Mapping[str, Any], dues: Mapping[str, Sequence[float]]) -> list[tuple[float, float]]:
    """Return of each Authorize when it fell due, in seconds of the run, and how long the server took.

    *dues* are the plan's moments by identity. A charge point sends in their order, but for the first ones, which it
    skips while it is not yet online: as many as let none be sent before it was due.
    """
    zero = beginning(record)
    by_identity: dict[str, list[Mapping[str, Any]]] = {}
    for each in sorted(record["authorized"], key=lambda each: float(each["received"])):
        by_identity.setdefault(each["identity"], []).append(each)
    found = []
    for identity, sent in by_identity.items():
        due = dues[identity]
        skipped = max(
            skipped
            for skipped in range(len(due) - len(sent) + 1)
            if all(each["received"] - zero >= due[skipped + k] - _EARLY for k, each in enumerate(sent))
        )
        found += [(due[skipped + k], each["ms"] / 1e3) for k, each in enumerate(sent)]
    return found


def planned_dues(fleet: str, count: int, *, seed: int, rate: float, until: float) -> dict[str, list[float]]:
    """Return when each charge point's own Authorizes fall due, in seconds of the run; all begin at 0."""
    return {
        f"{fleet}-{n + 1:05}": list(
            takewhile(
                lambda due: due < until, arrival_times(Arrivals(rate=rate), 0.0, Draws(seed, fleet, n, "arrivals 1"))
            )
        )
        for n in range(count)
    }


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
