"""transactionData: the samples that StopTransaction carries, as many as a message can hold (section 4.10; pure).

A car that is plugged in for days would fill megabytes, and a CSMS hangs up on a message that long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from loadsim.v16.messages.types import TransactionMeterValue, TransactionSampledValue

MOST_SAMPLES: Final = 500
"""Samples that are kept for one StopTransaction, from Transaction.Begin to Transaction.End."""

_INTERVAL: Final = "Energy.Active.Import.Interval"


def add_sample(data: list[TransactionMeterValue], sample: TransactionMeterValue) -> int:
    """Add the newest sample to *data*, thinned out first where that is full; return how many were left out."""
    left_out = 0
    if len(data) >= MOST_SAMPLES:
        thin = thinned(data)
        left_out = len(data) - len(thin)
        data[:] = thin
    data.append(sample)
    return left_out


def thinned(data: Sequence[TransactionMeterValue]) -> list[TransactionMeterValue]:
    """Leave out every second sample of each kind (periodic, clock-aligned), but neither the first nor the last.

    The energy of an interval that is left out is added to the next of its kind, so that the sum stays right.
    """
    stays = _every_second_from_the_last(data)
    kept: list[TransactionMeterValue] = []
    carried: Counter[str] = Counter()
    for sample, stay in zip(data, stays, strict=True):
        kind = _kind(sample)
        told = [int(value.value) for value in sample.sampled_value if value.measurand == _INTERVAL]
        carried[kind] += sum(told)
        if stay:
            kept.append(_with_interval(sample, carried.pop(kind)) if told else sample)
    return kept


def _every_second_from_the_last(data: Sequence[TransactionMeterValue]) -> list[bool]:
    later: Counter[str] = Counter()
    stays: list[bool] = []
    for sample in reversed(data):
        kind = _kind(sample)
        stays.append(later[kind] % 2 == 0 or len(stays) == len(data) - 1)
        later[kind] += 1
    return stays[::-1]


def _kind(sample: TransactionMeterValue) -> str:
    return str(sample.sampled_value[0].context) if sample.sampled_value else ""


def _with_interval(sample: TransactionMeterValue, energy: int) -> TransactionMeterValue:
    def with_energy(value: TransactionSampledValue) -> TransactionSampledValue:
        return msgspec.structs.replace(value, value=str(energy)) if value.measurand == _INTERVAL else value

    return msgspec.structs.replace(sample, sampled_value=tuple(with_energy(value) for value in sample.sampled_value))
