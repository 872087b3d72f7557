"""The Autobahn suite's cases, without a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.link.autobahn_cases import GROUPS, MIB, Case
from tests.link.reading import Read, chopped, fed

CASES_OF_THE_SUITE = {
    "1": 16,
    "2": 11,
    "3": 7,
    "4": 10,
    "5": 20,
    "6": 145,
    "7": 37,
    "9": 54 - 6 - 6,  # without 9.1.4 to 6, 9.2.4 to 6, 9.3.1 to 3 and 9.4.1 to 3
    "10": 1,
}
LIMIT = 4 * MIB
SMALL = 2_000  # bytes


@pytest.mark.parametrize("group", GROUPS)
def test_every_case_of_the_suite_ends_as_it_wants(group: Callable[[], Iterator[Case]]) -> None:
    for case in group():
        expected = Read(list(case.messages), case.code)
        stream = b"".join(case.pieces)

        assert fed(case.pieces, LIMIT) == expected, case.name
        assert fed([stream], LIMIT) == expected, case.name
        if len(stream) < SMALL:
            assert fed(chopped(stream, 1), LIMIT) == expected, case.name


def test_6_4_a_text_that_cannot_be_one_is_refused_before_its_end() -> None:
    early = [case for group in GROUPS for case in group() if case.early is not None]

    assert [case.name for case in early] == ["6.4.1", "6.4.3", "6.4.2", "6.4.4"]
    for case in early:
        assert case.early is not None
        assert fed(case.pieces[: case.early]).code is None, case.name
        assert fed(case.pieces[: case.early + 1]).code == case.code, case.name


def test_no_case_is_forgotten() -> None:
    names = [case.name for group in GROUPS for case in group()]

    assert len(set(names)) == len(names)
    assert Counter(name.partition(".")[0] for name in names) == CASES_OF_THE_SUITE
