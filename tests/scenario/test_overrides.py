"""``--set key=value``: what it replaces, and how its mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.errors import ScenarioError
from loadsim.scenario.plan import Plan
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve
from loadsim.scenario.resolved import resolved_yaml
from loadsim.scenario.scenario import Scenario
from tests.scenario.helpers import ACTIONS

TEXT = """\
version: 1
name: t
fleets:
  demo: {count: 10}
  site.7: {count: 3}
stages:
  - {name: ramp, for: 10s, online: 100%}
  - {name: peak, for: 1m}
  - {for: 5s}
thresholds:
  - all p95 < 500ms
  - all errors == 0
"""
CALLS = (
    TEXT
    + "csms: {embedded: {calls: [{name: look, send: ClearCache, rate: 1/s}, {send: ClearCache, at: 5s}]}}\n"
    + "id_tags: {drivers: {count: 5, pattern: 'D{n}'}}\n"
)


def read(folder: Path, *overrides: str, text: str = TEXT, environ: dict[str, str] | None = None) -> Scenario:
    path = folder / "test.yaml"
    path.write_text(text, encoding="utf-8")
    return read_scenario(path, environ or {}, actions=ACTIONS, overrides=overrides)


def plan_of(folder: Path, *overrides: str, text: str = TEXT) -> Plan:
    return resolve(read(folder, *overrides, text=text), seed=1)


def mistakes_of(folder: Path, *overrides: str, text: str = TEXT, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        read(folder, *overrides, text=text, environ=environ)
    return [str(each) for each in caught.value.mistakes]


def test_a_stage_is_addressed_by_its_name(tmp_path: Path) -> None:
    assert [stage.duration for stage in plan_of(tmp_path, "stages.peak.for=5m").stages] == [10, 300, 5]


def test_a_stage_is_addressed_by_its_number(tmp_path: Path) -> None:
    assert [stage.duration for stage in plan_of(tmp_path, "stages[0].for=7s").stages] == [7, 60, 5]


def test_a_stage_without_a_name_is_addressed_by_the_name_that_it_gets(tmp_path: Path) -> None:
    assert [stage.duration for stage in plan_of(tmp_path, "stages.stage-3.for=7s").stages] == [10, 60, 7]


def test_a_fleet_is_addressed_by_its_name(tmp_path: Path) -> None:
    assert [fleet.count for fleet in plan_of(tmp_path, "fleets.demo.count=50").fleets] == [50, 3]


def test_a_name_with_a_dot_stands_in_quotes(tmp_path: Path) -> None:
    assert [fleet.count for fleet in plan_of(tmp_path, 'fleets."site.7".count=50').fleets] == [10, 50]


def test_the_value_is_yaml(tmp_path: Path) -> None:
    assert plan_of(tmp_path, "stages.peak.online={demo: 5}").stages[1].online == {"demo": 5, "site.7": 3}


def test_a_threshold_is_addressed_by_its_number(tmp_path: Path) -> None:
    checks = [each.check for each in plan_of(tmp_path, "thresholds[1]=all errors < 1%").thresholds]

    assert checks == ["all p95 < 500ms", "all errors < 1%"]


def test_a_planned_call_is_addressed_by_its_name(tmp_path: Path) -> None:
    embedded = plan_of(tmp_path, "csms.embedded.calls.look.rate=3/s", text=CALLS).embedded

    assert embedded is not None
    assert [call.rate for call in embedded.calls] == [3.0, None]


def test_a_value_can_go_where_the_file_has_none(tmp_path: Path) -> None:
    embedded = plan_of(tmp_path, "csms.embedded.latency=5ms..40ms").embedded

    assert embedded is not None
    assert embedded.latency == (0.005, 0.040)


def test_of_two_that_set_the_same_the_last_one_holds(tmp_path: Path) -> None:
    assert plan_of(tmp_path, "stages.peak.for=5m", "stages.peak.for=2m").stages[1].duration == 120


def test_a_variable_in_a_value_is_filled_in(tmp_path: Path) -> None:
    scenario = read(tmp_path, "fleets.demo.count=${N:-4}", environ={"N": "8"})

    assert resolve(scenario, seed=1).fleets[0].count == 8


def test_one_of_two_aliases_is_changed_alone(tmp_path: Path) -> None:
    text = TEXT.replace("demo: {count: 10}", "demo: &d {count: 10}\n  other: *d")

    assert [fleet.count for fleet in plan_of(tmp_path, "fleets.other.count=5", text=text).fleets] == [10, 5, 3]


def test_the_scenario_stays_as_written(tmp_path: Path) -> None:
    assert read(tmp_path, "stages.peak.for=5m").text == TEXT


def test_the_overrides_are_remembered(tmp_path: Path) -> None:
    assert read(tmp_path, "stages.peak.for=5m", "seed=7").overrides == ("stages.peak.for=5m", "seed=7")


def test_the_resolved_scenario_has_the_result(tmp_path: Path) -> None:
    scenario = read(tmp_path, "stages.peak.for=5m")

    assert "for: 5m" in resolved_yaml(scenario, resolve(scenario, seed=1))


def test_a_variable_that_is_not_set_does_not_matter_where_it_is_replaced(tmp_path: Path) -> None:
    text = TEXT + "csms: {url: '${CSMS_URL}'}\n"

    assert (
        resolve(read(tmp_path, "csms.url=ws://127.0.0.1:9", text=text), seed=1).target.url == "ws://127.0.0.1:9/{id}"
    )


def test_a_variable_that_is_not_set_still_matters_where_an_alias_keeps_it(tmp_path: Path) -> None:
    text = TEXT.replace("demo: {count: 10}", "demo: {count: &n '${N}'}\n  other: {count: *n}")

    (mistake,) = mistakes_of(tmp_path, "fleets.demo.count=5", text=text)

    assert "the environment variable N is not set" in mistake


def test_a_key_without_a_value_does_not_matter_where_it_gets_one(tmp_path: Path) -> None:
    text = TEXT + "csms:\n"

    assert (
        resolve(read(tmp_path, "csms.url=ws://127.0.0.1:9", text=text), seed=1).target.url == "ws://127.0.0.1:9/{id}"
    )


MISTAKES = {
    "stages.peek.for=5m": "unknown stage 'peek'; did you mean 'peak'?",
    "fleets.demp.count=5": "unknown fleet 'demp'; did you mean 'demo'?",
    "fleets.demo.cuont=5": "fleets.demo.cuont: unknown key 'cuont'; did you mean 'count'?",
    "stages.peak.for=5x": "stages.peak.for: expected a duration such as '30s', '5m' or '1h30m', got '5x'",
    "stages[3].for=5s": "stages has no item [3]; there is [0] to [2]",
    "stages.peak.for.x=5s": "stages.peak.for is a single value here, '1m'; set it as a whole",
    "fleets[0].count=5": "fleets is no list: expected a key in place of [0]",
    "faults.x.share=5%": "there are no faults",
    "sessions.x.tags=5%": "unknown session 'x'",
    "seed": "expected key=value, as in stages.peak.for=5m",
    "seed=": "the key 'seed' has no value",
    "seed=~": "the key 'seed' has no value",
    "=5": "expected a key as in stages.peak.for or thresholds[0], got ''",
    "a..b=5": "expected a key as in stages.peak.for or thresholds[0], got 'a..b'",
    "name=*x": "the alias '*x' names no anchor",
    "name=${NOPE}": "the environment variable NOPE is not set",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_names_the_option(override: str, tmp_path: Path) -> None:
    assert mistakes_of(tmp_path, override) == [f"--set {override}: error: {MISTAKES[override]}"]


def test_mistakes_of_the_file_and_of_options_are_told_together(tmp_path: Path) -> None:
    mistakes = mistakes_of(tmp_path, "stages.peek.for=5m", "stages.peak.for=5x", text=TEXT + "cmsm: {}\n")

    assert [each.partition(": error")[0].replace(str(tmp_path), "") for each in mistakes] == [
        "/test.yaml:13:1".replace("/", "\\" if "\\" in str(tmp_path) else "/"),
        "--set stages.peak.for=5x",
        "--set stages.peek.for=5m",
    ]


@pytest.mark.parametrize(
    "override",
    ["csms.auth.password=hunter22", "csms.auth={password: hunter22}", "csms={auth: {user: x, password: hunter22}}"],
)
def test_a_literal_password_is_refused_and_not_shown(override: str, tmp_path: Path) -> None:
    text = TEXT + "csms: {url: 'ws://127.0.0.1:9'}\n"

    mistakes = mistakes_of(tmp_path, override, text=text)

    assert any("a literal password is refused; write password: ${CSMS_PASSWORD}" in each for each in mistakes)
    assert "hunter22" not in "".join(mistakes)


def test_a_password_from_a_variable_is_taken_and_not_shown(tmp_path: Path) -> None:
    text = TEXT + "csms: {url: 'ws://127.0.0.1:9'}\n"

    scenario = read(tmp_path, "csms.auth.password=${PW}", text=text, environ={"PW": "hunter22"})

    assert scenario.password == "hunter22"
    assert scenario.overrides == ("csms.auth.password=${PW}",)
    assert "hunter22" not in repr(scenario)


def test_the_token_of_a_url_is_not_remembered(tmp_path: Path) -> None:
    scenario = read(tmp_path, "csms.url=ws://h/x?token=abc123&id={id}", text=TEXT + "csms: {url: 'ws://127.0.0.1'}\n")

    assert scenario.overrides == ("csms.url=ws://h/x?token=***&id={id}",)


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_is_set_is_taken_or_told(key: str, value: str) -> None:
    path = Path(__file__).parents[2] / "scenarios" / "smoke.yaml"
    option = f"{key}={value}"

    refused: list[str] = []
    try:
        read_scenario(path, {}, actions=ACTIONS, overrides=[option])
    except ScenarioError as error:
        refused = [each.file for each in error.mistakes]

    assert all(file.startswith("--set ") for file in refused)


@given(st.integers(1, 500), st.integers(1, 500))
def test_setting_what_is_there_already_changes_nothing(count: int, seconds: int) -> None:
    path = Path(__file__).parents[2] / "scenarios" / "smoke.yaml"
    options = [f"fleets.demo.count={count}", f"stages.stage-1.for={seconds}s"]

    once = resolve(read_scenario(path, {}, actions=ACTIONS, overrides=options), seed=1)
    twice = resolve(read_scenario(path, {}, actions=ACTIONS, overrides=[*options, *options]), seed=1)

    assert once == twice
    assert (once.charge_points, once.duration) == (count, seconds)
