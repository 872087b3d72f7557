"""Every scenario that is shipped runs, with its stages cut short, and meets its own thresholds."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from loadsim.scenario.shipped import shipped_scenarios
from tests.network.running import Run, books_balance, run, settled, unmet
from tests.peers import start

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

LENGTH = 6.0  # seconds, of the whole run
MOST = 150  # charge points a fleet
SESSIONS = 250.0  # charging sessions at most: a driver needs some seconds for the cable, however short a run is
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
DURATION = r"([0-9.]+)(s|m|h)\b"
FOR = re.compile(rf"\bfor: {DURATION}")
SHORTER = re.compile(rf"(?:\b(?:at|over|download|install|reboot): |\.\.|now\+){DURATION}")
MOMENT = re.compile(rf"(?:\+|\bat: |\bfor: |\bafter: ){DURATION}")
WAIT = re.compile(rf"\b(?:first|max): {DURATION}")
OFTEN = re.compile(r"\brate: ([0-9.]+)/(s|m|h)")
WINDOW = re.compile(rf"\bover: {DURATION}")
ONLINE = re.compile(r"online >= [0-9.]+%")
DRIFT = re.compile(r"drift < [0-9]+%")
STAYS = re.compile(r"\bplugged_in: (?:\{[^}]*\}|[^,}\s]+)")
SAMPLES = re.compile(r"\bmeter_values: [0-9]+s")
SHARES = re.compile(r"\{drivers: 9[0-9]%, (\w+): [0-9]+%\}")
RATE = re.compile(r"\bsessions: (?:\"\$\{SOAK_SESSIONS:-)?([0-9.]+)/(s|m|h)(?:\}\")?")


def part(text: str, key: str) -> str:
    """Return what stands under a key at the top of a scenario, that key included; nothing if it is not there."""
    found = re.search(rf"^{key}:.*\n(?:(?:[ #].*)?\n)*", text, re.MULTILINE)
    return "" if found is None else found[0]


def seconds(number: str, unit: str) -> float:
    return float(number) * UNITS[unit]


def shortened(text: str) -> str:
    """Scale the stages to `LENGTH` together, and what is to happen in them, for fewer charge points that do more."""
    stages = part(text, "stages")
    lasts = [seconds(*found) for found in FOR.findall(stages)]
    scale = LENGTH / sum(lasts)
    rates = [float(number) / UNITS[unit] for number, unit in RATE.findall(stages)]

    def shorter(match: re.Match[str]) -> str:
        least = 0.5 if match[0].startswith("for") else 0.05
        return match[0][: -len(match[1] + match[2])] + f"{max(least, seconds(match[1], match[2]) * scale):.3f}s"

    def faster(match: re.Match[str]) -> str:
        return f"sessions: {float(match[1]) / UNITS[match[2]] * SESSIONS / LENGTH / max(rates):.3f}/s"

    text = text.replace(stages, RATE.sub(faster, FOR.sub(shorter, stages)))
    csms = re.sub(r"rate: [0-9]+/s", "rate: 500/s", part(text, "csms"))  # the ramps are steeper now
    text = text.replace(part(text, "csms"), SHORTER.sub(shorter, csms))
    fleets = SHORTER.sub(shorter, part(text, "fleets"))
    fleets = re.sub(r"\bcount: ([0-9]{3,}|\$\{SOAK_COUNT:-[0-9]+\})", f"count: {MOST}", fleets)
    text = text.replace(part(text, "fleets"), re.sub(r"authorize: [0-9]+/h", "authorize: 3600/h", fleets))
    if part(text, "faults"):
        text = troubled(text, scale, shorter)
    sessions = SAMPLES.sub("meter_values: 1s", STAYS.sub("plugged_in: 1.2s..2s", part(text, "sessions")))
    sessions = SHARES.sub(r"{drivers: 80%, \1: 20%}", sessions)  # of each class somebody comes
    return text.replace(part(text, "sessions"), sessions) if sessions else text


def troubled(text: str, scale: float, shorter: Callable[[re.Match[str]], str]) -> str:
    """Bring the faults nearer, let them last shorter and come more often, and their charge points be back sooner."""

    def sooner(match: re.Match[str]) -> str:
        return match[0][: -len(match[1] + match[2])] + f"{max(0.05, seconds(match[1], match[2]) * scale):.3f}s"

    def more_often(match: re.Match[str]) -> str:
        return f"rate: {float(match[1]) / UNITS[match[2]] / scale:.3f}/s"

    text = text.replace(part(text, "fleets"), WAIT.sub(shorter, part(text, "fleets")))
    faults = OFTEN.sub(more_often, MOMENT.sub(sooner, part(text, "faults")))
    text = text.replace(part(text, "faults"), faults)
    # A window and the thirds of a stage need enough calls, a drift is for times when nothing else goes on, and who is
    # just coming back is a larger part of so short a stage.
    thresholds = WINDOW.sub("over: 3s", MOMENT.sub(sooner, part(text, "thresholds")))
    thresholds = ONLINE.sub("online >= 60%", DRIFT.sub("drift < 400%", thresholds))
    return text.replace(part(text, "thresholds"), thresholds)


def rehearse(path: Path, folder: Path) -> Run:
    text = shortened(path.read_text(encoding="utf-8"))

    def attempt() -> Run:
        if "${CSMS_URL}" not in text:
            return run(text, folder)
        with start("truth_server", "--interval", "2", "--blocked-prefix", "UNK") as peer:
            return run(text, folder, url=peer.url)

    return settled(attempt)


@pytest.fixture(scope="module")
def rehearsals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Run]]]:
    folder = tmp_path_factory.mktemp("shipped")
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(rehearse, path, folder) for name, path in shipped_scenarios().items()}


@pytest.mark.parametrize("name", shipped_scenarios())
def test_a_shipped_scenario_runs_and_passes(name: str, rehearsals: dict[str, Future[Run]]) -> None:
    ended = rehearsals[name].result(280)

    summary = ended.check()
    books_balance(summary["actions"])
    assert unmet(ended) == []
    assert summary["charge_points"]["booted"] == summary["charge_points"]["planned"]
    assert not any(summary["strays"].values()), summary["strays"]
    assert all(each["hit"] for each in summary["faults"].values())
