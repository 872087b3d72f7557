"""SetChargingProfile, ClearChargingProfile and GetCompositeSchedule (OCPP 1.6, sections 5.5, 5.7 and 5.16)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio
from trio.testing import MockClock

from loadsim.charge_point.charge_point import ChargePoint
from loadsim.timers import Timer
from loadsim.v16 import session
from loadsim.v16.connectors import Connector, Transaction
from loadsim.v16.memory import connector_of, memory_of
from loadsim.v16.messages.formats import format_date_time
from loadsim.v16.messages.types import ChargePointStatus
from loadsim.v16.smart_charging.composite_schedule import Limit
from loadsim.v16.smart_charging.in_force import install, install_for_remote_start, limit_now, share_changed
from tests.support import Answer, Received, World, world
from tests.v16.messages.oracle import validator
from tests.v16.profiles import profile, profile_json

if TYPE_CHECKING:
    from loadsim.v16.session import Session

BEGIN = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
"""When the boot was answered, at 0 seconds of the run."""


def setting(connector_id: int = 0, /, **more: Any) -> dict[str, Any]:
    return {"connectorId": connector_id, "csChargingProfiles": profile_json(**more)}


def clock(received: Received) -> Answer:
    """Answer a Heartbeat with the time of day, which goes on."""
    return Answer(payload={"currentTime": format_date_time(BEGIN + timedelta(seconds=received.at))})


async def order(w: World, action: str, payload: Mapping[str, Any]) -> Any:
    answer = await w.csms.latest.order(action, payload)
    validator(f"{action}Response").validate(answer)
    return answer


async def schedule(w: World, connector_id: int = 1, duration: int = 3600, **more: Any) -> list[tuple[float, ...]]:
    answer = await order(w, "GetCompositeSchedule", {"connectorId": connector_id, "duration": duration, **more})
    assert answer["status"] == "Accepted"
    periods = answer["chargingSchedule"]["chargingSchedulePeriod"]
    return [tuple(period.values()) for period in periods]


def charging(
    charge_point: ChargePoint, connector_id: int = 1, number: int | None = 7, status: ChargePointStatus = "Charging"
) -> Connector:
    """Put a transaction that begins now on a connector, without a car."""
    connector = connector_of(charge_point, connector_id)
    connector.transaction = Transaction(connector_id, "TAG", 0, charge_point.now())
    connector.transaction.id = number
    connector.status = status
    return connector


class Bell:
    """A session that only counts how often it was to look again."""

    def __init__(self) -> None:
        self.rung = 0

    def look_again(self) -> None:
        self.rung += 1


def listening(connector: Connector) -> Bell:
    bell = Bell()
    connector.session = cast("Session", bell)
    return bell


async def test_a_profile_that_is_accepted_limits_the_connector(autojump_clock: MockClock) -> None:
    async with world(Heartbeat=clock) as w:
        charge_point = await w.online(connectors=2)
        assert limit_now(charge_point, 1) == Limit(math.inf, None)

        answer = await order(w, "SetChargingProfile", setting(1, periods={0: 4000, 600: 2000}, start=BEGIN))
        assert answer == {"status": "Accepted"}
        assert limit_now(charge_point, 1) == Limit(4000, BEGIN + timedelta(seconds=600))
        assert limit_now(charge_point, 2) == Limit(math.inf, None)

        await trio.sleep(601)
        assert limit_now(charge_point, 1) == Limit(2000, None)


async def test_a_relative_profile_counts_from_the_transaction(autojump_clock: MockClock) -> None:
    async with world(Heartbeat=clock) as w:
        charge_point = await w.online()
        await trio.sleep(100)
        charging(charge_point)
        await trio.sleep(50.5)
        await order(w, "SetChargingProfile", setting(1, kind="Relative", periods={0: 4000, 60: 2000}))

        assert limit_now(charge_point, 1) == Limit(4000, BEGIN + timedelta(seconds=160))
        assert await schedule(w) == [(0, 4000), (10, 2000)]


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (setting(0), "Accepted"),
        (setting(2), "Accepted"),
        (setting(3), "Rejected"),
        (setting(-1), "Rejected"),
        (setting(0, level=9), "Rejected"),
        (setting(0, periods={}), "Rejected"),
        (setting(0, purpose="ChargePointMaxProfile"), "Accepted"),
        (setting(1, purpose="ChargePointMaxProfile"), "Rejected"),
        (setting(1, purpose="TxProfile"), "Accepted"),
        (setting(1, purpose="TxProfile", transaction=7), "Accepted"),
        (setting(1, purpose="TxProfile", transaction=6), "Rejected"),
        (setting(0, purpose="TxProfile", transaction=7), "Rejected"),
        (setting(2, purpose="TxProfile"), "Rejected"),
    ],
)
async def test_rule_39_a_profile_is_accepted_where_it_can_be_kept(
    autojump_clock: MockClock, payload: dict[str, Any], status: str
) -> None:
    async with world() as w:
        charge_point = await w.online(connectors=2)
        charging(charge_point, 1)
        assert await order(w, "SetChargingProfile", payload) == {"status": status}
        assert w.counted("commands.SetChargingProfile.refused") == (status == "Rejected")
        assert bool(memory_of(charge_point).profiles) is (status == "Accepted")


async def test_without_smart_charging_a_profile_is_not_supported(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online(profiles=("Core", "RemoteTrigger"))
        assert await order(w, "SetChargingProfile", setting(0)) == {"status": "NotSupported"}
        assert memory_of(charge_point).profiles is None


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("SetChargingProfile", setting(0, unit="kW")),
        ("SetChargingProfile", setting(0, unit="")),
        ("GetCompositeSchedule", {"connectorId": 1, "duration": 60, "chargingRateUnit": "kW"}),
        ("GetCompositeSchedule", {"connectorId": 1, "duration": 60, "chargingRateUnit": "w"}),
    ],
)
async def test_rule_40_a_bad_charging_rate_unit_is_a_property_constraint_violation(
    autojump_clock: MockClock, action: str, payload: dict[str, Any]
) -> None:
    async with world() as w:
        charge_point = await w.online()
        answer = await w.csms.latest.ask(action, payload)
        assert answer[:2] == [4, "PropertyConstraintViolation"]
        assert memory_of(charge_point).profiles is None


async def test_a_limit_with_two_decimals_is_refused(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online()
        answer = await w.csms.latest.ask("SetChargingProfile", setting(0, periods={0: 10.05}))
        assert answer[:2] == [4, "PropertyConstraintViolation"]


async def test_rule_39_the_composite_schedule_comes_from_the_limits_in_force(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online(connectors=2, power=22_000.0)
        charging(charge_point, 1)
        # 16 A on three phases, 11,040 W, for the whole; from now on 12 kW for the transaction, after 10 min 5 kW.
        await order(
            w, "SetChargingProfile", setting(0, number=1, purpose="ChargePointMaxProfile", periods={0: 16}, unit="A")
        )
        await order(
            w, "SetChargingProfile", setting(1, number=2, purpose="TxProfile", periods={0: 12_000, 600: 5000})
        )
        answer = await order(w, "GetCompositeSchedule", {"connectorId": 1, "duration": 900})

        assert answer == {
            "status": "Accepted",
            "connectorId": 1,
            "scheduleStart": "2026-11-22T09:15:00.000Z",
            "chargingSchedule": {
                "duration": 900,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11_040}, {"startPeriod": 600, "limit": 5000}],
            },
        }
        # 5000 / 230 / 3 = 7.24 A
        assert await schedule(w, duration=900, chargingRateUnit="A") == [(0, 16), (600, 7.2)]
        # Connector 2 would share with 1: 8 A, 5,520 W. Both together: 12 + 22 kW, from 600 on 27 kW, within 11,040 W.
        assert await schedule(w, 2) == [(0, 5520)]
        assert await schedule(w, 0) == [(0, 11_040)]


async def test_amperes_are_told_with_their_phases_where_they_are_not_three(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(phases=1, power=3680.0)
        answer = await order(w, "GetCompositeSchedule", {"connectorId": 1, "duration": 60, "chargingRateUnit": "A"})
        assert answer["chargingSchedule"]["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "limit": 16, "numberPhases": 1}
        ]


async def test_a_schedule_tells_the_fleets_power_where_nothing_limits(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online(connectors=3, power=7400.0)
        assert await schedule(w, 2) == [(0, 7400)]
        assert await schedule(w, 0) == [(0, 22_200)]
        assert memory_of(charge_point).profiles is None  # asking costs no memory


@pytest.mark.parametrize(
    "payload",
    [
        {"connectorId": 3, "duration": 60},
        {"connectorId": -1, "duration": 60},
        {"connectorId": 1, "duration": 0},
        {"connectorId": 0, "duration": -5},
    ],
)
async def test_a_schedule_of_nothing_is_rejected(autojump_clock: MockClock, payload: dict[str, Any]) -> None:
    async with world() as w:
        await w.online(connectors=2)
        assert await order(w, "GetCompositeSchedule", payload) == {"status": "Rejected"}


async def test_a_schedule_of_ages_tells_how_far_it_goes(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online()
        answer = await order(w, "GetCompositeSchedule", {"connectorId": 1, "duration": 10**30})
        assert answer["chargingSchedule"]["duration"] == 7 * 24 * 3600


async def test_clearing_answers_unknown_when_nothing_matches(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online()
        assert await order(w, "ClearChargingProfile", {}) == {"status": "Unknown"}
        await order(w, "SetChargingProfile", setting(0, number=5))
        assert await order(w, "ClearChargingProfile", {"id": 4}) == {"status": "Unknown"}
        assert limit_now(charge_point, 1).watts == 6000
        assert await order(w, "ClearChargingProfile", {"id": 5}) == {"status": "Accepted"}
        assert limit_now(charge_point, 1) == Limit(math.inf, None)
        assert w.counted("commands.ClearChargingProfile.refused") == 2


async def test_whatever_changes_a_limit_wakes_the_sessions(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online(connectors=2)
        bells = [listening(charging(charge_point, n)) for n in (1, 2)]

        def rung() -> list[int]:
            counts = [bell.rung for bell in bells]
            for bell in bells:
                bell.rung = 0
            return counts

        await order(w, "SetChargingProfile", setting(1, number=1))
        assert rung()[0] == 1
        await order(w, "SetChargingProfile", setting(2, number=1))  # was connector 1's
        assert rung() == [1, 1]
        await order(w, "SetChargingProfile", setting(0, number=2, purpose="ChargePointMaxProfile"))
        assert rung() == [1, 1]
        await order(w, "SetChargingProfile", setting(0, number=3, periods={}))
        assert rung() == [0, 0]
        await order(w, "ClearChargingProfile", {"id": 2})
        assert rung() == [1, 1]
        await order(w, "ClearChargingProfile", {"id": 2})
        assert rung() == [0, 0]
        await order(w, "GetCompositeSchedule", {"connectorId": 0, "duration": 60})
        assert rung() == [0, 0]
        for bell_of in (1, 2):
            connector_of(charge_point, bell_of).session = None


class Appointment(Timer):
    """Something that happens at its moment, before any task that the moment wakes goes on."""

    def __init__(self, at: float, happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens = happens
        self.set(at)

    def fall_due(self) -> None:
        self._happens()


async def test_a_session_looks_at_its_limit_when_that_changes_and_not_at_each_sample(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def look(charge_point: ChargePoint, connector_id: int) -> Limit:
        looks.append(trio.current_time())
        return limit_now(charge_point, connector_id)

    monkeypatch.setattr(session, "limit_now", look)
    async with world(Heartbeat=clock) as w:
        keys = {"MeterValueSampleInterval": "10", "MeterValuesSampledData": "Power.Active.Import"}
        charge_point = await w.online(configuration=keys)
        w.arrive(charge_point, plugged_in=99.5, energy=10_000.0)
        begun = trio.current_time()
        await trio.sleep(25)
        late, early = profile(1, periods={0: 4000, 30: 2000}, start=BEGIN + timedelta(seconds=30)), profile(2, 1)
        # The first in the moment of a sample, in which the session has been woken and has not looked yet.
        Appointment(begun + 30, lambda: install(charge_point, 1, late))
        await trio.sleep(42.5)
        assert install(charge_point, 1, early)
        await trio.sleep(100)

    watts = [float(call.payload["meterValue"][0]["sampledValue"][0]["value"]) for call in w.csms.calls("MeterValues")]
    assert watts == [11_000, 11_000, 4000, 4000, 4000, 2000, 6000, 6000, 6000]
    assert [at - begun for at in looks] == pytest.approx([0, 30, 60, 67.5])


async def test_the_limit_of_the_charge_point_is_shared_by_those_that_want_power(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online(connectors=3)
        await order(w, "SetChargingProfile", setting(0, purpose="ChargePointMaxProfile", periods={0: 12_000}))
        first = charging(charge_point, 1)
        assert limit_now(charge_point, 1).watts == 12_000
        second = charging(charge_point, 2)
        assert limit_now(charge_point, 1).watts == limit_now(charge_point, 2).watts == 6000
        charging(charge_point, 3, status="SuspendedEVSE")
        assert limit_now(charge_point, 1).watts == limit_now(charge_point, 3).watts == 4000
        second.status = "SuspendedEV"  # its battery is full
        assert limit_now(charge_point, 1).watts == limit_now(charge_point, 3).watts == 6000
        first.transaction = None
        assert limit_now(charge_point, 3).watts == 12_000


async def test_only_a_shared_limit_makes_the_others_look_when_one_comes_or_goes(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online(connectors=2)
        connector = charging(charge_point, 1)
        share_changed(charge_point)
        bell = listening(connector)
        share_changed(charge_point)
        await order(w, "SetChargingProfile", setting(0, number=1))
        assert bell.rung == 1
        share_changed(charge_point)
        assert bell.rung == 1
        await order(w, "SetChargingProfile", setting(0, number=2, purpose="ChargePointMaxProfile"))
        share_changed(charge_point)
        assert bell.rung == 3
        connector.session = None


async def test_rule_25_a_remote_starts_profile_holds_for_its_transaction(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online()
        brought = profile(9, 0, "TxProfile", "Relative", periods={0: 3000, 60: 1000})
        bell = listening(charging(charge_point))
        install_for_remote_start(charge_point, 1, brought)
        assert bell.rung == 1
        assert limit_now(charge_point, 1) == Limit(3000, BEGIN + timedelta(seconds=60))
        connector_of(charge_point, 1).session = None


async def test_rule_25_without_smart_charging_a_remote_starts_profile_is_ignored(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online(profiles=("Core",))
        charging(charge_point)
        install_for_remote_start(charge_point, 1, profile(9, 0, "TxProfile", periods={0: 3000}))
        assert limit_now(charge_point, 1) == Limit(math.inf, None)


async def test_profiles_outlive_a_connection(autojump_clock: MockClock) -> None:
    async with world() as w:
        charge_point = await w.online()
        await order(w, "SetChargingProfile", setting(0, periods={0: 4000}))
        await w.csms.latest.drop()
        await trio.sleep(60)
        assert len(w.csms.connections) == 2
        assert limit_now(charge_point, 1).watts == 4000
        assert await schedule(w) == [(0, 4000)]


async def test_many_orders_leave_no_more_profiles_than_there_is_room_for(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.online(connectors=3)
        orders = [setting(n % 4, number=n, level=n // 4) for n in range(30)]
        answers = Counter([(await order(w, "SetChargingProfile", each))["status"] for each in orders])
        assert answers == {"Accepted": 20, "Rejected": 10}
