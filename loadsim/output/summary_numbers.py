"""The pieces that summary.json is put together from: the numbers of calls, and of times."""

from __future__ import annotations

from typing import Any, Final

from loadsim.metrics.calls import CallNumbers
from loadsim.metrics.catalogue import CAUSES
from loadsim.metrics.histogram import Histogram

PERCENTILES: Final = (50, 90, 95, 99, 99.9)


def call_numbers(numbers: CallNumbers) -> dict[str, Any]:
    """Put together counts and times of calls."""
    return {
        "planned": numbers.planned,
        "sent": numbers.sent,
        "answered": numbers.answered,
        "accepted": numbers.accepted,
        "rejected": numbers.rejected,
        "pending": numbers.pending,
        "errors": {cause: getattr(numbers, cause) for cause in CAUSES},
        "open_at_end": numbers.open_at_end,
        "waiting_at_end": numbers.waiting_at_end,
        "skipped_offline": numbers.skipped_offline,
        "unexpected": numbers.unexpected,
        "rejection_rate": rounded(numbers.rejection_rate),
        "error_rate": rounded(numbers.errors / numbers.sent) if numbers.sent else None,
        "response_s": distribution(numbers.response),
        "service_s": distribution(numbers.service),
    }


def distribution(histogram: Histogram) -> dict[str, float | None]:
    """Return mean, percentiles and maximum in seconds; null without values."""
    return {
        "mean": rounded(histogram.mean),
        **{f"p{percent:g}": rounded(histogram.percentile(percent)) for percent in PERCENTILES},
        "max": rounded(histogram.max if histogram.n else None),
    }


def rounded(value: float | None) -> float | None:
    """Round to the microsecond, or a share to the millionth; None stays None."""
    return None if value is None else round(value, 6)
