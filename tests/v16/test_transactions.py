"""Transactions: begun, ended, and what has become of each (OCPP 1.6, sections 3.7, 4.8 and 4.10)."""

from __future__ import annotations

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.v16.memory import connector_of, memory_of
from loadsim.v16.transactions import begin_transaction, end_transaction, settle
from tests.support import SILENCE, Answer, in_virtual_time, started, tag_info, world
from tests.v16.messages.oracle import validator
from tests.v16.sessions import PUNCTUAL, Book


async def test_rule_22_the_stop_says_at_least_what_the_start_said_though_nothing_flowed(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point, energy=0.0)
        await trio.sleep(700)

        start, stop = w.csms.calls("StartTransaction")[0].payload, w.csms.calls("StopTransaction")[0].payload
        assert stop["meterStop"] == start["meterStart"]
        assert w.counted("energy.delivered") == 0


async def test_rule_23_the_end_of_a_transaction_that_has_ended_says_nothing(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        w.arrive(charge_point, plugged_in=20.0)
        await trio.sleep(100)
        end_transaction(charge_point, connector_of(charge_point, 1), "Other")
        await trio.sleep(1)

        assert len(w.csms.calls("StopTransaction")) == w.counted("transactions.ended") == 1


async def test_rule_23_a_local_stop_gives_no_reason_and_the_tag_and_one_from_elsewhere_a_reason_and_none(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=2)
        w.arrive(charge_point, "TAG", plugged_in=20.0)
        await trio.sleep(1)
        w.arrive(charge_point, "OTHER", plugged_in=2000.0, hurry=0.9)
        await trio.sleep(100)
        await w.csms.latest.order("RemoteStopTransaction", {"transactionId": 2})
        await trio.sleep(1)

        local, remote = (call.payload for call in w.csms.calls("StopTransaction"))
        assert (local.get("reason"), local.get("idTag")) == (None, "TAG")
        assert (remote.get("reason"), remote.get("idTag")) == ("Remote", None)


async def test_rule_20_sample_of_a_start_that_is_not_answered_yet_waits_for_its_id(autojump_clock: MockClock) -> None:
    async with world(StartTransaction=started(5, delay=25.0), **PUNCTUAL) as w:
        charge_point = await w.online(configuration={"MeterValueSampleInterval": "10"})
        w.arrive(charge_point, plugged_in=35.0)
        await trio.sleep(100)

        assert [(call.payload["transactionId"], call.at) for call in w.csms.calls("MeterValues")] == [
            (5, 25.0),
            (5, 25.0),
            (5, 30.0),
        ]


async def test_the_group_of_the_answer_to_the_start_is_that_of_the_transaction(autojump_clock: MockClock) -> None:
    async with world(StartTransaction=started(1, parentIdTag="Group"), **PUNCTUAL) as w:
        charge_point = await w.online()
        in_group = Answer(payload={"idTagInfo": {"status": "Accepted", "parentIdTag": "GROUP"}})
        w.csms.answers("Authorize", tag_info(), in_group)
        w.arrive(charge_point, "ONE", plugged_in=50.0, other_tag="TWO")
        await trio.sleep(100)

        assert w.csms.calls("StopTransaction")[0].payload["idTag"] == "TWO"


async def test_transactions_that_are_open_at_the_end_are_open_undelivered_or_lost_as_they_are(
    autojump_clock: MockClock,
) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online(connectors=3, configuration={"TransactionMessageAttempts": "1"})
        w.csms.answers("StartTransaction", Answer(error="InternalError"), started(-3), started(0))
        for n in range(3):
            w.arrive(charge_point, f"TAG{n}", plugged_in=(30.0, 40.0, 9000.0)[n], hurry=n / 3 + 0.1)
            await trio.sleep(1)
        w.csms.answers("StopTransaction", SILENCE)
        await trio.sleep(45)
        await w.end()
        settle(charge_point)

        counted = {name: w.counted(f"transactions.{name}") for name in ("lost", "undelivered", "open", "stopped")}
        assert counted == {"lost": 1, "undelivered": 1, "open": 1, "stopped": 0}
        assert sorted(w.context.open_transactions) == [-3, 0]  # what the CSMS may still believe to be open
        assert memory_of(charge_point).outbox is None
        settle(charge_point)  # twice counts nothing twice
        assert w.counted("transactions.open") == 1


async def test_a_reservation_that_a_transaction_uses_is_named_in_its_start(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        charge_point = await w.online()
        begin_transaction(charge_point, connector_of(charge_point, 1), "TAG", reservation_id=0)
        w.context.recorder.counters["sessions.due"] += 1
        w.context.recorder.counters["sessions.started"] += 1
        await trio.sleep(1)
        end_transaction(charge_point, connector_of(charge_point, 1), "Other")
        await trio.sleep(1)

        payload = w.csms.calls("StartTransaction")[0].payload
        validator("StartTransaction").validate(payload)
        assert payload["reservationId"] == 0


drivers = st.tuples(
    st.sampled_from([0.0, 0.5, 20.0, 90.0]),  # the gap before
    st.floats(0.0, 200.0),  # plugged in
    st.floats(0.0, 3000.0),  # wanted
    st.floats(0.0, 1.0, exclude_max=True),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(drivers, min_size=1, max_size=6), st.integers(1, 3), st.sampled_from(["0", "1", "30"]))
def test_rule_22_meters_and_times_only_grow_and_the_energy_is_the_difference(
    comers: list[tuple[float, float, float, float]], connectors: int, interval: str
) -> None:
    book = Book()

    async def run() -> None:
        async with world(**book.scripts) as w:
            charge_point = await w.online(
                connectors=connectors, configuration={"MeterValueSampleInterval": interval, "StopTxnSampledData": ""}
            )
            limit = 0.0
            for gap, plugged_in, energy, hurry in comers:
                await trio.sleep(gap)
                if w.arrive(charge_point, plugged_in=plugged_in, energy=energy, hurry=hurry):
                    limit += min(energy, 11_000 * plugged_in / 3600)
            await trio.sleep(1000)
            total = w.counted("energy.delivered")
        assert (book.problems, book.open) == ([], [])
        assert total == book.energy == w.counted("energy.stopped")
        assert total <= limit + len(book.entries)
        for entry in book.entries.values():
            assert len(entry.samples) <= 200

    in_virtual_time(run)
