"""transactionData: bounded, and still of the whole transaction."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, cast

from hypothesis import given
from hypothesis import strategies as st
from trio import sleep
from trio.testing import MockClock

from loadsim.v16.messages.types import ReadingContext, TransactionMeterValue, TransactionSampledValue
from loadsim.v16.transaction_data import MOST_SAMPLES, add_sample, thinned
from tests.support import world
from tests.v16.sessions import PUNCTUAL

REGISTER: Final = "Energy.Active.Import.Register"
INTERVAL: Final = "Energy.Active.Import.Interval"
KINDS: Final[tuple[ReadingContext, ...]] = ("Sample.Periodic", "Sample.Clock")


def sample(number: int, context: ReadingContext, energy: int = 1) -> TransactionMeterValue:
    """Return the *number*-th sample of a transaction, of an interval in which *energy* flew (Wh)."""
    return TransactionMeterValue(
        timestamp=f"2026-11-22T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z",
        sampled_value=(
            TransactionSampledValue(value=str(number), context=context, measurand=REGISTER),
            TransactionSampledValue(value=str(energy), context=context, measurand=INTERVAL),
        ),
    )


def numbers(data: list[TransactionMeterValue]) -> list[int]:
    return [int(each.sampled_value[0].value) for each in data]


def energy_of(data: list[TransactionMeterValue], kind: str) -> int:
    return sum(int(each.sampled_value[1].value) for each in data if each.sampled_value[1].context == kind)


@given(st.integers(0, 4 * MOST_SAMPLES), st.lists(st.sampled_from(KINDS), min_size=1, max_size=7), st.integers(0, 50))
def test_a_long_transaction_keeps_order_begin_end_energy_and_the_bound(
    length: int, kinds: list[ReadingContext], energy: int
) -> None:
    contexts = [kinds[number % len(kinds)] for number in range(length)]
    everything = [
        sample(number, context, energy + number % 3)
        for number, context in enumerate(["Transaction.Begin", *contexts, "Transaction.End"])
    ]
    data: list[TransactionMeterValue] = []
    left_out = 0
    for each in everything:
        left_out += add_sample(data, each)
        assert len(data) <= MOST_SAMPLES
        assert data[-1] == each

    assert all(before < after for before, after in pairwise(numbers(data)))
    assert (data[0], data[-1]) == (everything[0], everything[-1])
    assert len(data) + left_out == len(everything)
    assert left_out == 0 or len(data) > MOST_SAMPLES / 2
    for kind in KINDS:
        assert energy_of(data, kind) == energy_of(everything, kind)


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=60))
def test_thinning_halves_every_kind_and_leaves_no_gap_of_more_than_one_of_it(contexts: list[ReadingContext]) -> None:
    data = [sample(number, context) for number, context in enumerate(contexts)]
    kept = set(numbers(thinned(data)))

    assert {0, len(data) - 1} <= kept
    for kind in KINDS:
        of_kind = [number in kept for number, context in enumerate(contexts) if context == kind]
        assert sum(of_kind) <= len(of_kind) // 2 + 1
        assert all(before or after for before, after in pairwise(of_kind))
        assert of_kind[-1:] in ([], [True])


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_energy_is_carried_past_samples_that_do_not_tell_it(tells: list[bool]) -> None:
    data = [sample(number, "Sample.Periodic", energy=1 if tell else 0) for number, tell in enumerate(tells)]
    data = [
        each if tell else TransactionMeterValue(timestamp=each.timestamp, sampled_value=each.sampled_value[:1])
        for each, tell in zip(data, tells, strict=True)
    ]
    data.append(sample(len(data), "Sample.Periodic"))

    told = [int(value.value) for each in thinned(data) for value in each.sampled_value[1:]]
    assert sum(told) == sum(tells) + 1


async def test_a_stop_carries_500_samples_at_most_which_span_the_transaction_and_the_rest_is_counted(
    autojump_clock: MockClock,
) -> None:
    keys = {
        "MeterValueSampleInterval": "10",
        "MeterValuesSampledData": "",
        "ClockAlignedDataInterval": "10",
        "MeterValuesAlignedData": "",
        "StopTxnSampledData": f"{REGISTER},{INTERVAL}",
        "StopTxnAlignedData": REGISTER,
    }
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration=keys)
        w.arrive(charge_point, plugged_in=8 * 3600.0 + 5.0, energy=40_000.0)
        await sleep(8 * 3600 + 60)

        (stop,) = w.csms.calls("StopTransaction")
        data = cast("list[dict[str, Any]]", stop.payload["transactionData"])
        (start,) = w.csms.calls("StartTransaction")
        contexts = [each["sampledValue"][0]["context"] for each in data]
        times = [each["timestamp"] for each in data]
        assert MOST_SAMPLES / 2 < len(data) <= MOST_SAMPLES
        assert len(data) + w.counted("transaction_data.thinned") == 2 * 8 * 360 + 2  # of both kinds, Begin and End
        assert (contexts[0], contexts[-1]) == ("Transaction.Begin", "Transaction.End")
        assert times == sorted(times)
        assert times[0] == start.payload["timestamp"]
        assert times[-1] == stop.payload["timestamp"]
        assert min(contexts.count("Sample.Periodic"), contexts.count("Sample.Clock")) > MOST_SAMPLES / 5
        intervals = [
            int(value["value"])
            for each in data
            for value in each["sampledValue"]
            if value["measurand"] == INTERVAL and value["context"] != "Transaction.Begin"
        ]
        assert sum(intervals) == stop.payload["meterStop"] - start.payload["meterStart"]
