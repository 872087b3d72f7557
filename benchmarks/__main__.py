"""What the figures of the documentation were measured with: ``python -m benchmarks [NAME ...]``.

Without a name it is the table of the README, in about a quarter of an hour; with ``--long`` all that there is. Every
benchmark runs against a CSMS in a process of its own and prints rows of a Markdown table. Figures that are compared
with each other come from one run, in turn. What each row means: docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

import psutil

from benchmarks import (
    bring_up,
    charging,
    conductor,
    first_second,
    flat,
    fleet,
    hundred_thousand,
    memory,
    round_trip,
    soak,
    table,
    truth,
    verdict,
)


class Benchmark(NamedTuple):
    """What yields rows; *usual* ones are run when none is named. *header* is that of a table of their own."""

    measure: Callable[[], Iterator[str]]
    usual: bool = True
    header: tuple[str, ...] = table.HEADER


BENCHMARKS: Final = {
    "round-trip": Benchmark(round_trip.measure),
    "memory": Benchmark(memory.measure),
    "bring-up": Benchmark(bring_up.measure),
    "flat": Benchmark(flat.measure),
    "conductor": Benchmark(conductor.measure),
    "soak": Benchmark(soak.measure),
    "peers": Benchmark(round_trip.measure_peers, header=table.PEERS_HEADER),
    "soak-long": Benchmark(soak.measure_long, usual=False),
    "hundred-thousand": Benchmark(hundred_thousand.measure, usual=False),
    "first-second": Benchmark(first_second.measure, usual=False),
    "fleet": Benchmark(fleet.measure, usual=False),
    "charging": Benchmark(charging.measure, usual=False),
    "truth": Benchmark(truth.measure, usual=False),
    "verdict": Benchmark(verdict.measure, usual=False),
}
_IN_FULL: Final = {"soak": "soak-long"}
"""What takes the place of a shorter one with --long."""


def main() -> None:
    """Run the benchmarks named, the usual ones, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="|".join(BENCHMARKS))
    parser.add_argument("--long", action="store_true", help="all, the long ones too")
    parser.add_argument("--charge-points", type=int, help="of hundred-thousand: as many instead")
    chosen = parser.parse_args()
    benchmarks = dict(BENCHMARKS)
    if chosen.charge_points:
        smaller = partial(hundred_thousand.measure, chosen.charge_points)
        benchmarks["hundred-thousand"] = Benchmark(smaller, usual=False)
    names = chosen.names or [name for name, each in benchmarks.items() if (each.usual, chosen.long) != (False, False)]
    if chosen.long:
        names = [name for name in names if name not in _IN_FULL]
    size = psutil.virtual_memory().total / 2**30
    print(f"Python {platform.python_version()}, {platform.system()}, {psutil.cpu_count()} cores, {size:.0f} GiB")
    header: tuple[str, ...] = ()
    for name in names:
        if benchmarks[name].header != header:
            header = benchmarks[name].header
            print(f"\n{table.header(header)}")
        for row in benchmarks[name].measure():
            print(row, flush=True)


if __name__ == "__main__":
    main()
