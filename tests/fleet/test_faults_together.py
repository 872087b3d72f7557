"""Faults over each other, as chance has them: no charge point breaks, nothing hangs, and every book closes."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadsim.charge_point.distribution import fixed, uniform
from loadsim.charge_point.settings import Arrivals, Backoff, HardwareSettings, HeartbeatSettings, SessionSettings
from loadsim.fleet import Fleet
from loadsim.scenario.plan import MALFORMED_KINDS, FaultPlan, Stage
from tests.support import FakeConnection, in_virtual_time
from tests.tough import ToughCsms, close_in_horror, fault_plan, refuse_with_error, run_faults
from tests.v16.sessions import Book

DURATION = 90.0
STAGES = (
    Stage(name="up", duration=20, online={"a": 4, "b": 2}, sessions={"a": 0.1}),
    Stage(name="down", duration=20, online={"a": 1, "b": 0}),
    Stage(name="jump", duration=50, online={"a": 4, "b": 2}, jump=True),
)
SMALL = tuple(kind for kind in MALFORMED_KINDS if kind not in ("huge", "deep"))


@pytest.fixture(autouse=True)
def _slow_ticker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for lateness once a second: in virtual time there is none, and the looks are most of the work."""
    monkeypatch.setattr("loadsim.fleet.fleet._TICK", 1.0)


moments = st.floats(0, 1.05 * DURATION) | st.sampled_from([0.0, 20.0, 40.0, DURATION])
lasting = st.sampled_from([0.5, 3.0, 12.0, 1000.0])
actions = st.one_of(
    st.fixed_dictionaries(
        {"do": st.just("drop"), "how": st.sampled_from(["reset", "close"]), "duration": st.just(0.0) | lasting}
    ),
    st.fixed_dictionaries({"do": st.just("silent"), "duration": lasting}),
    st.fixed_dictionaries(
        {
            "do": st.just("slow"),
            "duration": lasting,
            "latency": st.sampled_from([(0.0, 0.1), (0.2, 3.0), (9.0, 9.0)]),
            "bandwidth": st.sampled_from([None, 200.0]),
        }
    ),
    st.fixed_dictionaries({"do": st.just("malformed"), "kinds": st.sampled_from([SMALL, ("empty",), ("schema",)])}),
    st.fixed_dictionaries({"do": st.just("csms"), "how": st.just("restart"), "duration": st.just(5.0)}),
)


@st.composite
def plans(draw: st.DrawFn) -> tuple[FaultPlan, ...]:
    """Draw some faults."""
    faults = []
    for number in range(draw(st.integers(1, 5))):
        action: dict[str, Any] = draw(actions)
        if action["do"] == "csms" or draw(st.booleans()):
            when: dict[str, Any] = {"at": draw(moments)}
        else:
            when = {"rate": draw(st.sampled_from([0.01, 0.2])), "begin": draw(moments), "end": DURATION}
        share = draw(st.sampled_from([1.0, 0.5]))
        fleet = draw(st.sampled_from([None, "a"]))
        faults.append(FaultPlan(name=f"f{number}", share=share, fleet=fleet, **action, **when))
    return tuple(faults)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    plans(),
    st.sampled_from([None, refuse_with_error, close_in_horror]),
    st.lists(
        st.tuples(st.floats(0, DURATION), st.sampled_from(["drop", "stall", "block", "reset", "end"])), max_size=3
    ),
    st.sampled_from([0.0, 5.0, 30.0]),
)
def test_whatever_happens_together_no_charge_point_breaks_and_all_books_close(
    faults: tuple[FaultPlan, ...], suffer: Any, happenings: list[tuple[float, str]], graceful_stop: float
) -> None:
    book = Book()
    plan = fault_plan(
        *faults,
        stages=STAGES,
        counts=(4, 2),
        call_timeout=6.0,
        authorize=Arrivals(rate=0.2),
        heartbeat=HeartbeatSettings(every=4.0, regardless_of_traffic=True),
        session=SessionSettings(plugged_in=uniform(5.0, 30.0), energy=fixed(500.0)),
        hardware=HardwareSettings(power_losses=0.01, power_loss_lasts=fixed(4.0)),
        reboot=fixed(3.0),
        ping=7.0,
        reconnect=Backoff(first=1.0, factor=2.0, max=8.0, jitter=0.5),
    )

    def prepare(csms: ToughCsms) -> None:
        csms.suffer = suffer

    async def meanwhile(csms: ToughCsms, fleet: Fleet) -> None:
        for at, what in sorted(happenings):
            await trio.sleep(max(at - fleet.elapsed, 0))
            open_now = [connection for connection in csms.connections if connection.ended_at is None]
            if what == "stall":
                csms.stalled_until = trio.current_time() + 7
            elif what == "end":
                fleet.end()
            elif what == "reset":
                for connection in open_now:
                    csms.nursery.start_soon(_reset, connection)
            else:
                for connection in open_now:
                    if what == "block":
                        connection.client.blocked = True
                    else:
                        await connection.drop(1001)

    async def run() -> None:
        scripts = {action: [script] for action, script in book.scripts.items() if action != "Authorize"}
        ran = await run_faults(
            plan,
            prepare=prepare,
            meanwhile=meanwhile,
            graceful_stop=graceful_stop,
            scripts=scripts,  # type: ignore[arg-type]
        )
        ends = [at for at, what in happenings if what == "end"]
        end = min([DURATION, *ends])
        assert max([0.0, *(at for at, _ in ran.csms.connects)]) <= end + 1e-6
        # All that may take its time: last words of the stops, open calls, and the closing.
        assert ran.ended_after <= end + 2 * graceful_stop + 6.0 + 6.0
        shown = [each for each in ran.ledger.examples if each.what == "loadsim"]
        assert shown == []
        assert book.problems == []

    in_virtual_time(run)


async def _reset(connection: FakeConnection) -> None:
    with trio.move_on_after(5):
        await connection.ask("Reset", {"type": "Soft"})
