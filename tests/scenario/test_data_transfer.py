"""The key data_transfer of a fleet: what may be left out, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadsim.charge_point.settings import Arrivals, DataTransferSettings
from loadsim.scenario.resolve import resolve, resolved_yaml
from tests.scenario.helpers import HEAD, STAGES, messages_in, plan_of, read


def with_data(given: str) -> str:
    return f"{HEAD}fleets:\n  a: {{count: 10, data_transfer: {given}}}\n{STAGES}"


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ("6/h", DataTransferSettings(arrivals=Arrivals(rate=6 / 3600))),
        ("{rate: 2/s, arrivals: even}", DataTransferSettings(arrivals=Arrivals(rate=2.0, spacing="even"))),
        ("{rate: 1/m, size: 0B}", DataTransferSettings(arrivals=Arrivals(rate=1 / 60), size=0)),
        ("none", None),
        ("0/h", None),
        ("{rate: none, vendor: org.example}", None),
    ],
)
def test_what_is_left_out_has_its_default(tmp_path: Path, given: str, settings: DataTransferSettings | None) -> None:
    assert plan_of(tmp_path, with_data(given)).fleets[0].settings.data_transfer == settings


@pytest.mark.parametrize("given", ["none", "6/h", "{rate: 1/d, vendor: org.example, message: Status, size: 1.234kB}"])
def test_it_is_written_so_that_it_reads_back_the_same(tmp_path: Path, given: str) -> None:
    scenario = read(tmp_path, with_data(given))
    plan = resolve(scenario, seed=1)

    assert plan_of(tmp_path, resolved_yaml(scenario, plan)) == plan


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{vendor: org.example}", "4:18 fleets.a.data_transfer: the key 'rate' is missing"),
        ("{rate: 1/h, size: 200}", "the unit is missing"),
        ("{rate: 1/h, size: 501kB}", "expected at most 500kB, got '501kB'"),
        ("{rate: 1/h, size: 0.5B}", "expected a whole number of bytes, got '0.5B'"),
        (f"{{rate: 1/h, vendor: {'v' * 256}}}", "expected at most 255 characters, got 256"),
        (f"{{rate: 1/h, message: {'m' * 51}}}", "expected at most 50 characters, got 51"),
        ("{rate: 1/h, vendr: x}", "unknown key 'vendr'; did you mean 'vendor'?"),
        ("101/s", "expected at most 100/s, for each charge point, got '101/s'"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, given: str, message: str) -> None:
    (told,) = messages_in(tmp_path, with_data(given))

    assert message in told
