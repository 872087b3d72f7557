"""``loadsim run`` before the run itself: what is said, refused, and left alone by a dry run."""

from pathlib import Path

import pytest

from loadsim import preflight, run_command
from loadsim.errors import PreflightFailed, ScenarioError, UsageError

SCENARIO = """
version: 1
name: rehearsed
csms: {url: "ws://192.0.2.1/ocpp", connect: {rate: 1/s}}
fleets: {demo: {count: 400}}
stages: [{for: 10s, online: 100%}]
outputs: {dir: RESULTS}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO.replace("RESULTS", str(tmp_path / "results")), encoding="utf-8")
    return path


def dry_run(path: Path, *overrides: str, quiet: bool = False, dry: bool = True) -> int:
    return run_command.run(
        path,
        workers=1,
        seed=5,
        results=None,
        graceful_stop=30.0,
        console="off",
        as_json=False,
        quiet=quiet,
        overrides=overrides,
        dry_run=dry,
    )


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def conduct(*_: object) -> None:
        raise AssertionError("a dry run conducts nothing")

    monkeypatch.setattr(run_command, "conduct", conduct)


@pytest.mark.usefixtures("nothing_starts")
def test_a_dry_run_says_what_would_be_and_leaves_nothing_behind(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry_run(scenario) == 0

    said = capsys.readouterr()
    assert "rehearsed: 400 charge points, 10.0s, 1 worker, seed 5, to ws://192.0.2.1/ocpp" in said.err
    assert "(not this machine)" in said.err
    assert said.out != ""
    assert [each.name for each in scenario.parent.iterdir()] == [scenario.name]


@pytest.mark.usefixtures("nothing_starts")
def test_warnings_of_the_scenario_are_on_stderr_before_the_run_also_of_a_quiet_one(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dry_run(scenario, quiet=True)

    first, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{scenario}:")
    assert ": warning: " in first


@pytest.mark.usefixtures("nothing_starts")
def test_a_dry_run_refuses_what_the_run_would(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScenarioError, match="stages"):
        dry_run(scenario, "stages[0].for=soon")

    monkeypatch.setattr(preflight, "free_memory", lambda: 1_000_000)
    with pytest.raises(PreflightFailed, match="too little memory"):
        dry_run(scenario)


def test_a_run_is_told_of_ports_that_take_long_to_find_and_a_dry_one_beside_its_figures(
    scenario: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "ephemeral_ports", lambda: 600)
    monkeypatch.setattr(preflight, "easy_ports", lambda ports: ports // 2)
    doubt = "warning: 400 connections from a source address of 600 ports"

    dry_run(scenario)
    said = capsys.readouterr()
    assert doubt not in said.err
    assert doubt in " ".join(said.out.split())

    async def conduct(*_: object) -> None:
        raise OSError("as far as the warning")

    monkeypatch.setattr(run_command, "conduct", conduct)
    with pytest.raises(UsageError, match="as far as the warning"):
        dry_run(scenario, quiet=True, dry=False)
    assert doubt in capsys.readouterr().err
