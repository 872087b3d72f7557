"""faults.csv: how the charge points that each fault took offline came back, second by second since its moment.

It is a curve and no log: of a fault that happens to one charge point after the other, the seconds are since each
one's own moment. The file is written anew as the curves grow, and has a row where a curve rises: for each second of
the first hour after the fault, for each minute after that, so that its length is bounded however long the run is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from loadsim.metrics.snapshot import CENTISECOND, Snapshot
from loadsim.output.csv_file import Row, time_cell

FAULT_COLUMNS: Final = ("fault", "second", "hit", "offline", "gone", "back", "share_back")

_BY_THE_SECOND: Final = 3600
_MINUTE: Final = 60
_PREFIX: Final = "faults."
_COUNTED: Final = ("hit", "offline", "gone")


class FaultCurves:
    """What faults.csv says, kept by the second."""

    def __init__(self, faults: Iterable[str]) -> None:
        self._counts: dict[str, Counter[str]] = {fault: Counter() for fault in faults}
        self._back: dict[str, Counter[int]] = {fault: Counter() for fault in self._counts}
        self.changed = False
        """Whether anything came since the rows were last asked for."""

    def __len__(self) -> int:
        return sum(map(len, self._back.values()))

    def take(self, snapshot: Snapshot) -> None:
        """Take in an interval."""
        for name, count in snapshot.counters.items():
            fault, _, what = name.removeprefix(_PREFIX).rpartition(".")
            if name.startswith(_PREFIX) and what in _COUNTED and fault in self._counts:
                self._counts[fault][what] += count
                self.changed = True
        for fault, times in snapshot.recoveries.items():
            self.changed = True
            for hundredths, count in times.items():
                self._back[fault][_second(hundredths)] += count

    def rows(self) -> Iterator[Row]:
        """Yield the rows as they are now: for each fault that hit anybody its moment, and where its curve rises."""
        self.changed = False
        for fault, counts in self._counts.items():
            if not counts["hit"]:
                continue
            can_return, back = counts["offline"] - counts["gone"], 0
            for second in sorted({0, *self._back[fault]}):
                back += self._back[fault][second]
                share = f"{back / can_return:.6f}" if can_return > 0 else ""
                yield [fault, time_cell(second), *(counts[what] for what in _COUNTED), back, share]


def _second(hundredths: int) -> int:
    """Return the first whole second by which a charge point was back; after an hour, the first whole minute."""
    second = -(-hundredths // round(1 / CENTISECOND))
    return second if second <= _BY_THE_SECOND else -(-second // _MINUTE) * _MINUTE
