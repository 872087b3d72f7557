"""How long to wait before the next try: growing, with jitter (OCPP-J errata 3.3)."""

from __future__ import annotations

from loadsim.charge_point.settings import Backoff


def wait_before_try(backoff: Backoff, failures: int, uniform: float) -> float:
    """Return the seconds to wait after *failures* tries in a row that failed (at least 1).

    *uniform* in [0, 1) places the wait within the jitter, which is a share of it to both sides.
    """
    # factor ** 1000 overflows; the maximum has been reached long before.
    grown = backoff.first * backoff.factor ** min(failures - 1, 64)
    wait = min(grown, backoff.max)
    return wait * (1 + backoff.jitter * (2 * uniform - 1))
