"""What watching a run costs the conductor."""

from __future__ import annotations

import pytest

from loadsim.conductor.watching import drawn_again_after


@pytest.mark.parametrize(("took", "after"), [(0.0, 0.5), (0.005, 0.5), (0.008, 0.8), (0.015, 1.5), (3.0, 2.0)])
def test_drawing_takes_a_hundredth_of_the_time_while_that_is_often_enough_to_look_at(
    took: float, after: float
) -> None:
    assert drawn_again_after(took) == pytest.approx(after)
