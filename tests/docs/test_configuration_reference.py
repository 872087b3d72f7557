"""The table of configuration keys in the reference says what the code does."""

from __future__ import annotations

from loadsim.v16.configuration_keys import KEYS
from loadsim.v16.configuration_kinds import MEASURANDS
from tests.docs.documents import REFERENCE, read


def rows() -> dict[str, list[str]]:
    """Return the cells of each key's row."""
    text = read(REFERENCE / "ocpp.md").partition("| configuration key |")[2].partition("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    return {name: rest for name, *rest in cells}


def test_every_key_and_no_other_is_in_the_reference() -> None:
    assert sorted(rows()) == sorted(key.name for key in KEYS)


def test_profile_access_and_default_are_those_of_the_code() -> None:
    said = {name: (profile, access) for name, (profile, access, *_) in rows().items()}
    assert said == {key.name: (key.profile, key.access) for key in KEYS}
    assert {key.name: rows()[key.name][2] for key in KEYS if key.default is not None} == {
        key.name: key.default for key in KEYS if key.default is not None
    }


def test_the_measurands_are_those_of_the_code() -> None:
    text = " ".join(read(REFERENCE / "ocpp.md").split())
    assert ", ".join(MEASURANDS) in text
