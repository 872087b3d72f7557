"""What falls due in the very moment in which a charge point stops, or breaks by a mistake of loadsim's own."""

from __future__ import annotations

from itertools import islice

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.charge_point.draws import Draws
from loadsim.charge_point.settings import Arrivals, DataTransferSettings, HeartbeatSettings, SessionSettings
from loadsim.timers import Timer
from loadsim.v16.open_arrivals import OpenArrivals, arrival_times
from tests.support import Answer, World, boot, fake_csms, make_context, tag_info, tag_pool, world

EVEN = Arrivals(rate=0.1, spacing="even")
GOOD = tag_pool(good=1)


class Stop(Timer):
    """Stops a charge point at *at*, before or after all that was set for that moment later or earlier than this."""

    def __init__(self, charge_point: ChargePoint, at: float) -> None:
        super().__init__()
        self._charge_point = charge_point
        self.set(at)

    def fall_due(self) -> None:
        self._charge_point.stop()


def third(purpose: str) -> float:
    """When the third call of charge point 0 falls due, which lives from 0 on."""
    return next(islice(arrival_times(EVEN, 0.0, Draws(42, "fleet", 0, purpose)), 2, None))


@pytest.mark.parametrize("stop_is_first", [True, False])
@pytest.mark.parametrize("action", ["Authorize", "DataTransfer"])
async def test_a_call_that_falls_due_in_the_moment_of_the_stop_is_planned(
    autojump_clock: MockClock, action: str, *, stop_is_first: bool
) -> None:
    async with world(DataTransfer=Answer(payload={"status": "Accepted"})) as w:
        if action == "Authorize":
            due = third("arrivals 1")
            charge_point = w.make(authorize=EVEN, tags=GOOD)
        else:
            due = third("data arrivals 1")
            charge_point = w.make(data_transfer=DataTransferSettings(arrivals=EVEN))
        w.live(charge_point)
        await trio.sleep(due - 11 if stop_is_first else due - 9)  # the timer is set when the one before is answered
        Stop(charge_point, due)
        await trio.sleep_until(due + 1)

        numbers = w.numbers(action)
        assert (numbers.planned, numbers.sent, numbers.waiting_at_end) == (3, 2, 1)


@pytest.mark.parametrize("stop_is_first", [True, False])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("regardless", [True, False])
async def test_a_beat_that_falls_due_in_the_moment_of_the_stop_is_planned(
    autojump_clock: MockClock, number: int, *, regardless: bool, stop_is_first: bool
) -> None:
    async with world(BootNotification=boot("Accepted", 60)) as w:
        charge_point = w.make(heartbeat=HeartbeatSettings(every=60.0, regardless_of_traffic=regardless))
        first = 60.0 - 60.0 * charge_point.draws("heartbeat 1").uniform()
        due = first + 60.0 * (number - 1)
        if stop_is_first:
            Stop(charge_point, due)
        w.live(charge_point)
        await trio.sleep(due - 0.25)
        if not stop_is_first:
            Stop(charge_point, due)
        await trio.sleep_until(due + 1)

        numbers = w.numbers("Heartbeat")
        assert (numbers.planned, numbers.sent, numbers.waiting_at_end) == (number, number - 1, 1)


async def test_a_beat_that_traffic_has_put_off_is_not_due_at_the_stop(autojump_clock: MockClock) -> None:
    async with world(BootNotification=boot("Accepted", 60)) as w:
        charge_point = w.make()
        due = 60.0 - 60.0 * charge_point.draws("heartbeat 1").uniform() + 60.0
        Stop(charge_point, due)
        w.live(charge_point)
        await trio.sleep(due - 1)
        await w.csms.latest.order("GetConfiguration", {})
        await trio.sleep(2)

        assert (w.numbers("Heartbeat").planned, w.numbers("Heartbeat").sent) == (1, 1)


async def test_what_was_due_before_a_charge_point_came_is_no_lateness(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = w.make(authorize=Arrivals(rate=1.0, spacing="even"), tags=GOOD)
        await trio.sleep(20)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(charge_point.live, 10.0)  # its life before ended late, for a slow answer
            await trio.sleep(5.5)
            charge_point.stop()

        assert w.numbers("Authorize").planned == pytest.approx(15, abs=1)
        assert w.lateness() == 0


async def test_a_mistake_in_what_falls_due_ends_its_charge_point_and_no_other(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake_csms() as csms, trio.open_nursery() as around:  # of who breaks the books are not whole
        w = World(around, csms, make_context(csms))
        good, bad = (w.make(n, authorize=EVEN, tags=GOOD) for n in range(2))
        wake = OpenArrivals.fall_due

        def fall_due(self: OpenArrivals[object]) -> None:
            if self.charge_point is bad:
                raise ZeroDivisionError
            wake(self)

        monkeypatch.setattr(OpenArrivals, "fall_due", fall_due)
        w.live(good)
        with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
            await bad.live()
        await trio.sleep(100)

        assert good.alive
        assert w.numbers("Authorize").sent >= 9
        around.cancel_scope.cancel()


async def test_no_driver_comes_to_a_charge_point_that_broke(autojump_clock: MockClock) -> None:
    async with fake_csms() as csms, trio.open_nursery() as around:  # of who breaks the books are not whole
        w = World(around, csms, make_context(csms))
        charge_point = w.make(session=SessionSettings())
        came: list[bool] = []

        async def break_it() -> None:
            await trio.sleep(5)
            charge_point.fail(ZeroDivisionError())
            while charge_point.alive:
                await trio.lowlevel.checkpoint()
            came.append(w.arrive(charge_point))  # who drives by does not know yet

        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_it)
            with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
                await charge_point.live()

        assert came == [False]


async def test_a_status_that_waits_for_its_turn_when_the_plan_takes_a_charge_point_offline_is_said(
    autojump_clock: MockClock,
) -> None:
    async with world(Authorize=tag_info(delay=20.0)) as w:
        charge_point = await w.online(session=SessionSettings())
        said = len(w.csms.calls("StatusNotification"))
        assert w.arrive(charge_point)
        await trio.sleep(1)  # the card is shown first: Preparing waits behind the Authorize
        charge_point.stop()
        await trio.sleep(30)

        assert [call.payload["status"] for call in w.csms.calls("StatusNotification")[said:]] == ["Preparing"]
