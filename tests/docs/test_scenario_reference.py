"""docs/reference/scenario.md has every key of the model and no other; its examples and defaults are true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from loadsim.dialects import DIALECTS
from loadsim.errors import ScenarioError
from loadsim.scenario.model import EXPECTATIONS, LATER, LATER_FILES, ScenarioModel
from loadsim.scenario.model_part import Part
from loadsim.scenario.plan import MALFORMED_KINDS, Plan
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve
from loadsim.scenario.variables import FromVariable
from loadsim.v16.configuration import initial_problem
from tests.docs.documents import REFERENCE, Block, blocks, code, codes, read, rows

TEXT = read(REFERENCE / "scenario.md")
EVERY_KEY = TEXT.partition("## Every key")[2].partition("## Files a scenario names")[0]
ROWS = {code(row[0]): row for row in rows(EVERY_KEY)}
BASE = """\
version: 1
name: base
fleets:
  NAME: {
    count: 10, authorize: {rate: 1/h}, data_transfer: {rate: 1/h},
    heartbeat: {}, boot: {}, reconnect: {}, session: NAME
  }
sessions: {NAME: {}}
stages: [{for: 10s, online: 100%}]
faults: [{do: drop, at: 1s}]
thresholds: [{check: all errors == 0}]
"""
FILES = {
    "ids.csv": "id,password\nA1,secret-one\n",
    "tags.csv": "tag\nT1\n",
    "password.txt": "pass-word\n",
    "ca.pem": "-----BEGIN CERTIFICATE-----\n",
}
ENVIRON = {"CSMS_URL": "ws://localhost:9000", "CSMS_PASSWORD": "pass-word"}
# Defaults that the table gives in words, or that only make sense with a key beside them.
UNCHECKED = {
    "csms.auth.user",
    "csms.embedded.tags",
    "fleets.NAME.id.pattern",
    "sessions.NAME.start.remote",
    "stages[].name",
}


def keys_of(model: type[Part], prefix: str = "") -> Iterator[str]:
    """Yield every key below *model*, as the reference writes it."""
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        part, several = _part_in(field.annotation)
        inner = {"": f"{path}.", "list": f"{path}[].", "dict": f"{path}.NAME."}[several]
        yield path
        if part is not None:
            yield from keys_of(part, inner)


def _part_in(annotation: Any) -> tuple[type[Part] | None, str]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation, ""
    origin: Any = get_origin(annotation)
    for argument in get_args(annotation):
        part, several = _part_in(argument)
        if part is not None:
            return part, {list: "list", dict: "dict"}.get(origin, several)
    return None, ""


def loaded(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def with_key(path: str, value: Any) -> Any:
    """Return the base scenario with *value* at *path*."""
    data = loaded(BASE)
    node = data
    *way, last = re.split(r"\.|(?<=\])\.", path.replace("[]", ".[]"))
    for step in way:
        node = node[0] if step == "[]" else node.setdefault(step, {})
    node[last] = value
    return data


def in_variables(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: in_variables(item) for key, item in value.items()}
    if isinstance(value, list):
        return [in_variables(item) for item in value]
    return FromVariable("filled-in") if isinstance(value, str) and value.startswith("${") else value


def plan_of(folder: Path, data: Any) -> Plan:
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    stream = StringIO()
    YAML().dump(data, stream)
    path = folder / "scenario.yaml"
    path.write_text(stream.getvalue() if not isinstance(data, str) else data, encoding="utf-8")
    actions = DIALECTS["1.6"].actions
    return resolve(read_scenario(path, ENVIRON, actions=actions, configuration=initial_problem), seed=1)


def test_every_key_of_the_model_and_no_other_is_in_the_reference() -> None:
    keys = [key for key in keys_of(ScenarioModel) if not key.startswith("csms.embedded.calls[]")]  # a page of its own

    assert sorted(ROWS) == sorted(keys)


@pytest.mark.parametrize("key", ROWS)
def test_the_example_of_a_key_is_one(key: str) -> None:
    data = in_variables(with_key(key, loaded(code(ROWS[key][3]))))

    try:
        ScenarioModel.model_validate(data)
    except ValidationError as error:
        pytest.fail(f"{key}: {error}")


@pytest.mark.parametrize(
    "key", [key for key, row in ROWS.items() if re.fullmatch("`[^`]+`", row[2]) and key not in UNCHECKED]
)
def test_the_default_of_a_key_changes_nothing(key: str, tmp_path: Path) -> None:
    base = with_key(key, None)
    given = with_key(key, loaded(re.sub(r"^(\{fleet.*)$", r"'\1'", code(ROWS[key][2]))))
    if key.startswith("id_tags"):
        for data in (base, given):
            data["id_tags"]["NAME"] |= {"count": 3, "pattern": "T{n}"}

    assert plan_of(tmp_path, _without_nothing(base)) == plan_of(tmp_path, given)


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


def test_the_example_of_configuration_keys_has_such_keys(tmp_path: Path) -> None:
    given = loaded(code(ROWS["fleets.NAME.configuration"][3]))
    plan = plan_of(tmp_path, with_key("fleets.NAME.configuration", given))

    assert given.keys() < plan.fleets[0].settings.configuration.keys()


@pytest.mark.parametrize("key", [key for key, row in ROWS.items() if row[2].startswith("required")])
def test_a_required_key_is_missed(key: str, tmp_path: Path) -> None:
    data = with_key(key, None)

    with pytest.raises(ScenarioError):
        plan_of(tmp_path, _without_nothing(data))


def test_what_is_left_to_a_later_version_is_said() -> None:
    written = TEXT.partition("<!-- later -->")[2].partition("<!-- end -->")[0]
    names = {"fleets": "NAME", "stages": "[]"}
    later = {
        ".".join(names[path[0]] if part == "*" else part for part in path).replace(".[]", "[]") for path in LATER
    }

    assert set(codes(written)) == later
    assert [file for file in LATER_FILES if f"`{file}`" not in TEXT] == []


def test_the_kinds_of_malformed_messages_are_said() -> None:
    written = TEXT.partition("<!-- kinds -->")[2].partition("<!-- end -->")[0]

    assert tuple(codes(written)) == MALFORMED_KINDS


def test_the_expectations_are_said() -> None:
    assert [word for word in EXPECTATIONS if word not in ROWS["id_tags.NAME.expect"][4]] == []


def whole(block: Block) -> bool:
    return "version: 1" in block.text and "stages:" in block.text


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if whole(block)], ids=str)
def test_a_whole_scenario_of_the_documentation_is_valid(block: Block, tmp_path: Path) -> None:
    assert plan_of(tmp_path, block.text).charge_points > 0


def test_the_documentation_has_scenarios() -> None:
    assert len([block for block in blocks("yaml") if whole(block)]) > 6


def test_the_readme_s_scenario_is_short() -> None:
    (scenario,) = [block for block in blocks("yaml") if block.page.name == "README.md" and whole(block)]

    assert len(scenario.text.splitlines()) <= 12


def test_the_examples_of_mistakes_are_what_the_program_says(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "version: 1\nname: bad\ncsms:\n  url: ws://localhost/ocpp\nfleets:\n  street_ac:\n    count: 40\n"
        "    conectors: 2\n    heartbeat: 30\nstages:\n  - {for: 5m, online: 100%}\n",
        encoding="utf-8",
    )
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path, {}, actions=())

    assert str(caught.value).replace(str(path), "bad.yaml") in TEXT


def test_the_example_of_a_warning_is_what_the_program_says(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "version: 1\nname: bad\nfleets:\n  a: {count: 100, connectors: 2, session: s}\nsessions:\n"
        "  s: {plugged_in: 1h}\nstages:\n  - {for: 1m, online: 100%}\n"
        "  - {name: peak, for: 3h, sessions: 320/h, jump: true}\n",
        encoding="utf-8",
    )
    (warning,) = read_scenario(path, {}, actions=()).warnings

    assert str(warning).replace(str(path), "bad.yaml") in TEXT
