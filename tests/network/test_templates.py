"""Every template of ``loadsim new`` runs against the embedded CSMS, scaled down by --set, and passes."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from loadsim.new_command import templates
from tests.network.running import Run, books_balance, run, settled, unmet

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

SCALED = {
    "smoke": (
        "stages.connect.for=1s",
        "stages.charge.for=3s",
        "stages.charge.sessions=5/s",
        "stages.finish.for=2s",
        "sessions.short.plugged_in=1s..2s",
        "sessions.short.meter_values=1s",
    ),
    "ramp": (
        "fleets.chargers.count=80",
        "fleets.chargers.heartbeat=2s",
        *(f"stages.to-{share}.for=500ms" for share in (25, 50, 75, 100)),
        *(f"stages.at-{share}.for=1500ms" for share in (25, 50, 75, 100)),
        *(f"stages.to-{share}.sessions={share}/s" for share in (25, 50, 75, 100)),
        "sessions.commuter.plugged_in=500ms..1s",
        "thresholds[7].over=1s",
        "thresholds[7].after=2s",
    ),
    "soak": (
        "fleets.chargers.count=60",
        "fleets.chargers.heartbeat=1s",
        "fleets.chargers.reconnect.first=20ms",
        "stages.ramp.for=500ms",
        "stages.fill.for=1s",
        "stages.fill.sessions=40/s",
        "stages.soak.for=6s",
        "stages.leave.for=500ms",
        "sessions.resident={tags: {drivers: 80%, unknown: 20%}, plugged_in: 500ms..1s, meter_values: 1s}",
        "faults.flaky.rate=10/h",
        "thresholds[0]=all errors < 1%",
        "thresholds[3]=Heartbeat p95 drift < 5000% during soak",
        "thresholds[8].over=2s",
        "thresholds[9].over=2s",
        "thresholds[9].after=2s",
    ),
    "storm": (
        "fleets.good.count=60",
        "fleets.good.reconnect.first=200ms",
        "fleets.stubborn.count=20",
        "fleets.stubborn.reconnect={first: 200ms, factor: 1, max: 200ms, jitter: 0%}",
        "stages.ramp.for=500ms",
        "stages.calm.for=1s",
        "stages.calm.sessions=20/s",
        "stages.storm.for=5s",
        "stages.after.for=2s",
        "sessions.commuter={plugged_in: 1s..2s, meter_values: 1s}",
        "faults.site_outage.for=300ms",
        "faults.everybody.at=storm+2s",
        "faults.half_open.at=storm+4s",
        "faults.half_open.for=500ms",
        "thresholds[5]=online >= 50% during storm",
    ),
    "firmware-rollout": (
        "fleets.street_ac.count=60",
        "fleets.street_ac.firmware={download: 500ms..1s, install: 100ms..300ms, download_failures: 5%}",
        "fleets.street_ac.reboot=100ms..300ms",
        "csms.embedded.calls.rollout.at=1s",
        "csms.embedded.calls.rollout.over=2s",
        'csms.embedded.calls.rollout.with.retrieveDate="{now+300ms}"',
        "stages.ramp={name: ramp, for: 1s, online: 100%, sessions: 5/s, measure: false}",
        "stages.rollout.for=4s",
        "stages.wait.for=1s",
        "stages.finish.for=2s",
        "sessions.commuter.plugged_in=500ms..1s",
        "thresholds[5]=online >= 50% during rollout",
    ),
}


def rehearse(name: str, folder: Path) -> Run:
    text = templates()[name].read_text(encoding="utf-8")
    options = [word for each in SCALED[name] for word in ("--set", each)]
    return settled(lambda: run(text, folder, "-q", *options))


@pytest.fixture(scope="module")
def rehearsals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Run]]]:
    folder = tmp_path_factory.mktemp("templates")
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(rehearse, name, folder) for name in templates()}


@pytest.mark.parametrize("name", templates())
def test_a_template_runs_and_passes(name: str, rehearsals: dict[str, Future[Run]]) -> None:
    ended = rehearsals[name].result(280)

    summary = ended.check()
    books_balance(summary["actions"])
    assert unmet(ended) == []
    assert summary["charge_points"]["booted"] == summary["charge_points"]["planned"]
    assert summary["sessions"]["started"] > 0
