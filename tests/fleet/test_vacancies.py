"""A search for a free connector finds what going through all charge points would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadsim.fleet.vacancies import Vacancies

numbers = st.lists(st.integers(0, 40), unique=True).map(sorted)
events = st.lists(st.tuples(st.sampled_from(["freed", "full", "search"]), st.integers(0, 40)))


@given(numbers, events)
def test_those_that_may_have_a_free_connector_come_in_their_order_once_around(
    numbers: list[int], events: list[tuple[str, int]]
) -> None:
    vacancies, may = Vacancies(numbers), set(numbers)

    for event, number in events:
        if event == "freed":  # of another fleet's charge points it is told, too
            vacancies.freed(number)
            may |= {number} & set(numbers)
        elif event == "full" and number in numbers:
            vacancies.full(number)
            may.discard(number)
        else:
            around = [*(n for n in numbers if n >= number), *(n for n in numbers if n < number)]
            assert list(vacancies.after(number)) == [n for n in around if n in may]


@given(st.integers(1, 30))
def test_those_that_are_full_can_be_passed_over_from_the_next_search_on(count: int) -> None:
    vacancies = Vacancies(range(count))

    for number in vacancies.after(count // 2):
        vacancies.full(number)

    assert list(vacancies.after(0)) == []
