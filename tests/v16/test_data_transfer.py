"""DataTransfer by rate: the load is the plan's, the texts are the seed's, and the books close."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import Arrivals, DataTransferSettings
from loadsim.v16.data_transfer import telemetry
from loadsim.v16.open_arrivals import arrival_times
from tests.support import SILENCE, Answer, World, boot, tag_pool, world

EVEN = Arrivals(rate=0.1, spacing="even")
POISSON = Arrivals(rate=0.1)
each_spacing = pytest.mark.parametrize("arrivals", [EVEN, POISSON], ids=["even", "poisson"])


def answered(status: str = "Accepted", delay: float = 0.0) -> Answer:
    return Answer(payload={"status": status}, delay=delay)


def start(w: World, n: int = 0, arrivals: Arrivals = EVEN, *, size: int = 200, **settings: Any) -> ChargePoint:
    return w.start(n, data_transfer=DataTransferSettings(arrivals=arrivals, size=size), **settings)


def planned(arrivals: Arrivals, until: float, n: int = 0) -> list[float]:
    """When those of charge point *n*, which starts at 0, fall due by the plan alone."""
    times: list[float] = []
    for due in arrival_times(arrivals, 0.0, Draws(42, "fleet", n, "data arrivals 1")):
        if due > until:
            return times
        times.append(round(due, 6))
    raise AssertionError("arrivals have no end")


@each_spacing
async def test_data_is_sent_as_planned(autojump_clock: MockClock, arrivals: Arrivals) -> None:
    async with world(DataTransfer=answered()) as w:
        start(w, arrivals=arrivals)
        await trio.sleep(300)

        assert w.csms.times("DataTransfer") == planned(arrivals, 300) != []
        assert w.numbers("DataTransfer").response.max == 0


@each_spacing
async def test_a_slow_csms_does_not_thin_the_load(autojump_clock: MockClock, arrivals: Arrivals) -> None:
    async with world(DataTransfer=answered(delay=17.0)) as w:
        start(w, arrivals=arrivals)
        await trio.sleep(1000)
    numbers = w.numbers("DataTransfer")

    assert numbers.planned == len(planned(arrivals, 1000))
    assert numbers.waiting_at_end > 30
    assert w.csms.overlaps == []


async def test_what_is_sent_is_what_the_settings_say(autojump_clock: MockClock) -> None:
    chosen = DataTransferSettings(arrivals=EVEN, vendor_id="org.example", message_id="Status", size=150)
    async with world(DataTransfer=answered()) as w:
        w.start(data_transfer=chosen)
        await trio.sleep(300)

        payloads = [call.payload for call in w.csms.calls("DataTransfer")]
        assert {(each["vendorId"], each["messageId"], len(each["data"])) for each in payloads} == {
            ("org.example", "Status", 150)
        }
        assert len({each["data"] for each in payloads}) == len(payloads) == 30


async def test_without_a_message_id_and_a_size_there_is_only_the_vendor(autojump_clock: MockClock) -> None:
    async with world(DataTransfer=answered()) as w:
        start(w, size=0)
        await trio.sleep(20)

        assert w.csms.calls("DataTransfer")[0].payload == {"vendorId": "com.example.telemetry"}


async def test_rule_34_a_vendor_that_the_csms_does_not_know_is_a_refusal(autojump_clock: MockClock) -> None:
    async with world(DataTransfer=answered("UnknownVendorId")) as w:
        start(w)
        await trio.sleep(100)

        numbers = w.numbers("DataTransfer")
        assert (numbers.answered, numbers.rejected, numbers.errors) == (10, 10, 0)


@pytest.mark.parametrize(
    "answer", [Answer(error="InternalError"), SILENCE, Answer(payload={}), Answer(raw="garbage")]
)
async def test_a_failed_call_is_counted_and_the_next_is_due_anyway(autojump_clock: MockClock, answer: Answer) -> None:
    async with world(DataTransfer=answer) as w:
        start(w, call_timeout=3.0)
        await trio.sleep(100)

        numbers = w.numbers("DataTransfer")
        assert w.csms.times("DataTransfer") == planned(EVEN, 100)
        assert numbers.accepted == 0
        assert numbers.errors + numbers.open_at_end >= 9


async def test_what_falls_due_offline_is_skipped_and_never_sent(autojump_clock: MockClock) -> None:
    async with world(DataTransfer=answered()) as w:
        w.csms.refuse = lambda identity: "refused"
        start(w)
        await trio.sleep(100)

        numbers = w.numbers("DataTransfer")
        assert (numbers.planned, numbers.sent, numbers.skipped_offline, numbers.response.n) == (10, 0, 10, 0)


async def test_rule_9_no_data_is_sent_before_the_boot_is_accepted(autojump_clock: MockClock) -> None:
    async with world(DataTransfer=answered()) as w:
        w.csms.answers("BootNotification", boot("Pending", 95), boot("Accepted"))
        start(w)
        await trio.sleep(200)

        assert min(w.csms.times("DataTransfer")) > 95
        assert w.numbers("DataTransfer").skipped_offline in (9, 10)


async def test_what_waits_behind_an_open_call_at_the_end_is_waiting_with_its_wait(autojump_clock: MockClock) -> None:
    for attempt in range(8):  # the order in which the tasks end is drawn by trio
        async with world(DataTransfer=SILENCE) as w:
            start(w, attempt, call_timeout=1000.0)
            await trio.sleep(100)
            w.charge_points[0].stop()
            w.charge_points[0].give_up()
            await trio.testing.wait_all_tasks_blocked()

            numbers = w.numbers("DataTransfer")
            assert (numbers.planned, numbers.sent, numbers.open_at_end, numbers.waiting_at_end) == (10, 1, 1, 9)
            assert numbers.response.total == pytest.approx(sum(100 - due for due in planned(EVEN, 100, attempt)))


async def test_drivers_and_data_have_schedules_of_their_own(autojump_clock: MockClock) -> None:
    async with world(DataTransfer=answered()) as w:
        start(w, 0, POISSON)
        start(w, 1, POISSON, authorize=POISSON, tags=tag_pool(good=1))
        w.start(1, identity="without data", authorize=POISSON, tags=tag_pool(good=1))
        await trio.sleep(300)

        assert w.csms.times("Authorize", "CP1") == w.csms.times("Authorize", "without data") != []
        assert w.csms.times("DataTransfer", "CP1") == planned(POISSON, 300, n=1)
        assert w.csms.times("DataTransfer", "CP0") != w.csms.times("DataTransfer", "CP1")


async def test_the_same_seed_gives_the_same_texts_whatever_the_csms_does(autojump_clock: MockClock) -> None:
    texts = []
    for delay in (0.0, 25.0):
        async with world(DataTransfer=answered(delay=delay)) as w:
            start(w)
            await trio.sleep(300)
            texts.append([call.payload["data"] for call in w.csms.calls("DataTransfer")])

    fast, slow = texts
    assert len(slow) < len(fast)
    assert fast[: len(slow)] == slow


async def test_a_charge_point_that_comes_back_later_in_the_run_goes_on_with_other_data(
    autojump_clock: MockClock,
) -> None:
    async with world(DataTransfer=answered()) as w:
        charge_point = start(w)
        await trio.sleep(100)
        charge_point.stop()
        await trio.sleep(50)
        before = [call.payload["data"] for call in w.csms.calls("DataTransfer")]
        w.live(charge_point)
        await trio.sleep(100)
        after = [call.payload["data"] for call in w.csms.calls("DataTransfer")][len(before) :]

        assert (len(before), len(after)) == (10, 10)
        assert set(before).isdisjoint(after)


@pytest.mark.parametrize("chosen", [None, DataTransferSettings(arrivals=Arrivals(rate=0.0))])
async def test_a_fleet_without_a_rate_sends_none(
    autojump_clock: MockClock, chosen: DataTransferSettings | None
) -> None:
    async with world() as w:
        w.start(data_transfer=chosen)
        await trio.sleep(300)

        assert w.csms.calls("DataTransfer") == []


@given(st.integers(1, 20_000), st.integers(1, 10**6), st.integers(0, 2**32))
def test_a_text_has_the_size_asked_for_and_is_printable_ascii(size: int, number: int, seed: int) -> None:
    text = telemetry(size, number, Draws(seed, "f", 1, "data"))

    assert len(text) == size
    assert text.isascii()
    assert text.isprintable()


@given(st.integers(10, 2000), st.integers(1, 10**6), st.integers(1, 10**6))
def test_texts_of_a_charge_point_differ(size: int, one: int, other: int) -> None:
    same = telemetry(size, one, Draws(1, "f", 1, f"data 1 {one}")) == telemetry(
        size, other, Draws(1, "f", 1, f"data 1 {other}")
    )

    assert same == (one == other)
