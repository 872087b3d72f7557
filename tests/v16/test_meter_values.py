"""Meter values, sampled and clock-aligned, sent or kept for the stop (OCPP 1.6, section 4.7; errata 3.14-3.16)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.v16.configuration_kinds import MEASURANDS
from loadsim.v16.memory import connector_of
from loadsim.v16.messages.types import SampledValue
from loadsim.v16.meter_values import Reading, sampled
from loadsim.v16.reset import reboot
from tests.support import Answer, World, boot, in_virtual_time, started, wall_clock, world
from tests.v16.messages.oracle import validator
from tests.v16.sessions import PUNCTUAL, Book, TransactionData, happened_at, transaction_data

REGISTER = "Energy.Active.Import.Register"


async def configure(w: World, **values: Any) -> None:
    for key, value in values.items():
        answer = await w.csms.latest.order("ChangeConfiguration", {"key": key, "value": str(value)})
        assert answer == {"status": "Accepted"}


def stamps(w: World, context: str = "Sample.Periodic") -> list[str]:
    """Return the times of the samples of a context, in the order in which they came."""
    return [
        value["timestamp"]
        for call in w.csms.calls("MeterValues")
        for value in call.payload["meterValue"]
        if value["sampledValue"][0]["context"] == context
    ]


def values_of(w: World, measurand: str) -> list[float]:
    return [
        float(sampled["value"])
        for call in w.csms.calls("MeterValues")
        for value in call.payload["meterValue"]
        for sampled in value["sampledValue"]
        if sampled["measurand"] == measurand
    ]


async def test_rule_24_samples_come_at_the_interval_since_the_start_with_the_register_by_default(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MeterValueSampleInterval": "25"})
        await trio.sleep(7)
        w.arrive(charge_point, plugged_in=110.0)
        await trio.sleep(500)

        assert stamps(w) == [wall_clock(7 + 25 * n) for n in (1, 2, 3, 4)]
        value = w.csms.calls("MeterValues")[0].payload["meterValue"][0]["sampledValue"]
        start = w.csms.calls("StartTransaction")[0].payload["meterStart"]
        assert value == [
            {"value": str(start + 76), "context": "Sample.Periodic", "measurand": REGISTER, "unit": "Wh"}
        ]
        assert {call.payload["transactionId"] for call in w.csms.calls("MeterValues")} == {1}


async def test_rule_24_an_interval_of_0_is_no_samples(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(
            configuration={"MeterValueSampleInterval": "0", "ClockAlignedDataInterval": "0"}
        )
        w.arrive(charge_point)
        await trio.sleep(1000)

        assert w.csms.calls("MeterValues") == []


@pytest.mark.parametrize(("new", "after"), [(10, [10, 20, 30]), (0, []), (34, [34])])
async def test_rule_24_an_interval_that_changes_during_a_session_holds_from_then_on(
    autojump_clock: MockClock, new: int, after: list[int]
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MeterValueSampleInterval": "60"})
        w.arrive(charge_point, plugged_in=125.0)
        await trio.sleep(90)
        await configure(w, MeterValueSampleInterval=new)
        await trio.sleep(500)

        assert stamps(w) == [wall_clock(60), *(wall_clock(90 + seconds) for seconds in after)]


async def test_rule_24_measurands_that_change_during_a_session_are_those_of_its_next_sample(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MeterValueSampleInterval": "10"})
        w.arrive(charge_point, plugged_in=55.0)
        await trio.sleep(15)
        await configure(w, MeterValuesSampledData=" power.active.import,SoC")
        await trio.sleep(10)
        await configure(w, MeterValuesSampledData="", StopTxnSampledData="Voltage")
        await trio.sleep(10)
        await configure(w, MeterValuesSampledData=REGISTER)
        await trio.sleep(500)

        sent = [call.payload["meterValue"][0]["sampledValue"] for call in w.csms.calls("MeterValues")]
        asked = [[REGISTER], ["Power.Active.Import", "SoC"], [REGISTER], [REGISTER]]
        assert [[value["measurand"] for value in values] for values in sent] == asked
        assert stamps(w) == [wall_clock(10), wall_clock(20), wall_clock(40), wall_clock(50)]
        kept = [(each.timestamp, each.measurands) for each in transaction_data(w.csms)[0]]
        assert kept == [(wall_clock(at), ["Voltage"]) for at in (30, 40, 50, 55)]


async def test_fleets_of_one_process_sample_what_each_is_configured_to(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        expected = {}
        for n, names in enumerate(["Voltage", "SoC,Voltage"]):
            keys = {"MeterValueSampleInterval": "10", "MeterValuesSampledData": names}
            charge_point = await w.online(n, configuration=keys)
            w.arrive(charge_point, plugged_in=15.0)
            expected[charge_point.identity] = names.split(",")
        await trio.sleep(100)

        sent = {call.identity: call.payload["meterValue"][0]["sampledValue"] for call in w.csms.calls("MeterValues")}
        assert {who: [value["measurand"] for value in values] for who, values in sent.items()} == expected


async def test_rule_24_clock_aligned_data_come_at_multiples_since_midnight_of_every_connector(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(
            connectors=2, configuration={"ClockAlignedDataInterval": "900", "MeterValueSampleInterval": "0"}
        )
        await trio.sleep(100)
        w.arrive(charge_point, plugged_in=1000.0)
        await trio.sleep(2000)

        quarters = [wall_clock(900), wall_clock(1800)]  # the test begins at 9:15 o'clock
        assert stamps(w, "Sample.Clock") == sorted(quarters * 2)
        sent = [call.payload for call in w.csms.calls("MeterValues")]
        assert [(each["connectorId"], each.get("transactionId")) for each in sent] == [
            (1, 1),
            (2, None),
            (1, None),
            (2, None),
        ]


async def test_rule_24_the_clock_is_the_csmss_not_the_simulators(autojump_clock: MockClock) -> None:
    async with world(BootNotification=boot("Accepted", 100_000, current_time="2030-05-01T11:59:10Z")) as w:
        await w.online(configuration={"ClockAlignedDataInterval": "3600"})
        await trio.sleep(3700)

        assert stamps(w, "Sample.Clock") == ["2030-05-01T12:00:00.000Z", "2030-05-01T13:00:00.000Z"]
        assert w.csms.times("MeterValues") == [50.0, 3650.0]


async def test_rule_24_a_day_whose_interval_does_not_divide_it_begins_anew_at_midnight(
    autojump_clock: MockClock,
) -> None:
    async with world(BootNotification=boot("Accepted", 100_000, current_time="2030-05-01T22:00:00Z")) as w:
        await w.online(configuration={"ClockAlignedDataInterval": "25200"})
        await trio.sleep(10 * 3600)

        assert [each[8:16] for each in stamps(w, "Sample.Clock")] == ["02T00:00", "02T07:00"]


async def test_rule_24_clock_aligned_data_can_be_switched_on_and_off(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await w.online()
        await trio.sleep(10)
        await configure(w, ClockAlignedDataInterval=60)
        await trio.sleep(100)
        await configure(w, ClockAlignedDataInterval=100)
        await trio.sleep(100)
        await configure(w, ClockAlignedDataInterval=0)
        await trio.sleep(500)

        assert stamps(w, "Sample.Clock") == [wall_clock(60), wall_clock(200)]  # 9:16:00, 9:18:20


async def test_rule_24_clock_aligned_data_are_kept_for_a_transaction_without_a_connection_and_not_without_power(
    autojump_clock: MockClock,
) -> None:
    keys = {"ClockAlignedDataInterval": "60", "MeterValueSampleInterval": "0"}
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2, configuration=keys)
        w.arrive(charge_point, plugged_in=3600.0)
        await trio.sleep(10)
        w.csms.refuse = lambda identity: "refused" if trio.current_time() < 200 else None
        await w.csms.latest.drop()
        await trio.sleep(300)
        charge_point.spawn(partial(reboot, charge_point, "PowerLoss", abrupt=True, away=200.0))
        await trio.sleep(300)

        of_transaction = [call for call in w.csms.calls("MeterValues") if "transactionId" in call.payload]
        assert [happened_at(call) for call in of_transaction] == [wall_clock(60 * n) for n in (1, 2, 3, 4, 5)]
        assert of_transaction[0].at > 200
        idle = [call for call in w.csms.calls("MeterValues") if "transactionId" not in call.payload]
        assert [(call.payload["connectorId"], happened_at(call)) for call in idle] == [
            (number, wall_clock(60 * n)) for n in (9, 10) for number in (1, 2)
        ]
        assert w.numbers("MeterValues").skipped_offline == 5  # of connector 2


async def test_rule_24_the_data_for_the_stop_go_with_it_with_their_contexts(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(
            configuration={
                "MeterValueSampleInterval": "60",
                "MeterValuesSampledData": "",
                "ClockAlignedDataInterval": "100",
                "MeterValuesAlignedData": "",
                "StopTxnSampledData": f"{REGISTER},Voltage",
                "StopTxnAlignedData": "Power.Active.Import",
            }
        )
        w.arrive(charge_point, plugged_in=150.0, energy=50_000.0)
        await trio.sleep(500)

        assert w.csms.calls("MeterValues") == []
        both = [REGISTER, "Voltage"]
        assert transaction_data(w.csms)[0] == [
            TransactionData(wall_clock(0), "Transaction.Begin", both),
            TransactionData(wall_clock(60), "Sample.Periodic", both),
            TransactionData(wall_clock(100), "Sample.Clock", ["Power.Active.Import"]),
            TransactionData(wall_clock(120), "Sample.Periodic", both),
            TransactionData(wall_clock(150), "Transaction.End", both),
        ]
        stop = w.csms.calls("StopTransaction")[0].payload
        assert stop["transactionData"][-1]["sampledValue"][0]["value"] == str(stop["meterStop"])


async def test_rule_24_without_data_for_the_stop_there_is_none(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point)
        await trio.sleep(1000)

        assert "transactionData" not in w.csms.calls("StopTransaction")[0].payload


async def test_the_energy_of_an_interval_is_that_since_the_sample_before(autojump_clock: MockClock) -> None:
    measurands = f"Energy.Active.Import.Interval,{REGISTER}"
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(
            configuration={"MeterValuesSampledData": measurands, "StopTxnSampledData": measurands}
        )
        for _ in range(2):
            w.arrive(charge_point, plugged_in=200.0, energy=50_000.0)
            await trio.sleep(500)

        start = w.csms.calls("StartTransaction")[0].payload["meterStart"]
        registers = values_of(w, REGISTER)
        assert values_of(w, "Energy.Active.Import.Interval")[:3] == [
            registers[0] - start,
            registers[1] - registers[0],
            registers[2] - registers[1],
        ]
        for call in w.csms.calls("StopTransaction"):
            intervals = [float(each["sampledValue"][0]["value"]) for each in call.payload["transactionData"]]
            assert intervals[0] == 0
            assert sum(intervals) == 611  # 11 kW for 200 seconds


async def test_the_energy_of_a_clock_aligned_interval_is_that_since_the_one_before(autojump_clock: MockClock) -> None:
    measurands = f"Energy.Active.Import.Interval,{REGISTER}"
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(
            configuration={
                "MeterValuesAlignedData": measurands,
                "ClockAlignedDataInterval": "60",
                "MeterValueSampleInterval": "7",
                "MeterValuesSampledData": "Voltage",
            }
        )
        await trio.sleep(70)
        w.arrive(charge_point, plugged_in=200.0, energy=50_000.0)
        await trio.sleep(500)

        registers, intervals = values_of(w, REGISTER), values_of(w, "Energy.Active.Import.Interval")
        assert intervals[0] == 0
        assert intervals[1:] == [after - before for before, after in pairwise(registers)]
        assert sum(intervals) == 611


def test_every_measurand_that_can_be_configured_is_measured() -> None:
    reading = Reading(register=1000, interval=10, power=11_000.0, offered=22_000.0, phases=3, state_of_charge=0.5)

    values = sampled(MEASURANDS, reading, "Sample.Periodic", SampledValue)
    assert tuple(value.measurand for value in values) == MEASURANDS


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(MEASURANDS), min_size=1, unique=True),
    st.lists(st.sampled_from(MEASURANDS), unique=True),
    st.sampled_from([1, 3]),
)
def test_every_choice_of_measurands_is_sent_as_the_schema_wants_it(
    sampled: list[str], at_stop: list[str], phases: int
) -> None:
    async def run() -> None:
        async with world(**PUNCTUAL) as w:
            charge_point = await w.online(
                phases=phases,
                configuration={
                    "MeterValuesSampledData": ",".join(sampled),
                    "StopTxnSampledData": ",".join(at_stop),
                    "MeterValuesAlignedData": ",".join(sampled),
                    "ClockAlignedDataInterval": "50",
                },
            )
            w.arrive(charge_point, plugged_in=100.0)
            await trio.sleep(45)
            await w.csms.latest.order("TriggerMessage", {"requestedMessage": "MeterValues"})
            await trio.sleep(200)
            await w.csms.latest.order("TriggerMessage", {"requestedMessage": "MeterValues"})
            await trio.sleep(1)

            for call in (*w.csms.calls("MeterValues"), *w.csms.calls("StopTransaction")):
                validator(call.action).validate(call.payload)
            first = w.csms.calls("MeterValues")[0].payload["meterValue"][0]["sampledValue"]
            assert [each["measurand"] for each in first] == sampled
            kept = w.csms.calls("StopTransaction")[0].payload.get("transactionData", [])
            assert len(kept) == (3 if at_stop else 0)

    in_virtual_time(run)


async def test_rule_22_the_register_never_falls_and_a_session_begins_where_the_last_ended(
    autojump_clock: MockClock,
) -> None:
    book = Book()
    async with world(**book.scripts) as w:
        charge_point = await w.online(configuration={"MeterValueSampleInterval": "10"})
        for _ in range(4):
            w.arrive(charge_point, plugged_in=55.5)
            await trio.sleep(100)

        assert book.problems == []
        entries = list(book.entries.values())
        assert len(entries) == 4
        for before, after in pairwise(entries):
            assert before.stop is not None
            assert before.stop["meterStop"] > before.start["meterStart"]
            assert after.start["meterStart"] == before.stop["meterStop"]
        assert connector_of(charge_point, 1).reading == entries[-1].stop["meterStop"]  # type: ignore[index]


async def test_rule_22_timestamps_are_those_of_the_events_by_the_csmss_clock(autojump_clock: MockClock) -> None:
    told = boot("Accepted", 100_000, current_time="2031-01-01T01:00:00+01:00")
    async with world(BootNotification=told, StartTransaction=started(1, delay=20.0)) as w:
        w.csms.answers("StopTransaction", Answer(payload={}, delay=5.0))
        charge_point = await w.online()
        await trio.sleep(30)
        w.arrive(charge_point, plugged_in=15.0)
        await trio.sleep(100)

        assert w.csms.calls("StartTransaction")[0].payload["timestamp"] == "2031-01-01T00:00:30.000Z"
        stop = w.csms.calls("StopTransaction")[0]
        assert (stop.at, stop.payload["timestamp"]) == (50.0, "2031-01-01T00:00:45.000Z")


async def test_rule_22_meters_of_a_fleet_do_not_all_begin_at_the_same_reading(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        readings = {connector_of(w.make(n, connectors=2), number).reading for n in range(20) for number in (1, 2)}

        assert len(readings) == 40
