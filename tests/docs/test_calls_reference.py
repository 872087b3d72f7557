"""docs/reference/calls.md: every key, every example, every count; and the plans of calls on all pages are valid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from loadsim.csms.calling import CallCounts
from loadsim.csms.planned import Planned
from loadsim.csms.roster import Field
from loadsim.scenario.check_calls import SENT_BY_CSMS
from loadsim.scenario.model_calls import CallModel
from loadsim.scenario.plan import DEFAULT_TAGS, PlannedCall, TagClass
from loadsim.scenario.read_calls import read_calls
from loadsim.v16.orders import SAMPLE, fill
from tests.docs.documents import REFERENCE, Block, blocks, code, codes, read, rows

TEXT = read(REFERENCE / "calls.md")
ROWS = {code(row[0]): row for row in rows(TEXT.partition("## Every key")[2].partition("## When")[0])}
FILLED = TEXT.partition("## What is filled in")[2].partition("## What became of them")[0]
BESIDE = {"share": "at: 1s", "over": "at: 1s", "after": "on: Preparing"}
TAGS = (DEFAULT_TAGS, TagClass(name="other", count=1, pattern="X"))


def table_after(words: str) -> list[str]:
    return [code(row[0]) for row in rows(TEXT.partition(words)[2].partition("\n\n")[2].partition("\n\n")[0])]


def read_text(folder: Path, text: str) -> tuple[PlannedCall, ...]:
    path = folder / "calls.yaml"
    path.write_text(text, encoding="utf-8")
    return read_calls(path, {}, TAGS)


def test_every_key_and_no_other_is_in_the_reference() -> None:
    assert list(ROWS) == [field.alias or name for name, field in CallModel.model_fields.items()]


@pytest.mark.parametrize("key", ROWS)
def test_the_example_of_a_key_is_one(key: str) -> None:
    CallModel.model_validate({key: YAML(typ="safe", pure=True).load(code(ROWS[key][3]))})


@pytest.mark.parametrize("key", [key for key, row in ROWS.items() if re.fullmatch("`[^`]+`", row[2])])
def test_the_default_of_a_key_changes_nothing(key: str, tmp_path: Path) -> None:
    beside = BESIDE.get(key, "rate: 1/s")
    base = read_text(tmp_path, f"calls: [{{send: ReserveNow, {beside}}}]\n")

    assert read_text(tmp_path, f"calls: [{{send: ReserveNow, {beside}, {key}: {code(ROWS[key][2])}}}]\n") == base


@pytest.mark.parametrize("action", SENT_BY_CSMS)
def test_what_is_filled_in_is_what_the_reference_says(action: str) -> None:
    said = {name for row in rows(FILLED) if action in codes(row[0]) for name in codes(row[1])}
    given: dict[str, Any] = {"firmware": {}} if action == "SignedUpdateFirmware" else {}

    assert set(fill(action, given, SAMPLE)) == said


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if block.text.startswith("calls:")], ids=str)
def test_a_plan_of_calls_of_the_documentation_is_valid(block: Block, tmp_path: Path) -> None:
    assert len(read_text(tmp_path, block.text)) > 1


def test_the_counts_are_those_of_the_record() -> None:
    planned = Planned(PlannedCall(name="x", send="ClearCache"), Field("*"), seed=1, number=0)

    assert table_after("due = called + no_target") == list(planned.record())
    assert table_after("sent = answered + errors") == [name for name in CallCounts().as_dict() if name != "refused"]
    assert "refused" in TEXT
    assert codes(TEXT.rpartition("`strays`")[2]) == ["late", "unknown_id", "duplicate", "malformed"]
