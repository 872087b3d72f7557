"""Charging sessions and hardware in a scenario: what their keys become, and what is said of senseless ones."""

from __future__ import annotations

import math
from importlib import util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from loadsim.charge_point.distribution import Distribution
from loadsim.charge_point.settings import STANDARD_PROFILES, HardwareSettings, SessionSettings
from loadsim.errors import ScenarioError
from loadsim.scenario.model_hardware import ERROR_CODES
from loadsim.scenario.plan import EmbeddedCsms, Plan, follow_up_remote_start
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve, resolved_yaml
from loadsim.v16 import hardware
from loadsim.v16.configuration import initial_problem
from tests.scenario.helpers import ACTIONS, HEAD, STAGES, messages_in, plan_of, read

STEADY = settings(derandomize=True, deadline=None, max_examples=40)


def charging(session: str, fleet: str = "", stages: str = STAGES) -> str:
    """Return a scenario of one fleet whose drivers have the session, with more keys of the fleet."""
    return f"{HEAD}sessions:\n  s: {{{session}}}\nfleets:\n  a: {{count: 10, session: s, {fleet}}}\n{stages}"


def session_of(plan: Plan) -> SessionSettings:
    session = plan.fleets[0].settings.session
    assert session is not None
    return session


def test_a_session_without_keys_is_the_default_one_by_its_name(tmp_path: Path) -> None:
    assert session_of(plan_of(tmp_path, charging(""))) == SessionSettings(name="s")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("30m", Distribution(a=1800.0)),
        ("5m..1h", Distribution(kind="uniform", a=300.0, b=3600.0)),
        ("{normal: 2h, sd: 40m}", Distribution(kind="normal", a=7200.0, b=2400.0)),
        ("{normal: 2h, sd: 0s}", Distribution(kind="normal", a=7200.0, b=0.0)),
        (
            "{normal: 2h, sd: 40m, min: 5m, max: 4h}",
            Distribution(kind="normal", a=7200.0, b=2400.0, least=300.0, most=14400.0),
        ),
        ("{lognormal: 25m, sigma: 0.4}", Distribution(kind="lognormal", a=1500.0, b=0.4)),
        ('"${STAY}"', Distribution(kind="uniform", a=60.0, b=120.0)),
        ('{lognormal: "${MEDIAN}", sigma: "${SIGMA}"}', Distribution(kind="lognormal", a=600.0, b=1.0)),
    ],
)
def test_a_duration_is_one_value_two_or_spread(tmp_path: Path, written: str, meant: Distribution) -> None:
    environ = {"STAY": "1m..2m", "MEDIAN": "10m", "SIGMA": "1"}

    assert session_of(plan_of(tmp_path, charging(f"plugged_in: {written}"), environ)).plugged_in == meant


def test_energies_are_in_watt_hours(tmp_path: Path) -> None:
    spread = "energy: {normal: 20kWh, sd: 500Wh, max: 40kWh}"

    assert session_of(plan_of(tmp_path, charging(spread))).energy == Distribution(
        kind="normal", a=20_000.0, b=500.0, most=40_000.0
    )


@pytest.mark.parametrize(("start", "rfid"), [("{rfid: 70%, remote: 30%}", 0.7), ("{remote: 100%}", 0.0)])
def test_those_who_have_no_card_wait_for_a_remote_start(tmp_path: Path, start: str, rfid: float) -> None:
    assert session_of(plan_of(tmp_path, charging(f"start: {start}"))).rfid == rfid


@pytest.mark.parametrize(
    ("session", "fleet", "interval"),
    [
        ("", "", "60"),
        ("meter_values: 15s", "", "15"),
        ("meter_values: 0s", "", "0"),
        ("meter_values: 15s", "configuration: {MeterValueSampleInterval: 5}", "5"),
    ],
)
def test_meter_values_are_sampled_as_the_fleet_says_else_as_the_session_says(
    tmp_path: Path, session: str, fleet: str, interval: str
) -> None:
    configuration = plan_of(tmp_path, charging(session, fleet)).fleets[0].settings.configuration

    assert configuration == {"MeterValueSampleInterval": interval}


def test_a_fleet_without_a_session_configures_nothing_by_itself(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, charging("meter_values: 5s").replace("fleets:\n", "fleets:\n  b: {count: 1}\n"))

    assert plan.fleets[0].settings.session is None
    assert plan.fleets[0].settings.configuration == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("true", "true"),
        ("False", "false"),
        ("30", "30"),
        ("'007'", "007"),
        ("[Core, 3, true]", "Core,3,true"),
        ("[]", ""),
    ],
)
def test_values_of_configuration_keys_become_the_text_of_ocpp(tmp_path: Path, value: str, text: str) -> None:
    text_of = f"{HEAD}fleets: {{a: {{count: 1, configuration: {{Key: {value}}}}}}}\n{STAGES}"

    assert plan_of(tmp_path, text_of).fleets[0].settings.configuration == {"Key": text}


def test_a_configuration_key_is_asked_about_with_its_text(tmp_path: Path) -> None:
    (tmp_path / "test.yaml").write_text(
        f"{HEAD}fleets:\n  a: {{count: 1, configuration: {{Good: [1, 2], Bad: true}}}}\n{STAGES}"
    )
    asked: list[tuple[str, str]] = []

    def problem(name: str, value: str) -> str | None:
        asked.append((name, value))
        return "expected something better" if name == "Bad" else None

    with pytest.raises(ScenarioError) as caught:
        read_scenario(tmp_path / "test.yaml", {}, actions=ACTIONS, configuration=problem)

    assert asked == [("Good", "1,2"), ("Bad", "true")]
    (mistake,) = caught.value.mistakes
    assert mistake.message == "fleets.a.configuration.Bad: expected something better"
    assert (mistake.line, mistake.column) == (4, 52)


def test_the_interval_of_meter_values_is_one_that_its_configuration_key_can_have(tmp_path: Path) -> None:
    (tmp_path / "test.yaml").write_text(charging("meter_values: 90000000000s"))

    with pytest.raises(ScenarioError) as caught:
        read_scenario(tmp_path / "test.yaml", {}, actions=ACTIONS, configuration=initial_problem)

    (mistake,) = caught.value.mistakes
    assert mistake.message.startswith("sessions.s.meter_values: as MeterValueSampleInterval: expected ")
    assert "90000000000" in mistake.message


def test_a_key_that_is_a_password_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "test.yaml").write_text(charging("", "configuration: {AuthorizationKey: hunter2}"))

    with pytest.raises(ScenarioError) as caught:
        read_scenario(tmp_path / "test.yaml", {}, actions=ACTIONS, configuration=initial_problem)

    assert "AuthorizationKey: cannot be set here" in str(caught.value)
    assert "hunter2" not in str(caught.value)


TWO = """\
sessions: {s: {}}
fleets:
  a: {count: 10, connectors: 2, session: s}
  b: {count: 20, session: s}
  c: {count: 70}
stages:
"""


@pytest.mark.parametrize(
    ("stages", "rates"),
    [
        ("[{for: 1h, online: 1, sessions: 1800/h}]", [{"a": 0.25, "b": 0.25}]),
        ("[{for: 1h, online: 1, sessions: {a: 360/h}}]", [{"a": 0.1, "b": 0.0}]),
        (
            "[{for: 1h, online: 1, sessions: {a: 360/h}}, {for: 1h, sessions: {b: 720/h}}, {for: 1h}, "
            "{for: 1h, sessions: 0/h, jump: true}]",
            [{"a": 0.1, "b": 0.0}, {"a": 0.1, "b": 0.2}, {"a": 0.1, "b": 0.2}, {"a": 0.0, "b": 0.0}],
        ),
        ("[{for: 1h, online: 1}]", [{"a": 0.0, "b": 0.0}]),
    ],
)
def test_sessions_are_split_by_connectors_and_keep_their_last_rate(
    tmp_path: Path, stages: str, rates: list[dict[str, float]]
) -> None:
    plan = plan_of(tmp_path, HEAD + TWO.replace("stages:\n", f"stages: {stages}\n"))

    assert [stage.sessions for stage in plan.stages] == rates


@STEADY
@given(
    st.integers(1, 10**6),
    st.sampled_from("smhd"),
    st.lists(st.tuples(st.integers(1, 10**4), st.integers(1, 9)), min_size=1, max_size=5),
)
def test_the_parts_of_a_rate_are_the_whole_and_survive_being_written(
    tmp_path_factory: pytest.TempPathFactory, number: int, unit: str, sizes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("rates")
    fleets = "".join(
        f"  f{k}: {{count: {count}, connectors: {each}, session: s}}\n" for k, (count, each) in enumerate(sizes)
    )
    rate = min(number, 10_000) if unit == "s" else number
    text = f"{HEAD}sessions: {{s: {{}}}}\nfleets:\n{fleets}"
    scenario = read(folder, f"{text}stages: [{{for: 1h, online: 1, sessions: {rate}/{unit}}}]\n")
    plan = resolve(scenario, seed=1)
    (stage,) = plan.stages
    total = sum(count * each for count, each in sizes)

    assert math.fsum(stage.sessions.values()) == pytest.approx(
        rate / {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit], rel=1e-12
    )
    assert all(
        stage.sessions[f"f{k}"] / math.fsum(stage.sessions.values()) == pytest.approx(count * each / total)
        for k, (count, each) in enumerate(sizes)
    )
    assert resolve(read(folder, resolved_yaml(scenario, plan))) == plan


def test_how_sessions_arrive_is_each_stage_s_own(tmp_path: Path) -> None:
    stages = "stages: [{for: 1s, online: 1, arrivals: even}, {for: 1s}, {for: 1s, arrivals: poisson}]\n"

    assert [stage.arrivals for stage in plan_of(tmp_path, charging("", stages=stages)).stages] == [
        "even",
        "poisson",
        "poisson",
    ]


TAGS = """\
id_tags:
  drivers: {count: 5, pattern: "D{n}"}
  stolen: {count: 5, pattern: "S{n}", expect: Blocked}
  staff: {count: 5, pattern: "F{n}"}
"""


@pytest.mark.parametrize(
    ("session", "names"),
    [
        ("start: {rfid: 70%, remote: 30%}, tags: {drivers: 98%, stolen: 2%}", ["drivers"]),
        ("start: {remote: 100%}, tags: {stolen: 100%}", ["stolen"]),
        ("start: {remote: 100%}", ["drivers", "staff"]),
    ],
)
def test_the_embedded_csms_starts_whoever_waits_with_a_tag_such_as_they_carry(
    tmp_path: Path, session: str, names: list[str]
) -> None:
    plan = plan_of(tmp_path, charging(session).replace("sessions:", TAGS + "sessions:", 1))
    classes = tuple(each for each in plan.tag_classes if each.name in names)

    assert plan.embedded is not None
    assert plan.embedded.calls == (follow_up_remote_start(classes),)


def test_what_the_embedded_csms_is_given_survives_being_written(tmp_path: Path) -> None:
    waiting = charging("start: {rfid: 70%, remote: 30%}, tags: {drivers: 98%, stolen: 2%}")
    text = waiting.replace("sessions:", TAGS.replace('"D{n}"', '"D{n}", parent: G') + "sessions:", 1)
    scenario = read(tmp_path, text + "csms: {embedded: {concurrent_tx: true}}\n")
    plan = resolve(scenario)

    assert resolve(read(tmp_path, resolved_yaml(scenario, plan))) == plan


def test_where_all_have_cards_or_the_csms_is_another_no_remote_start_is_added(tmp_path: Path) -> None:
    cards = plan_of(tmp_path, charging("")).embedded
    waiting = charging("start: {remote: 100%}")

    assert cards is not None
    assert cards.calls == ()
    assert plan_of(tmp_path, waiting + "csms: {url: 'ws://h'}\n").embedded is None


def test_a_parent_is_given_to_every_tag_of_its_class(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("tag\nA\nB\n")
    drivers, staff = "{count: 2, pattern: 'D{n}', parent: G1}", "{file: tags.csv, parent: G2}"
    tags = f"id_tags: {{d: {drivers}, s: {staff}, n: {{count: 1, pattern: N}}}}\n"
    plan = plan_of(tmp_path, HEAD + tags + "fleets: {a: {count: 1}}\n" + STAGES)

    assert [each.parent for each in plan.tag_classes] == ["G1", "G2", None]
    assert plan.embedded == EmbeddedCsms(parents={"D1": "G1", "D2": "G1", "A": "G2", "B": "G2"})


def test_the_embedded_csms_minds_a_tag_that_charges_elsewhere_if_asked_to(tmp_path: Path) -> None:
    text = HEAD + "csms: {embedded: {concurrent_tx: true}}\nfleets: {a: {count: 1}}\n" + STAGES

    assert plan_of(tmp_path, text).embedded == EmbeddedCsms(concurrent_tx=True)


def test_faults_without_codes_are_other_errors(tmp_path: Path) -> None:
    given = plan_of(tmp_path, charging("", "hardware: {faults: 1/h}")).fleets[0].settings.hardware

    assert given == HardwareSettings(faults=1 / 3600, codes={"OtherError": 1.0})


def test_the_error_codes_are_those_that_a_charge_point_can_report_of_a_fault() -> None:
    assert set(ERROR_CODES) == set(hardware.ERROR_CODES)


def test_security_is_asked_for_and_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = charging("", "profiles: [Core, Security]")
    monkeypatch.setattr("loadsim.scenario.check_sessions.find_spec", lambda _: None)
    assert [message.partition(" ")[2] for message in messages_in(tmp_path, text)] == [
        "fleets.a.profiles: Security needs the package cryptography: pip install cryptography"
    ]

    monkeypatch.setattr("loadsim.scenario.check_sessions.find_spec", lambda _: util.find_spec("json"))
    assert plan_of(tmp_path, text).fleets[0].settings.profiles == ("Core", "Security")
    assert plan_of(tmp_path, charging("")).fleets[0].settings.profiles == STANDARD_PROFILES


@pytest.mark.parametrize(
    ("session", "message"),
    [
        ("tags: {driver: 100%}", "sessions.s.tags.driver: unknown tag class 'driver'"),
        ("tags: {defaults: 100%}", "unknown tag class 'defaults'; did you mean 'default'?"),
        ("tags: {default: 90%}", "sessions.s.tags: expected shares of 100% in all, got 90%"),
        ("start: {rfid: 70%}", "sessions.s.start: expected shares of 100% in all, got 70%"),
        ("start: {rfid: 70%, remote: 40%}", "sessions.s.start: expected shares of 100% in all, got 110%"),
        ("start: {card: 100%}", "sessions.s.start.card: unknown key 'card'; expected 'rfid' or 'remote'"),
        ("start: rfid", "sessions.s.start: expected a mapping (key: value), got 'rfid'"),
        ("plugged_in: 30", "sessions.s.plugged_in: expected a duration such as '30s', '5m' or '1h30m', got '30'"),
        ("plugged_in: 2h..1h", "sessions.s.plugged_in: expected the smaller value first, got '2h..1h'"),
        ("plugged_in: 2h..", "sessions.s.plugged_in: expected a duration such as '30s', '5m' or '1h30m', got ''"),
        ("plugged_in: 1h..2h..3h", "expected a duration such as '30s', '5m' or '1h30m', got '2h..3h'"),
        ("plugged_in: 0s", "sessions.s.plugged_in: expected more than 0"),
        ("plugged_in: 400d", "sessions.s.plugged_in: expected at most 365d, got '400d'"),
        ("plugged_in: [1h]", "sessions.s.plugged_in: expected a value such as '30m', got a list"),
        ("plugged_in: {}", "sessions.s.plugged_in: expected either normal and sd, or lognormal and sigma"),
        ("plugged_in: {normal: 1h}", "sessions.s.plugged_in: normal needs sd, the standard deviation"),
        ("plugged_in: {normal: 1h, sdd: 5m}", "sessions.s.plugged_in.sdd: unknown key 'sdd'; did you mean 'sd'?"),
        ("plugged_in: {normal: 1h, sd: 5}", "sessions.s.plugged_in.sd: expected a duration such as"),
        ("plugged_in: {normal: 1h, sd: 5m, sigma: 1}", "sigma is that of lognormal; normal takes sd, min and max"),
        ("plugged_in: {normal: 1h, sd: 5m, min: 9m, max: 8m}", "plugged_in: expected 'min' to be at most 'max'"),
        ("plugged_in: {lognormal: 1h}", "sessions.s.plugged_in: lognormal needs sigma"),
        ("plugged_in: {lognormal: 1h, sigma: 1, max: 2h}", "lognormal takes sigma alone"),
        (
            "plugged_in: {lognormal: 1h, sigma: 5}",
            "sigma: expected a number from 0 to 3, got the number 5",
        ),
        ("plugged_in: {lognormal: 1h, sigma: 1s}", "plugged_in.sigma: expected a number from 0 to 3, got '1s'"),
        ("plugged_in: {normal: 1h, sd: 5m, lognormal: 1h}", "expected either normal and sd, or lognormal and sigma"),
        (
            "energy: 8kW..40kW",
            "expected an energy such as '8kWh' or '500Wh', got '8kW'; that is a power, an energy is '8kWh'",
        ),
        ("energy: {normal: 8h, sd: 1kWh}", "sessions.s.energy.normal: expected an energy such as"),
        ("energy: 20000kWh", "sessions.s.energy: expected at most 10000kWh, got '20000kWh'"),
        ("meter_values: 1500ms", "sessions.s.meter_values: expected whole seconds, as MeterValueSampleInterval has"),
        ("no_show: 0.5", "sessions.s.no_show: expected a share such as '10%' or '0.1%', got '0.5'"),
        ("durations: 5m", "sessions.s.durations: unknown key 'durations'"),
    ],
)
def test_a_wrong_value_of_a_session_is_told_what_was_expected(tmp_path: Path, session: str, message: str) -> None:
    (found,) = messages_in(tmp_path, charging(session))

    assert message in found


@pytest.mark.parametrize(
    ("fleet", "message"),
    [
        ("power: 11", "fleets.a.power: expected a power such as '11kW' or '3680W', got '11'; the unit is missing"),
        ("power: 22kWh", "or '3680W', got '22kWh'; that is an energy, a power is '22kW'"),
        ("profiles: [Core, Corre]", "or Security, got 'Corre'; did you mean 'Core'?"),
        ("power: 0W", "fleets.a.power: expected more than 0, got '0W'"),
        ("power: 20000kW", "fleets.a.power: expected at most 10000kW, got '20000kW'"),
        ("phases: 2", "fleets.a.phases: expected 1 or 3, got the number 2"),
        ("phases: true", "fleets.a.phases: expected 1 or 3, got true"),
        (
            "configuration: {A: 1.5}",
            "fleets.a.configuration.A: expected a whole number, true, false, text, or",
        ),
        ("configuration: {A: {}}", "fleets.a.configuration.A: expected a whole number, true, false, text, or"),
        ("configuration: {A B: 1}", "fleets.a.configuration.A B: expected a name of letters"),
        ("configuration: [A]", "fleets.a.configuration: expected a mapping (key: value), got a list"),
        ("profiles: [Core, Kernel]", "fleets.a.profiles[1]: expected Core or FirmwareManagement or"),
        ("profiles: SmartCharging", "fleets.a.profiles: expected Core among them"),
        ("profiles: [Core, Core]", "fleets.a.profiles[1]: the profile 'Core' stands here twice"),
        (
            "firmware: {download_failures: 60%, install_failures: 41%}",
            "fleets.a.firmware: expected failures of at most 100% in all, got 101%",
        ),
        ("firmware: {dwnload: 5s}", "fleets.a.firmware.dwnload: unknown key 'dwnload'; did you mean 'download'?"),
        ("diagnostics: {upload: 5}", "fleets.a.diagnostics.upload: expected a duration such as"),
        (
            "hardware: {codes: {GroundFault: 100%}}",
            "fleets.a.hardware.codes.GroundFault: unknown error code 'GroundFault'; did you mean 'GroundFailure'?",
        ),
        ("hardware: {codes: {NoError: 100%}}", "fleets.a.hardware.codes.NoError: unknown error code 'NoError'"),
        (
            "hardware: {codes: {LocalListConflict: 100%}}",
            "fleets.a.hardware.codes.LocalListConflict: unknown error code 'LocalListConflict'",
        ),
        (
            "hardware: {codes: {OtherError: 50%}}",
            "fleets.a.hardware.codes: expected shares of 100% in all, got 50%",
        ),
        ("hardware: {faults: 5}", "fleets.a.hardware.faults: expected a rate such as '200/s' or '0.5/h', got '5'"),
        ("reboot: {normal: 5s}", "fleets.a.reboot: normal needs sd, the standard deviation"),
        ("transfer_hosts: ['http://x/']", "fleets.a.transfer_hosts[0]: expected a host name or an IP address"),
    ],
)
def test_a_wrong_value_of_the_hardware_is_told_what_was_expected(tmp_path: Path, fleet: str, message: str) -> None:
    (found,) = messages_in(tmp_path, charging("", fleet))

    assert message in found


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            "{for: 5s, online: 1, sessions: 5}",
            "stages[0].sessions: expected a rate such as '200/s' or '0.5/h', got",
        ),
        ("{for: 5s, online: 1, sessions: 20000/s}", "stages[0].sessions: expected at most 10000/s, got '20000/s'"),
        ("{for: 5s, online: 1, sessions: {x: 5/h}}", "stages[0].sessions.x: unknown fleet 'x'"),
        ("{for: 5s, online: 1, sessions: {'*': 5/h}}", "stages[0].sessions.*: unknown fleet '*'"),
        ("{for: 5s, online: 1, sessions: {c: 5/h}}", "stages[0].sessions.c: the fleet 'c' has no session"),
        ("{for: 5s, online: 1, sessions: {a: 5}}", "stages[0].sessions.a: expected a rate such as"),
        ("{for: 5s, online: 1}, {for: 5s, jump: true}", "nothing to jump to; give 'online' or 'sessions' too"),
    ],
)
def test_a_wrong_rate_of_sessions_is_told_what_was_expected(tmp_path: Path, stages: str, message: str) -> None:
    (found,) = messages_in(tmp_path, HEAD + TWO.replace("stages:\n", f"stages: [{stages}]\n"))

    assert message in found


def test_sessions_of_a_stage_need_a_fleet_that_has_one(tmp_path: Path) -> None:
    text = HEAD + "fleets: {a: {count: 1}}\nstages: [{for: 5s, online: 1, sessions: 5/h}]\n"

    (found,) = messages_in(tmp_path, text)

    assert "stages[0].sessions: no fleet has a session; give one the key 'session'" in found


def test_a_session_that_no_fleet_has_is_a_mistake(tmp_path: Path) -> None:
    text = charging("").replace("sessions:\n", "sessions:\n  other: {energy: 5kWh}\n")

    assert messages_in(tmp_path, text) == ["4:3 sessions.other: no fleet has this session; give one 'session: other'"]


COMING = "stages: [{for: 5s, online: 1, sessions: 5/h}]\n"
NOBODY_STARTS_THEM = (
    "5:27 fleets.a.session: its drivers wait for a remote start, and the 'to' of no RemoteStartTransaction in "
    "csms.embedded.calls matches a charge point of this fleet"
)


def remote_started(*globs: str, start: str = "{remote: 30%, rfid: 70%}", stages: str = COMING) -> str:
    """Return a scenario of the fleets a and b, and remote starts for those; a's drivers wait for one, b's do not."""
    calls = ", ".join(f"{{send: RemoteStartTransaction, each: 1/h, to: {glob}}}" for glob in globs)
    return (
        f"{HEAD}fleets:\n  b: {{count: 10}}\n  a: {{count: 10, session: s}}\nsessions: {{s: {{start: {start}}}}}\n"
        f"{stages}csms: {{embedded: {{calls: [{calls}]}}}}\n"
    )


@pytest.mark.parametrize("globs", [("b-*",), ("b-*", "b-00001")])
def test_drivers_whom_no_planned_remote_start_can_start_are_a_mistake(tmp_path: Path, globs: tuple[str, ...]) -> None:
    assert messages_in(tmp_path, remote_started(*globs)) == [NOBODY_STARTS_THEM]


def test_a_wrong_session_whose_drivers_might_wait_is_the_only_mistake(tmp_path: Path) -> None:
    text = remote_started("b-*").replace("{s: {start: {remote: 30%, rfid: 70%}}}", "{s: 5}")

    (found,) = messages_in(tmp_path, text)

    assert "sessions.s: expected a mapping (key: value), got the number 5" in found


@pytest.mark.parametrize(
    "text",
    [
        remote_started("a-*"),
        remote_started("b-*", "'*-00010'"),
        remote_started(),
        remote_started("b-*", start="{rfid: 100%}"),
        remote_started("b-*", stages="stages: [{for: 5s, online: 1, sessions: {a: 0/h}}]\n"),
        remote_started("b-*", stages=STAGES),
        remote_started("b-*").replace(", session: s", "").replace(COMING, STAGES).replace("sessions:", "#"),
    ],
)
def test_drivers_who_are_started_do_not_wait_or_do_not_come_are_none(tmp_path: Path, text: str) -> None:
    assert plan_of(tmp_path, text).charge_points == 20


def test_a_session_that_is_not_there_is_the_only_mistake(tmp_path: Path) -> None:
    text = charging("").replace("session: s", "session: commuters").replace("s: {", "commuter: {")
    stages = "stages: [{for: 5s, online: 1, sessions: 5/h}]\n"

    (found,) = messages_in(tmp_path, text.replace(STAGES, stages))

    assert "fleets.a.session: unknown session 'commuters'; did you mean 'commuter'?" in found


@pytest.mark.parametrize("parent", ["ABCDEFGHIJKLMNOPQRSTU", "''", "5"])
def test_a_parent_is_an_id_tag(tmp_path: Path, parent: str) -> None:
    tags = f"id_tags: {{d: {{count: 1, pattern: D, parent: {parent}}}}}\n"

    (found,) = messages_in(tmp_path, HEAD + tags + "fleets: {a: {count: 1}}\n" + STAGES)

    assert "id_tags.d.parent: " in found


def amounts(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(least, most).map(lambda amount: round(amount, 9))


@STEADY
@given(
    st.one_of(
        st.builds(Distribution, kind=st.just("fixed"), a=amounts(0.001, 1e6)),
        st.builds(Distribution, kind=st.just("uniform"), a=amounts(0, 10), b=amounts(10, 1e6)),
        st.builds(
            Distribution,
            kind=st.just("normal"),
            a=amounts(0.001, 1e6),
            b=amounts(0, 1e5),
            least=amounts(0, 100),
            most=amounts(100, 1e6) | st.just(math.inf),
        ),
        st.builds(Distribution, kind=st.just("lognormal"), a=amounts(0.001, 1e6), b=amounts(0, 3)),
    )
)
def test_a_spread_written_reads_back_the_same(tmp_path_factory: pytest.TempPathFactory, spread: Distribution) -> None:
    folder = tmp_path_factory.mktemp("spread")
    scenario = read(folder, charging("energy: 5kWh"))
    plan = resolve(scenario, seed=1)
    other = structs.replace(session_of(plan), plugged_in=spread, energy=spread)
    text = resolved_yaml(scenario, with_session(plan, other))

    again = session_of(plan_of(folder, text))

    assert (again.plugged_in, again.energy) == (spread, spread)


def with_session(plan: Plan, session: SessionSettings) -> Plan:
    fleet = plan.fleets[0]
    changed = structs.replace(fleet, settings=structs.replace(fleet.settings, session=session))
    return structs.replace(plan, fleets=(changed,))
