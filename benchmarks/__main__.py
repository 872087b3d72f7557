"""What the figures in docs/design were measured with: ``python -m benchmarks [NAME ...]``.

Every benchmark runs against the sink in a process of its own and prints rows of a Markdown table. Figures that
are compared with each other come from one run, in turn.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from typing import Final

import psutil

from benchmarks import bring_up, charging, fleet, round_trip, truth, verdict

BENCHMARKS: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "round-trip": round_trip.measure,
    "bring-up": bring_up.measure,
    "fleet": fleet.measure,
    "charging": charging.measure,
    "truth": truth.measure,
    "verdict": verdict.measure,
}


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="|".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    memory = psutil.virtual_memory().total / 2**30
    print(f"Python {platform.python_version()}, {platform.system()}, {psutil.cpu_count()} cores, {memory:.0f} GiB\n")
    print("| what | figure | to reach |\n|---|---|---|")
    for name in names:
        for row in BENCHMARKS[name]():
            print(row, flush=True)


if __name__ == "__main__":
    main()
