"""What is installed from a wheel works from an empty directory: commands, shipped scenarios, result files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.docs.documents import REFERENCE, ROOT, code, read, rows, table

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
SHORT = """\
version: 1
name: short
fleets:
  demo: {count: 5, authorize: 3600/h}
stages:
  - {for: 2s, online: 100%, jump: true}
thresholds:
  - all errors == 0
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel, install it alone, and let it find its dependencies where these tests find theirs."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    built = subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("loadsim-*.whl")
    place = folder / "venv"
    venv.create(place, with_pip=False)
    base = {"base": str(place), "platbase": str(place)}
    scheme = sysconfig.get_preferred_scheme("prefix")
    python = Path(sysconfig.get_path("scripts", scheme, vars=base)) / Path(sys.executable).name
    subprocess.run(
        [*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], timeout=60, check=True
    )
    packages = Path(sysconfig.get_path("purelib", scheme, vars=base))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python.with_name("loadsim.exe" if os.name == "nt" else "loadsim")


def run(program: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("LOADSIM_", "PYTHON", "COV_"))
    }
    environ["CSMS_URL"] = "ws://127.0.0.1:9/ocpp"
    return subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_the_wheel_s_own_code_runs(program: Path, tmp_path: Path) -> None:
    python = program.with_name(Path(sys.executable).name)
    where = run(python, tmp_path, "-c", "import loadsim; print(loadsim.__file__)").stdout

    assert Path(where.strip()).is_relative_to(program.parents[1])


def test_the_shipped_scenarios_are_found_by_name(program: Path, tmp_path: Path) -> None:
    names = sorted(path.stem for path in (ROOT / "scenarios").glob("*.yaml"))
    result = run(program, tmp_path, "validate", *names)

    assert result.returncode == 0, result.stderr
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == names
    assert list(tmp_path.iterdir()) == []


def test_the_schema_and_the_help_are_printed(program: Path, tmp_path: Path) -> None:
    schema = run(program, tmp_path, "schema")
    usage = run(program, tmp_path, "csms", "--help")

    assert "fleets" in json.loads(schema.stdout)["properties"]
    assert (usage.returncode, "--boot-status" in usage.stdout) == (0, True)


def test_the_templates_are_in_the_wheel(program: Path, tmp_path: Path) -> None:
    listed = run(program, tmp_path, "new").stdout.partition("\n\n")[0].splitlines()

    for name in (line.split()[0] for line in listed):
        result = run(program, tmp_path, "new", name)
        assert result.returncode == 0, result.stderr
        result = run(program, tmp_path, "plan", f"{name}.yaml", "--json")
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["name"] == name
    assert len(listed) == 5


def test_a_run_leaves_the_files_that_the_reference_names(program: Path, tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text(SHORT, encoding="utf-8")

    result = run(program, tmp_path, "run", "short.yaml", "--json", "--console", "off")

    summary = json.loads(result.stdout)
    assert result.returncode == summary["exit_code"], result.stderr
    assert summary["charge_points"]["booted"] == 5, result.stderr
    assert (summary["complete"], summary["books"]) == (True, [])
    (folder,) = (tmp_path / "results").glob("*-short")
    named = read(REFERENCE / "results.md").partition("## summary.json")[0]
    stays = {code(row[0]) for row in rows(named) if "removed at the end" not in row[2]}
    assert {path.name for path in folder.iterdir()} == stays
    assert list(json.loads(read(folder / "run.json"))) == table("results.md", "run")
    assert read(folder / "loadsim.log") == ""
