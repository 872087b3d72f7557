"""Small scenarios to build on, and their mistakes in short."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from loadsim.errors import Mistake, ScenarioError
from loadsim.scenario.plan import Plan
from loadsim.scenario.read import read_scenario
from loadsim.scenario.resolve import resolve
from loadsim.scenario.scenario import Scenario

ACTIONS = (
    "Authorize",
    "BootNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
)
HEAD = "version: 1\nname: t\n"
FLEETS = "fleets:\n  a: {count: 10}\n"
STAGES = "stages:\n  - {for: 10s, online: 100%}\n"


def read(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Scenario:
    path = folder / "test.yaml"
    path.write_text(text, encoding="utf-8")
    return read_scenario(path, environ or {}, actions=ACTIONS)


def plan_of(folder: Path, text: str, environ: Mapping[str, str] | None = None, seed: int = 1) -> Plan:
    return resolve(read(folder, text, environ), seed=seed)


def mistakes_in(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> tuple[Mistake, ...]:
    with pytest.raises(ScenarioError) as caught:
        read(folder, text, environ)
    return caught.value.mistakes


def messages_in(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return "line:column message" of every mistake."""
    return [f"{each.line}:{each.column} {each.message}" for each in mistakes_in(folder, text, environ)]
