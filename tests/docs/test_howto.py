"""How-to guides: parts of scenarios fit, --set names what is there, excerpts are what loadsim writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadsim.charge_point.preflight import Finding
from loadsim.conductor.trial import problem_in_words
from loadsim.dialects import DIALECTS
from loadsim.errors import ScenarioError
from loadsim.metrics.judge import MOST_CPU, MOST_LATENESS
from loadsim.output.csv_connections import CONNECTION_COLUMNS
from loadsim.output.csv_faults import FAULT_COLUMNS
from loadsim.output.junit import RUN_CASE, junit_xml
from loadsim.output.summary import build_summary
from loadsim.scenario.model_faults import DOES, HOW
from loadsim.scenario.plan import MALFORMED_KINDS
from loadsim.scenario.read import read_scenario
from loadsim.scenario.shipped import find_scenario, shipped_scenarios
from loadsim.v16.configuration import initial_problem
from tests.docs.documents import DOCS, Block, blocks, codes, read, rows
from tests.docs.test_scenario_reference import FILES, loaded, plan_of, whole
from tests.output import builders

ACTIONS = DIALECTS["1.6"].actions
HOWTO = DOCS / "howto"
ENVIRON = {"CSMS_URL": "wss://csms.test.example/ocpp"}
# Variables of the shell in commands of the guides, and a value that each of them has there.
SHELL = {"$count": "700", "$every": "30s"}
BASE = """\
version: 1
name: base
fleets: {AC: {count: 10}}
stages: [{name: ramp, for: 1m, online: 100%}, {name: soak, for: 1h}]
"""


def is_part(block: Block) -> bool:
    return not whole(block) and not block.text.startswith("calls:")  # those are tested with their reference


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if is_part(block)], ids=str)
def test_a_part_of_a_scenario_in_the_documentation_fits_into_one(block: Block, tmp_path: Path) -> None:
    assert plan_of(tmp_path, loaded(BASE) | loaded(block.text)).charge_points > 0


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if whole(block)], ids=str)
def test_a_scenario_of_the_documentation_is_warned_of_nothing(block: Block, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    path = tmp_path / "scenario.yaml"
    path.write_text(block.text, encoding="utf-8")

    assert read_scenario(path, ENVIRON, actions=ACTIONS, configuration=initial_problem).warnings == ()


def commands_with_overrides() -> list[tuple[Path, str, tuple[str, ...]]]:
    """Return the page, the scenario and the overrides of each command of the documentation that has any."""
    found = []
    for block in blocks("sh"):
        text = block.text
        for variable, value in SHELL.items():
            text = text.replace(variable, value)
        lines = re.findall(r"\bloadsim (?:run|plan|validate) ([^\n|;&>#]*--set [^\n|;&>#]*)", text)
        found += [(block.page, line.split()[0], tuple(re.findall(r"--set (\S+)", line))) for line in lines]
    return found


@pytest.mark.parametrize(
    ("page", "scenario", "overrides"),
    commands_with_overrides(),
    ids=[f"{page.name} {' '.join(overrides)}" for page, _, overrides in commands_with_overrides()],
)
def test_a_value_that_is_set_on_a_page_is_one_of_the_scenario_s(
    page: Path, scenario: str, overrides: tuple[str, ...], tmp_path: Path
) -> None:
    if scenario in shipped_scenarios():
        path = find_scenario(Path(scenario))
    else:
        name = scenario.removesuffix(".yaml")
        (text,) = [each.text for each in blocks("yaml") if each.page == page and f"\nname: {name}\n" in each.text]
        path = tmp_path / scenario
        path.write_text(text, encoding="utf-8")

    try:
        read_scenario(path, ENVIRON, actions=ACTIONS, configuration=initial_problem, overrides=overrides)
    except ScenarioError as error:
        pytest.fail(f"{page.name}: {error}")


def test_the_documentation_sets_values() -> None:
    assert len(commands_with_overrides()) >= 5


def table_after(page: str, heading: str) -> list[list[str]]:
    return list(rows(read(HOWTO / page).partition(heading)[2].partition("\n\n")[2].partition("\n\n")[0]))


def test_every_kind_of_fault_and_no_other_is_in_the_guide() -> None:
    said = {tuple(codes(row[0])) for row in table_after("faults.md", "## What each does on the wire")}

    assert {kind for kind, *_ in said} == set(DOES)
    assert {how for kind, *hows in said if kind == "csms" for how in hows} == set(HOW["csms"])


def test_the_excerpts_of_tables_have_columns_that_exist() -> None:
    excerpts = [block.text.splitlines() for block in blocks("text") if block.page.name == "faults.md"]
    connections = next(lines[0].split() for lines in excerpts if lines[0].startswith("begin_s"))
    malformed = next(lines for lines in excerpts if lines[0].split()[0] == "malformed")

    assert [column for column in connections if column not in CONNECTION_COLUMNS] == []
    assert sum(lines[0].split(",") == list(FAULT_COLUMNS) for lines in excerpts) == 1
    assert {line.split()[0] for line in malformed[1:]} <= set(MALFORMED_KINDS)


def test_the_limits_of_an_invalid_run_in_the_guide_are_those_of_the_code() -> None:
    section = read(HOWTO / "size-a-run.md").partition("## A run that is INVALID")[2].partition("\n## ")[0]

    assert f"more than {MOST_LATENESS * 1000:.0f} ms" in section
    assert f"above {MOST_CPU:.0%}".replace("%", " %") in section


def test_the_excerpt_of_junit_xml_is_what_is_written() -> None:
    text = read(HOWTO / "use-in-a-pipeline.md")
    shown = [line.strip() for block in blocks("text") for line in block.text.splitlines() if "<" in line]
    progress = builders.progress(builders.plan(name="gate", checks=("all p99 < 1ms during main",)))
    builders.take(progress, builders.calls("Heartbeat", [0.4]), at=60.0, health=builders.healthy(), final=True)
    written = junit_xml(build_summary(progress, duration=60.0))
    failure = re.search(r'<failure message="actual 400ms, expected &lt; 1ms" type="threshold">', written)

    assert failure is not None
    assert any(failure[0].replace("&lt; 1ms", "&lt; 300ms") in line for line in shown)
    assert f"*{RUN_CASE}*" in text


def test_the_refusal_in_the_guide_is_what_is_said() -> None:
    finding = Finding("x-00001", "connect", "http_401", "the CSMS answered the handshake with 401")

    assert problem_in_words(finding, "ws://127.0.0.1:19557/{id}") in read(HOWTO / "provision-a-csms.md")
