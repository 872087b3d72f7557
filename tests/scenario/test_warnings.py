"""What can be run and may not be what is wanted is told with its place and its figures, and nothing else is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.charge_point.distribution import Distribution, fixed, uniform
from loadsim.charge_point.settings import SessionSettings
from loadsim.scenario.plan import Stage
from loadsim.scenario.read import read_scenario
from loadsim.scenario.shipped import shipped_scenarios
from loadsim.scenario.warn_load import busy_connectors, mean_stay
from tests.scenario.helpers import ACTIONS, HEAD, mistakes_in, read

FLEETS = "fleets: {a: {count: 100, connectors: 2, session: s}, b: {count: 10}}\n"
SESSIONS = "sessions: {s: {plugged_in: 1h}}\n"
TAGS = "id_tags: {good: {count: 9, pattern: 'G{n}'}, bad: {count: 9, pattern: 'B{n}', expect: Blocked}}\n"


def warnings_in(folder: Path, text: str) -> list[str]:
    """Return "line:column message" of every warning."""
    found = read(folder, text).warnings
    assert all(each.warning for each in found)
    return [f"{each.line}:{each.column} {each.message}" for each in found]


def stages(*texts: str) -> str:
    return "stages:\n" + "".join(f"  - {{{text}}}\n" for text in texts)


def test_a_warning_shows_file_place_line_and_caret(tmp_path: Path) -> None:
    text = (
        HEAD
        + "fleets: {a: {count: 10}}\n"
        + stages("for: 1m, online: 100%")
        + "faults: [{do: drop, at: 0s, share: 4%}]\n"
    )

    (warning,) = read(tmp_path, text).warnings

    assert str(warning).split("\n") == [
        f"{tmp_path / 'test.yaml'}:6:10: warning: faults[0]: it hits nobody: 4% of 1 charge point to be online at "
        "0s rounds to none",
        "     6 | faults: [{do: drop, at: 0s, share: 4%}]",
        "       |          ^",
    ]


@pytest.mark.parametrize("path", shipped_scenarios().values(), ids=lambda path: path.stem)
def test_no_shipped_scenario_has_a_warning(path: Path) -> None:
    scenario = read_scenario(path, {"CSMS_URL": "ws://localhost:9000"}, actions=ACTIONS)

    assert [str(each) for each in scenario.warnings] == []


def test_more_drivers_than_connectors_are_told_with_figures(tmp_path: Path) -> None:
    text = HEAD + FLEETS + SESSIONS
    text += stages("for: 1m, online: 100%", "name: peak, for: 3h, sessions: 320/h, jump: true")

    assert warnings_in(tmp_path, text) == [
        "7:37 stages.peak.sessions: up to 320/h to the fleet 'a', each plugged in for 1h00m on average, need 320 "
        "connectors at 1h8m30s, and it has 200: about 38% of the drivers will find none"
    ]


def test_a_peak_that_is_over_before_the_connectors_are_full_is_no_reason_to_warn(tmp_path: Path) -> None:
    text = HEAD + FLEETS + SESSIONS
    text += stages(
        "for: 1m, online: 100%", "for: 30m, sessions: 320/h, jump: true", "for: 3h, sessions: 100/h, jump: true"
    )

    assert warnings_in(tmp_path, text) == []


@pytest.mark.parametrize(("rate", "warned"), [("199/h", False), ("201/h", True)])
def test_connectors_suffice_to_the_last_one(tmp_path: Path, rate: str, warned: bool) -> None:
    text = HEAD + FLEETS + SESSIONS + stages("for: 1m, online: 100%", f"for: 3h, sessions: {rate}, jump: true")

    assert bool(warnings_in(tmp_path, text)) == warned


def test_connectors_of_charge_points_that_are_never_online_are_none(tmp_path: Path) -> None:
    text = HEAD + FLEETS + SESSIONS + stages("for: 1m, online: 50%", "for: 3h, sessions: 150/h, jump: true")

    (found,) = warnings_in(tmp_path, text)

    assert "need 150 connectors" in found
    assert "it has 100: about 33% of the drivers" in found


def test_who_does_not_plug_in_needs_no_connector(tmp_path: Path) -> None:
    text = HEAD + FLEETS + SESSIONS.replace("1h", "1h, no_show: 50%")
    text += stages("for: 1m, online: 100%", "for: 3h, sessions: 320/h, jump: true")

    assert warnings_in(tmp_path, text) == []


def test_drivers_who_come_while_nobody_is_online_are_told(tmp_path: Path) -> None:
    text = HEAD + FLEETS + SESSIONS
    text += stages(
        "for: 10m, online: {b: 100%}, sessions: 6/h, jump: true",
        "for: 10m, online: 100%",
        "for: 10m, online: 0, jump: true",
    )

    assert warnings_in(tmp_path, text) == [
        f"{place}: about 1 driver for the fleet 'a', and none of its charge points is online: no "
        "connector will be found"
        for place in ("6:45 stages[0].sessions", "8:5 stages[2]")
    ]


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.floats(0.01, 2.0), st.floats(10, 3600), st.floats(0, 1))
def test_a_steady_rate_keeps_rate_times_stay_connectors_busy(rate: float, stay: float, no_show: float) -> None:
    stage = Stage(name="x", duration=20_000.0, online={"a": 1}, sessions={"a": rate}, jump=True)
    session = SessionSettings(name="s", plugged_in=uniform(stay, 2 * stay), no_show=no_show)

    busy = busy_connectors([stage], "a", session, 20_000.0)

    assert busy == pytest.approx((1 - no_show) * rate * 1.5 * stay)


@pytest.mark.parametrize(
    ("spread", "mean"),
    [
        (fixed(7.0), 7.0),
        (uniform(1.0, 4.0), 2.5),
        (Distribution(kind="lognormal", a=10.0, b=1.0), 10 * math.exp(0.5)),
        (Distribution(kind="normal", a=100.0, b=10.0), 100.0),
    ],
)
def test_a_mean_stay_is_that_of_its_distribution(spread: Distribution, mean: float) -> None:
    assert mean_stay(spread) == pytest.approx(mean, rel=0.01)


CAP = "csms: {connect: {rate: 5/s}}\n"


@pytest.mark.parametrize(
    ("texts", "messages"),
    [
        (
            ["name: up, for: 10s, online: 100%"],
            [
                "6:34 stages.up.online: 110 connects in 10s are 11/s, and csms.connect.rate lets 5/s through: it "
                "takes 22.0s"
            ],
        ),
        (["for: 22s, online: 100%"], []),
        (
            ["for: 5s, online: 100%, jump: true", "for: 5s"],
            [
                "6:23 stages[0].online: 110 connects at once, and csms.connect.rate lets 5/s through: it takes "
                "22.0s, and 10s are left for it"
            ],
        ),
        (["for: 0s, online: 100%, jump: true", "for: 22s"], []),
        (
            ["for: 22s, online: 100%", "for: 1s, online: 0%", "for: 1s, online: {b: 10}"],
            ["8:23 stages[2].online: 10 connects in 1s are 10/s"],
        ),
    ],
)
def test_connects_that_the_cap_holds_up_are_told_with_figures(
    tmp_path: Path, texts: list[str], messages: list[str]
) -> None:
    found = warnings_in(tmp_path, HEAD + "fleets: {a: {count: 100}, b: {count: 10}}\n" + CAP + stages(*texts))

    assert len(found) == len(messages)
    assert all(message in each for each, message in zip(found, messages, strict=True))


def faults(text: str) -> str:
    fleets = "fleets: {a: {count: 10}, b: {count: 5}}\n"
    return (
        HEAD
        + fleets
        + stages("name: up, for: 1m, online: {a: 100%}", "name: on, for: 9m")
        + f"faults: [{{{text}}}]\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "do: drop, at: on, fleet: b",
            "faults[0]: it hits nobody: no charge point of the fleet 'b' is to be online at 1m",
        ),
        ("do: drop, at: 10s, share: 50%", ""),
        (
            "do: drop, at: 10s, share: 5%",
            "it hits nobody: 5% of 2 charge points to be online at 10s rounds to none in each fleet",
        ),
        (
            "do: drop, at: on, fleet: a, share: 4%",
            "4% of 10 charge points of the fleet 'a' to be online at 1m rounds to none",
        ),
        (
            "do: drop, at: on, share: 0%",
            "it hits nobody: 0% of 10 charge points to be online at 1m rounds to none in each fleet",
        ),
        (
            "do: drop, rate: 9/m, fleet: b, share: 8%",
            "8% of 5 charge points of the fleet 'b' rounds to none",
        ),
        (
            "do: drop, rate: 9/m, fleet: b",
            "it will hardly happen: 9/m of each charge point, which are to be online for 0s in",
        ),
        (
            "do: drop, rate: 0.1/h, during: on",
            "faults[0]: it will hardly happen: 0.1/h of each charge point, which are to be online for 1h30m in all, "
            "is 0.15 times",
        ),
        ("do: drop, rate: 0/h", ""),
        ("do: drop, at: on", ""),
        (
            "do: silent, at: on+5m, for: 10m",
            "faults[0].for: it lasts until 16m, and the run ends at 10m: who would be back later is not seen",
        ),
        ("do: silent, at: on+5m, for: 4m", ""),
    ],
)
def test_a_fault_that_hits_nobody_or_outlives_the_run_is_told(tmp_path: Path, text: str, message: str) -> None:
    found = warnings_in(tmp_path, faults(text))

    assert len(found) == bool(message)
    assert message in "".join(found)


def test_a_moment_that_is_also_a_stage_s_name_is_told(tmp_path: Path) -> None:
    assert warnings_in(tmp_path, faults("do: drop, at: 2m").replace("name: on", "name: 2m")) == [
        "7:25 faults[0].at: 2m is a stage's name, too; this is the moment 2m after the run's beginning, and that of "
        "the stage is written 2m+0s"
    ]


CHECKED = "fleets: {a: {count: 10KEYS}}\n" + stages(
    "for: 1m, online: 100%", "name: z, for: 0s, online: 0, jump: true"
)
FAILS = "and a check without samples fails"


@pytest.mark.parametrize(
    ("check", "keys", "message"),
    [
        ("StartTransaction p95 < 5s", "", f"no charge point of this scenario sends StartTransaction, {FAILS}"),
        ("Authorize p95 < 5s", "", f"no charge point of this scenario sends Authorize, {FAILS}"),
        ("MeterValues p95 < 5s", "", f"no charge point of this scenario sends MeterValues, {FAILS}"),
        ("Authorize p95 < 5s", ", authorize: 1/s", ""),
        ("Authorize p95 < 5s", ", authorize: 0/s", f"no charge point of this scenario sends Authorize, {FAILS}"),
        ("MeterValues p95 < 5s", ", configuration: {ClockAlignedDataInterval: 60}", ""),
        ("Heartbeat p95 < 5s", "", ""),
        ("all p95 < 5s", "", ""),
        ("'all p95 < 5s during z'", "", f"the stage 'z' takes 0s, so that no call falls due in it, {FAILS}"),
        ("'Heartbeat[good] p95 < 5s'", "", f"Heartbeat is counted in no tag class, {FAILS}"),
        (
            "'Authorize[bad] accepted == 0'",
            ", authorize: 1/s, tags: {good: 100%}",
            f"nobody carries a tag of the class 'bad', {FAILS}",
        ),
        ("'Authorize[bad] accepted == 0'", ", authorize: 1/s", ""),
    ],
)
def test_a_check_that_will_have_no_samples_is_told(tmp_path: Path, check: str, keys: str, message: str) -> None:
    found = warnings_in(tmp_path, HEAD + TAGS + CHECKED.replace("KEYS", keys) + f"thresholds: [{check}]\n")

    assert found == ([f"8:14 thresholds[0]: {message}"] if message else [])


@pytest.mark.parametrize(
    ("session", "rate", "warned"),
    [("{}", "1/s", False), ("{}", "0/s", True), ("{meter_values: 0s}", "1/s", True)],
)
def test_meter_values_come_of_sessions_that_sample(tmp_path: Path, session: str, rate: str, warned: bool) -> None:
    text = HEAD + "fleets: {a: {count: 99, session: s}}\n" + f"sessions: {{s: {session}}}\n"
    text += stages(f"for: 10s, online: 100%, sessions: {rate}, jump: true") + "thresholds: [MeterValues p95 < 5s]\n"

    assert bool(warnings_in(tmp_path, text)) == warned


@pytest.mark.parametrize(
    ("csms", "message"),
    [
        ("url: 'ws://h'", f"sends StartTransaction unless the CSMS asks for it, {FAILS}"),
        ("embedded: {calls: [{send: RemoteStartTransaction, rate: 1/s}]}", ""),
        ("embedded: {calls: [{send: ClearCache, rate: 1/s}]}", f"sends StartTransaction, {FAILS}"),
    ],
)
def test_what_the_csms_can_ask_for_is_told_with_that_doubt(tmp_path: Path, csms: str, message: str) -> None:
    text = HEAD + CHECKED.replace("KEYS", "") + f"csms: {{{csms}}}\nthresholds: [StartTransaction p95 < 5s]\n"

    found = warnings_in(tmp_path, text)

    assert len(found) == bool(message)
    assert message in "".join(found)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("do: drop, at: 5s", ""),
        ("do: csms, at: 5s, how: restart, for: 1s", ""),
        (
            "do: csms, at: 5s, how: refuse, for: 1s",
            "the fault 'x', refusing handshakes, takes nobody offline who is online",
        ),
        (
            "do: csms, at: 5s, how: delay, latency: 1s, for: 1s",
            "the fault 'x', delaying answers, takes nobody offline",
        ),
        ("do: drop, rate: 0/s", f"the fault 'x' has a rate of 0 and hits nobody, {FAILS}"),
        ("do: drop, at: 5s, share: 0%", f"the fault 'x' hits nobody, or hardly ever, {FAILS}"),
    ],
)
def test_a_recovery_from_what_takes_nobody_offline_is_told(tmp_path: Path, fault: str, message: str) -> None:
    text = HEAD + CHECKED.replace("KEYS", "") + f"faults: [{{name: x, {fault}}}]\nthresholds: ['recovery[x] < 5m']\n"

    found = [each for each in warnings_in(tmp_path, text) if "thresholds" in each]

    assert len(found) == bool(message)
    assert message in "".join(found)


@pytest.mark.parametrize(
    ("fault", "check", "message"),
    [
        ("do: drop, at: 30s", "recovery[x] < 2s", ""),
        (
            "do: drop, at: 30s, for: 2m",
            "recovery[x] < 2m",
            "this check cannot hold: the fault 'x' lasts 2m, and csms.",
        ),
        ("do: drop, at: 30s", "recovery[x] < 800ms", ""),
        (
            "do: drop, at: 2m",
            "recovery[x] < 900ms",
            "cannot hold: the fault 'x' lasts 0s, and csms.connect.rate lets 10 charge points back in 900ms",
        ),
        ("do: drop, at: 2m", "recovery[x] <= 900ms", ""),
        ("do: drop, at: 2m", "recovery[x] > 1ms", ""),
        ("do: silent, at: 2m, for: 1m", "recovery[x] < 1m", "this check cannot hold: the fault 'x' lasts 1m"),
        ("do: silent, at: 2m, for: 1m", "recovery[x] <= 1m", ""),
        ("do: slow, at: 2m, for: 1m, latency: 1s", "recovery[x] < 1s", ""),
        ("do: drop, rate: 9/m", "recovery[x] < 800ms", ""),
        (
            "do: csms, how: restart, at: 2m, for: 3s",
            "recovery[x] < 3s",
            "the fault 'x' lasts 3s, and csms.connect.rate",
        ),
    ],
)
def test_a_recovery_that_cannot_be_so_fast_is_told(tmp_path: Path, fault: str, check: str, message: str) -> None:
    text = faults(f"name: x, {fault}") + f"thresholds: ['{check}']\ncsms: {{connect: {{rate: 10/s}}}}\n"

    found = warnings_in(tmp_path, text)

    assert len(found) == bool(message)
    assert message in "".join(found)


def test_a_secret_is_in_no_warning(tmp_path: Path) -> None:
    text = (
        HEAD
        + CHECKED.replace("KEYS", "")
        + "csms: {url: 'ws://h', auth: {password: '${PW}'}}\nfaults: [{name: hunter2, do: drop, at: 0s, share: 0%}]\n"
    )

    (warning,) = read(tmp_path, text, {"PW": "hunter2"}).warnings

    assert "hunter2" not in warning.message


def test_a_wrong_scenario_has_mistakes_alone(tmp_path: Path) -> None:
    text = faults("do: drop, at: on, share: 0%").replace("for: 9m", "for: 9")

    assert [each.warning for each in mistakes_in(tmp_path, text)] == [False]
