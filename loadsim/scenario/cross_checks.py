"""Doubts about a scenario without mistakes: what can be run, and is perhaps not what is wanted; with figures."""

from __future__ import annotations

from loadsim.scenario.model import ScenarioModel
from loadsim.scenario.places import Places
from loadsim.scenario.plan import Plan
from loadsim.scenario.warn_faults import warn_of_faults
from loadsim.scenario.warn_load import warn_of_load
from loadsim.scenario.warn_thresholds import warn_of_thresholds


def cross_check(plan: Plan, model: ScenarioModel, places: Places) -> None:
    """Warn, at its place, of what *plan*, made of *model*, will hardly do as it is meant."""
    warn_of_load(plan, places)
    warn_of_faults(plan, model.faults or (), places)
    warn_of_thresholds(plan, places)
