"""How long a fault's charge points took to come back (pure); nothing of it is an estimate.

A charge point that a fault took *offline* comes *back*, or the plan takes it offline meanwhile (*gone*), or it is
*missing* at the end. The times are until a share of those offline, less the gone ones, is back: who is still missing
counts among the slowest, so that a share that was never reached has no time.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from loadsim.metrics.snapshot import CENTISECOND, Totals

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Charge points that a fault *hit*, what became of those that it took *offline*, and the calls that it cost.

    *times* count those that are back by hundredths of a second since the fault.
    """

    hit: int
    offline: int
    back: int
    gone: int
    messages_lost: int
    times: Counter[int]

    @property
    def missing(self) -> int:
        """Charge points that it took offline and that are neither back nor gone."""
        return max(0, self.offline - self.back - self.gone)

    def time_until(self, share: float) -> float | None:
        """Return after how many seconds *share* (above 0, at most 1) of those that can come back were back.

        None when that many are not back, and when there was nobody to come back.
        """
        return time_until(self.times, self.offline - self.gone, share)

    @property
    def time_until_all(self) -> float | None:
        """After how many seconds all were back: 0 when it hit and took nobody offline, None when it hit nobody."""
        if self.hit and not self.offline:
            return 0.0
        return self.time_until(1.0)


def recovery(totals: Totals, fault: str) -> Recovery:
    """Put together what is known of *fault*, by its name."""
    hit, offline, back, gone, messages_lost = (
        totals.counters[f"faults.{fault}.{what}"] for what in ("hit", "offline", "back", "gone", "messages_lost")
    )
    return Recovery(
        hit=hit,
        offline=offline,
        back=back,
        gone=gone,
        messages_lost=messages_lost,
        times=totals.recoveries.get(fault, Counter()),
    )


def time_until(times: Counter[int], of: int, share: float) -> float | None:
    """Return after how many seconds *share* of the *of* charge points were back; None when that many are not.

    Args:
        times: charge points that are back, by hundredths of a second.
        of: those that can be back, at most.
        share: above 0 and at most 1; it is reached with the charge point of rank ceil(share * of).
    """
    if of <= 0:
        return None
    missing = max(1, math.ceil(share * of - _ROUNDING))
    for hundredths, count in sorted(times.items()):
        missing -= count
        if missing <= 0:
            return round(hundredths * CENTISECOND, 2)  # 57 * 0.01 is more than 0.57
    return None
