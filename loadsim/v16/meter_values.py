"""Meter values: what a meter shows, in the measurands that are asked for (OCPP 1.6, sections 3.16 and 4.7).

Errata 3.14 to 3.16: sampled data come at the interval since the transaction's start, clock-aligned data at
multiples of theirs since midnight; 0 is none of them. What StopTxn...Data names is sent with StopTransaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from msgspec import UNSET, UnsetType

from loadsim.charge_point.alarm import Alarm
from loadsim.charge_point.charge_point import ChargePoint
from loadsim.v16.configuration import integer, items
from loadsim.v16.connectors import VOLTAGE, Connector, Transaction
from loadsim.v16.memory import connector_of, is_accepted, memory_of
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.types import (
    MeterValue,
    ReadingContext,
    SampledValue,
    TransactionMeterValue,
    TransactionSampledValue,
    UnitOfMeasure,
)
from loadsim.v16.transaction_data import add_sample
from loadsim.v16.transactions import put_sample
from loadsim.v16.waiting import due_at

if TYPE_CHECKING:
    from loadsim.v16.session import Session

_DAY: Final = timedelta(days=1)
_END: Final = datetime.max.replace(tzinfo=UTC)
_JUST: Final = timedelta(seconds=5)
"""How far a clock is set that is only corrected: what it was set past is still of that time."""


class Reading(NamedTuple):
    """What a meter shows: watt-hours in all and since the last sample of its kind, watts taken and offered.

    *state_of_charge* is a share of the car's battery, None without a car.
    """

    register: int
    interval: int
    power: float
    offered: float
    phases: int
    state_of_charge: float | None


def _current(watts: float, phases: int) -> float:
    return watts / (VOLTAGE * phases)


class SampleKind(NamedTuple):
    """A kind of sample: its context, and the keys that name what is sent, and what is kept for the stop."""

    context: ReadingContext
    sent: str
    at_stop: str


PERIODIC: Final = SampleKind("Sample.Periodic", "MeterValuesSampledData", "StopTxnSampledData")
_ALIGNED: Final = SampleKind("Sample.Clock", "MeterValuesAlignedData", "StopTxnAlignedData")

_MEASURED: Final[dict[str, tuple[UnitOfMeasure | UnsetType, Callable[[Reading], str | None]]]] = {
    "Energy.Active.Import.Register": ("Wh", lambda reading: str(reading.register)),
    "Energy.Active.Import.Interval": ("Wh", lambda reading: str(reading.interval)),
    "Power.Active.Import": ("W", lambda reading: f"{reading.power:.0f}"),
    "Power.Offered": ("W", lambda reading: f"{reading.offered:.0f}"),
    "Current.Import": ("A", lambda reading: f"{_current(reading.power, reading.phases):.1f}"),
    "Current.Offered": ("A", lambda reading: f"{_current(reading.offered, reading.phases):.1f}"),
    "Voltage": ("V", lambda _: f"{VOLTAGE:.1f}"),
    "Frequency": (UNSET, lambda _: "50.0"),  # StopTransaction's schema has no unit for it
    "Temperature": ("Celsius", lambda reading: f"{21 + reading.power / 1000:.1f}"),
    "SoC": ("Percent", lambda reading: _percent(reading.state_of_charge)),
}


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share * 100:.0f}"


def read_meter(charge_point: ChargePoint, connector_id: int) -> Reading:
    """Read a connector's meter now; that of connector 0 is the sum of all."""
    if connector_id == 0:
        each = [read_meter(charge_point, number) for number in range(1, charge_point.settings.connectors + 1)]
        return Reading(
            register=sum(reading.register for reading in each),
            interval=sum(reading.interval for reading in each),
            power=sum(reading.power for reading in each),
            offered=sum(reading.offered for reading in each),
            phases=charge_point.settings.phases,
            state_of_charge=None,
        )
    connector = connector_of(charge_point, connector_id)
    session: Session | None = connector.session
    if session is None:
        return Reading(connector.reading, 0, 0.0, 0.0, charge_point.settings.phases, None)
    return session.read_meter()


def sampled(
    names: Sequence[str], reading: Reading, context: ReadingContext, kind: type[SampledValue]
) -> tuple[SampledValue, ...]:
    """Write *reading* in the measurands *names*; *kind* is the struct of the message it is for."""
    values = []
    for name in names:
        unit, measure = _MEASURED[name]
        value = measure(reading)
        if value is not None:
            values.append(kind(value=value, context=context, measurand=name, unit=unit))  # type: ignore[arg-type]
    return tuple(values)


def send_sample(
    charge_point: ChargePoint,
    connector: Connector,
    transaction: Transaction | None,
    read: Callable[[], Reading],
    kind: SampleKind,
    due: float,
) -> None:
    """Take a sample now of what *read* says that the meter shows, if any is asked for; send it, keep it, or both."""
    names = items(charge_point, kind.sent)
    at_stop = () if transaction is None else items(charge_point, kind.at_stop)
    if not (names or at_stop):
        return
    reading = _interval_read(connector, read(), kind)
    timestamp = format_date_time(charge_point.now())
    values = sampled(names, reading, kind.context, SampledValue)
    if values:
        value = MeterValue(timestamp=timestamp, sampled_value=values)
        put_sample(charge_point, connector.id, transaction, value, due)
    if transaction is not None and at_stop:
        _keep(charge_point, transaction, at_stop, reading, kind.context, timestamp)


def keep_now(
    charge_point: ChargePoint, transaction: Transaction, read: Callable[[], Reading], context: ReadingContext
) -> None:
    """Keep what *read* says, as the transaction begins or ends, for its stop, if any of it is asked for."""
    names = items(charge_point, PERIODIC.at_stop)
    if names:
        _keep(charge_point, transaction, names, read(), context, format_date_time(charge_point.now()))


def _interval_read(connector: Connector, reading: Reading, kind: SampleKind) -> Reading:
    """Say what has flown since the sample before this one of the same kind, and begin the next interval."""
    if kind is PERIODIC:
        connector.sampled = reading.register
        return reading
    before, connector.aligned = connector.aligned, reading.register
    return reading if before is None else reading._replace(interval=reading.register - before)


def _keep(
    charge_point: ChargePoint,
    transaction: Transaction,
    names: Sequence[str],
    reading: Reading,
    context: ReadingContext,
    timestamp: str,
) -> None:
    """Keep a sample for the transactionData of the transaction's stop."""
    kind = cast("type[SampledValue]", TransactionSampledValue)
    values = cast("tuple[TransactionSampledValue, ...]", sampled(names, reading, context, kind))
    if values:
        if transaction.data is None:
            transaction.data = []
        left_out = add_sample(transaction.data, TransactionMeterValue(timestamp=timestamp, sampled_value=values))
        if left_out:
            charge_point.context.recorder.counters["transaction_data.thinned"] += left_out


async def clock_aligned(charge_point: ChargePoint) -> None:
    """Report every connector at each multiple of ClockAlignedDataInterval since midnight, until cancelled.

    A clock that is corrected by a little doubles and skips none. One that is set far ahead makes up for none; one
    that is set far back goes through its day again.
    """
    memory, clock = memory_of(charge_point), charge_point.context.clock
    memory.aligned = alarm = Alarm()
    each = timedelta()
    done = charge_point.now()  # what was due until then, by this clock, is not due again
    try:
        while seconds := integer(charge_point, "ClockAlignedDataInterval"):
            now = charge_point.now()
            if each != timedelta(seconds=seconds):
                each = timedelta(seconds=seconds)
                done = max(done, now)
            if done - now > max(each, _JUST):
                done = now
            multiple = next_multiple(done, each)
            due = await due_at(charge_point, multiple, alarm)
            if due is None or multiple is None:
                continue
            done = charge_point.now()
            late = timedelta(seconds=clock.elapsed - due)
            if done - multiple - late <= _JUST and not charge_point.over:
                _report_all(charge_point, due)
    finally:
        memory.aligned = None


def next_multiple(moment: datetime, interval: timedelta) -> datetime | None:
    """Return the first multiple of *interval* since midnight after *moment*; None where the calendar has none.

    A day that the interval does not divide ends with a shorter one.
    """
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    ahead = min(((moment - midnight) // interval + 1) * interval, _DAY)
    return midnight + ahead if ahead <= _END - midnight else None


def _report_all(charge_point: ChargePoint, due: float) -> None:
    if not is_accepted(charge_point):
        return  # it reboots; without a connection it goes on
    for number in range(1, charge_point.settings.connectors + 1):
        connector = connector_of(charge_point, number)
        send_sample(
            charge_point, connector, connector.transaction, partial(read_meter, charge_point, number), _ALIGNED, due
        )


def clock_aligned_changed(charge_point: ChargePoint) -> None:
    """Take up ClockAlignedDataInterval, which may have changed."""
    memory = memory_of(charge_point)
    if memory.aligned is not None:
        memory.aligned.ring()
    elif charge_point.over:
        return  # its next life takes it up
    elif is_accepted(charge_point) and integer(charge_point, "ClockAlignedDataInterval"):
        memory.aligned = Alarm()  # not a second time before the task has begun
        charge_point.spawn(clock_aligned, charge_point)
