"""Transactions: their three messages, and what has become of each (OCPP 1.6, sections 3.7, 4.7, 4.8 and 4.10).

Every transaction that was begun ends up as exactly one of: *stopped* (its StopTransaction was confirmed), *lost*
(its Start or Stop was given up), and at the end of the run *open* (still charging) or *undelivered* (over, but the
CSMS has not confirmed the Stop). The CSMS's numbering is its own affair: any integer is an id.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from msgspec import UNSET

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.outbox import Message
from loadsim.ocpp import frame
from loadsim.ocpp.action import InvalidPayload
from loadsim.v16.connectors import Connector, Transaction
from loadsim.v16.memory import memory_of
from loadsim.v16.messages import BY_NAME
from loadsim.v16.messages.core import (
    MeterValuesRequest,
    StartTransactionRequest,
    StartTransactionResponse,
    StopTransactionRequest,
    StopTransactionResponse,
)
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.types import MeterValue, Reason, TransactionMeterValue
from loadsim.v16.sending import leave, outbox_of, put
from loadsim.v16.status import learn

NEVER_NUMBERED: Final = -1
"""The transactionId of a transaction whose StartTransaction was given up (errata 3.18)."""

MOST_SAMPLES_KEPT: Final = 1_000
"""Messages that wait, beyond which a charge point drops the oldest meter values for new ones, and counts them."""

_LATE_STARTS_KEPT: Final = 16
_START: Final = BY_NAME["StartTransaction"]
_STOP: Final = BY_NAME["StopTransaction"]
METER_VALUES: Final = BY_NAME["MeterValues"]


class StartMessage(Message):
    """StartTransaction.req of a transaction."""

    __slots__ = ("_charge_point", "_reservation_id", "expect", "ids", "transaction")

    action = _START
    kept = True

    def __init__(
        self, charge_point: ChargePoint, transaction: Transaction, due: float, reservation_id: int | None, expect: str
    ) -> None:
        super().__init__(due)
        self._charge_point = charge_point
        self._reservation_id = reservation_id
        self.transaction = transaction
        self.expect = expect
        self.ids: tuple[int, ...] = ()
        """The ids that the CSMS gave it, in time or late; more than one is a CSMS that counts double."""

    @property
    def tag_class(self) -> str:
        """Return the class of its id tag."""
        return self.transaction.tag_class

    def request(self) -> StartTransactionRequest:
        """Make the request; its timestamp is the event's."""
        transaction = self.transaction
        if transaction.remote_at is not None and not self.attempts:
            clock = self._charge_point.context.clock
            waited = clock.elapsed - transaction.remote_at
            self._charge_point.context.recorder.time("remote_start").append(waited)
            transaction.remote_at = None
        return StartTransactionRequest(
            connector_id=transaction.connector_id,
            id_tag=transaction.id_tag,
            meter_start=transaction.meter_start,
            timestamp=format_date_time(transaction.started),
            reservation_id=UNSET if self._reservation_id is None else self._reservation_id,
        )

    def expected(self, response: StartTransactionResponse) -> bool:
        """Tell whether the tag got the status that its class expects."""
        return not self.expect or response.id_tag_info.status == self.expect

    def delivered(self, response: StartTransactionResponse) -> None:
        """Take the transaction's id, and what is said of the tag."""
        transaction, counters = self.transaction, self._charge_point.context.recorder.counters
        counters["transactions.started"] += 1
        self._take(response.transaction_id)
        transaction.id = response.transaction_id
        info = response.id_tag_info
        learn(self._charge_point, transaction.id_tag, info)
        if info.parent_id_tag is not UNSET:
            transaction.parent_id_tag = info.parent_id_tag
        if info.status != "Accepted" and transaction.session is not None:
            transaction.session.deauthorize()

    def unanswered(self, message_id: str) -> None:
        """Remember under which id an answer may come late: it tells whether the CSMS made two transactions of one."""
        memory = memory_of(self._charge_point)
        self.transaction.tried = True
        if message_id:
            if memory.late_starts is None:
                memory.late_starts = {}
            memory.late_starts[message_id] = self
            if len(memory.late_starts) > _LATE_STARTS_KEPT:
                del memory.late_starts[next(iter(memory.late_starts))]

    def answered_late(self, transaction_id: int) -> None:
        """Compare an id that came late with those that came before."""
        self._take(transaction_id)

    def _take(self, transaction_id: int) -> None:
        if transaction_id in self.ids:
            return
        if self.ids:
            self._charge_point.context.recorder.counters["transactions.doubled"] += 1
        self.ids = (*self.ids, transaction_id)

    def given_up(self) -> None:
        """Go on without a number: the stop says -1."""
        self.transaction.id = NEVER_NUMBERED
        _lose(self._charge_point, self.transaction)


class _MeterMessage(Message):
    """MeterValues.req, of one meter value."""

    __slots__ = ("_connector_id", "_value")

    action = METER_VALUES

    def __init__(self, connector_id: int, value: MeterValue, due: float) -> None:
        super().__init__(due)
        self._connector_id = connector_id
        self._value = value


class IdleSampleMessage(_MeterMessage):
    """MeterValues.req of a connector without a transaction: not kept, for that is for transactions (section 3.7)."""

    __slots__ = ()

    def request(self) -> MeterValuesRequest:
        """Make the request."""
        return MeterValuesRequest(connector_id=self._connector_id, meter_value=(self._value,))


class SampleMessage(_MeterMessage):
    """MeterValues.req of a transaction."""

    __slots__ = ("_transaction",)

    kept = True

    def __init__(self, connector_id: int, transaction: Transaction, value: MeterValue, due: float) -> None:
        super().__init__(connector_id, value, due)
        self._transaction = transaction

    def request(self) -> MeterValuesRequest:
        """Make the request; the transaction has its id by now."""
        known = self._transaction.id
        return MeterValuesRequest(
            connector_id=self._connector_id,
            meter_value=(self._value,),
            transaction_id=UNSET if known is None else known,
        )


class StopMessage(Message):
    """StopTransaction.req of a transaction."""

    __slots__ = ("_charge_point", "_data", "_id_tag", "_reason", "_stopped_at", "transaction")

    action = _STOP
    kept = True

    def __init__(
        self,
        charge_point: ChargePoint,
        transaction: Transaction,
        due: float,
        reason: Reason,
        id_tag: str | None,
        data: tuple[TransactionMeterValue, ...],
    ) -> None:
        super().__init__(due)
        self._charge_point = charge_point
        self._reason = reason
        self._id_tag = id_tag
        self._data = data
        self._stopped_at = format_date_time(charge_point.now())
        self.transaction = transaction

    def request(self) -> StopTransactionRequest:
        """Make the request; Local is what no reason means (section 4.10)."""
        transaction = self.transaction
        assert transaction.id is not None
        assert transaction.meter_stop is not None
        return StopTransactionRequest(
            transaction_id=transaction.id,
            meter_stop=transaction.meter_stop,
            timestamp=self._stopped_at,
            id_tag=UNSET if self._id_tag is None else self._id_tag,
            reason=UNSET if self._reason == "Local" else self._reason,
            transaction_data=self._data or UNSET,
        )

    def delivered(self, response: StopTransactionResponse) -> None:
        """Close the transaction's books."""
        charge_point, transaction = self._charge_point, self.transaction
        if response.id_tag_info is not UNSET and self._id_tag is not None:
            learn(charge_point, self._id_tag, response.id_tag_info)
        if transaction.lost:
            return  # its Start was given up: the CSMS does not know what this stops
        assert transaction.meter_stop is not None
        counters = charge_point.context.recorder.counters
        counters["transactions.stopped"] += 1
        counters["energy.stopped"] += transaction.meter_stop - transaction.meter_start
        _settle(charge_point, transaction)

    def given_up(self) -> None:
        """Count the transaction as lost: the CSMS believes that it goes on."""
        _lose(self._charge_point, self.transaction)


def begin_transaction(
    charge_point: ChargePoint,
    connector: Connector,
    id_tag: str,
    *,
    tag_class: str = "",
    expect: str = "",
    parent_id_tag: str | None = None,
    reservation_id: int | None = None,
    remote_at: float | None = None,
) -> Transaction:
    """Begin a transaction at *connector* now, and have its StartTransaction sent."""
    memory, context = memory_of(charge_point), charge_point.context
    transaction = Transaction(connector.id, id_tag, connector.reading, charge_point.now())
    memory.transactions += 1
    transaction.number = memory.transactions
    transaction.tag_class = tag_class
    transaction.parent_id_tag = parent_id_tag
    transaction.remote_at = remote_at
    transaction.session = connector.session
    connector.transaction = transaction
    if memory.unsettled is None:
        memory.unsettled = []
    memory.unsettled.append(transaction)
    context.charging += 1
    context.recorder.counters["transactions.begun"] += 1
    put(charge_point, StartMessage(charge_point, transaction, context.clock.elapsed, reservation_id, expect))
    return transaction


def end_transaction(
    charge_point: ChargePoint,
    connector: Connector,
    reason: Reason,
    *,
    id_tag: str | None = None,
    data: tuple[TransactionMeterValue, ...] = (),
    due: float | None = None,
) -> None:
    """End the transaction at *connector*, and have its StopTransaction sent, which happens once (section 4.10)."""
    transaction = connector.transaction
    if transaction is None:
        return
    connector.transaction = None
    transaction.ended = True
    transaction.session = None
    transaction.meter_stop = max(connector.reading, transaction.meter_start)
    context = charge_point.context
    context.charging -= 1
    context.recorder.counters["transactions.ended"] += 1
    context.recorder.counters["energy.delivered"] += transaction.meter_stop - transaction.meter_start
    profiles = memory_of(charge_point).profiles
    if profiles is not None:
        profiles.end_transaction(connector.id)
    at = context.clock.elapsed if due is None else due
    put(charge_point, StopMessage(charge_point, transaction, at, reason, id_tag, data))


def put_sample(
    charge_point: ChargePoint, connector_id: int, transaction: Transaction | None, value: MeterValue, due: float
) -> None:
    """Have a meter value sent; without a connection one of a transaction is kept, if there is room (section 3.7)."""
    outbox = outbox_of(charge_point)
    if transaction is None:
        idle = IdleSampleMessage(connector_id, value, due)
        if len(outbox.others) < MOST_SAMPLES_KEPT:
            put(charge_point, idle)
        else:  # online, and the CSMS does not get ahead
            _overflow(charge_point, idle)
        return
    if len(outbox.kept) >= MOST_SAMPLES_KEPT:
        # Not the first of them: it may be under way.
        oldest = next((each for each in islice(outbox.kept, 1, None) if isinstance(each, SampleMessage)), None)
        if oldest is not None:
            outbox.remove(oldest)
            _overflow(charge_point, oldest)
    put(charge_point, SampleMessage(connector_id, transaction, value, due))


def _overflow(charge_point: ChargePoint, message: Message) -> None:
    leave(charge_point, message)
    charge_point.context.recorder.counters["outbox.overflowed"] += 1


def take_late_answer(charge_point: ChargePoint, text: str) -> None:
    """Look at an answer that came after its call had ended: is it a second id of a transaction?"""
    late = memory_of(charge_point).late_starts
    if not late:
        return
    answer = frame.decode(text)
    message = late.pop(answer.id, None)
    if message is None or not isinstance(answer, frame.CallResult):
        return
    try:
        response: StartTransactionResponse = _START.decode_response(answer.payload)
    except InvalidPayload:
        return  # it says nothing, late or not
    message.answered_late(response.transaction_id)


def settle(charge_point: ChargePoint) -> None:
    """Account for what is left at the end of the charge point's life: messages, and transactions."""
    memory, counters = memory_of(charge_point), charge_point.context.recorder.counters
    outbox = memory.outbox
    if outbox is not None:
        for message in outbox.clear():
            charge_point.leave_unsent(message.action, [message.due], message.tag_class)
        memory.outbox = None
    for transaction in memory.unsettled or ():
        counters["transactions.undelivered" if transaction.ended else "transactions.open"] += 1
        if transaction.id is not None:
            charge_point.context.open_transactions.append(transaction.id)
        elif transaction.tried:
            counters["transactions.unnumbered"] += 1
    memory.unsettled = None


def _lose(charge_point: ChargePoint, transaction: Transaction) -> None:
    if not transaction.lost:
        transaction.lost = True
        charge_point.context.recorder.counters["transactions.lost"] += 1
        _settle(charge_point, transaction)


def _settle(charge_point: ChargePoint, transaction: Transaction) -> None:
    unsettled = memory_of(charge_point).unsettled
    if unsettled is not None and transaction in unsettled:
        unsettled.remove(transaction)
