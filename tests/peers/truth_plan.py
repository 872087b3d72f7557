"""What the truth server does on purpose: how long it takes, whom it refuses, when it stalls."""

import argparse
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from .serving import options

Draw = Callable[[], float]


@dataclass(slots=True)
class Refusals:
    """Authorizes that are Blocked: an exact number of those of each class of tags, known by its prefix."""

    every: int = 0  # every k-th of all, besides
    always: str = ""  # a prefix, besides
    first: dict[str, int] = field(default_factory=dict)  # by prefix: so many are still to come
    _asked: int = 0

    def refuse(self, id_tag: str) -> bool:
        """Tell whether this one is refused; each counts, whatever came of it."""
        self._asked += 1
        refused = bool(self.every) and self._asked % self.every == 0
        refused |= bool(self.always) and id_tag.startswith(self.always)
        for prefix, left in self.first.items():
            if left and id_tag.startswith(prefix):
                self.first[prefix] = left - 1
                return True
        return refused


@dataclass(slots=True, kw_only=True)
class Plan:
    """What the server does on purpose. Seconds."""

    interval: int
    latency: Draw  # of Authorize
    refusals: Refusals
    stall_at: float | None  # after the connection of this number
    stall_after: int
    stall_for: float


def parser() -> argparse.ArgumentParser:
    of = options("A CSMS that knows the truth about its own answers.")
    of.add_argument("--interval", type=int, default=300, help="seconds, of the boot's answer")
    of.add_argument("--latency", default="fixed:0", help="of Authorize: fixed:, uniform: or lognormal:")
    of.add_argument("--seed", type=int, default=1, help="of the latencies")
    of.add_argument("--refuse-every", type=int, default=0, help="every k-th Authorize is Blocked")
    of.add_argument("--refuse-first", action="append", default=[], help="PREFIX:N, so many of these tags are Blocked")
    of.add_argument("--blocked-prefix", default="", help="tags that are Blocked besides")
    of.add_argument("--stall-at", type=float, help="seconds after the first connection")
    of.add_argument("--stall-after", type=int, default=1, help="or after the connection of this number")
    of.add_argument("--stall-for", type=float, default=1.0, help="seconds")
    of.add_argument("--samples", action="store_true", help="every Authorize in the record too")
    of.add_argument("--visits", action="store_true", help="every connection in the record too")
    return of


def plan_of(chosen: argparse.Namespace) -> Plan:
    """Read the options.

    Raises:
        ValueError: one of them is nothing that the server can do.
    """
    first: dict[str, int] = {}
    for text in chosen.refuse_first:
        prefix, _, count = text.rpartition(":")
        first[prefix] = int(count)
    return Plan(
        interval=chosen.interval,
        latency=parse_latency(chosen.latency, chosen.seed),
        refusals=Refusals(every=chosen.refuse_every, always=chosen.blocked_prefix, first=first),
        stall_at=chosen.stall_at,
        stall_after=chosen.stall_after,
        stall_for=chosen.stall_for,
    )


def parse_latency(text: str, seed: int) -> Draw:
    """Read `fixed:ms`, `uniform:a_ms,b_ms` or `lognormal:median_ms,sigma`; draws are in seconds.

    Raises:
        ValueError: *text* is none of them.
    """
    kind, _, rest = text.partition(":")
    numbers = [float(number) for number in rest.split(",")]
    draws = random.Random(seed)
    match kind, numbers:
        case "fixed", [milliseconds]:
            return lambda: milliseconds / 1e3
        case "uniform", [low, high]:
            return lambda: draws.uniform(low, high) / 1e3
        case "lognormal", [median, sigma]:
            mu = math.log(median / 1e3)
            return lambda: draws.lognormvariate(mu, sigma)
    raise ValueError(f"latency {text!r}: fixed:ms, uniform:a_ms,b_ms or lognormal:median_ms,sigma expected")
