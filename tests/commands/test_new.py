"""``loadsim new``: what is written where, and that it is a scenario to begin with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadsim.dialects import DIALECTS
from loadsim.errors import UsageError
from loadsim.new_command import new, show_templates, summary_of, templates
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve
from loadsim.v16.configuration import initial_problem


@pytest.mark.parametrize("name", templates())
def test_a_template_is_a_scenario_of_its_name_without_a_doubt(name: str) -> None:
    actions = DIALECTS["1.6"].actions
    scenario = read_scenario(templates()[name], {}, actions=actions, configuration=initial_problem)

    plan = resolve(scenario, seed=1)

    assert plan.name == name
    assert plan.embedded is not None, "it runs as it stands"
    assert scenario.warnings == ()
    assert plan.thresholds
    assert all(stage.name for stage in scenario.model.stages), "--set addresses stages by their names"


@pytest.mark.parametrize("name", templates())
def test_a_template_begins_with_a_sentence_and_explains_itself(name: str) -> None:
    text = templates()[name].read_text(encoding="utf-8")
    lines = text.splitlines()

    assert re.fullmatch(r"[A-Z].*[.?]", summary_of(templates()[name]))
    assert sum("#" in line for line in lines) > 9
    assert max(map(len, lines)) <= 120
    assert "loadsim run FILE" in text


def test_every_file_in_the_folder_is_offered() -> None:
    folder = next(iter(templates().values())).parent

    assert sorted(templates().values()) == sorted(folder.iterdir())


def test_templates_are_listed_with_a_sentence_each(capsys: pytest.CaptureFixture[str]) -> None:
    show_templates()

    said = capsys.readouterr().out
    assert all(f"{name} " in said and summary_of(path) in said for name, path in templates().items())


def test_a_template_is_written_here_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    new("smoke", None, force=False)

    assert "loadsim run smoke.yaml " in (tmp_path / "smoke.yaml").read_text(encoding="utf-8")


def test_a_template_is_written_into_a_folder(tmp_path: Path) -> None:
    new("smoke", str(tmp_path), force=False)

    assert (tmp_path / "smoke.yaml").exists()


def test_the_commands_in_it_name_the_file(tmp_path: Path) -> None:
    new("smoke", str(tmp_path / "my own.yaml"), force=False)

    assert f"loadsim run '{tmp_path / 'my own.yaml'}'" in (tmp_path / "my own.yaml").read_text(encoding="utf-8")


def test_a_template_can_be_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    new("smoke", "-", force=False)

    assert capsys.readouterr().out == templates()["smoke"].read_text(encoding="utf-8")


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "smoke.yaml"
    path.write_text("mine")

    with pytest.raises(UsageError, match=r"smoke\.yaml is there already; --force overwrites it"):
        new("smoke", str(path), force=False)

    assert path.read_text() == "mine"


def test_a_file_is_overwritten_by_force(tmp_path: Path) -> None:
    path = tmp_path / "smoke.yaml"
    path.write_text("mine")

    new("smoke", str(path), force=True)

    assert path.read_text(encoding="utf-8").startswith("# One minute")


def test_an_unknown_template_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^unknown template 'soack'; did you mean 'soak'\?$"):
        new("soack", None, force=False)


def test_where_nothing_can_be_written_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        new("smoke", str(tmp_path / "no" / "folder.yaml"), force=False)


def test_a_file_name_that_no_system_takes_is_told() -> None:
    with pytest.raises(UsageError, match="x cannot be written: "):
        new("smoke", "x" * 5000, force=False)
