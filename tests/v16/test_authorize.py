"""Authorize as drivers arrive: the load is the plan's, whatever the CSMS does."""

from __future__ import annotations

import statistics
from collections import Counter
from itertools import islice, pairwise

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import Arrivals
from loadsim.v16.open_arrivals import arrival_times
from tests.support import SILENCE, Answer, Received, boot, tag_info, tag_pool, world

EVEN = Arrivals(rate=0.1, spacing="even")
POISSON = Arrivals(rate=0.1)
GOOD = tag_pool(good=1)


def planned(arrivals: Arrivals, until: float, n: int = 0) -> list[float]:
    """The arrivals of charge point *n* that starts at 0, by the plan alone."""
    times: list[float] = []
    for due in arrival_times(arrivals, 0.0, Draws(42, "fleet", n, "arrivals 1")):
        if due > until:
            return times
        times.append(round(due, 6))
    raise AssertionError("arrivals have no end")


@pytest.mark.parametrize("arrivals", [EVEN, POISSON])
async def test_drivers_arrive_as_planned(autojump_clock: MockClock, arrivals: Arrivals) -> None:
    async with world() as w:
        w.start(authorize=arrivals, tags=GOOD)
        await trio.sleep(300)

        assert w.csms.times("Authorize") == planned(arrivals, 300)
        assert w.numbers("Authorize").response.max == 0


@pytest.mark.parametrize("arrivals", [EVEN, POISSON])
async def test_a_slow_csms_does_not_thin_the_load(autojump_clock: MockClock, arrivals: Arrivals) -> None:
    async with world() as w:
        w.csms.answers("Authorize", tag_info(delay=7.0))
        w.start(authorize=arrivals, tags=GOOD)
        await trio.sleep(1000)

        assert w.numbers("Authorize").planned == pytest.approx(len(planned(arrivals, 1000)), abs=12)
    assert w.numbers("Authorize").planned == len(planned(arrivals, 1000))


@pytest.mark.parametrize("arrivals", [EVEN, POISSON])
async def test_after_a_stall_of_60_s_the_calls_made_are_the_calls_planned(
    autojump_clock: MockClock, arrivals: Arrivals
) -> None:
    async with world() as w:
        w.start(authorize=arrivals, tags=GOOD, call_timeout=100.0)
        await trio.sleep(100)
        w.csms.stalled_until = 160.0
        await trio.sleep(200)

        plan = planned(arrivals, 300)
        numbers = w.numbers("Authorize")
        assert numbers.sent == numbers.accepted == len(plan)
        held_up = [due for due in plan if 100 < due < 160]
        assert numbers.response.max == pytest.approx(160 - held_up[0], rel=1e-6)
        assert numbers.response.total == pytest.approx(sum(160 - due for due in held_up), rel=1e-6)


async def test_rule_5_one_call_is_open_at_a_time(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("Authorize", tag_info(delay=15.0))
        w.start(authorize=EVEN, tags=GOOD, connectors=20)
        await trio.sleep(300)

        assert len(w.csms.calls("Authorize")) > 10
        assert w.csms.overlaps == []


async def test_what_waits_behind_an_open_call_at_the_end_is_waiting_with_its_wait(autojump_clock: MockClock) -> None:
    for attempt in range(8):  # the order in which the tasks end is drawn by trio
        async with world() as w:
            begin = trio.current_time()
            w.csms.answers("Authorize", SILENCE)
            w.start(attempt, authorize=EVEN, tags=GOOD, call_timeout=1000.0)
            await trio.sleep(100)
            w.charge_points[0].stop()
            w.charge_points[0].give_up()
            w.charge_points[0].stop()
            await trio.testing.wait_all_tasks_blocked()

            numbers = w.numbers("Authorize")
            assert trio.current_time() == begin + 100
            assert (numbers.planned, numbers.sent, numbers.open_at_end, numbers.waiting_at_end) == (10, 1, 1, 9)
            assert numbers.response.total == pytest.approx(sum(100 - due for due in planned(EVEN, 100, attempt)))


async def test_what_falls_due_offline_is_skipped_and_never_sent(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.refuse = lambda identity: "refused"
        w.start(authorize=EVEN, tags=GOOD)
        await trio.sleep(100)

        numbers = w.numbers("Authorize")
        assert (numbers.planned, numbers.sent, numbers.skipped_offline, numbers.response.n) == (10, 0, 10, 0)


async def test_rule_9_nobody_is_authorized_before_the_boot_is_accepted(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.csms.answers("BootNotification", boot("Pending", 95), boot("Accepted"))
        w.start(authorize=EVEN, tags=GOOD)
        await trio.sleep(200)

        assert min(w.csms.times("Authorize")) > 95
        assert w.numbers("Authorize").skipped_offline in (9, 10)


@pytest.mark.parametrize(
    "answer", [Answer(error="InternalError"), SILENCE, Answer(payload={}), Answer(raw="garbage"), tag_info("Blocked")]
)
async def test_a_failed_call_is_counted_and_the_next_is_due_anyway(autojump_clock: MockClock, answer: Answer) -> None:
    async with world() as w:
        w.csms.answers("Authorize", answer)
        w.start(authorize=EVEN, tags=GOOD, call_timeout=3.0)
        await trio.sleep(100)

        assert w.csms.times("Authorize") == planned(EVEN, 100)
        numbers = w.numbers("Authorize")
        assert numbers.accepted == 0
        assert numbers.errors + numbers.rejected + numbers.open_at_end >= 9


@pytest.mark.parametrize("status", ["Blocked", "Expired", "Invalid", "ConcurrentTx"])
async def test_rule_16_every_status_but_accepted_is_a_rejection(autojump_clock: MockClock, status: str) -> None:
    async with world() as w:
        w.csms.answers("Authorize", tag_info(status))
        w.start(authorize=EVEN, tags=GOOD)
        await trio.sleep(100)

        numbers = w.numbers("Authorize")
        assert (numbers.accepted, numbers.rejected, numbers.unexpected) == (0, 10, 10)
        assert numbers.rejection_rate == 1.0


async def test_an_answer_is_unexpected_when_it_differs_from_what_the_class_expects(autojump_clock: MockClock) -> None:
    def by_tag(received: Received) -> Answer:
        return tag_info("Blocked" if received.payload["idTag"].startswith("Blocked") else "Accepted")

    async with world() as w:
        w.csms.answers("Authorize", by_tag)
        w.start(authorize=Arrivals(rate=1.0, spacing="even"), tags=tag_pool(good=0.6, Blocked=0.2, Invalid=0.2))
        await trio.sleep(1000)

        good, blocked = w.numbers("Authorize", "good"), w.numbers("Authorize", "Blocked")
        invalid = w.numbers("Authorize", "Invalid")
        assert (good.rejected, good.unexpected) == (0, 0)
        assert (blocked.accepted, blocked.unexpected) == (0, 0)
        assert blocked.rejected == blocked.answered > 0
        assert invalid.accepted == invalid.unexpected == invalid.answered > 0
        assert w.numbers("Authorize").answered == good.answered + blocked.answered + invalid.answered


async def test_tags_are_drawn_by_share(autojump_clock: MockClock) -> None:
    async with world() as w:
        for n in range(20):
            w.start(n, authorize=Arrivals(rate=1.0), tags=tag_pool(good=0.9, Blocked=0.1))
        await trio.sleep(200)

        tags = Counter(call.payload["idTag"] for call in w.csms.calls("Authorize"))
        share = sum(count for tag, count in tags.items() if tag.startswith("Blocked")) / tags.total()
        assert share == pytest.approx(0.1, abs=0.02)
        assert len(tags) == 20
        assert statistics.fmean(tags[f"good-{n}"] for n in range(10)) == pytest.approx(tags.total() * 0.09, rel=0.05)


async def test_the_same_seed_gives_the_same_tags_and_times_whatever_order_charge_points_start_in(
    autojump_clock: MockClock,
) -> None:
    seen = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        async with world() as w:
            begin = trio.current_time()
            for n in order:
                w.start(n, authorize=POISSON, tags=tag_pool(good=0.5, Blocked=0.5))
            await trio.sleep(300)
            calls = w.csms.calls("Authorize")
            seen.append(sorted((c.identity, round(c.at - begin, 6), c.payload["idTag"]) for c in calls))

    assert seen[0] == seen[1]
    assert len({identity for identity, _, _ in seen[0]}) == 4
    assert len({at for _, at, _ in seen[0]}) == len(seen[0])


async def test_a_fleet_without_a_rate_authorizes_nobody(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.start(0, authorize=Arrivals(rate=0.0), tags=GOOD)
        w.start(1, tags=GOOD)
        w.start(2, authorize=EVEN)
        await trio.sleep(300)

        assert w.csms.calls("Authorize") == []


def test_even_arrivals_begin_at_a_random_point_of_the_first_gap() -> None:
    firsts = [next(arrival_times(EVEN, 100.0, Draws(1, "f", n, "arrivals 1"))) for n in range(200)]

    assert 100 <= min(firsts) < 101
    assert 109 < max(firsts) <= 110


def test_even_arrivals_do_not_drift() -> None:
    times = list(islice(arrival_times(Arrivals(rate=3.0, spacing="even"), 0.0, Draws(1, "f", 1, "a")), 100_000))

    assert times[-1] - times[0] == pytest.approx(99_999 / 3, abs=1e-6)


def test_poisson_arrivals_come_at_their_rate() -> None:
    times = list(islice(arrival_times(Arrivals(rate=2.0), 0.0, Draws(1, "f", 1, "a")), 20_000))
    gaps = [after - before for before, after in pairwise(times)]

    assert statistics.fmean(gaps) == pytest.approx(0.5, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(0.5, rel=0.05)
