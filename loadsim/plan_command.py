"""``loadsim plan``: what a run would be and need; nothing is sent, started or left behind."""

from __future__ import annotations

import sys

from rich.console import Console

from loadsim.needs import needs_of
from loadsim.output.plan_view import show_plan
from loadsim.preflight import default_workers
from loadsim.scenario.plan import Plan
from loadsim.streams import print_json


def show(plan: Plan, *, workers: int | None, as_json: bool) -> None:
    """Print what a run of *plan* needs, on stdout."""
    needs = needs_of(plan, workers or default_workers(plan))
    if as_json:
        print_json(needs, sys.stdout)
    else:
        show_plan(plan, needs, Console())
