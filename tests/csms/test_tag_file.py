"""The file of tags: what is read, and what is refused with its line."""

from pathlib import Path

import pytest

from loadsim.csms.tag_file import TagFile, read_tag_file
from loadsim.errors import UsageError


def written(folder: Path, content: str) -> Path:
    path = folder / "tags.csv"
    path.write_text(content, encoding="utf-8", newline="")
    return path


def test_statuses_parents_and_expiries_are_read_in_any_order_of_columns(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "\ufeffexpiry,status, tag ,parent\r\n"
        "2030-01-01T00:00:00Z,Accepted,A,GROUP\r\n"
        "\r\n"
        ",Blocked,B,\r\n"
        ",ConcurrentTx, C ,GROUP\r\n",
    )

    assert read_tag_file(path) == TagFile(
        statuses={"A": "Accepted", "B": "Blocked", "C": "ConcurrentTx"},
        parents={"A": "GROUP", "C": "GROUP"},
        expiries={"A": "2030-01-01T00:00:00Z"},
    )


def test_two_columns_are_enough_and_so_is_no_tag(tmp_path: Path) -> None:
    assert read_tag_file(written(tmp_path, "tag,status\nA,Invalid\n")).statuses == {"A": "Invalid"}
    assert read_tag_file(written(tmp_path, "tag,status\n")) == TagFile()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("B,Denied,,", "got 'Denied'"),
        ("B,accepted,,", "got 'accepted'"),
        (",Accepted,,", "empty"),
        ("B,Accepted", "expected 4 columns, got 2"),
        ("B,Accepted,,,,", "expected 4 columns, got 6"),
        ("a,Accepted,,", "twice"),
        (f"{'B' * 21},Accepted,,", "21 characters"),
        (f"B,Accepted,{'P' * 21},", "21 characters"),
        ("B,Accepted,,2030-01-01", "RFC 3339"),
        ("B,Accepted,,2030-01-01T00:00:00", "RFC 3339"),
        ('B,"Accepted,,', "unexpected end"),
    ],
)
def test_a_bad_row_is_refused_with_file_and_line(tmp_path: Path, row: str, said: str) -> None:
    path = written(tmp_path, f"tag,status,parent,expiry\nA,Accepted,,\n{row}\n")
    with pytest.raises(UsageError) as refused:
        read_tag_file(path)

    assert str(refused.value).startswith(f"--tags: {path}:3: ")
    assert said in str(refused.value)


def test_all_bad_rows_are_told_at_once_up_to_a_few(tmp_path: Path) -> None:
    path = written(tmp_path, "tag,status\n" + "A,Wrong\n" * 50)
    with pytest.raises(UsageError) as refused:
        read_tag_file(path)

    assert [line.split(": ")[1] for line in str(refused.value).splitlines()] == [f"{path}:{n}" for n in range(2, 12)]


@pytest.mark.parametrize(
    "header", ["", "tag", "status", "tag,state", "tag,status,expires", "tag,status,tag", "A,Accepted"]
)
def test_other_columns_are_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(UsageError, match="expected the columns tag,status, and perhaps parent,expiry"):
        read_tag_file(written(tmp_path, f"{header}\nB,Accepted\n"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"tag,status\nA,Accepted\n\xe4,Accepted\n")

    for path, said in [(tmp_path / "none.csv", "does not exist"), (tmp_path, "directory"), (latin, "in line 3")]:
        with pytest.raises(UsageError) as refused:
            read_tag_file(path)
        assert str(refused.value).startswith(f"--tags: {path} ")
        assert said in str(refused.value)
