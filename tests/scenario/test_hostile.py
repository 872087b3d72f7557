"""However a scenario is mangled, reading it ends in a plan or in a ScenarioError."""

from __future__ import annotations

import random
import re

import pytest

from loadsim.errors import ScenarioError
from loadsim.scenario.resolve import resolve, resolved_yaml
from tests.scenario.helpers import read
from tests.scenario.test_resolve import FULL
from tests.scenario.test_schema_and_shipped import SHIPPED

SOURCES = [FULL, *(path.read_text() for path in SHIPPED)]
TOKENS = [
    *"{}[]:~\"'|?#,%@`\u2028\té-1",
    *("- ", "&a ", "*a", "null", "${CSMS_URL}", "${", "$$", "!!x ", "-1", "1e400", "0x1f", "9" * 20, "true", "<<: "),
    *("{n}", "{n:05}", "{{", "{id}", "100%", "5s", "5m..1s", ".nan", "---\n", "...\n", "%YAML 1.1\n"),
]


def mangled(text: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(text))
        how = chance.randrange(4)
        if how == 0:
            text = text[:place] + chance.choice(TOKENS) + text[place:]
        elif how == 1:
            text = text[:place] + text[place + chance.randint(1, 12) :]
        elif how == 2:
            lines = text.split("\n")
            at = chance.randrange(len(lines))
            lines[at : at + 1] = chance.choice([[], [lines[at]] * 2, [chance.choice(lines)]])
            text = "\n".join(lines)
        else:
            values = list(re.finditer(r": ([^\n,}]+)", text))
            value = chance.choice(values) if values else None
            text = text if value is None else text[: value.start(1)] + chance.choice(TOKENS) + text[value.end(1) :]
    return text


@pytest.mark.parametrize("seed", range(250))
def test_a_mangled_scenario_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("mangled")
    (folder / "ids.csv").write_text("id\nDC1\nDC2\nDC3\n")
    (folder / "tags.csv").write_text("tag\nA\nB\n")
    try:
        scenario = read(folder, mangled(chance.choice(SOURCES), chance), {"CSMS_URL": "ws://h/x"})
    except ScenarioError:
        return
    plan = resolve(scenario)
    assert resolve(read(folder, resolved_yaml(scenario, plan))) == plan
