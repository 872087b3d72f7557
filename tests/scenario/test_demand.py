"""What a plan asks for, in expectation: against what can be counted by hand."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.scenario.demand import StageDemand, demands, most_online, surges
from tests.scenario.helpers import plan_of

HEAD = "version: 1\nname: t\ncsms: {embedded: {interval: 60s}}\n"
RAMP = "stages:\n  - {name: ramp, for: 10s, online: 100%}\n  - {name: hold, for: 10m}\n"
SESSIONS = (
    "sessions: {s: {plugged_in: 5m, meter_values: 60s, energy: 50kWh}}\n"
    "stages:\n  - {name: ramp, for: 10s, online: 100%}\n"
    "  - {name: fill, for: 20m, sessions: 360/h, jump: true}\n  - {name: hold, for: 1h}\n"
)


def of(folder: Path, text: str, head: str = HEAD) -> dict[str, StageDemand]:
    return {demand.stage.name: demand for demand in demands(plan_of(folder, head + text))}


def rate(demand: StageDemand, action: str) -> float:
    return demand.flow.calls[action] / demand.flow.seconds


def test_each_charge_point_connects_boots_and_tells_its_statuses_once(tmp_path: Path) -> None:
    stages = of(tmp_path, "fleets: {a: {count: 100, connectors: 2}}\n" + RAMP)

    ramp = stages["ramp"].flow
    assert (ramp.connects, ramp.calls["BootNotification"], ramp.calls["StatusNotification"]) == (100, 100, 300)
    assert (stages["hold"].flow.connects, stages["hold"].flow.calls["BootNotification"]) == (0, 0)


def test_a_csms_that_accepts_the_third_boot_gets_three(tmp_path: Path) -> None:
    head = HEAD.replace("interval: 60s", "interval: 60s, boot_status: [Rejected, Pending, Accepted]")

    assert of(tmp_path, "fleets: {a: {count: 100}}\n" + RAMP, head)["ramp"].flow.calls["BootNotification"] == 300


def test_who_comes_back_does_not_boot_again_unless_its_firmware_does(tmp_path: Path) -> None:
    text = (
        "stages:\n  - {for: 1s, online: 100%}\n  - {for: 1s, online: 0%}\n  - {name: again, for: 1s, online: 100%}\n"
    )
    good = of(tmp_path, "fleets: {a: {count: 100}}\n" + text)["again"].flow
    bad = of(tmp_path, "fleets: {a: {count: 100, boot_on_reconnect: true}}\n" + text)["again"].flow

    assert (good.connects, good.calls["BootNotification"]) == (100, 0)
    assert bad.calls["BootNotification"] == 100


def test_silent_charge_points_beat_once_an_interval(tmp_path: Path) -> None:
    assert rate(of(tmp_path, "fleets: {a: {count: 100}}\n" + RAMP)["hold"], "Heartbeat") == pytest.approx(100 / 60)


def test_traffic_takes_the_place_of_beats(tmp_path: Path) -> None:
    hold = of(tmp_path, "fleets: {a: {count: 100, authorize: 60/h}}\n" + RAMP)["hold"]

    assert rate(hold, "Authorize") == pytest.approx(100 / 60)
    new = 600 * 100 - 540 * 100 - 505  # seconds of charge points that came online less than an interval before
    assert hold.flow.calls["Heartbeat"] == pytest.approx((new + (60_000 - new) / (math.e - 1)) / 60)


def test_the_first_beat_comes_whatever_else_is_said(tmp_path: Path) -> None:
    text = "fleets: {a: {count: 100, authorize: 600/h}}\n" + RAMP.replace("for: 10m", "for: 50s")

    whole = of(tmp_path, text)

    assert sum(stage.flow.calls["Heartbeat"] for stage in whole.values()) == pytest.approx(100 * 55 / 60, rel=0.01)


def test_the_end_of_a_session_is_no_traffic_of_the_silence_that_begins_with_it(tmp_path: Path) -> None:
    head = HEAD.replace("60s", "600s")
    hold = of(tmp_path, "fleets: {a: {count: 100, connectors: 1, session: s}}\n" + SESSIONS, head)["hold"]

    # Each is silent from its session's end to its next driver, 1000 s later on average; 30 of 100 charge.
    expected = 70 * 0.001 / (math.exp(0.6) - 1)
    assert rate(hold, "Heartbeat") == pytest.approx(expected, rel=0.05)


def test_beats_regardless_of_traffic_are_not_fewer(tmp_path: Path) -> None:
    fleet = "fleets: {a: {count: 100, authorize: 60/h, heartbeat: {every: 30s, regardless_of_traffic: true}}}\n"

    assert rate(of(tmp_path, fleet + RAMP)["hold"], "Heartbeat") == pytest.approx(100 / 30)


def test_a_session_is_its_start_its_samples_and_its_stop(tmp_path: Path) -> None:
    hold = of(tmp_path, "fleets: {a: {count: 100, connectors: 2, session: s}}\n" + SESSIONS)["hold"]

    assert rate(hold, "Authorize") == pytest.approx(0.1)
    assert rate(hold, "StartTransaction") == pytest.approx(0.1)
    assert rate(hold, "StopTransaction") == pytest.approx(0.1)
    assert rate(hold, "MeterValues") == pytest.approx(0.1 * 4)  # in 5 minutes, the last one is the end itself
    assert rate(hold, "StatusNotification") == pytest.approx(0.1 * 4)  # Preparing, Charging, Finishing, Available
    assert hold.flow.drivers.charging / hold.flow.seconds == pytest.approx(0.1 * 300)


def test_drivers_who_are_refused_begin_nothing(tmp_path: Path) -> None:
    tags = "id_tags: {good: {count: 5, pattern: 'G{n}'}, bad: {count: 5, pattern: 'B{n}', expect: Blocked}}\n"
    sessions = SESSIONS.replace("{plugged_in", "{tags: {good: 75%, bad: 25%}, plugged_in")
    hold = of(tmp_path, tags + "fleets: {a: {count: 100, connectors: 2, session: s}}\n" + sessions)["hold"]

    assert rate(hold, "Authorize") == pytest.approx(0.1)
    assert rate(hold, "StartTransaction") == pytest.approx(0.075)


def test_the_csms_starts_those_who_wait_for_it(tmp_path: Path) -> None:
    sessions = SESSIONS.replace("{plugged_in", "{start: {rfid: 70%, remote: 30%}, plugged_in")
    hold = of(tmp_path, "fleets: {a: {count: 100, connectors: 2, session: s}}\n" + sessions)["hold"]

    assert hold.flow.commands["RemoteStartTransaction"] / hold.flow.seconds == pytest.approx(0.03)


def test_no_more_charge_than_there_are_connectors(tmp_path: Path) -> None:
    hold = of(tmp_path, "fleets: {a: {count: 10, session: s}}\n" + SESSIONS)["hold"]

    assert hold.flow.drivers.charging / hold.flow.seconds <= 10
    assert hold.flow.drivers.charging / hold.flow.seconds > 9


def test_a_campaign_is_spread_over_its_time_and_makes_charge_points_talk(tmp_path: Path) -> None:
    call = "{name: c, send: UpdateFirmware, to: 'a-*', at: 1m, over: 2m, with: {location: 'http://x.test/f'}}"
    head = HEAD.replace("interval: 60s", f"interval: 60s, calls: [{call}]")
    hold = of(tmp_path, "fleets: {a: {count: 60}, b: {count: 40}}\n" + RAMP, head)["hold"]

    assert hold.flow.commands["UpdateFirmware"] == pytest.approx(60)
    assert hold.flow.calls["FirmwareStatusNotification"] == pytest.approx(240)
    assert hold.flow.calls["BootNotification"] == pytest.approx(60)
    assert hold.flow.calls["StatusNotification"] == pytest.approx(60 * (1 + 2))  # Unavailable; both after the boot


def test_who_is_heard_of_for_the_campaign_beats_less(tmp_path: Path) -> None:
    call = "{name: c, send: UpdateFirmware, at: 2m, with: {location: 'http://x.test/f'}}"
    head = HEAD.replace("interval: 60s", f"interval: 60s, calls: [{call}]")
    with_it = of(tmp_path, "fleets: {a: {count: 60}}\n" + RAMP, head)["hold"]
    without = of(tmp_path, "fleets: {a: {count: 60}}\n" + RAMP)["hold"]

    fewer = without.flow.calls["Heartbeat"] - with_it.flow.calls["Heartbeat"]
    assert (
        60 / 4 < fewer <= 60 * 5 / 2
    )  # each time it is heard of costs half an interval, or less where they are close


def test_a_drop_brings_all_back_within_their_first_wait(tmp_path: Path) -> None:
    fleet = "fleets: {a: {count: 100, reconnect: {first: 10s, factor: 1, max: 10s, jitter: 50%}}}\n"
    plan = plan_of(
        tmp_path, HEAD + fleet + RAMP + "faults: [{name: f, at: hold+1m, share: 50%, do: drop, for: 30s}]\n"
    )

    surge = next(each for each in surges(plan) if each.what == "f")

    assert (surge.at, surge.count, surge.seconds, surge.per_second) == (105.0, 50, 10.0, 5.0)
    assert next(each for each in demands(plan) if each.stage.name == "hold").flow.connects == pytest.approx(50)


def test_a_rate_of_drops_is_of_each_charge_point(tmp_path: Path) -> None:
    faults = "faults: [{name: f, during: hold, share: 50%, do: drop, rate: 6/h}]\n"
    hold = of(tmp_path, "fleets: {a: {count: 100}}\n" + RAMP + faults)["hold"]

    assert hold.flow.connects == pytest.approx(50)


def test_a_jump_is_a_surge_at_once(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path, HEAD + "fleets: {a: {count: 7}}\nstages: [{name: j, for: 9s, online: 100%, jump: true}]\n"
    )

    assert [(each.what, each.count, each.per_second) for each in surges(plan)] == [("j", 7, math.inf)]


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=5).filter(any),
    lasts=st.lists(st.integers(1, 90), min_size=5, max_size=5),
    jumps=st.lists(st.booleans(), min_size=5, max_size=5),
    sessions=st.integers(0, 500),
)
def test_whatever_the_stages_are_every_charge_point_connects_when_it_is_to_be_online(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], lasts: list[int], jumps: list[bool], sessions: int
) -> None:
    stages = [
        f"  - {{for: {last}s, online: {count}, sessions: {sessions}/h, jump: {str(jump).lower()}}}\n"
        for count, last, jump in zip(counts, lasts, jumps, strict=False)
    ]
    text = "fleets: {a: {count: 60, session: s}}\nsessions: {s: {plugged_in: 5s..40s, meter_values: 7s}}\nstages:\n"
    plan = plan_of(tmp_path_factory.mktemp("demand"), HEAD + text + "".join(stages))

    found = demands(plan)

    rises = sum(max(0, after - before) for before, after in zip([0, *counts], counts, strict=False))
    assert sum(each.flow.connects for each in found) == rises
    assert sum(each.flow.calls["BootNotification"] for each in found) == max(counts) == most_online(plan)
    assert all(count >= -1e-9 for each in found for count in each.flow.calls.values())
    begun = sum(each.flow.drivers.begun for each in found)
    assert sum(each.flow.drivers.ended for each in found) <= begun + 1e-6


def test_a_plan_of_very_many_stages_is_there_in_seconds(tmp_path: Path) -> None:
    stages = "".join(f"  - {{for: 1m, online: {50 + n % 50}%, sessions: {n}/h}}\n" for n in range(300))
    sessions = "sessions: {s: {plugged_in: {lognormal: 1h, sigma: 1}}}\n"
    plan = plan_of(tmp_path, HEAD + "fleets: {a: {count: 500, session: s}}\n" + sessions + "stages:\n" + stages)
    began = time.process_time()

    whole = demands(plan)

    assert time.process_time() - began < 10  # a question to each stage for each of their lengths took minutes
    assert sum(each.flow.connects for each in whole) > 500
