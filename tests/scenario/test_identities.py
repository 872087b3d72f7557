"""Ids and id tags: patterns, files, lengths, collisions, and what `loadsim ids` prints."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.scenario.identities import write_ids
from loadsim.scenario.patterns import Filled
from loadsim.scenario.plan import Identity
from tests.scenario.helpers import HEAD, STAGES, messages_in, mistakes_in, plan_of


def fleet(keys: str) -> str:
    return HEAD + f"fleets:\n  a: {{{keys}}}\n" + STAGES


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("connectors: 1", "fleets.a: expected count, the number of charge points"),
        ("count: -1", "fleets.a.count: expected a whole number from 1 to 1,000,000, got -1"),
        ("count: 1000001", "fleets.a.count: expected a whole number from 1 to 1,000,000, got 1000001"),
        ("count: 2, id: same", "fleets.a.id: 2 of them need {n} in 'same', or all would be the same"),
        ("count: 2, id: 'A{m}'", "fleets.a.id: unknown placeholder '{m}'; expected {n} or {fleet}"),
        ("count: 2, id: 'A{n'", "fleets.a.id: a brace is not closed or not opened in 'A{n'"),
        ("count: 2, id: 'A}{n}'", "fleets.a.id: a brace is not closed or not opened"),
        ("count: 2, id: 'A{n:5}'", "malformed placeholder '{n:5}'; expected {n}, or padded with zeros {n:05}"),
        ("count: 2, id: 'A{n!r}'", "malformed placeholder '{n!r}'"),
        ("count: 2, id: 'A{n}{fleet:>9}'", "malformed placeholder '{fleet:>9}'; expected {fleet}"),
        ("count: 2, id: 'A{n:{n}}'", "fleets.a.id: "),
        ("count: 2, id: 'A{}{n}'", "unknown placeholder '{}'; expected {n} or {fleet}"),
        ("count: 2, id: 'A{n.real}'", "unknown placeholder '{n.real}'; expected {n} or {fleet}"),
        ('count: 2, id: "A\\a{n}"', "holds a control character"),
        ("count: 2, id: ' A{n}'", "begins or ends with a space"),
        ("count: 1, id: ''", "fleets.a.id: an identity cannot be empty"),
        ("count: 1, id: '..'", "would vanish from the URL's path"),
        ("count: 2, id: {}", "fleets.a.id: expected a pattern such as 'AC-{n:05}', or {file: ids.csv}"),
        ("count: 2, id: {file: x.csv, pattern: 'A{n}'}", "fleets.a.id.pattern: give either a file or a pattern"),
        ("count: 1, boot: {serial: 'S{n}'}", "fleets.a.boot.serial: unknown placeholder '{n}'; expected {id}"),
    ],
)
def test_a_fleet_whose_ids_cannot_be_made_is_told_why(tmp_path: Path, keys: str, message: str) -> None:
    assert message in "\n".join(messages_in(tmp_path, fleet(keys)))


def test_an_identity_has_at_most_48_characters(tmp_path: Path) -> None:
    assert plan_of(tmp_path, fleet(f"count: 9, id: '{'x' * 47}{{n}}'")).fleets[0].identity(8).id == "x" * 47 + "9"

    assert messages_in(tmp_path, fleet(f"count: 10, id: '{'x' * 47}{{n}}'")) == [
        f"4:22 fleets.a.id: the identity '{'x' * 47}10' has 49 characters; at most 48 "
        "(OCPP 1.6J sets no limit, this is that of OCPP 2.0.1)"
    ]


def test_a_serial_with_the_identity_in_it_keeps_the_limit_of_ocpp(tmp_path: Path) -> None:
    text = fleet("count: 5, id: '0123456789-0123456789-{n}', boot: {serial: 'SN-{id}', box_serial: '{id}'}")

    assert messages_in(tmp_path, text) == [
        "4:65 fleets.a.boot.serial: with the longest identity it has 26 characters; OCPP 1.6 allows 25"
    ]


def test_ids_of_two_fleets_cannot_collide(tmp_path: Path) -> None:
    text = HEAD + "fleets:\n  a: {count: 20, id: 'X{n:03}'}\n  b: {count: 5, id: 'X01{n}'}\n" + STAGES

    assert messages_in(tmp_path, text) == ["5:3 fleets.b: the identity 'X011' is also one of 'a'"]


def test_ids_of_a_file_collide_with_those_of_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("id\nCP-9\nCP-3\n")
    text = HEAD + "fleets:\n  a: {count: 4, id: 'CP-{n}'}\n  b: {id: {file: ids.csv}}\n" + STAGES

    assert messages_in(tmp_path, text) == ["5:3 fleets.b: the identity 'CP-3' is also one of 'a'"]


def test_there_are_at_most_a_million_charge_points(tmp_path: Path) -> None:
    text = HEAD + "fleets:\n  a: {count: 600000}\n  b: {count: 400001}\n" + STAGES

    assert messages_in(tmp_path, text) == ["3:1 fleets: at most 1,000,000 charge points, got 1,000,001"]


def test_a_hundred_thousand_ids_are_checked(tmp_path: Path) -> None:
    text = HEAD + "fleets:\n  a: {count: 50000, id: 'A{n}'}\n  b: {count: 50000, id: 'B{n}'}\n" + STAGES

    assert plan_of(tmp_path, text).charge_points == 100_000


def test_a_file_of_ids_and_passwords_is_read(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text('\ufeffid,password\n CP 1 ,secret-1\n\n"CP,2",\n', encoding="utf-8")
    plan = plan_of(tmp_path, fleet("id: {file: ids.csv}"))

    assert plan.fleets[0].identities == (Identity("CP 1", "secret-1"), Identity("CP,2", None))
    assert plan.fleets[0].count == 2
    assert plan.target.user == "{id}"


def test_the_first_ids_of_a_file_are_taken_when_there_is_a_count(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("id\nA\nB\nC\n")

    assert [each.id for each in plan_of(tmp_path, fleet("count: 2, id: {file: ids.csv}")).fleets[0].identities] == [
        "A",
        "B",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist, or is no regular file"),
        ("", "expected a first line that names its columns: id, or id,password"),
        ("CP1,hunter2\n", "expected a first line that names its columns: id, or id,password"),
        ("id,pasword\nCP1,hunter2\n", "expected a first line that names its columns: id, or id,password"),
        ("id\n", "holds no identity"),
        ("id\nA\nA\n", "ids.csv:3:1: error: the identity 'A' stands here twice, first in line 2"),
        ('id,password\nA,"hunter2\n"\n', "ids.csv:3:1: error: the password holds a control character"),
        ("id,password\nA\n", "ids.csv:2:1: error: expected 2 columns, got 1"),
        ("id\n" + "x" * 49 + "\n", "has 49 characters; at most 48"),
        ('id\n"A\n', "is not CSV in line 2"),
        ("id\n" + "A\n" * 30, "and more mistakes from here on"),
    ],
)
def test_a_file_of_ids_that_cannot_be_used_is_told_why(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "ids.csv").write_text(content)

    found = "\n".join(map(str, mistakes_in(tmp_path, fleet("id: {file: ids.csv}"))))

    assert message in found
    assert "hunter2" not in found


def test_more_charge_points_than_the_file_has_ids_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("id\nA\nB\n")

    assert messages_in(tmp_path, fleet("count: 3, id: {file: ids.csv}")) == [
        "4:14 fleets.a.count: the file has only 2 identities, got 3"
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("count: 5", "id_tags.t: expected count and pattern, or a file"),
        ("pattern: 'T{n}'", "id_tags.t: expected count, the number of id tags"),
        ("count: 5, pattern: T", "id_tags.t.pattern: 5 of them need {n} in 'T', or all would be the same"),
        ("count: 5, pattern: 'T{fleet}{n}'", "unknown placeholder '{fleet}'; expected {n}"),
        ("count: 10, pattern: '1234567890123456789{n}'", "has 21 characters; OCPP 1.6 allows 20"),
        ("count: 5, pattern: 'T{n}', file: x.csv", "id_tags.t.pattern: give either a file or a pattern"),
        ("file: tags.csv, count: 9", "id_tags.t.count: the file has only 2 id tags, got 9"),
        ("file: .", "is a directory"),
    ],
)
def test_a_tag_class_that_cannot_be_made_is_told_why(tmp_path: Path, keys: str, message: str) -> None:
    (tmp_path / "tags.csv").write_text("tag\nA\nB\n")

    (found,) = messages_in(tmp_path, fleet("count: 1") + f"id_tags:\n  t: {{{keys}}}\n")

    assert message in found


@pytest.mark.parametrize("content", ["tag\nA\nB\n", "id_tag\nA\n\nB", "name,tag\nx,A\ny,B\n"])
def test_a_file_of_tags_has_a_column_named_tag(tmp_path: Path, content: str) -> None:
    (tmp_path / "tags.csv").write_text(content)

    assert plan_of(tmp_path, fleet("count: 1") + "id_tags: {t: {file: tags.csv}}").tag_classes[0].tags == ("A", "B")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A\nB\n", "expected one column tag (or id_tag), named in its first line; got 'A'"),
        ("", "named in its first line; got an empty file"),
        ("tag\n", "holds no id tag"),
        ("tag\nA\na\n", "tags.csv:3:1: error: the id tag 'a' stands here twice, first in line 2"),
        ("tag\n" + "x" * 21, "has 21 characters; OCPP 1.6 allows 20"),
    ],
)
def test_a_file_of_tags_that_cannot_be_used_is_told_why(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "tags.csv").write_text(content)

    assert message in "\n".join(map(str, mistakes_in(tmp_path, fleet("count: 1") + "id_tags: {t: {file: tags.csv}}")))


def test_a_tag_cannot_be_of_two_classes_whatever_its_case(tmp_path: Path) -> None:
    tags = "id_tags:\n  t: {count: 5, pattern: 'T{n}'}\n  u: {count: 1, pattern: 't3'}\n"

    assert messages_in(tmp_path, fleet("count: 1") + tags) == ["9:3 id_tags.u: the id tag 't3' is also one of 't'"]


def test_shares_of_tag_classes_sum_to_100_percent_and_name_classes(tmp_path: Path) -> None:
    tags = "id_tags: {t: {count: 5, pattern: 'T{n}'}, u: {count: 5, pattern: 'U{n}'}}\n"

    assert messages_in(tmp_path, fleet("count: 1, tags: {t: 60%, u: 30%}") + tags) == [
        "4:17 fleets.a.tags: expected shares of 100% in all, got 90%"
    ]
    assert messages_in(tmp_path, fleet("count: 1, tags: {t: 60%, v: 40%}") + tags) == [
        "4:32 fleets.a.tags.v: unknown tag class 'v'; expected 't' or 'u'"
    ]


def test_ids_prints_what_a_csms_is_to_know_and_no_password(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("id,password\nCP1,hunter2\n")
    text = HEAD + "fleets:\n  a: {count: 2}\n  b: {id: {file: ids.csv}}\n" + STAGES
    text += "id_tags: {t: {count: 2, pattern: 'T{n}'}, u: {count: 1, pattern: U, expect: Blocked}}\n"
    stream = io.StringIO()

    write_ids(plan_of(tmp_path, text), stream)

    assert stream.getvalue().split("\n") == [
        "kind,id,group,expect",
        "charge_point,a-00001,a,",
        "charge_point,a-00002,a,",
        "charge_point,CP1,b,",
        "id_tag,T1,t,Accepted",
        "id_tag,T2,t,Accepted",
        "id_tag,U,u,Blocked",
        "",
    ]


def test_ids_has_a_column_of_parents_where_a_tag_has_one(tmp_path: Path) -> None:
    text = HEAD + "fleets:\n  a: {count: 1}\n" + STAGES
    text += "id_tags: {t: {count: 1, pattern: T, parent: G}, u: {count: 1, pattern: U}}\n"
    stream = io.StringIO()

    write_ids(plan_of(tmp_path, text), stream)

    assert stream.getvalue().split("\n") == [
        "kind,id,group,expect,parent",
        "charge_point,a-00001,a,,",
        "id_tag,T,t,Accepted,G",
        "id_tag,U,u,Accepted,",
        "",
    ]


LITERALS = st.text("AaXx0{}", max_size=3).map(lambda text: text.replace("{", "{{").replace("}", "}}"))


@given(
    st.lists(st.one_of(LITERALS, st.sampled_from(["{n}", "{n:02}", "{fleet}"])), max_size=5).map("".join),
    st.integers(1, 120),
)
def test_all_ids_of_a_pattern_begin_with_its_prefix(pattern: str, count: int) -> None:
    filled = Filled(pattern, count, "a{n}")

    assert all(each.startswith(filled.prefix) for each in filled)


def test_patterns_that_cannot_collide_are_not_filled_in_to_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HEAD + "fleets:\n  a: {count: 500000, id: 'A{n}'}\n  b: {count: 500000, id: 'B{n}'}\n" + STAGES
    monkeypatch.setattr(Filled, "__iter__", pytest.fail)

    assert plan_of(tmp_path, text).charge_points == 1_000_000


def test_tags_collide_whatever_their_case(tmp_path: Path) -> None:
    tags = "id_tags:\n  t: {count: 5, pattern: 'DRV{n}'}\n  u: {count: 5, pattern: 'drv{n:01}'}\n"

    assert messages_in(tmp_path, fleet("count: 1") + tags) == ["9:3 id_tags.u: the id tag 'drv1' is also one of 't'"]
