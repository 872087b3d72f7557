"""The rules a load simulator is judged by: each row has tests that bear its number."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from trio.testing import MockClock

from loadsim.ocpp.action import InvalidPayload
from loadsim.v16.configuration_keys import DEFAULTS
from loadsim.v16.messages import BY_NAME
from tests.support import world
from tests.v16.sessions import PUNCTUAL

ROWS = range(1, 45)
_NAME = re.compile(r"test_rule_0*(\d+)_[a-z0-9_]+")


def names_in(source: str) -> Iterator[str]:
    """Yield the names of the test functions of a module that have something to say."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        says_something = any(isinstance(each, ast.Assert | ast.Call) for each in ast.walk(node))
        if node.name.startswith("test_") and says_something:
            yield node.name


def rows_tested(folder: Path) -> dict[int, list[str]]:
    """Return the tests of each row that has some."""
    rows: dict[int, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for name in names_in(path.read_text(encoding="utf-8")):
            if match := _NAME.fullmatch(name):
                rows.setdefault(int(match[1]), []).append(f"{path.name}::{name}")
    return rows


def test_every_rule_has_its_test() -> None:
    tested = rows_tested(Path(__file__).parents[1])
    assert [row for row in ROWS if row not in tested] == []
    assert sorted(set(tested) - set(ROWS)) == []


def test_what_is_no_test_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "def test_rule_7_says_something():\n    assert 1\n"
        "def test_rule_8_does_nothing():\n    pass\n"
        "def helper_rule_9_x():\n    assert 1\n"
        "async def test_rule_012_is_padded():\n    assert 1\n"
        "def test_rule_13():\n    assert 1\n",
        encoding="utf-8",
    )
    (tmp_path / "other.py").write_text("def test_rule_14_x():\n    assert 1\n", encoding="utf-8")

    assert sorted(rows_tested(tmp_path)) == [7, 12]


# Rows that no other module is about.

_BOOT_ANSWER = b'{"status":"Accepted","currentTime":"2030-01-01T00:00:00Z","interval":%b}'
_STOP = b'{"meterStop":1,"timestamp":"2030-01-01T00:00:00Z","transactionId":0%b}'


def test_rule_8_nothing_that_the_schema_does_not_name_is_taken() -> None:
    for action in BY_NAME.values():
        with pytest.raises(InvalidPayload):
            action.decode_request(b'{"noSuchProperty":1}')
        with pytest.raises(InvalidPayload):
            action.decode_response(b'{"noSuchProperty":1}')


def test_rule_8_nothing_more_is_taken_inside_either() -> None:
    start = BY_NAME["StartTransaction"]
    start.decode_response(b'{"transactionId":1,"idTagInfo":{"status":"Accepted"}}')
    with pytest.raises(InvalidPayload):
        start.decode_response(b'{"transactionId":1,"idTagInfo":{"status":"Accepted","more":1}}')


def test_rule_8_the_reason_of_a_stop_is_optional() -> None:
    stop = BY_NAME["StopTransaction"]
    stop.decode_request(_STOP % b"")
    stop.decode_request(_STOP % b',"reason":"Remote"')
    with pytest.raises(InvalidPayload):
        stop.decode_request(_STOP % b',"reason":"Boredom"')


@pytest.mark.parametrize(("interval", "right"), [(b"300", True), (b"0", True), (b'"300"', False), (b"0.5", False)])
def test_rule_8_the_interval_of_a_boot_is_an_integer(interval: bytes, right: bool) -> None:
    boot = BY_NAME["BootNotification"]
    if right:
        boot.decode_response(_BOOT_ANSWER % interval)
    else:
        with pytest.raises(InvalidPayload):
            boot.decode_response(_BOOT_ANSWER % interval)


async def test_rule_42_the_documented_ping_interval_is_shorter_than_all_tries_take(autojump_clock: MockClock) -> None:
    async with world(**PUNCTUAL) as w:
        await w.online()
        keys = ["WebSocketPingInterval", "TransactionMessageAttempts", "TransactionMessageRetryInterval"]
        answer = await w.csms.latest.order("GetConfiguration", {"key": keys})
        told = {each["key"]: int(each["value"]) for each in answer["configurationKey"]}

    assert told["WebSocketPingInterval"] < told[keys[1]] * told[keys[2]]
    assert [str(told[key]) for key in keys[1:]] == [DEFAULTS[key] for key in keys[1:]]
