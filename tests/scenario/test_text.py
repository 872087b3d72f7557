"""A file that is no YAML 1.2, or more than a scenario needs of it, has a clear mistake and no traceback."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from loadsim.errors import ScenarioError
from loadsim.scenario.read import LARGEST, read_scenario
from loadsim.scenario.shipped import find_scenario
from tests.scenario.helpers import ACTIONS, FLEETS, HEAD, STAGES, messages_in, read


def mistake_of_bytes(folder: Path, data: bytes) -> str:
    path = folder / "test.yaml"
    path.write_bytes(data)
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path, {}, actions=ACTIONS)
    return str(caught.value).replace(f"{folder}{os.sep}", "")


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# only a comment\n", b"---\n...\n", b"~", b"\xef\xbb\xbf"])
def test_an_empty_file_is_told_what_was_expected(tmp_path: Path, data: bytes) -> None:
    assert mistake_of_bytes(tmp_path, data) == (
        "test.yaml: error: is empty; expected version, name, fleets and stages"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[1, 2]", "test.yaml:1:1: error: expected a mapping with version, name, fleets and stages, got a list"),
        (b"hello", "test.yaml:1:1: error: expected a mapping with version, name, fleets and stages, got 'hello'"),
        (b"a\0b", "test.yaml: error: holds a NUL byte in line 1"),
        (b"a: 1\nb: \xff\n", "test.yaml: error: is not UTF-8: byte 0xff in line 2"),
        ("version: 1".encode("utf-16"), "test.yaml: error: is not UTF-8: byte 0xff in line 1"),
        (b"#" * (LARGEST + 1), "test.yaml: error: is larger than 256 KiB, the most that is read"),
        (b"a: 1\nb: \x07\n", "test.yaml:2:4: error: the character U+0007 cannot stand in YAML; remove it"),
        (b"a: 1\n\tb: 2\n", "test.yaml:2:1: error: not valid YAML: a tab cannot indent; use spaces"),
        (b"a: [1, 2\n", "test.yaml:2:1: error: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        (b"a: 1\n b: 2\n", "test.yaml:2:3: error: not valid YAML: mapping values are not allowed here"),
        (b"a: {count: ${N}}\n", "(inside [] and {} a ${VAR} needs quotes)"),
        (b"a: 1\n---\nb: 2\n", "test.yaml:2:1: error: expected one YAML document, got a second one"),
        (b"[" * 1000, "test.yaml:1:22: error: nested deeper than 20 levels"),
        (b"a: *x\n", "test.yaml:1:4: error: the alias '*x' names no anchor"),
        (b"a: &x [*x]\n", "the alias '*x' stands inside what it names: it would never end"),
        (b"a: !!python/object:os.system x\n", "YAML tags such as 'tag:yaml.org,2002:python/object:os.system'"),
        (b"a: !mine {b: 1}\n", "YAML tags such as '!mine' are not used in a scenario"),
        (b"a: &x {b: 1}\nc:\n  <<: *x\n", "merge keys ('<<') are not of YAML 1.2; write the keys out"),
        (b"? [1]\n: 2\n", "expected a plain text as key"),
        (b"name: a\nname: b\n", "test.yaml:2:1: error: the key 'name' stands here twice, first in line 1"),
        (b"name:\n", "test.yaml:1:1: error: the key 'name' has no value"),
        (b'name: "\\ud800"\n', "test.yaml:1:7: error: expected text, got half a character (a surrogate)"),
        (b'"\\udfff": 1\n', "test.yaml:1:1: error: expected text, got half a character (a surrogate)"),
    ],
)
def test_what_is_no_scenario_has_its_mistake(tmp_path: Path, data: bytes, message: str) -> None:
    assert message in mistake_of_bytes(tmp_path, data)


def test_aliases_cannot_blow_up(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    began = time.monotonic()

    message = mistake_of_bytes(tmp_path, "\n".join(lines).encode())

    assert "error: more than 100,000 values, aliases counted as often as they are used" in message
    assert time.monotonic() - began < 20


def test_aliases_of_a_few_values_are_taken(tmp_path: Path) -> None:
    text = HEAD + "fleets:\n  a: &a {count: 3, id: 'A{n}'}\n  b: {count: 3, reconnect: &r {first: 1s}}\n"
    text += "  c: {count: 2, reconnect: *r}\n" + STAGES

    assert read(tmp_path, text).model.fleets["c"].reconnect == read(tmp_path, text).model.fleets["b"].reconnect


def test_yaml_1_1_types_are_plain_text(tmp_path: Path) -> None:
    scenario = read(tmp_path, HEAD + "description: no\n" + FLEETS + STAGES)

    assert scenario.model.description == "no"


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.yaml: error: does not exist, or is no regular file"):
        read_scenario(tmp_path / "none.yaml", {}, actions=ACTIONS)


def test_a_directory_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r": error: is a directory"):
        read_scenario(tmp_path, {}, actions=ACTIONS)


def test_an_unreadable_file_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "test.yaml").write_text("x")
    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(ScenarioError, match=r": error: cannot be read: Permission denied"):
        read_scenario(tmp_path / "test.yaml", {}, actions=ACTIONS)


def test_a_very_long_line_is_not_repeated(tmp_path: Path) -> None:
    (message,) = mistake_lines(tmp_path, HEAD + FLEETS + STAGES + "x: " + "y" * 100_000 + "\n")

    assert len(message) < 300


@pytest.mark.parametrize("before", [150, 190, 199, 200, 201, 300, 10_000])
def test_the_caret_points_at_the_mistake_however_long_its_line_is(tmp_path: Path, before: int) -> None:
    names = "{" + ", ".join(f"f{n:07}: {{count: 1}}" for n in range(before // 22)) + ", "
    line = "fleets: " + names.ljust(before) + "a: {count: 1, HERE: 5, id: a, connectors: 1, boot: {}}}"
    line = line + " # " + "x" * 300

    (tmp_path / "test.yaml").write_text(HEAD + line + "\n" + STAGES)
    with pytest.raises(ScenarioError) as caught:
        read_scenario(tmp_path / "test.yaml", {}, actions=ACTIONS)

    (mistake,) = caught.value.mistakes
    _, source, caret = str(mistake).split("\n")
    assert mistake.column == line.index("HERE") + 1
    assert source[caret.index("^") :].startswith("HERE"[: 1 if before < 200 else 4])
    assert len(source) < 220


@pytest.mark.parametrize(
    "wrong",
    [
        " " * 200 + "usr: x",
        "user: *nobody",
        "<<: 5",
        "user: !mine x",
        "user: ${UNSET}",
        "user: " + "[" * 30 + "]" * 30,
        "user: %",
    ],
)
def test_a_secret_further_on_in_the_line_of_a_mistake_is_not_shown(tmp_path: Path, wrong: str) -> None:
    line = f"csms: {{url: 'ws://h', auth: {{{wrong}, password: hunter2}}}}\n"

    (tmp_path / "test.yaml").write_text(HEAD + line + FLEETS + STAGES)
    with pytest.raises(ScenarioError) as caught:
        read_scenario(tmp_path / "test.yaml", {}, actions=ACTIONS)

    assert "csms: {url: 'ws://h'" in str(caught.value) or "..." in str(caught.value)
    assert "hunter2" not in str(caught.value)


def mistake_lines(folder: Path, text: str) -> list[str]:
    (folder / "test.yaml").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_scenario(folder / "test.yaml", {}, actions=ACTIONS)
    return [max(str(each).split("\n"), key=len) for each in caught.value.mistakes]


def test_a_byte_order_mark_and_windows_line_ends_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "test.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + FLEETS + STAGES).replace("\n", "\r\n").encode())

    assert read_scenario(path, {}, actions=ACTIONS).model.name == "t"


def test_a_duplicate_keeps_the_other_mistakes_visible(tmp_path: Path) -> None:
    assert messages_in(tmp_path, HEAD + "name: u\nfleets: {a: {count: 1, cuont: 2}}\n" + STAGES) == [
        "3:1 the key 'name' stands here twice, first in line 2",
        "4:24 fleets.a.cuont: unknown key 'cuont'; did you mean 'count'?",
    ]


def test_a_variable_of_bytes_that_are_no_utf_8_is_a_mistake(tmp_path: Path) -> None:
    text = HEAD + "description: ${WHAT}\n" + FLEETS + STAGES

    assert messages_in(tmp_path, text, {"WHAT": "a\udcff"}) == ["3:14 a variable holds bytes that are no UTF-8"]


def test_a_key_without_end_does_not_fill_the_message(tmp_path: Path) -> None:
    (found,) = messages_in(tmp_path, HEAD + FLEETS + STAGES + f"faults: [{{name: {'f' * 3000}, at: 1s, do: drop}}]\n")

    assert len(found) < 400


def test_a_file_name_that_no_system_takes_is_a_mistake() -> None:
    path = find_scenario(Path("x" * 5000))

    with pytest.raises(ScenarioError, match="x: error: cannot be read: "):
        read_scenario(path, {}, actions=ACTIONS)
