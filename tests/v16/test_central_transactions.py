"""The central system's transactions: one id for one start, stops, meters and energy."""

import json
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from loadsim.scenario.plan import EmbeddedCsms
from loadsim.v16.central import Central
from loadsim.v16.central.transactions import KEPT
from tests.v16.central_system import ask, booted, start, stop, tag_status

NOTHING = {
    "started": 0,
    "repeated_starts": 0,
    "overlapping_starts": 0,
    "stopped": 0,
    "repeated_stops": 0,
    "unknown_stops": 0,
    "samples": 0,
    "unknown_meter_values": 0,
    "meter_backwards": 0,
    "energy_wh": 0,
    "doubled": 0,
    "open": 0,
    "open_ids": [],
}


def happened(central: Central) -> dict[str, Any]:
    """Return what the record of transactions tells, without what never happened."""
    record = central.record()["transactions"]
    assert record.keys() == NOTHING.keys()
    return {name: value for name, value in record.items() if value != NOTHING[name]}


def test_a_transaction_has_an_id_of_its_own_until_it_is_stopped() -> None:
    central = Central(EmbeddedCsms())
    first, second = booted(central, "CP1"), booted(central, "CP2")
    ids = [start(session)["transactionId"] for session in (first, second)]
    stop(first, ids[0])
    stop(first, ids[1])  # another charge point's

    assert ids == [1, 2]
    assert happened(central) == {
        "started": 2,
        "stopped": 1,
        "unknown_stops": 1,
        "energy_wh": 9,
        "open": 1,
        "open_ids": [2],
    }


def test_an_open_transaction_tells_its_connector_and_its_tag() -> None:
    session = booted(Central(EmbeddedCsms()))
    start(session, connectorId=2, idTag="DRIVER")
    transaction = session.open_transactions[1]

    assert (transaction.id, transaction.connector, transaction.id_tag) == (1, 2, "DRIVER")


def test_row_21_a_start_sent_again_is_the_same_transaction_also_when_it_has_ended() -> None:
    central = Central(EmbeddedCsms())
    session = booted(central)
    first = start(session)

    assert start(session) == first

    stop(session, first["transactionId"])

    assert start(session) == first
    assert happened(central) == {"started": 1, "repeated_starts": 2, "stopped": 1, "energy_wh": 9}


def test_a_start_sent_again_is_told_the_same_of_its_tag() -> None:
    central = Central(EmbeddedCsms(reject=0.5))
    session = booted(central)
    answers = [start(session, meterStart=n // 3) for n in range(12)]

    assert [answers[n] for n in range(12)] == [answers[n // 3 * 3] for n in range(12)]
    assert [tag_status(answers[n]) for n in (0, 3, 6, 9)].count("Blocked") == 2


@pytest.mark.parametrize(
    "change",
    [{"connectorId": 2}, {"idTag": "B"}, {"meterStart": 1}, {"timestamp": "2026-03-01T12:00:01Z"}],
)
def test_a_start_that_differs_is_another_transaction(change: dict[str, Any]) -> None:
    session = booted(Central(EmbeddedCsms()))

    assert start(session)["transactionId"] != start(session, **change)["transactionId"]


def test_the_same_start_of_another_charge_point_is_another_transaction() -> None:
    central = Central(EmbeddedCsms())

    assert [start(booted(central, name))["transactionId"] for name in ("CP1", "CP2")] == [1, 2]


def test_row_23_a_stop_sent_again_is_confirmed_and_counted() -> None:
    central = Central(EmbeddedCsms())
    session = booted(central)
    start(session)

    assert [stop(session, 1, idTag="A") for _ in range(3)] == [{"idTagInfo": {"status": "Accepted"}}] * 3
    assert happened(central) == {"started": 1, "stopped": 1, "repeated_stops": 2, "energy_wh": 9}


@pytest.mark.parametrize("transaction_id", [-1, 0, 7, 2**70])
def test_row_19_a_stop_of_an_unknown_transaction_is_confirmed_and_counted(transaction_id: int) -> None:
    central = Central(EmbeddedCsms())

    assert stop(booted(central), transaction_id) == {}
    assert happened(central) == {"unknown_stops": 1}


def test_a_stop_tells_of_the_tag_only_when_one_was_sent() -> None:
    session = booted(Central(EmbeddedCsms(tags={"bad": "Blocked"})))

    assert stop(session, -1) == {}
    assert tag_status(stop(session, -1, idTag="bad")) == "Blocked"


def test_a_start_on_a_connector_with_an_open_transaction_closes_nothing_and_is_counted() -> None:
    central = Central(EmbeddedCsms())
    session = booted(central)
    start(session)
    start(session, connectorId=2)
    start(session, meterStart=5)

    assert happened(central) == {"started": 3, "overlapping_starts": 1, "open": 3, "open_ids": [1, 2, 3]}


def test_what_ended_is_kept_as_long_as_it_may_be_repeated_and_no_longer() -> None:
    session = booted(Central(EmbeddedCsms()))
    for n in range(100):
        stop(session, start(session, meterStart=n)["transactionId"], meterStop=n)

    assert len(session.book.ended) == KEPT
    assert start(session, meterStart=99)["transactionId"] == 100


def test_energy_is_the_sum_over_what_was_stopped() -> None:
    central = Central(EmbeddedCsms())
    session = booted(central)
    for n, (meter_start, meter_stop) in enumerate([(1000, 23000), (23000, 23000), (0, 10**12)]):
        stop(session, start(session, connectorId=n, meterStart=meter_start)["transactionId"], meterStop=meter_stop)
    start(session, meterStart=7)

    assert central.record()["transactions"]["energy_wh"] == 22000 + 10**12
    assert central.record()["transactions"]["meter_backwards"] == 0


def meter_values(*readings: str, minute: int = 1, transaction_id: int | None = 1, **sample: str) -> dict[str, Any]:
    values = [
        {"timestamp": f"2026-03-01T12:{minute + n:02}:00Z", "sampledValue": [{"value": reading, **sample}]}
        for n, reading in enumerate(readings)
    ]
    named = {} if transaction_id is None else {"transactionId": transaction_id}
    return {"connectorId": 1, "meterValue": values, **named}


def backwards(*messages: dict[str, Any], meter_start: int = 100, **stop_with: Any) -> int:
    """Count what went backwards in a transaction with these MeterValues."""
    central = Central(EmbeddedCsms())
    session = booted(central)
    start(session, meterStart=meter_start)
    for message in messages:
        ask(session, "MeterValues", message)
    if stop_with:
        stop(session, 1, **stop_with)
    return int(central.record()["transactions"]["meter_backwards"])


def test_samples_are_counted_and_so_are_messages_of_an_unknown_transaction() -> None:
    central = Central(EmbeddedCsms())
    session = booted(central)
    start(session)
    ask(session, "MeterValues", meter_values("1", "2"))
    ask(session, "MeterValues", meter_values("1", transaction_id=None))
    ask(session, "MeterValues", meter_values("1", transaction_id=9))
    stop(session, 1)
    ask(session, "MeterValues", meter_values("3"))  # late, but of a known transaction

    assert happened(central) == {
        "started": 1,
        "stopped": 1,
        "energy_wh": 9,
        "samples": 5,
        "unknown_meter_values": 1,
    }


def test_row_22_a_register_that_falls_is_counted() -> None:
    assert backwards(meter_values("100", "110", "110.5", "120")) == 0
    assert backwards(meter_values("99")) == 1
    assert backwards(meter_values("200", "150", "160", "140")) == 2
    assert backwards(meter_values("200"), meter_values("150", minute=5)) == 1
    assert backwards(meter_values("0.200", unit="kWh"), meter_values("150", minute=5)) == 1


def test_row_22_a_stop_below_its_start_or_its_last_sample_is_counted_and_adds_no_energy() -> None:
    assert backwards(meterStop=99) == 1
    assert backwards(meterStop=99, timestamp="2026-03-01T11:00:00Z") == 1
    assert backwards(meter_values("200"), meterStop=199) == 1
    assert backwards(meter_values("200.7"), meterStop=200) == 0  # a whole number of it
    assert backwards(meterStop=100) == 0

    central = Central(EmbeddedCsms())
    session = booted(central)
    for meter_start, meter_stop in [(100, 0), (200, 250)]:
        stop(session, start(session, meterStart=meter_start)["transactionId"], meterStop=meter_stop)

    assert central.record()["transactions"]["energy_wh"] == 50


def test_samples_that_are_sent_again_or_come_late_do_not_go_backwards() -> None:
    sent = meter_values("100", "110", "120")

    assert backwards(sent, sent, meter_values("130", minute=4)) == 0


@pytest.mark.parametrize(
    "sample",
    [
        {"measurand": "Power.Active.Import"},
        {"measurand": "Energy.Active.Import.Interval"},
        {"measurand": "Energy.Active.Import.Register", "phase": "L1"},
        {"measurand": "Energy.Active.Import.Register", "location": "Inlet"},
        {"unit": "varh"},
        {"format": "SignedData"},
    ],
)
def test_other_values_than_the_energy_register_may_fall(sample: dict[str, Any]) -> None:
    assert backwards(meter_values("3000", "10", **sample)) == 0


@pytest.mark.parametrize("value", ["", "NaN", "-inf", "1e999", "12,5", "0x10", "9" * 5000])
def test_a_value_that_is_no_number_is_a_sample_and_no_reading(value: str) -> None:
    assert backwards(meter_values("100", value, "100"), meterStop=100) == 0


def test_a_coarse_register_does_not_fall_by_its_rounding() -> None:
    assert backwards(meter_values("12.3", unit="kWh"), meter_start=12345) == 0
    assert backwards(meter_values("12.2", unit="kWh"), meter_start=12345) == 1
    assert backwards(meter_values("100.1", "100.0")) == 1


def test_the_data_of_a_stop_counts_too() -> None:
    sample = {"timestamp": "2026-03-01T12:59:00Z", "sampledValue": [{"value": "20", "context": "Transaction.End"}]}

    assert backwards(meter_start=0, meterStop=10, transactionData=[sample]) == 1
    assert backwards(meter_start=0, meterStop=20, transactionData=[sample]) == 0


CHARGE_POINTS = ("CP1", "CP2")
MOMENTS = st.integers(0, 5)


class TransactionsMachine(RuleBasedStateMachine):
    """Starts, stops and their repeats, against a model that forgets nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[tuple[Any, ...], Any] = {}
        self.stopped: dict[int, int] = {}
        self.owner: dict[int, str] = {}
        self.events = dict.fromkeys(
            ("started", "repeated_starts", "overlapping_starts", "stopped", "repeated_stops", "unknown_stops"), 0
        )
        self.meter_start: dict[int, int] = {}
        self.connector: dict[int, int] = {}

    @initialize(reject=st.sampled_from([0.0, 0.3]))
    def boot(self, reject: float) -> None:
        self.central = Central(EmbeddedCsms(reject=reject))
        self.sessions = {name: booted(self.central, name) for name in CHARGE_POINTS}

    def is_forgotten(self, name: str, transaction_id: int) -> bool:
        """Tell whether as many of the charge point's transactions ended after this one as are kept."""
        ended = [each for each in self.stopped if self.owner[each] == name]
        return transaction_id in ended[:-KEPT]

    @rule(
        name=st.sampled_from(CHARGE_POINTS),
        connector=st.integers(1, 2),
        tag=st.sampled_from(["A", "B"]),
        minute=MOMENTS,
        meter=st.sampled_from([0, 10]),
    )
    def start(self, name: str, connector: int, tag: str, minute: int, meter: int) -> None:
        key = (name, connector, tag, minute, meter)
        if key in self.known and self.is_forgotten(name, self.known[key]["transactionId"]):
            return  # no charge point repeats what it got an answer to so long ago
        answer = start(
            self.sessions[name],
            connectorId=connector,
            idTag=tag,
            meterStart=meter,
            timestamp=f"2026-03-01T12:{minute:02}:00Z",
        )
        if key in self.known:
            assert answer == self.known[key]
            self.events["repeated_starts"] += 1
            return
        transaction_id = answer["transactionId"]
        assert transaction_id == len(self.known) + 1
        self.events["overlapping_starts"] += any(
            self.owner[each] == name and self.connector[each] == connector for each in self.open_ids()
        )
        self.known[key] = answer
        self.owner[transaction_id] = name
        self.connector[transaction_id] = connector
        self.meter_start[transaction_id] = meter
        self.events["started"] += 1

    @rule(name=st.sampled_from(CHARGE_POINTS), transaction_id=st.integers(-1, 12), energy=st.integers(0, 9))
    def stop(self, name: str, transaction_id: int, energy: int) -> None:
        if self.owner.get(transaction_id) == name and self.is_forgotten(name, transaction_id):
            return
        stop(self.sessions[name], transaction_id, meterStop=self.meter_start.get(transaction_id, 0) + energy)
        if self.owner.get(transaction_id) != name:
            self.events["unknown_stops"] += 1
        elif transaction_id in self.stopped:
            self.events["repeated_stops"] += 1
        else:
            self.stopped[transaction_id] = energy
            self.events["stopped"] += 1

    def open_ids(self) -> list[int]:
        return sorted(self.owner.keys() - self.stopped.keys())

    @invariant()
    def the_books_close(self) -> None:
        if not hasattr(self, "central"):
            return
        record = self.central.record()["transactions"]
        assert {name: record[name] for name in self.events} == self.events
        assert record["open_ids"] == self.open_ids()
        assert record["open"] == record["started"] - record["stopped"]
        assert record["energy_wh"] == sum(self.stopped.values())
        assert (record["doubled"], record["meter_backwards"]) == (0, 0)


TestTransactions = TransactionsMachine.TestCase


def test_a_meter_that_jumps_beyond_all_reason_is_counted_as_wrong_and_gives_no_energy() -> None:
    central = Central(EmbeddedCsms())
    session = booted(central)
    start(session, meterStart=-(10**4298))
    stop(session, 1, meterStop=10**4299)

    assert central.record()["transactions"]["meter_backwards"] == 1
    assert central.record()["transactions"]["energy_wh"] == 0
    json.dumps(central.record())
