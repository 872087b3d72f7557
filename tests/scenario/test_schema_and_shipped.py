"""The shipped scenarios read, and agree with the JSON Schema; what the schema refuses, reading refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from loadsim.errors import ScenarioError
from loadsim.scenario.json_schema import json_schema
from loadsim.scenario.model import LATER
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve, resolved_yaml
from loadsim.scenario.shipped import find_scenario
from tests.scenario.helpers import ACTIONS, FLEETS, HEAD, STAGES, read
from tests.scenario.test_resolve import FULL

SHIPPED = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


SECTIONS = {"fleets": "FleetModel", "stages": "StageModel", "outputs": "OutputsModel"}


def loaded(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_scenarios_are_shipped() -> None:
    names = {path.stem for path in SHIPPED}

    expected = {"evening", "evening-peak", "firmware-campaign", "fleet-2000", "legacy", "quickstart", "smoke", "soak"}
    assert names >= expected


def test_a_shipped_scenario_is_found_by_its_name_and_a_file_of_that_name_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_scenario(Path("evening")).samefile(SHIPPED[0].with_name("evening.yaml"))

    Path("evening").touch()
    assert find_scenario(Path("evening")) == Path("evening")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("evenin", "; did you mean 'evening'?"), ("Smoke.yaml", "; did you mean 'smoke'?"), ("other.yaml", "")],
)
def test_a_name_that_is_neither_a_file_s_nor_a_shipped_scenario_s_is_told_those(
    name: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ", ".join(path.stem for path in SHIPPED)

    with pytest.raises(ScenarioError) as caught:
        find_scenario(Path(name))

    assert str(caught.value) == f"{name}: error: neither a file nor a shipped scenario ({names}){hint}"


def test_a_path_is_no_name_of_a_shipped_scenario(tmp_path: Path) -> None:
    assert find_scenario(tmp_path / "evening") == tmp_path / "evening"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_scenario_reads_resolves_and_agrees_with_the_schema(path: Path, tmp_path: Path) -> None:
    scenario = read_scenario(path, {"CSMS_URL": "ws://localhost:9000/ocpp"}, actions=ACTIONS)
    plan = resolve(scenario)
    again = read(tmp_path, resolved_yaml(scenario, plan))

    assert plan.name == path.stem
    assert resolve(again) == plan
    VALIDATOR.validate(loaded(path.read_text()))
    VALIDATOR.validate(loaded(resolved_yaml(scenario, plan)))


def test_a_scenario_with_every_key_agrees_with_the_schema() -> None:
    VALIDATOR.validate(loaded(FULL))


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD + FLEETS,
        HEAD.replace("1", "2") + FLEETS + STAGES,
        HEAD + FLEETS.replace("10", "0") + STAGES,
        HEAD + FLEETS.replace("count", "cuont") + STAGES,
        HEAD + FLEETS.replace("10", "10, heartbeat: 30") + STAGES,
        HEAD + FLEETS.replace("10", "10, heartbeat: 30s30s") + STAGES,
        HEAD + FLEETS.replace("10", "10, authorize: 5/w") + STAGES,
        HEAD + FLEETS.replace("10", "10, framing: xml") + STAGES,
        HEAD + FLEETS.replace("10", "10, boot: {model: 5}") + STAGES,
        HEAD + FLEETS.replace("10", "10, session: 5") + STAGES,
        HEAD + FLEETS.replace("10", "10, phases: 2") + STAGES,
        HEAD + FLEETS.replace("10", "10, power: 11") + STAGES,
        HEAD + FLEETS.replace("10", "10, profiles: [Kernel]") + STAGES,
        HEAD + FLEETS.replace("10", "10, configuration: {X: 1.5}") + STAGES,
        HEAD + FLEETS.replace("10", "10, reboot: 5") + STAGES,
        HEAD + FLEETS.replace("10", "10, reboot: 5s..10") + STAGES,
        HEAD + FLEETS.replace("10", "10, reboot: {normal: 5s}") + STAGES,
        HEAD + FLEETS.replace("10", "10, reboot: {lognormal: 5s, sigma: 9}") + STAGES,
        HEAD + FLEETS.replace("10", "10, reboot: {lognormal: 5s, sigma: 1, max: 9s}") + STAGES,
        HEAD + FLEETS.replace("10", "10, hardware: {codes: {NoError: 100%}}") + STAGES,
        HEAD + FLEETS.replace("10", "10, transfer_hosts: ['http://x']") + STAGES,
        HEAD + FLEETS + STAGES.replace("100%", "100%, sessions: 5"),
        HEAD + FLEETS + STAGES + "sessions: {x: {energy: 5kW}}",
        HEAD + FLEETS + STAGES + "sessions: {x: {start: {card: 100%}}}",
        HEAD + FLEETS + STAGES + "id_tags: {x: {count: 1, pattern: x, parent: ABCDEFGHIJKLMNOPQRSTU}}",
        HEAD + FLEETS + STAGES.replace("10s", "10"),
        HEAD + FLEETS + STAGES.replace("100%", "100.%"),
        HEAD + FLEETS + STAGES.replace("100%", "-1"),
        HEAD + FLEETS + STAGES + "csms: {url: 'http://x'}",
        HEAD + FLEETS + STAGES + "csms: {auth: {password: hunter2}}",
        HEAD + FLEETS + STAGES + "csms: {embedded: {latency: 5ms..}}",
        HEAD + FLEETS + STAGES + "csms: {embedded: {boot_status: Maybe}}",
        HEAD + FLEETS + STAGES + "id_tags: {'a b': {count: 1, pattern: x}}",
        HEAD + FLEETS + STAGES + "outputs: {files: [report.html]}",
        HEAD + FLEETS + STAGES + "outputs: {prometheus: {listen: '127.0.0.1:9464'}}",
        HEAD + FLEETS + STAGES + "faults: {do: drop}",
        HEAD + FLEETS + STAGES + "faults: [{at: 1s}]",
        HEAD + FLEETS + STAGES + "faults: [{do: explode, at: 1s}]",
        HEAD + FLEETS + STAGES + "faults: [{do: drop, at: 5}]",
        HEAD + FLEETS + STAGES + "faults: [{do: drop, at: stage-1 + 5s}]",
        HEAD + FLEETS + STAGES + "faults: [{do: slow, at: 1s, for: 1s, bandwidth: 64kb/s}]",
        HEAD + FLEETS + STAGES + "faults: [{do: malformed, at: 1s, kinds: [garbage]}]",
        HEAD + FLEETS + STAGES + "faults: [{do: csms, at: 1s, for: 1s, how: refuse, status: 200}]",
        HEAD + FLEETS + STAGES + "thresholds: [{over: 1m}]",
        HEAD + FLEETS + STAGES + "thresholds: [{check: all errors == 0, over: 60}]",
    ],
)
def test_what_the_schema_refuses_reading_refuses_too(tmp_path: Path, text: str) -> None:
    assert not VALIDATOR.is_valid(loaded(text))
    with pytest.raises(ScenarioError):
        read(tmp_path, text)


def test_every_key_is_described_and_those_of_later_versions_are_absent() -> None:
    schema = json_schema()
    parts = [schema, *schema["$defs"].values()]
    owners: dict[tuple[str, ...], Any] = {
        (): schema,
        **{(name,): schema["$defs"][part] for name, part in SECTIONS.items()},
    }

    assert not any(later[-1] in owners[later[:1] if later[1:] else ()]["properties"] for later in LATER)
    for part in parts:
        assert part["description"]
        for name, value in part["properties"].items():
            assert "description" in value or "$ref" in value, name


def test_workers_need_neither_pydantic_nor_yaml() -> None:
    code = (
        "import sys; import loadsim.scenario.plan, loadsim.scenario.load_profile, loadsim.scenario.shard, "
        "loadsim.charge_point.draws; "
        "sys.exit(any(name.split('.')[0] in ('pydantic', 'ruamel') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0
