"""Every scenario that is shipped runs, with its stages cut short, and meets its own thresholds."""

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from loadsim.scenario.shipped import shipped_scenarios
from tests.network.running import Run, books_balance, run
from tests.peers import start

pytestmark = [pytest.mark.network, pytest.mark.timeout(118)]

LENGTH = 5.0  # seconds, of the whole run
MOST = 150  # charge points a fleet
ATTEMPTS = 2
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
FOR = re.compile(r"\bfor: ([0-9.]+)(s|m|h)\b")


def shortened(text: str) -> str:
    """Scale the stages to `LENGTH` together, for fewer charge points that do more."""
    stages = text[text.index("\nstages:") : text.index("\nthresholds:")]
    whole = sum(float(number) * UNITS[unit] for number, unit in FOR.findall(stages))
    scale = LENGTH / whole

    def shorter(match: re.Match[str]) -> str:
        return f"for: {max(0.5, float(match[1]) * UNITS[match[2]] * scale):.3f}s"

    text = text.replace(stages, FOR.sub(shorter, stages))
    fleets = text[text.index("\nfleets:") : text.index("\nstages:")]
    smaller = re.sub(r"\bcount: ([0-9]{3,}|\$\{SOAK_COUNT:-[0-9]+\})", f"count: {MOST}", fleets)
    smaller = re.sub(r"authorize: [0-9]+/h", "authorize: 3600/h", smaller)
    text = text.replace(fleets, smaller)
    return re.sub(r"rate: [0-9]+/s", "rate: 500/s", text)  # the ramps are steeper now


def rehearse(path: Path, folder: Path) -> Run:
    text = shortened(path.read_text(encoding="utf-8"))
    for _ in range(ATTEMPTS):
        if "${CSMS_URL}" not in text:
            ended = run(text, folder)
        else:
            with start("truth_server", "--interval", "2", "--blocked-prefix", "UNK") as peer:
                ended = run(text, folder, url=peer.url)
        if ended.code != 4:
            break
    return ended


@pytest.fixture(scope="module")
def rehearsals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Run]]]:
    folder = tmp_path_factory.mktemp("shipped")
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(rehearse, path, folder) for name, path in shipped_scenarios().items()}


@pytest.mark.parametrize("name", shipped_scenarios())
def test_a_shipped_scenario_runs_and_passes(name: str, rehearsals: dict[str, Future[Run]]) -> None:
    ended = rehearsals[name].result(110)

    summary = ended.check()
    books_balance(summary["actions"])
    assert all(each["ok"] for each in summary["thresholds"]), summary["thresholds"]
    assert summary["charge_points"]["booted"] == summary["charge_points"]["planned"]
    assert set(summary["strays"].values()) == {0}
